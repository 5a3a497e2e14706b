#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The backend of the booking page: as little as it takes, with Python's standard library.

    backend.py SETTINGS    serves on 127.0.0.1 until its input ends; its first line says where

SETTINGS is a JSON file, read when it is needed: "gateway" (its URL), "token_secret" (the file of the key that is under
subscribers.tokens.keys), "profiles" (the conferencing profile of each choice on the page), and "upsert", the command
that creates an event at Cronofy: belfry upsert, with all options that are always the same.
"""

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone

FOLDER = pathlib.Path(__file__).resolve().parent
FILES = {"/": ("index.html", "text/html"), "/booking.js": ("booking.js", "text/javascript")}
USER = "ada"  # who is signed in; yours comes from a session
bookings = []


def settings():
    return json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def issue_token():
    """A JWT with which the user's pages see the user's events, for ten minutes; they ask for the next one in time."""
    secret = pathlib.Path(settings()["token_secret"]).read_bytes().rstrip(b"\n")
    grant = {"subscribe": [{"tags": {"user": USER}}], "outcomes": True}
    claims = {"sub": USER, "exp": int(time.time()) + 600, "belfry": grant}
    signed = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    return f"{signed}.{encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def book(wish):
    """The callbacks about this event will carry these tags: whom they are for, and what a handler has to know."""
    known = settings()
    start = datetime.fromisoformat(wish["start"]).astimezone(timezone.utc)
    profile = known["profiles"][wish["video"]]
    booking = {"event_id": uuid.uuid4().hex, "title": wish["title"][:80], "start": wish["start"]}
    options = {
        "--event-id": booking["event_id"], "--summary": booking["title"], "--profile": profile,
        "--start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "--end": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip
    tags = [f"--tag=user={USER}", f"--tag=profile_id={profile}"]
    command = [*known["upsert"], *tags, *(f"{name}={value}" for name, value in options.items())]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    bookings.append(booking)
    return booking


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not self.is_for_us():
            self.send_error(421)
        elif self.path in FILES:
            name, content_type = FILES[self.path]
            self.answer((FOLDER / name).read_bytes(), f"{content_type}; charset=utf-8")
        elif self.path == "/token":
            self.answer(issue_token().encode(), "text/plain")
        elif self.path == "/bookings":
            self.answer_json({"gateway": settings()["gateway"], "user": USER, "bookings": bookings})
        else:
            self.send_error(404)

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 4096))
        # JSON cannot be sent from elsewhere without asking first: so this is our own page
        if not self.is_for_us() or self.path != "/bookings" or self.headers.get_content_type() != "application/json":
            self.send_error(404)
            return
        try:
            self.answer_json(book(json.loads(body)))
        except (ValueError, KeyError, TypeError):
            self.send_error(400)
        except subprocess.CalledProcessError:
            self.send_error(502)

    def is_for_us(self):
        """A stranger's name that was made to lead here would be a stranger's page that reads what is here."""
        return self.headers.get("Host") == f"127.0.0.1:{self.server.server_port}"

    def answer_json(self, value):
        self.answer(json.dumps(value).encode(), "application/json")

    def answer(self, body, content_type):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
