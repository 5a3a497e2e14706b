# SPDX-License-Identifier: Apache-2.0
"""The end in good order: readiness first, then nobody new, and what was begun is finished or given back."""

import collections
import contextlib
import http.client
import json
import signal
import threading
import time

import pytest

import threads
from clients import PATIENCE
from frames import raw_subscriber
from gateway import CALLBACK_PATH, SIGNATURE, Gateway, callback, sign
from handling import CLAIMED, DUE, Recorder, handlers, rows, told, wait_until
from swarm import Member, Swarm, allow_descriptors, read_events, split_frames
from test_10_ingest import post_head
from test_71_listeners import needs_root

ADMIN = {"admin": {"address": "127.0.0.1:0"}}


def request(path="/nowhere"):
    return f"GET {path} HTTP/1.1\r\nHost: g\r\n\r\n".encode()


def test_readiness_goes_first():
    """While a balancer looks, everything else goes on."""
    with Gateway({**ADMIN, "limits": {"drain_grace": "3s"}}) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.process.send_signal(signal.SIGTERM)
        answer = wait_until(lambda: (a := gateway.request("GET", "/readyz", serves="admin")).status == 503 and a)
        assert answer.body == b"the gateway is stopping\n"
        gateway.deliver_next(subscriber)
        assert gateway.request("POST", "/reload", serves="admin").status == 503
        assert subscriber.wait_closed()[1] == 1012
        gateway.join()


@needs_root
def test_who_waits_at_the_door_is_answered():
    """Connected, and not accepted yet when it closes: more than are accepted in one turn."""
    with Gateway() as gateway, contextlib.ExitStack() as stack:
        with threads.stopped(gateway.process.pid, "belfryd"):
            waiting = [stack.enter_context(gateway.raw()).send(request()) for _ in range(300)]
            gateway.process.send_signal(signal.SIGTERM)
        for connection in waiting:
            assert connection.read_answer().status == 404
        gateway.join()


def test_what_is_under_way_is_finished():
    """A body of which a part is still to come; and the next request does not come on that connection."""
    body = callback(event_id="evt-0")
    with Gateway() as gateway, gateway.raw() as busy, gateway.raw() as idle:
        idle.send(request()).read_answer()
        busy.send(post_head(body, "Expect: 100-continue"))
        assert busy.read_head()[0] == 100
        gateway.process.send_signal(signal.SIGTERM)
        assert idle.read_to_end() == b""
        answer = busy.send(body).read_answer()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert busy.read_to_end() == b""
        gateway.join()
        gateway.start()
        assert [event["callback"]["event"]["event_id"] for event in gateway.events()["events"]] == ["evt-0"]


def test_under_load():
    """What was answered 200 is in the journal; nothing else was answered than that it is stopping."""
    kept, others = [], []

    def send(number):
        with contextlib.suppress(OSError, http.client.HTTPException):
            for i in range(1 << 30):
                connection = http.client.HTTPConnection(*gateway.address("sources"), timeout=PATIENCE)
                body = callback(event_id=f"{number}-{i}")
                connection.request("POST", CALLBACK_PATH, body, {SIGNATURE: sign(body)})
                status = connection.getresponse().status
                connection.close()
                (kept if status == 200 else others).append((f"{number}-{i}", status))

    with Gateway() as gateway:
        senders = [threading.Thread(target=send, args=(i,)) for i in range(4)]
        for sender in senders:
            sender.start()
        wait_until(lambda: len(kept) > 50)
        gateway.stop()
        for sender in senders:
            sender.join()
        assert not others
        gateway.start()
        events = gateway.events("?after=earliest&limit=1000")["events"]
        assert {name for name, _ in kept[:1000]} <= {event["callback"]["event"]["event_id"] for event in events}


