#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the README's picture anew, core/web/live.png: the page of the built belfryd with three callbacks.

Debian's pngquant makes it small.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from bodies import ASSIGNED, BODIES, FAILING  # noqa: E402
from browser import Browser  # noqa: E402
from gateway import Gateway  # noqa: E402

PICTURE = ROOT / "core" / "web" / "live.png"


def deliver(gateway):
    change = next(body for name, body, _ in BODIES if name == "change")
    gateway.deliver(change, path=gateway.callback_path(user="7"))
    gateway.deliver(FAILING, path=gateway.callback_path(user="42"))
    gateway.deliver(ASSIGNED, path=gateway.callback_path(user="42"))


def main():
    with Gateway() as gateway, Browser(width=900, height=690, scale=2) as browser:
        deliver(gateway)
        browser.open(gateway.url(scheme="http"))
        browser.wait_for_text("#count", "3 events")
        browser.driver.execute_script("document.activeElement.blur(); document.getAnimations().forEach(ring => ring.finish())")
        browser.screenshot(PICTURE)
    subprocess.run(["pngquant", "--force", "--ext", ".png", "32", str(PICTURE)], check=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
