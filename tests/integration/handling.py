# SPDX-License-Identifier: Apache-2.0
"""Handlers for tests: a configuration with one that does as the callback says, and what became of its deliveries."""

import atexit
import contextlib
import functools
import http.server
import json
import pathlib
import sqlite3
import tempfile
import threading
import time

import plugins
from clients import PATIENCE
from gateway import callback

DUE, CLAIMED, DONE, DEAD = range(4)


@functools.cache
def obedient():
    folder = tempfile.TemporaryDirectory(prefix="belfry-plugins-")
    atexit.register(folder.cleanup)
    return plugins.build(pathlib.Path(folder.name), "obedient.c", standard="gnu11")


def handlers(*, interactions=None, **changes):
    """A configuration with one handler, `it`, for everything."""
    handler = {
        "plugin": str(obedient()),
        "retry": {"initial": "100ms", "maximum": "100ms", "max_attempts": 5},
        "limits": {"memory": "64GiB", "processes": 65536},  # a sanitizer's shadow is large
        **changes,
    }
    return {
        "plugins": {"program": plugins.handler_path()},
        "handlers": {"it": handler},
        "interactions": interactions or {"*": ["it"]},
    }


def told(*do, otherwise=None, **event):
    body = json.loads(callback(**event))
    return json.dumps({**body, "do": list(do), **({"otherwise": otherwise} if otherwise else {})}).encode()


class Recorder:
    """Hears of each attempt, as (event id, key, interaction, attempt), while it is there."""

    is_there = True

    def __enter__(self):
        self.heard = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.close_connection = not recorder.is_there
                if self.close_connection:
                    return
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                event_id, key, interaction, attempt = body.split(" ")
                recorder.heard.append((event_id, key, interaction, int(attempt)))
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def options(self):
        return {"options": {"url": self.url}, "allow": ["inner"]}


def rows(gateway, query, *values):
    with contextlib.closing(sqlite3.connect(f"file:{gateway.journal}?mode=ro", uri=True, timeout=PATIENCE)) as journal:
        return journal.execute(query, values).fetchall()


# Pauses between attempts add up, and a machine may stand still for a while.
SETTLING = 120


def wait_until(condition):
    end = time.monotonic() + SETTLING
    while not (result := condition()):
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.01)
    return result


def is_settled(gateway):
    return not rows(gateway, "SELECT 1 FROM deliveries WHERE state < 2 LIMIT 1")


def settle(gateway, *bodies):
    """Posts them and waits until all is done or dead. The attempts in order, as (sequence, outcome, reason)."""
    for body in bodies:
        assert gateway.post(body).status == 200
    wait_until(lambda: is_settled(gateway))
    return rows(gateway, "SELECT sequence, outcome, reason FROM attempts ORDER BY sequence, interaction, attempt")


def states(gateway):
    return [state for (state,) in rows(gateway, "SELECT state FROM deliveries ORDER BY sequence, handler, interaction")]
