# SPDX-License-Identifier: Apache-2.0
"""Cronofy on this machine, for tests and demonstrations (README.md).

with Simulator(["secret"], {"https://gateway.example.com": "http://127.0.0.1:8080"}) as cronofy:
    ...                          # upsert an event at cronofy.url
    cronofy.clock.advance(1)     # and now everything has happened
"""

import time

from .clock import Clock, PacedClock
from .cronofy import Cronofy
from .server import Server

# Before the documentation's examples.
APRIL_2026 = 1775001600


class Simulator(Cronofy):
    """With one account that has one calendar, and no conferencing profile. `pace`: see PacedClock."""

    def __init__(self, client_secrets, routes=(), *, client_id="client", now=APRIL_2026, pace=None):
        clock = Clock(now) if pace is None else PacedClock(time.time(), pace)
        super().__init__(clock, client_id, client_secrets, routes)
        self.account = self.add_account()
        self.calendar = self.add_calendar(self.account)
        self.server = Server(self)
        self.url = self.server.url

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.server.close()
