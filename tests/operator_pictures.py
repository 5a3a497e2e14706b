#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of the operator's page anew, core/web/operator/*.png, with the built belfryd: events of an
afternoon, some of which its handlers could not do. Debian's pngquant makes them small."""

import copy
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests")]

from browser import Browser  # noqa: E402
from gateway import Gateway  # noqa: E402
from handling import handlers, settle, told  # noqa: E402

import picture  # noqa: E402

FOLDER = ROOT / "core" / "web" / "operator"

FAILING = ("conferencing_failing", "profile_missing")
JOIN = {"conferencing": {"provider_name": "zoom", "join_url": "https://zoom.us/00001111-222"}}
# interaction, summary, what the handlers do about it
MEETINGS = [
    (("change",), "Weekly planning", ["done"]),
    (FAILING, "Interview: Zoë Müller", ["done"]),
    (("conferencing_assigned",), "Interview: Zoë Müller", ["done"]),
    (("conferencing_assigned",), "Design review", ["retry", "done"]),
    (FAILING, "Board meeting", ["reject"]),
    (("change",), "Lunch with the new colleagues", ["done"]),
    (("conferencing_assigned",), "Budget, second round", ["done"]),
    (FAILING, "Quarterly review", ["done"]),
    (("conferencing_assigned",), "Quarterly review", ["done"]),
]


def configuration():
    changes = handlers()
    handler = changes["handlers"].pop("it")
    changes["handlers"] = {name: copy.deepcopy(handler) for name in ("next-profile", "team-slack")}
    changes["interactions"] = {"conferencing_failing": ["next-profile"], "conferencing_assigned": ["next-profile", "team-slack"]}
    return {"admin": {"address": "127.0.0.1:0"}, **changes}


def bodies():
    for i, (interaction, summary, do) in enumerate(MEETINGS):
        found = JOIN if interaction == ("conferencing_assigned",) else {}
        body = json.loads(told(interaction=interaction[0], subtype=interaction[1] if interaction[1:] else None,
                               event_id=f"qTtZdczOccgaPncGJaCi{i:02}", summary=summary, **found))  # fmt: skip
        yield json.dumps({**body, "do": do}).encode()


def take(gateway, name, **options):
    with Browser(scale=2, **options) as browser:
        browser.open(f"http://{gateway.listener('admin')['address']}/")
        browser.wait(lambda: any("dead" in text for text in browser.texts("#events .handlers")))
        picture.take(browser, FOLDER / name, colours=32)


def main():
    with Gateway(configuration()) as gateway:
        for i, body in enumerate(bodies()):
            settle(gateway)
            gateway.deliver(body, path=gateway.callback_path(user=str(40 + i)))
        settle(gateway)
        take(gateway, "events.png", width=1120, height=700)
        take(gateway, "phone.png", width=360, height=720, scheme="dark")


if __name__ == "__main__":
    main()
