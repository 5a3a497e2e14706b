# SPDX-License-Identifier: Apache-2.0
"""The same as Server-Sent Events, for those who cannot have a WebSocket."""

import json
import urllib.parse

import pytest

from gateway import Gateway, callback

ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module")
def gateway():
    with Gateway({"subscribers": {"origins": [ORIGIN]}}) as running:
        yield running


@pytest.fixture(scope="module")
def guarded():
    with Gateway(tokens=True) as running:
        yield running


@pytest.fixture
def journal():
    """A gateway with five events, and their positions."""
    with Gateway() as running:
        for i in range(5):
            running.deliver(callback("odd" if i % 2 else "even", event_id=f"evt-{i}"))
        yield running, [event["position"] for event in running.events("?after=earliest")["events"]]


def begin(stream):
    assert stream.status == 200
    welcome = stream.expect("welcome")
    return welcome, stream.expect("subscribed")


def event_ids(stream, n):
    return [stream.expect("event")["callback"]["event"]["event_id"] for _ in range(n)]


def test_hello(gateway):
    with gateway.stream() as stream:
        assert stream.headers["Content-Type"].split(";")[0] == "text/event-stream"
        assert "no-store" in stream.headers["Cache-Control"] or "no-cache" in stream.headers["Cache-Control"]
        assert "Content-Length" not in stream.headers
        welcome, subscribed = begin(stream)
        assert set(welcome) >= {"session", "position", "ping"}
        assert (subscribed["id"], subscribed["recovered"]) == ("url", True)


def test_the_same_objects_as_over_a_websocket(gateway):
    with gateway.stream() as stream, gateway.connect() as subscriber:
        begin(stream)
        subscriber.subscribe()
        body = callback("conferencing_failing", "profile_missing", summary="Größe \u2028 \U0001f514")
        gateway.deliver(body, path=gateway.callback_path(user="42"))
        text = subscriber.receive_text()
        event = stream.expect("event")
        assert event["text"] == text
        assert event["id_line"] == event["position"]
        assert event["tags"] == {"user": "42"}


def test_a_body_of_many_lines(gateway):
    body = json.dumps(json.loads(callback()), indent=2).encode()
    with gateway.stream() as stream:
        begin(stream)
        gateway.deliver(body)
        assert stream.expect("event")["text"].endswith('"callback":' + body.decode() + "}")


def test_filters(gateway):
    with gateway.stream("?interactions=conferencing_failing,change&subtypes=profile_missing") as stream:
        begin(stream)
        gateway.deliver(callback("conferencing_assigned"))
        gateway.deliver(callback("conferencing_failing"))
        gateway.deliver(callback("conferencing_failing", "profile_missing", event_id="evt-1"))
        assert event_ids(stream, 1) == ["evt-1"]


def several(**filters):
    return f"?filters={urllib.parse.quote(json.dumps(filters))}"


def test_several_filters(gateway):
    query = several(a={"interactions": "change"}, b={"tags": {"user": "42"}})
    with gateway.stream(query) as stream:
        stream.expect("welcome")
        assert sorted(stream.expect("subscribed")["id"] for _ in range(2)) == ["a", "b"]
        gateway.deliver(callback(event_id="neither"))
        gateway.deliver(callback("change", event_id="a"))
        gateway.deliver(callback(event_id="b"), path=gateway.callback_path(user="42"))
        assert event_ids(stream, 2) == ["a", "b"]
        page = gateway.events(query)
        assert [event["callback"]["event"]["event_id"] for event in page["events"][-2:]] == ["a", "b"]


def test_too_many_filters(gateway):
    query = several(**{f"f{i}": {} for i in range(65)})
    for path in ("/subscribe", "/events"):
        answer = gateway.request("GET", path + query, headers={"Accept": "text/event-stream, application/json"})
        assert (answer.status, answer.json()["error"]) == (400, "limit")


def test_one_filter_of_several_beyond_the_grants(guarded):
    token = guarded.token([{"tags": {"user": "42"}}])
    query = several(mine={"tags": {"user": "42"}}, yours={"tags": {"user": "43"}})
    for path in ("/subscribe", "/events"):
        answer = guarded.request("GET", path + query, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status, answer.json()["error"]) == (403, "forbidden")


def test_after(journal):
    gateway, positions = journal
    with gateway.stream(f"?after={positions[1]}") as stream:
        assert begin(stream)[1]["recovered"] is True
        assert event_ids(stream, 3) == ["evt-2", "evt-3", "evt-4"]
        gateway.deliver(callback(event_id="evt-5"))
        assert event_ids(stream, 1) == ["evt-5"]


