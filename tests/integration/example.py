# SPDX-License-Identifier: Apache-2.0
"""The booking page of core/web/example/ with all that is behind it: its backend, a gateway with a handler, Cronofy."""

import json
import subprocess

import plugins
from clients import PATIENCE
from gateway import SECRET, Gateway, belfry_path
from simulator import Simulator
from webclient import ROOT

PUBLIC_URL = "https://gateway.example.com"


class Example:
    """Cronofy's time stands still: `cronofy.clock.advance(1)` makes a conference, or fails to. Of the page's two
    choices, Zoom works, and Teams has a profile that is gone."""

    def __init__(self, folder):
        self.folder = folder
        self.settings = folder / "settings.json"
        self.backend = subprocess.Popen(
            ["/usr/bin/python3", str(ROOT / "core" / "web" / "example" / "backend.py"), str(self.settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.url = json.loads(self.backend.stdout.readline())["url"]
        self.cronofy = Simulator([SECRET])
        self.cronofy.callbacks.answer_timeout = 120
        self.cronofy.add_profile(self.cronofy.account, "pro_zoom", "zoom")
        self.gateway = Gateway(tokens=True)
        self.gateway.config.update(self._configuration())
        self.gateway.config["subscribers"].update({"origins": [self.url], "outcomes": True})

    def _configuration(self):
        return {
            "plugins": {"program": plugins.handler_path()},
            "handlers": {
                "next-profile": {
                    "plugin": str(plugins.shipped("retry_profile")), "allow": ["inner"],
                    "options": {
                        "api_url": self.cronofy.url, "profiles": ["pro_zoom"], "client_id": self.cronofy.client_id,
                        "client_secret": self.gateway.secret_file("client-secret", SECRET),
                        "accounts": {"demo": self.gateway.secret_file("refresh", self.cronofy.account.refresh_token)},
                    },
                    "retry": {"initial": "100ms", "maximum": "100ms"},
                    "limits": {"memory": "64GiB", "processes": 65536},  # a sanitizer's shadow is large
                }
            },
            "interactions": {"conferencing_failing": ["next-profile"], "conferencing_assigned": ["next-profile"]},
        }  # fmt: skip

    def __enter__(self):
        self.gateway.__enter__()
        host, port = self.gateway.address("sources")
        self.cronofy.callbacks.routes[PUBLIC_URL] = f"http://{host}:{port}"
        token = self.folder / "access-token"
        token.write_text(self.cronofy.account.access_token, encoding="utf-8")
        self.settings.write_text(json.dumps({
            "gateway": f"http://{host}:{port}",
            "token_secret": self.gateway.config["subscribers"]["tokens"]["keys"][0]["file"],
            "profiles": {"teams": "pro_gone", "zoom": "pro_zoom"},
            "upsert": [belfry_path(), "--config", str(self.gateway.config_path), "upsert", "--api", self.cronofy.url,
                       "--calendar", self.cronofy.calendar.calendar_id, "--token-file", str(token)],
        }), encoding="utf-8")  # fmt: skip
        return self

    def __exit__(self, *exception):
        self.backend.stdin.close()
        self.backend.wait(PATIENCE)
        self.backend.stdout.close()
        self.gateway.__exit__(*exception)
        self.cronofy.__exit__(*exception)

    def open(self, browser):
        browser.open(f"{self.url}/")
        browser.wait_for_text("#connection", "Live")

    def await_version(self, n):
        """Until the last event that was booked has been updated by the handler."""
        self.cronofy.wait_for(lambda: list(self.cronofy.events.values())[-1].version == n)


def book(browser, title, video, time=1):
    """On the page; `time` is one of those that it offers."""
    browser.type("#title", title)
    browser.click(f"label:has([value={video}])")
    browser.click(f"#times label:nth-child({time})")
    browser.click("#booking button")
    browser.wait(lambda: title in browser.texts(".meeting h3"))
