# SPDX-License-Identifier: Apache-2.0
"""kill -9 and SIGTERM at random moments, while callbacks come in at full speed over several connections.

Each sender does what the provider does: it sends a callback again, byte for byte, until it gets a 200, and only then
goes on to the next one. A subscriber stays at it all the time and resumes by position. In the end the journal must hold
every callback exactly once, and the subscriber must have got each exactly once, in order, and nothing else.
"""

import contextlib
import json
import os
import random
import sqlite3
import threading

import pytest

from clients import Ended
from frames import frame, raw_subscriber, read_frame
from gateway import CALLBACK_PATH, SIGNATURE, Gateway, callback, sign

N_KILLS = int(os.environ.get("BELFRY_KILLS", "200"))
N_SENDERS = 6
# From the first answer of a round to the kill.
MAX_SECONDS = 0.08


def request(body):
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Sender:
    def __init__(self, name):
        self.name = name
        self.acknowledged = []
        self.body = None  # what is being sent, until it is acknowledged
        self.was_unanswered = False  # the last connection ended between a whole request and its answer

    def _event_id(self):
        return f"{self.name}-{len(self.acknowledged)}"

    def send_one(self, connection):
        self.body = self.body or callback(event_id=self._event_id())
        connection.send(request(self.body))
        self.was_unanswered = True
        status = connection.read_answer().status
        self.was_unanswered = False
        assert status in (200, 503)
        if status == 200:
            self.acknowledged.append(self._event_id())
            self.body = None

    def run(self, gateway, first_answer):
        """Until the gateway is gone."""
        self.was_unanswered = False
        try:
            with gateway.raw() as connection:
                while True:
                    self.send_one(connection)
                    first_answer.set()
        except (Ended, ConnectionError):
            pass

    def finish(self, gateway):
        """What was never acknowledged is sent again."""
        with gateway.raw() as connection:
            while self.body:
                self.send_one(connection)


class Follower:
    """The subscriber: (position, event id) of every event that it ever got."""

    def __init__(self):
        self.events = []
        self.n_faults = 0

    def subscribe(self, gateway):
        connection = raw_subscriber(gateway)
        after = self.events[-1][0] if self.events else "earliest"
        wish = {"type": "subscribe", "id": "s1", "filter": {}, "after": after}
        connection.send(frame(1, json.dumps(wish).encode()))
        return connection

    def read(self, connection):
        opcode, payload = read_frame(connection)
        message = json.loads(payload) if opcode == 1 else {"type": None}
        if message["type"] == "event":
            self.events.append((message["position"], message["callback"]["event"]["event_id"]))
        # nothing was purged, so nothing may be missing
        self.n_faults += message["type"] in ("gap", "error") or message.get("recovered") is False

    def run(self, connection):
        try:
            with connection:
                while True:
                    self.read(connection)
        except (Ended, ConnectionError):
            pass


def run_round(gateway, senders, follower, moment, end):
    """Everybody at once, and in the middle of it the end. Whether a callback was then unanswered."""
    first_answer = threading.Event()
    threads = [threading.Thread(target=follower.run, args=(follower.subscribe(gateway),))]
    threads += [threading.Thread(target=sender.run, args=(gateway, first_answer)) for sender in senders]
    for thread in threads:
        thread.start()
    assert first_answer.wait(20)
    threading.Event().wait(moment)  # any moment will do: nothing is expected to have happened by then
    end()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return any(sender.was_unanswered for sender in senders)


def journaled(gateway):
    """(position, event id) of all that the journal holds, by way of HTTP."""
    result, page = [], {"position": "earliest", "more": True}
    while page["more"]:
        page = gateway.events(f"?after={page['position']}&limit=1000")
        result += [(event["position"], event["callback"]["event"]["event_id"]) for event in page["events"]]
    return result


def run_rounds(n, end):
    """Ends the gateway n times by the method of this name, and checks everything. How often a callback was unanswered."""
    gateway = Gateway()
    moments = random.Random(20260427)
    senders = [Sender(f"sender-{i}") for i in range(N_SENDERS)]
    follower, n_unanswered = Follower(), 0
    with gateway:
        for _ in range(n):
            moment = moments.random() * MAX_SECONDS
            n_unanswered += run_round(gateway, senders, follower, moment, getattr(gateway, end))
            gateway.start()
        for sender in senders:
            sender.finish(gateway)
        acknowledged = [event_id for sender in senders for event_id in sender.acknowledged]
        kept = journaled(gateway)
        assert sorted(event_id for _, event_id in kept) == sorted(acknowledged)
        with follower.subscribe(gateway) as connection:
            while follower.events[-1:] != kept[-1:]:
                follower.read(connection)
        gateway.stop()
        with contextlib.closing(sqlite3.connect(gateway.journal)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert follower.events == kept
    assert follower.n_faults == 0
    sequences = [int(position.split("-")[1]) for position, _ in kept]
    assert sequences == sorted(set(sequences))
    assert len({position.split("-")[0] for position, _ in kept}) == 1
    print(f"{n} times {end}, {n_unanswered} of them with a callback unanswered; {len(acknowledged)} callbacks")
    return n_unanswered


@pytest.mark.only_release
@pytest.mark.bound(400)
def test_kill_minus_nine():
    assert run_rounds(N_KILLS, "kill") * 4 >= N_KILLS * 3


def test_stopping_at_full_speed():
    """In good order: it says goodbye, ends with 0, and what it has answered is kept as well."""
    run_rounds(5, "stop")