def test_last(journal):
    gateway, _ = journal
    with gateway.stream("?last=1&interactions=odd") as stream:
        begin(stream)
        assert event_ids(stream, 1) == ["evt-3"]


@pytest.mark.parametrize("query", ["", "?after=earliest", "?after=latest"])
def test_last_event_id_goes_before_what_the_url_says(journal, query):
    """A browser that connects again sends it, and the URL is the one that the page began with."""
    gateway, positions = journal
    with gateway.stream(query, headers={"Last-Event-ID": positions[2]}) as stream:
        assert begin(stream)[1]["recovered"] is True
        assert event_ids(stream, 2) == ["evt-3", "evt-4"]


def test_last_event_id_of_another_epoch(journal):
    gateway, _ = journal
    with gateway.stream(headers={"Last-Event-ID": "abcd-2"}) as stream:
        assert begin(stream)[1]["recovered"] is False
        gateway.deliver(callback(event_id="evt-5"))
        assert event_ids(stream, 1) == ["evt-5"]


@pytest.mark.parametrize("query", ["?after=nonsense", "?color=red", "?interactions=", "?last=0", "?token=x"])
def test_bad_urls(gateway, query):
    with gateway.stream(query) as stream:
        assert stream.status == 400
        assert json.loads(stream.rest())["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_only_get(gateway, method):
    answer = gateway.request(method, "/subscribe", headers={"Content-Length": "0"})
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_whoever_does_not_ask_for_a_stream_is_told_what_is_here(gateway):
    answer = gateway.request("GET", "/subscribe", headers={"Accept": "text/html"})
    assert answer.status == 426


# Who may


def test_without_a_token(guarded):
    with guarded.stream() as stream:
        assert stream.status == 401
        assert stream.headers["WWW-Authenticate"].startswith("Bearer")
        assert json.loads(stream.rest())["error"] == "unauthorized"


def test_with_a_token(guarded):
    with guarded.stream(headers={"Authorization": f"Bearer {guarded.token()}"}) as stream:
        begin(stream)
        guarded.deliver(callback())
        stream.expect("event")


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer x", "Basic dTpw", "x", "Bearer a b"])
def test_with_something_else(guarded, value):
    with guarded.stream(headers={"Authorization": value}) as stream:
        assert stream.status == 401


def test_with_a_ticket_that_works_once(guarded):
    ticket = guarded.ticket(guarded.token())
    with guarded.stream(f"?ticket={ticket}") as stream:
        begin(stream)
    with guarded.stream(f"?ticket={ticket}") as stream:
        assert stream.status == 401


def test_a_token_is_never_taken_from_a_url(guarded):
    token = guarded.token()
    for name in ("token", "access_token", "ticket"):
        with guarded.stream(f"?{name}={token}") as stream:
            assert stream.status in (400, 401)


def test_beyond_the_grants(guarded):
    token = guarded.token([{"tags": {"user": "42"}}])
    headers = {"Authorization": f"Bearer {token}"}
    with guarded.stream(headers=headers) as stream:
        assert stream.status == 403
        assert json.loads(stream.rest())["error"] == "forbidden"
    with guarded.stream("?tags.user=42", headers=headers) as stream:
        begin(stream)


def test_the_origin_is_checked_and_told(gateway):
    with gateway.stream(headers={"Origin": ORIGIN}) as stream:
        begin(stream)
        assert stream.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in stream.headers["Vary"]
    with gateway.stream(headers={"Origin": "https://evil.example.com"}) as stream:
        assert stream.status == 403
        assert "Access-Control-Allow-Origin" not in stream.headers


# The end


def test_draining_says_so():
    with Gateway() as gateway, gateway.stream() as stream:
        begin(stream)
        gateway.stop()
        goodbye = stream.expect("disconnect")
        assert (goodbye["code"], goodbye["reconnect"]) == (1012, True)
        with pytest.raises(EOFError):
            stream.receive()


def test_positions_come_with_the_time():
    with Gateway({"subscribers": {"ping": "5s"}}) as gateway, gateway.stream("?interactions=never") as stream:
        begin(stream)
        gateway.deliver(callback())
        newest = gateway.events("?after=earliest")["events"][-1]["position"]
        while stream.expect("position")["position"] != newest:
            pass