def test_handlers_finish_or_give_back():
    with Gateway(handlers(workers=1)) as gateway:
        gateway.deliver(told("slow", event_id="evt-0"))
        wait_until(lambda: rows(gateway, "SELECT 1 FROM deliveries WHERE state = ?", CLAIMED))
        gateway.deliver(told("slow", event_id="evt-1"))
        gateway.stop()
        assert {state for (state,) in rows(gateway, "SELECT state FROM deliveries")} <= {DUE, 2}
        gateway.start()
        wait_until(lambda: not rows(gateway, "SELECT 1 FROM deliveries WHERE state < 2"))
        assert rows(gateway, "SELECT count(*) FROM attempts") == [(2,)]


def hanging(recorder, **limits):
    """A gateway with a handler that does not come back."""
    return Gateway({**handlers(deadline="1h", **recorder.options()), "limits": limits})


def test_the_second_signal_is_obeyed_at_once():
    """Whoever does not let go is left: a handler that hangs, a subscriber that does not answer."""
    with Recorder() as recorder, hanging(recorder, drain_timeout="10m") as gateway, raw_subscriber(gateway):
        gateway.deliver(told("hang"))
        wait_until(lambda: recorder.heard)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for_line(" info stopping ")
        gateway.process.send_signal(signal.SIGTERM)
        gateway.join()
        assert rows(gateway, "SELECT state FROM deliveries") == [(DUE,)]


def test_what_does_not_end_in_time_is_cut_off():
    with Recorder() as recorder, hanging(recorder, drain_timeout="1s") as gateway:
        gateway.deliver(told("hang"))
        wait_until(lambda: recorder.heard)
        gateway.stop()
        assert "limits.drain_timeout" in gateway.log()
        assert rows(gateway, "SELECT state FROM deliveries") == [(DUE,)]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGCHLD])
def test_other_signals(number):
    """Are nothing to it, however many."""
    with Gateway() as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        for _ in range(100):
            gateway.process.send_signal(number)
        gateway.deliver_next(subscriber)


def test_a_quit_is_a_stop():
    with Gateway() as gateway:
        gateway.process.send_signal(signal.SIGQUIT)
        gateway.join()


@pytest.mark.only_release
@pytest.mark.bound(180)
def test_ten_thousand_are_spread_over_the_next_process():
    """Each is told when to come back, and finds what it has missed; about a thousand come in each second."""
    n = 10000
    allow_descriptors(n + 1000)
    limits = {"connections": n + 1000, "connections_per_address": n + 1000, "pending": 20000}
    with Gateway({"limits": limits, "subscribers": {"ping": "5m"}}) as gateway:
        with Swarm() as swarm:
            members = swarm.subscribe(gateway, n, keeps=True)
            start = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)
            swarm.run_until(lambda: all(member.has_ended for member in members))
            gateway.join()
            print(f"stopped in {time.monotonic() - start:.2f} s with {n} subscribers")
            goodbyes = [json.loads(next(split_frames(bytes(member.data)))[0]) for member in members]
        assert {(goodbye["code"], goodbye["reconnect"]) for goodbye in goodbyes} == {(1012, True)}
        seconds = collections.Counter(goodbye["after_ms"] // 1000 for goodbye in goodbyes)
        print("reconnects by second:", [seconds[i] for i in sorted(seconds)])
        assert max(seconds.values()) < 1300
        gateway.start()
        gateway.deliver(callback())
        places = sorted((goodbye["after_ms"], member.subscribed["position"]) for goodbye, member in zip(goodbyes, members))
        with Swarm() as swarm:
            address, start, back = gateway.address("subscribers"), time.monotonic(), []

            def are_all_back():
                while places and places[0][0] <= (time.monotonic() - start) * 1000:
                    back.append(swarm.add(Member(address, f"after={places.pop(0)[1]}", keeps=True)))
                return not places and all(member.has_events(1) for member in back)

            swarm.run_until(are_all_back)
            assert all(len(read_events(bytes(member.data))) == 1 for member in back)
