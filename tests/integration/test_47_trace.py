# SPDX-License-Identifier: Apache-2.0
"""Trace context: whoever follows a request can follow it through the gateway. What is none is as if it were not there."""

import pytest

import plugins
from gateway import CALLBACK_PATH, Gateway, callback, sign
from handling import handlers, settle, wait_until
from standins import HttpStandIn

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as running:
        yield running


def test_it_is_passed_on_to_subscribers_live_and_later():
    with Gateway({"admin": {"address": "127.0.0.1:0"}}) as gateway:
        with gateway.connect() as subscriber, gateway.stream() as stream:
            subscriber.subscribe()
            stream.expect("welcome")
            stream.expect("subscribed")
            gateway.deliver(callback(), headers={"traceparent": TRACE})
            assert subscriber.event()["traceparent"] == TRACE
            assert stream.expect("event")["traceparent"] == TRACE
        kept = gateway.request("GET", "/events", serves="admin").json()["events"]
        assert [event["traceparent"] for event in kept] == [TRACE]
        gateway.restart()
        assert [event["traceparent"] for event in gateway.events("?limit=10")["events"]] == [TRACE]


@pytest.mark.parametrize("lines", [
    [], [""], ["nonsense"], [TRACE[:-1]], [TRACE + "-more"], [TRACE.upper()], ["ff" + TRACE[2:]], [TRACE, TRACE],
], ids=["none", "empty", "nonsense", "short", "long", "capitals", "ff", "twice"])  # fmt: skip
def test_what_is_none_is_ignored(gateway, lines):
    body = callback()
    fields = "".join(f"traceparent: {line}\r\n" for line in lines)
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\nCronofy-HMAC-SHA256: {sign(body)}\r\n{fields}"
    with gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.read_answer().status == 200
        assert "traceparent" not in subscriber.event()


def test_forward_sends_it_along():
    """And nothing where there is none."""
    with HttpStandIn() as receiver:
        options = {"url": receiver.url + "/hook", "secrets": ["whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]}
        changes = handlers(plugin=str(plugins.shipped("forward")), options=options, allow=["inner"])
        with Gateway(changes) as gateway:
            gateway.deliver(callback(), headers={"traceparent": TRACE})
            wait_until(lambda: len(receiver.requests) == 1)
            settle(gateway, callback())
        assert [request.headers["traceparent"] for request in receiver.requests] == [TRACE, None]
