#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the docs' pictures anew, with what is built: the booking page (in core/web/example/), and the gateway's own page
with three callbacks (core/web/live.png).

Debian's pngquant makes them small.
"""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from bodies import ASSIGNED, BODIES, FAILING  # noqa: E402
from browser import Browser  # noqa: E402
from example import Example, book  # noqa: E402
from gateway import Gateway  # noqa: E402

WEB = ROOT / "core" / "web"


def deliver(gateway):
    change = next(body for name, body, _ in BODIES if name == "change")
    gateway.deliver(change, path=gateway.callback_path(user="7"))
    gateway.deliver(FAILING, path=gateway.callback_path(user="42"))
    gateway.deliver(ASSIGNED, path=gateway.callback_path(user="42"))


def take(browser, path, colours=64):
    still = "document.activeElement.blur(); document.getAnimations().forEach(one => one.cancel())"
    browser.driver.execute_script(still)
    browser.screenshot(path)
    subprocess.run(["pngquant", "--force", "--ext", ".png", str(colours), str(path)], check=True)
    print(f"{path}: {path.stat().st_size} bytes")


def take_live_page():
    with Gateway() as gateway, Browser(width=900, height=690, scale=2) as browser:
        deliver(gateway)
        browser.open(gateway.url(scheme="http"))
        browser.wait_for_text("#count", "3 events")
        take(browser, WEB / "live.png")


def make_meetings(browser, example):
    """One that was repaired, one that is being repaired, one that nothing is known of yet."""
    example.open(browser)
    book(browser, "Quarterly review", "teams", 1)
    example.cronofy.clock.advance(1)
    browser.wait_for_text(".meeting .status", "another provider")
    example.await_version(2)
    example.cronofy.clock.advance(1)
    browser.wait(lambda: len(browser.all(".meeting details li")) == 4)
    browser.click(".meeting summary")
    book(browser, "Interview with Sam", "teams", 2)
    example.cronofy.clock.advance(1)
    browser.wait_for_text(".meeting .status", "another provider")
    book(browser, "Board meeting", "zoom", 3)


def take_example():
    with tempfile.TemporaryDirectory() as folder, Example(pathlib.Path(folder)) as example:
        with Browser(width=1040, height=830, scale=2) as browser:
            make_meetings(browser, example)
            browser.driver.execute_script("scrollTo(0, 0)")
            take(browser, WEB / "example" / "desktop.png")
        for scheme in ("light", "dark"):
            with Browser(width=390, height=844, scale=2, scheme=scheme) as browser:
                browser.open(f"{example.url}/")
                browser.wait_for_text(".meeting:last-child .status", "ready")
                browser.wait_for_text(".meeting:nth-child(2) .status", "another provider")
                browser.driver.execute_script("document.getElementById('yours').scrollIntoView()")
                take(browser, WEB / "example" / f"phone-{scheme}.png")


def main():
    take_example()
    take_live_page()


if __name__ == "__main__":
    main()
