# SPDX-License-Identifier: Apache-2.0
"""What a subscriber sees over a WebSocket: belfry.v1."""

import json
import resource
import threading

import pytest

from clients import Closed, handshake_status
from frames import HANDSHAKE, frame, raw_subscriber, read_frame
from gateway import TOKEN_SECRET, Gateway, callback


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as running:
        yield running


@pytest.fixture(scope="module")
def guarded():
    """Asks for tokens."""
    with Gateway(tokens=True) as running:
        yield running


def types(event):
    return [interaction["type"] for interaction in event["interactions"]]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# The handshake


def test_hello(gateway):
    with gateway.connect() as subscriber:
        assert subscriber.socket.subprotocol == "belfry.v1"
        assert not subscriber.socket.extensions
        assert set(subscriber.welcome) >= {"type", "session", "position", "ping"}
        answer = subscriber.subscribe()
        assert answer["recovered"] is True
        body = callback()
        gateway.deliver(body)
        event = subscriber.event()
        assert event["callback"] == json.loads(body)
        assert event["source"] == "cronofy"
        assert event["interactions"] == [{"type": "conferencing_assigned"}]
        assert event["tags"] == {}
        assert event["received_at"].endswith("Z")
        assert event["position"] != answer["position"]


def test_each_session_has_a_name_of_its_own(gateway):
    with gateway.connect() as one, gateway.connect() as other:
        assert one.welcome["session"] != other.welcome["session"]


def test_without_a_subprotocol_it_is_the_same(gateway):
    with gateway.connect(protocols=()) as subscriber:
        subscriber.subscribe()


def test_belfry_among_other_subprotocols(gateway):
    with gateway.connect(protocols=("mqtt", "belfry.v1")) as subscriber:
        assert subscriber.socket.subprotocol == "belfry.v1"


def test_other_subprotocols_are_refused(gateway):
    assert handshake_status(gateway.url(), protocols=("mqtt", "belfry.v2")) in (400, 403)


def test_extensions_are_not_taken(gateway):
    with gateway.connect(headers={"Sec-WebSocket-Extensions": "permessage-deflate"}) as subscriber:
        assert not subscriber.socket.extensions


@pytest.mark.parametrize("path", ["/", "/subscribe/", "/subscribers", "/Subscribe", "/callbacks/cronofy"])
def test_other_paths_are_not_there(gateway, path):
    assert handshake_status(gateway.url(path)) in (404, 405)


def shake(gateway, changes=None, request_line="GET /subscribe HTTP/1.1", extra=""):
    headers = {name: value for name, value in {**HANDSHAKE, **(changes or {})}.items() if value is not None}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with gateway.raw("subscribers") as connection:
        connection.send(f"{request_line}\r\n{lines}{extra}\r\n".encode())
        return connection.read_head()


def test_the_handshake_of_the_standard(gateway):
    status, headers = shake(gateway)
    assert status == 101
    assert headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "WEBSOCKET"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "upgrade"},
    ],
)
def test_handshakes_that_are_as_good(gateway, changes):
    assert shake(gateway, changes)[0] == 101


@pytest.mark.parametrize("version", [None, "8", "99", "13, 8", "", "013"])
def test_other_versions(gateway, version):
    status, headers = shake(gateway, {"Sec-WebSocket-Version": version})
    assert status == 426
    assert headers["Sec-WebSocket-Version"] == "13"


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ"},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZQ=="},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ=="},
        {"Sec-WebSocket-Key": "!!!!IHNhbXBsZSBub25jZQ=="},
        {"Upgrade": "websocket, h2c"},
        {"Upgrade": "h2c"},
        {"Upgrade": "websockets"},
        {"Upgrade": "web socket"},
        {"Upgrade": "websocket\r\nUpgrade: h2c"},
        {"Upgrade": None},
        {"Connection": "keep-alive"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
    ],
)
def test_broken_handshakes(gateway, changes):
    assert shake(gateway, changes)[0] in (400, 404, 405, 406, 426)


def test_a_key_twice(gateway):
    assert shake(gateway, extra="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")[0] == 400


@pytest.mark.parametrize("request_line", ["POST /subscribe HTTP/1.1", "GET /subscribe HTTP/1.0", "PUT /subscribe HTTP/1.1"])
def test_handshakes_of_another_kind(gateway, request_line):
    assert shake(gateway, {"Content-Length": "0"}, request_line)[0] in (400, 405)


# Origins


@pytest.fixture(scope="module")
def choosy():
    with Gateway({"subscribers": {"origins": ["https://app.example.com", "http://localhost:3000"]}}) as running:
        yield running


@pytest.mark.parametrize("origin", [None, "https://app.example.com", "http://localhost:3000"])
def test_known_origins(choosy, origin):
    choosy.connect(origin=origin).close()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "https://app.example.com.evil.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://APP.example.com/",
        "null",
        "",
        "https://app.example.com https://evil.example.com",
    ],
)
def test_other_origins(choosy, origin):
    assert handshake_status(choosy.url(), headers={"Origin": origin}) == 403


def test_without_a_list_only_its_own_origin(gateway):
    host, port = gateway.address("subscribers")
    gateway.connect(origin=f"http://{host}:{port}").close()
    assert handshake_status(gateway.url(), origin=f"http://{host}:{port + 1}") == 403
    assert handshake_status(gateway.url(), origin="http://app.example.com") == 403


def test_a_good_token_does_not_make_a_strange_page_welcome(guarded):
    headers = bearer(guarded.token())
    assert handshake_status(guarded.url(), headers={"Origin": "https://evil.example.com", **headers}) == 403
    guarded.connect(headers=headers).close()
    with guarded.connect(welcome=False) as subscriber:  # without an origin it is no page, and the token still decides
        subscriber.send({"type": "subscribe", "id": "s1", "filter": {}})
        assert subscriber.expect("error")["code"] == "unauthorized"


def test_an_origin_twice(choosy):
    assert shake(choosy, extra="Origin: http://localhost:3000\r\nOrigin: https://evil.example.com\r\n")[0] == 403


# Names


def status_of(gateway, host, path="/subscribe", method="GET", serves="subscribers"):
    with gateway.raw(serves) as connection:
        connection.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        return connection.read_answer().status


@pytest.mark.parametrize("host, status", [("gateway", 101), ("GATEWAY:8080", 101), ("[::1]:80", 101), ("evil", 421),
                                          ("gateway.evil.com", 421), ("127.0.0.2", 421), ("", 421), ("[::1", 421)])
def test_names_of_the_gateway(gateway, host, status):
    """subscribers.server_names"""
    assert shake(gateway, {"Host": host})[0] == status


def test_without_a_name_at_all(gateway):
    with gateway.raw("subscribers") as connection:
        connection.send(b"GET /events HTTP/1.0\r\n\r\n")
        assert connection.read_head()[0] == 421
        connection.read_to_end()


REBOUND = "evil.example.com"


def test_a_name_that_was_made_to_lead_here():
    """DNS rebinding: the page is of the gateway's own origin then, and a GET of its own bears none."""
    with Gateway({"subscribers": {"server_names": None}}) as gateway:
        port = gateway.address()[1]
        for host in (REBOUND, "127.0.0.1.example.com", "localhost.example.com", "0x7f.1"):
            assert shake(gateway, {"Host": f"{host}:{port}", "Origin": f"http://{host}:{port}"})[0] == 421
            for method, path in (("GET", "/events"), ("GET", "/subscribe"), ("POST", "/ticket"), ("OPTIONS", "/events")):
                assert status_of(gateway, f"{host}:{port}", path, method) == 421
        for host in ("127.0.0.1", "localhost", "[::1]", "192.0.2.1"):
            assert shake(gateway, {"Host": f"{host}:{port}", "Origin": f"http://{host}:{port}"})[0] == 101
        gateway.deliver(callback(), headers={"Host": "tunnel.example.com"})  # the signature decides


def test_who_has_a_token_may_come_by_any_name(guarded):
    assert shake(guarded, {"Host": REBOUND})[0] == 101


# Filters


def test_filters_decide(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe({"interactions": ["conferencing_failing"], "subtypes": ["profile_missing"]})
        gateway.deliver(callback("conferencing_assigned"))
        gateway.deliver(callback("conferencing_failing"))
        gateway.deliver(callback("conferencing_failing", "missing_meeting_url"))
        gateway.deliver(callback("conferencing_failing", "profile_missing"))
        assert subscriber.event()["interactions"] == [{"type": "conferencing_failing", "subtype": "profile_missing"}]
        subscriber.expect_nothing()


@pytest.mark.parametrize(
    "wanted, is_for_us",
    [
        ({"interactions": "conferencing_*"}, True),
        ({"interactions": ["change", "conferencing_failing"]}, True),
        ({"interactions": ["*"]}, True),
        ({"interactions": ["conferencing"]}, False),
        ({"sources": ["cronofy"]}, True),
        ({"sources": ["nylas"]}, False),
        ({"event_ids": ["evt_1", "evt_2"]}, True),
        ({"event_ids": "evt_3"}, False),
        ({"tags": {"user": ["42", "43"]}}, True),
        ({"tags": {"user": "42", "team": "7"}}, False),
        ({"interactions": ["conferencing_*"], "event_ids": ["evt_1"], "tags": {"user": "42"}}, True),
        ({"interactions": ["conferencing_*"], "event_ids": ["evt_1"], "tags": {"user": "41"}}, False),
    ],
)
def test_each_kind_of_filter(gateway, wanted, is_for_us):
    path = gateway.callback_path(user="42")
    with gateway.connect() as subscriber:
        subscriber.subscribe(wanted)
        gateway.deliver(callback("conferencing_failing", event_id="evt_1", summary=json.dumps(wanted)), path=path)
        if is_for_us:
            subscriber.event()
        subscriber.expect_nothing()


def test_an_event_comes_once_however_many_filters_match(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe({"interactions": ["conferencing_*"]}, "s1")
        subscriber.subscribe({"sources": ["cronofy"]}, "s2")
        subscriber.subscribe({}, "s3")
        gateway.deliver(callback())
        subscriber.event()
        subscriber.expect_nothing()


def test_several_filters_at_once(gateway):
    with gateway.connect() as subscriber:
        filters = {"a": {"interactions": ["one"]}, "b": {"interactions": ["two"]}}
        subscriber.send({"type": "subscribe", "filters": filters})
        assert {subscriber.expect("subscribed")["id"] for _ in filters} == {"a", "b"}
        for interaction in ("one", "three", "two"):
            gateway.deliver(callback(interaction))
        assert [types(event) for event in subscriber.events(2)] == [["one"], ["two"]]
        subscriber.expect_nothing()


def test_unsubscribe(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe({"interactions": ["one"]}, "s1")
        subscriber.subscribe({"interactions": ["two"]}, "s2")
        subscriber.send({"type": "unsubscribe", "id": "s1"})
        assert subscriber.expect("unsubscribed")["id"] == "s1"
        gateway.deliver(callback("one"))
        gateway.deliver(callback("two"))
        assert types(subscriber.event()) == ["two"]
        subscriber.send({"type": "unsubscribe", "id": "s2"})
        subscriber.expect("unsubscribed")
        gateway.deliver(callback("two"))
        subscriber.expect_nothing()
        subscriber.subscribe({"interactions": ["two"]}, "s2")
        gateway.deliver(callback("two"))
        subscriber.event()


def test_unsubscribe_from_nothing(gateway):
    with gateway.connect() as subscriber:
        subscriber.send({"type": "unsubscribe", "id": "nobody"})
        assert subscriber.expect("error")["id"] == "nobody"


def test_the_same_id_again_replaces_the_filter(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe({"interactions": ["one"]}, "s1")
        subscriber.subscribe({"interactions": ["two"]}, "s1")
        gateway.deliver(callback("one"))
        gateway.deliver(callback("two"))
        assert types(subscriber.event()) == ["two"]
        subscriber.expect_nothing()


def test_a_subscription_by_url(gateway):
    with gateway.connect("?interactions=one,tw%6F&subtypes=x&tags.user=42") as subscriber:
        answer = subscriber.expect("subscribed")
        assert answer["id"] == "url"
        path = gateway.callback_path(user="42")
        gateway.deliver(callback("one", "x"))
        gateway.deliver(callback("two", "y"), path=path)
        gateway.deliver(callback("two", "x"), path=path)
        assert subscriber.event()["interactions"] == [{"type": "two", "subtype": "x"}]
        subscriber.send({"type": "unsubscribe", "id": "url"})
        subscriber.expect("unsubscribed")


@pytest.mark.parametrize(
    "query",
    [
        "?interactions=a*b",
        "?nonsense=1",
        "?interactions=%zz",
        "?interactions=%ff",
        "?after=nonsense",
        "?last=0",
        "?last=1000",
        "?last=1&after=latest",
        "?tags.=1",
        "?interactions=",
        "?token=abc",
    ],
)
def test_bad_urls_are_refused_before_the_upgrade(gateway, query):
    assert handshake_status(gateway.url("/subscribe" + query)) == 400


@pytest.mark.parametrize("n_subscribers", [50])
def test_many_subscribers_get_everything_in_order(gateway, n_subscribers):
    subscribers = [gateway.connect() for _ in range(n_subscribers)]
    for subscriber in subscribers:
        subscriber.subscribe()
    ids = [f"evt-{i}" for i in range(20)]
    for event_id in ids:
        gateway.deliver(callback(event_id=event_id, summary="in order"))
    for subscriber in subscribers:
        assert [event["callback"]["event"]["event_id"] for event in subscriber.events(20)] == ids
        subscriber.close()


# Where it begins


@pytest.fixture
def journal():
    """A gateway with five events, and their positions."""
    with Gateway() as running:
        for i in range(5):
            running.deliver(callback("odd" if i % 2 else "even", event_id=f"evt-{i}"))
        positions = [event["position"] for event in running.events("?after=earliest")["events"]]
        assert len(positions) == 5
        yield running, positions


def event_ids(events):
    return [event["callback"]["event"]["event_id"] for event in events]


def test_after_a_position(journal):
    gateway, positions = journal
    for i, position in enumerate(positions):
        with gateway.connect() as subscriber:
            answer = subscriber.subscribe(after=position)
            assert answer["recovered"] is True
            assert event_ids(subscriber.events(4 - i)) == [f"evt-{n}" for n in range(i + 1, 5)]
            subscriber.expect_nothing()


def test_after_the_earliest_then_live(journal):
    gateway, _ = journal
    with gateway.connect() as subscriber:
        assert subscriber.subscribe({"interactions": ["odd"]}, after="earliest")["recovered"] is True
        assert event_ids(subscriber.events(2)) == ["evt-1", "evt-3"]
        gateway.deliver(callback("even", event_id="evt-5"))
        gateway.deliver(callback("odd", event_id="evt-6"))
        assert event_ids([subscriber.event()]) == ["evt-6"]


@pytest.mark.parametrize("wishes", [{}, {"after": "latest"}])
def test_the_latest_is_what_comes(journal, wishes):
    gateway, positions = journal
    with gateway.connect() as subscriber:
        assert subscriber.subscribe(**wishes)["position"] == positions[-1]
        subscriber.expect_nothing()
        gateway.deliver(callback(event_id="evt-5"))
        assert event_ids([subscriber.event()]) == ["evt-5"]


@pytest.mark.parametrize(
    "wanted, last, expected",
    [
        ({}, 1, ["evt-4"]),
        ({}, 3, ["evt-2", "evt-3", "evt-4"]),
        ({}, 100, ["evt-0", "evt-1", "evt-2", "evt-3", "evt-4"]),
        ({"interactions": "odd"}, 1, ["evt-3"]),
        ({"interactions": "none"}, 1, []),
    ],
)
def test_the_last_ones(journal, wanted, last, expected):
    gateway, _ = journal
    with gateway.connect() as subscriber:
        subscriber.subscribe(wanted, last=last)
        assert event_ids(subscriber.events(len(expected))) == expected
        subscriber.expect_nothing()


@pytest.mark.parametrize("after", ["abcd-1", "future", "9223372036854775807"])
def test_positions_that_are_not_ours(journal, after):
    """Of another epoch, or of the future: told, then live; never wrong events."""
    gateway, positions = journal
    epoch = positions[0].split("-")[0]
    position = {"future": f"{epoch}-{10**9}", "9223372036854775807": f"{epoch}-{2**63 - 1}"}.get(after, after)
    with gateway.connect() as subscriber:
        answer = subscriber.subscribe(after=position)
        assert answer["recovered"] is False
        assert answer["position"] == positions[-1]
        subscriber.expect_nothing()
        gateway.deliver(callback(event_id="evt-5"))
        assert event_ids([subscriber.event()]) == ["evt-5"]


def test_position_zero_is_before_the_first(journal):
    gateway, positions = journal
    with gateway.connect() as subscriber:
        assert subscriber.subscribe(after=positions[0].split("-")[0] + "-0")["recovered"] is True
        assert len(subscriber.events(5)) == 5


@pytest.mark.parametrize(
    "position", ["", "-", "abc", "abc-", "-5", "abc--5", "abc-+5", "abc-5x", "abc- 5", f"abc-{2**63}", "ABC-5", 7, None]
)
def test_what_is_no_position(journal, position):
    gateway, _ = journal
    with gateway.connect() as subscriber:
        subscriber.send({"type": "subscribe", "id": "s1", "filter": {}, "after": position})
        error = subscriber.expect("error")
        assert (error["id"], error["code"]) == ("s1", "bad_position")
        subscriber.subscribe()


def test_only_the_first_subscription_goes_back(journal):
    gateway, positions = journal
    with gateway.connect() as subscriber:
        subscriber.subscribe({"interactions": ["odd"]}, "s1", after="earliest")
        subscriber.events(2)
        subscriber.send({"type": "subscribe", "id": "s2", "filter": {"interactions": ["even"]}, "after": positions[0]})
        error = subscriber.expect("error")
        assert (error["id"], error["code"]) == ("s2", "malformed")
        subscriber.expect_nothing()


def test_resuming_by_position_misses_nothing_and_repeats_nothing(journal):
    gateway, positions = journal
    position, received = positions[0], ["evt-0"]
    for i in range(5, 10):
        with gateway.connect() as subscriber:
            subscriber.subscribe(after=position)
            gateway.deliver(callback(event_id=f"evt-{i}"))
            while received[-1] != f"evt-{i}":
                event = subscriber.event()
                position = event["position"]
                received += event_ids([event])
    assert received == [f"evt-{i}" for i in range(10)]


# Small talk


def test_ping(gateway):
    with gateway.connect() as subscriber:
        subscriber.send({"type": "ping", "id": "p1"})
        assert subscriber.expect("pong")["id"] == "p1"


def test_protocol_pings_are_answered(gateway):
    with gateway.connect() as subscriber:
        subscriber.ping()


def test_positions_are_told_from_time_to_time():
    with Gateway({"subscribers": {"ping": "5s"}}) as gateway, gateway.connect() as subscriber:
        assert subscriber.welcome["ping"] == 5
        subscriber.subscribe({"interactions": ["never"]})
        gateway.deliver(callback())
        newest = gateway.events("?after=earliest")["events"][-1]["position"]
        while subscriber.expect("position")["position"] != newest:
            pass


# What makes no sense


@pytest.mark.parametrize(
    "message, code",
    [
        ("ding", "malformed"),
        ("", "malformed"),
        ("[]", "malformed"),
        ("null", "malformed"),
        ('{"type":"ping"} x', "malformed"),
        ("{}", "unknown_type"),
        ('{"type":"event"}', "unknown_type"),
        ('{"type":7}', "unknown_type"),
        ('{"type":"subscribe"}', "malformed"),
        ('{"type":"subscribe","id":"s1"}', "malformed"),
        ('{"type":"subscribe","filter":{}}', "malformed"),
        ('{"type":"subscribe","id":"","filter":{}}', "malformed"),
        ('{"type":"subscribe","id":7,"filter":{}}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":[]}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{"color":"red"}}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{"interactions":[]}}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{"interactions":["a*b"]}}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{"tags":{"user":7}}}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{},"filters":{"a":{}}}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{},"last":0}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{},"last":1,"after":"latest"}', "malformed"),
        ('{"type":"subscribe","id":"s1","filter":{},"afer":"latest"}', "malformed"),
        ('{"type":"unsubscribe"}', "malformed"),
        ('{"type":"auth"}', "malformed"),
        ('{"type":"ping","type":"ping"}', "malformed"),
        ('{"type":"subscribe","id":"' + "x" * 65 + '","filter":{}}', "malformed"),
    ],
)
def test_senseless_messages_are_told_and_the_connection_stays(gateway, message, code):
    with gateway.connect() as subscriber:
        subscriber.send(message)
        error = subscriber.expect("error")
        assert error["code"] == code
        assert error["message"]
        subscriber.subscribe()


def test_the_third_senseless_message_closes(gateway):
    with gateway.connect() as subscriber:
        for _ in range(3):
            subscriber.send("ding")
        messages, code = subscriber.wait_closed()
        assert [message["type"] for message in messages] == ["error", "error", "error", "disconnect"]
        assert code == 4502
        assert (messages[-1]["code"], messages[-1]["reconnect"]) == (4502, False)


def test_too_many_filters(gateway):
    with gateway.connect() as subscriber:
        accepted = 0
        while True:
            subscriber.send({"type": "subscribe", "id": f"s{accepted}", "filter": {"event_ids": [f"{accepted}"]}})
            message = subscriber.expect("subscribed", "error")
            if message["type"] == "error":
                break
            accepted += 1
            assert accepted < 10000
        assert message["code"] == "limit"
        assert any(character.isdigit() for character in message["message"])
        subscriber.send({"type": "unsubscribe", "id": "s0"})
        subscriber.expect("unsubscribed")
        subscriber.subscribe({"event_ids": ["another"]}, "another")


MANY_SUBSCRIPTIONS = 20_000


def test_thousands_of_subscriptions():
    """Each is answered, and those that are within the bound go on."""
    with Gateway({"subscribers": {"max_messages_per_second": 10000}}) as gateway, raw_subscriber(gateway) as connection:
        assert json.loads(read_frame(connection)[1])["type"] == "welcome"
        asked = [f'{{"type":"subscribe","id":"s{i}","filter":{{"tags":{{"t":"{i}"}}}}}}' for i in range(MANY_SUBSCRIPTIONS)]
        sending = threading.Thread(target=connection.send, args=(b"".join(frame(1, each.encode()) for each in asked),))
        sending.start()
        answers = [json.loads(read_frame(connection)[1]) for _ in asked]
        sending.join()
        assert [answer["type"] for answer in answers[:64]] == ["subscribed"] * 64
        assert {answer.get("code") for answer in answers[64:]} == {"limit"}
        gateway.deliver(callback(), path=gateway.callback_path(t="63"))
        assert json.loads(read_frame(connection)[1])["tags"] == {"t": "63"}


@pytest.mark.parametrize("key", ["time", "timestamp", "received_at", "sent_at"])
def test_a_client_has_no_clock(gateway, key):
    """What a client says about time is a key that nobody knows; what it is told is the gateway's time."""
    with gateway.connect() as subscriber:
        subscriber.send({"type": "ping", key: "2099-01-01T00:00:00Z"})
        assert subscriber.expect("error")["code"] == "malformed"


@pytest.mark.parametrize(
    "message, expected",
    [(b"\x00\x01", 1003), ("x" * (1 << 20), 1009)],
)
def test_frames_that_are_refused(gateway, message, expected):
    with gateway.connect() as subscriber:
        subscriber.send(message)
        _, code = subscriber.wait_closed()
        assert code == expected


# Tokens


def test_a_token_in_the_first_message(guarded):
    with guarded.connect(welcome=False) as subscriber:
        subscriber.authorize(guarded.token())
        assert 3500 < subscriber.welcome["expires_in"] <= 3600
        subscriber.subscribe()
        guarded.deliver(callback())
        subscriber.event()


def test_a_token_in_the_header(guarded):
    with guarded.connect(headers=bearer(guarded.token())) as subscriber:
        subscriber.subscribe()


def test_a_ticket_in_the_url(guarded):
    ticket = guarded.ticket(guarded.token())
    with guarded.connect(f"?interactions=conferencing_assigned&ticket={ticket}") as subscriber:
        assert subscriber.expect("subscribed")["id"] == "url"
        guarded.deliver(callback())
        subscriber.event()
    assert_ticket_refused(guarded, ticket)


def assert_ticket_refused(gateway, ticket):
    """Told behind the upgrade, as a page sees nothing of what comes before."""
    with gateway.connect(f"?ticket={ticket}", welcome=False) as subscriber:
        messages, code = subscriber.wait_closed()
        assert (code, [message["type"] for message in messages]) == (4501, ["disconnect"])


@pytest.mark.parametrize("ticket", ["A" * 43, "A", ""])
def test_a_ticket_that_was_never_given(guarded, ticket):
    assert_ticket_refused(guarded, ticket)


def test_a_token_is_never_taken_from_a_url(guarded):
    token = guarded.token()
    assert handshake_status(guarded.url(f"/subscribe?token={token}")) == 400
    assert_ticket_refused(guarded, token)


def test_subscribing_before_the_token(guarded):
    with guarded.connect(welcome=False) as subscriber:
        subscriber.send({"type": "subscribe", "id": "s1", "filter": {}})
        error = subscriber.expect("error")
        assert (error["id"], error["code"]) == ("s1", "unauthorized")
        subscriber.authorize(guarded.token())
        subscriber.subscribe()


def test_no_token_in_time():
    with Gateway({"subscribers": {"auth_timeout": "1s"}}, tokens=True) as gateway:
        with gateway.connect(welcome=False) as subscriber:
            messages, code = subscriber.wait_closed()
            assert code == 4500
            assert messages[-1]["type"] == "disconnect"
            assert (messages[-1]["code"], messages[-1]["reconnect"]) == (4500, False)


def bad_tokens(gateway):
    good = gateway.token()
    head, payload, signature = good.split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    return {
        "no token": "ding",
        "two parts": f"{head}.{payload}",
        "no signature": f"{head}.{payload}.",
        "alg none": f"{none}.{payload}.",
        "alg none with a signature": f"{none}.{payload}.{signature}",
        "another payload": f"{head}.{payload[:-2]}AA.{signature}",
        "another secret": gateway.token(secret=TOKEN_SECRET + "x"),
        "a path as kid": gateway.token(secret="x" * 32, headers={"kid": "../../../../dev/null"}),
        "a key of its own": gateway.token(secret="-" * 32, headers={"jwk": {"kty": "oct", "k": "LS0tLQ"}}),
        "expired": gateway.token(lifetime=-3600),
        "not yet": gateway.token(nbf=4000000000),
        "no exp": gateway.token(exp=None),
        "empty claims": f"{head}.e30.{signature}",
        "no grants": gateway.token(belfry=None),
        "grants are no list": gateway.token(belfry={"subscribe": {}}),
        "grants are no filters": gateway.token(belfry={"subscribe": [{"color": "red"}]}),
        "too long": gateway.token(padding="x" * 9000),
    }


@pytest.mark.parametrize("name", ["no token", "two parts", "no signature", "alg none", "alg none with a signature",
                                  "another payload", "another secret", "a path as kid", "a key of its own", "expired",
                                  "not yet", "no exp", "empty claims", "no grants", "grants are no list",
                                  "grants are no filters", "too long"])
def test_bad_tokens(guarded, name):
    token = bad_tokens(guarded)[name]
    with guarded.connect(welcome=False) as subscriber:
        subscriber.send({"type": "auth", "token": token})
        messages, code = subscriber.wait_closed()
        assert (code, messages[-1]["type"], messages[-1]["reconnect"]) == (4501, "disconnect", False)
    assert handshake_status(guarded.url(), headers=bearer(token)) == 401


def test_an_algorithm_that_the_key_is_not_for(guarded):
    """HS384 and HS512 with the right secret: the key decides, not the token."""
    for algorithm in ("HS384", "HS512"):
        token = guarded.token(algorithm=algorithm)
        assert handshake_status(guarded.url(), headers=bearer(token)) in (101, 401)


GRANTS = [{"tags": {"user": "42"}}, {"interactions": ["conferencing_*"], "sources": ["cronofy"]}]


@pytest.mark.parametrize(
    "wanted, is_allowed",
    [
        ({"tags": {"user": "42"}}, True),
        ({"tags": {"user": "42", "team": "7"}}, True),
        ({"tags": {"user": ["42", "42"]}}, True),
        ({"interactions": ["conferencing_assigned"], "sources": ["cronofy"]}, True),
        ({"interactions": ["conferencing_*"], "sources": ["cronofy"], "event_ids": ["x"]}, True),
        ({}, False),
        ({"tags": {"user": ["42", "43"]}}, False),
        ({"tags": {"team": "7"}}, False),
        ({"interactions": ["conferencing_*"]}, False),
        ({"interactions": ["conferencing*"], "sources": ["cronofy"]}, False),
        ({"interactions": ["*"], "sources": ["cronofy"]}, False),
        ({"interactions": ["conferencing_assigned", "change"], "sources": ["cronofy"]}, False),
    ],
)
def test_what_a_token_grants(guarded, wanted, is_allowed):
    with guarded.connect(headers=bearer(guarded.token(GRANTS))) as subscriber:
        subscriber.send({"type": "subscribe", "id": "s1", "filter": wanted})
        message = subscriber.expect("subscribed", "error")
        if is_allowed:
            assert message["type"] == "subscribed"
        else:
            assert (message["id"], message["code"]) == ("s1", "forbidden")


def test_what_goes_beyond_the_grants_is_one_line_in_the_log():
    with Gateway(tokens=True) as gateway:
        with gateway.connect(headers=bearer(gateway.token(GRANTS))) as subscriber:
            for i in range(10):
                subscriber.send({"type": "subscribe", "id": f"s{i}", "filter": {"interactions": ["*"]}})
                assert subscriber.expect("error")["code"] == "forbidden"
        gateway.wait_for_line("subscription refused subject=user-42 reason=.*does not grant this filter")
        gateway.stop()
        assert gateway.log().count("subscription refused") == 1


def test_nothing_granted_is_nothing(guarded):
    with guarded.connect(headers=bearer(guarded.token([]))) as subscriber:
        subscriber.send({"type": "subscribe", "id": "s1", "filter": {"event_ids": ["x"]}})
        assert subscriber.expect("error")["code"] == "forbidden"


def test_a_url_beyond_the_grants_is_refused(guarded):
    ticket = guarded.ticket(guarded.token(GRANTS))
    with guarded.connect(f"?interactions=change&ticket={ticket}") as subscriber:
        error = subscriber.expect("error")
        assert (error["id"], error["code"]) == ("url", "forbidden")
        guarded.deliver(callback("change"))
        subscriber.expect_nothing()


def test_issuer_and_audience():
    gateway = Gateway(tokens=True)
    gateway.config["subscribers"]["tokens"].update(issuer="https://app.example.com", audience="belfry")
    with gateway:
        good = {"iss": "https://app.example.com", "aud": "belfry"}
        gateway.connect(headers=bearer(gateway.token(**good))).close()
        gateway.connect(headers=bearer(gateway.token(**{**good, "aud": ["x", "belfry"]}))).close()
        for change in ({"iss": "https://evil.example.com"}, {"iss": None}, {"aud": "x"}, {"aud": None}, {"aud": []}):
            token = gateway.token(**{**good, **change})
            assert handshake_status(gateway.url(), headers=bearer(token)) == 401


def test_a_fresh_token_keeps_the_connection(guarded):
    with guarded.connect(welcome=False) as subscriber:
        subscriber.authorize(guarded.token(lifetime=120))
        subscriber.subscribe()
        subscriber.send({"type": "auth", "id": "again", "token": guarded.token(lifetime=3600)})
        answer = subscriber.expect("authorized")
        assert answer["id"] == "again"
        guarded.deliver(callback())
        subscriber.event()


def test_an_expired_token_closes_after_the_grace():
    """Which is as long as a ping's interval."""
    with Gateway({"subscribers": {"ping": "5s"}}, tokens=True) as gateway:
        with gateway.connect(welcome=False) as renewed, gateway.connect(welcome=False) as left:
            for subscriber in (renewed, left):
                subscriber.authorize(gateway.token(lifetime=1))
                subscriber.subscribe()
            renewed.send({"type": "auth", "token": gateway.token(lifetime=3600)})
            renewed.expect("authorized")
            messages, code = left.wait_closed()
            assert code == 4002
            assert (messages[-1]["type"], messages[-1]["code"], messages[-1]["reconnect"]) == ("disconnect", 4002, True)
            renewed.subscribe({}, "s2")


def test_a_fresh_token_that_grants_less(guarded):
    with guarded.connect(headers=bearer(guarded.token())) as subscriber:
        subscriber.subscribe({"interactions": ["one"]}, "s1")
        subscriber.subscribe({"interactions": ["two"]}, "s2")
        subscriber.send({"type": "auth", "token": guarded.token([{"interactions": ["two"]}])})
        subscriber.expect("authorized")
        error = subscriber.expect("error")
        assert (error["id"], error["code"]) == ("s1", "forbidden")
        guarded.deliver(callback("one"))
        guarded.deliver(callback("two"))
        assert types(subscriber.event()) == ["two"]


# The end


def test_draining_says_so_before_it_closes():
    with Gateway() as gateway:
        subscribers = [gateway.connect() for _ in range(5)]
        for subscriber in subscribers:
            subscriber.subscribe()
        gateway.stop()
        for subscriber in subscribers:
            messages, code = subscriber.wait_closed()
            assert code == 1012
            assert messages[-1]["type"] == "disconnect"
            assert (messages[-1]["code"], messages[-1]["reconnect"]) == (1012, True)
            assert messages[-1]["after_ms"] >= 0


def test_a_client_that_never_reads_is_closed_and_loses_nothing():
    """It falls behind on its own, is closed when nothing has gone out for a while, and goes on where it was."""
    changes = {"subscribers": {"stalled_timeout": "5s"}}
    with Gateway(changes) as gateway, raw_subscriber(gateway) as stalled, gateway.connect() as other:
        stalled.send(frame(1, b'{"type":"subscribe","id":"s1","filter":{}}'))
        other.subscribe()
        assert json.loads(read_frame(stalled)[1])["type"] == "welcome"
        start = json.loads(read_frame(stalled)[1])["position"]
        n = 0
        padding = "x" * 200000
        while n < 100:  # 20 MB: more than any socket's buffers
            gateway.deliver(callback(event_id=f"evt-{n}", padding=padding))
            n += 1
        assert event_ids(other.events(n)) == [f"evt-{i}" for i in range(n)]
        gateway.wait_for_line("subscriber stalled")
        with gateway.connect() as resumed:
            resumed.subscribe(after=start)
            assert event_ids(resumed.events(n)) == [f"evt-{i}" for i in range(n)]


def resident_bytes(gateway):
    with open(f"/proc/{gateway.process.pid}/statm", encoding="ascii") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize()


@pytest.mark.only_release  # sanitizers keep what is freed
def test_a_client_that_never_reads_costs_no_memory():
    """What it misses is in the journal, not in memory, be it ten times what a ring holds."""
    limits = {"ring": "1MiB"}
    with Gateway({"limits": limits, "reactors": 1}) as gateway, raw_subscriber(gateway) as sleeping:
        sleeping.send(frame(1, b'{"type":"subscribe","id":"s1","filter":{}}'))
        assert json.loads(read_frame(sleeping)[1])["type"] == "welcome"
        assert json.loads(read_frame(sleeping)[1])["type"] == "subscribed"
        sizes = []
        for i in range(300):  # 60 MB
            gateway.deliver(callback(event_id=f"evt-{i}", padding="x" * 200000))
            sizes.append(resident_bytes(gateway))
        assert max(sizes[100:]) - max(sizes[:100]) < 10 << 20
        for i in range(300):
            assert json.loads(read_frame(sleeping)[1])["callback"]["event"]["event_id"] == f"evt-{i}"


def test_a_limit_of_connections_is_told():
    with Gateway({"limits": {"connections_per_address": 3}}) as gateway:
        held = [gateway.connect() for _ in range(3)]
        answer = gateway.request("GET", "/events")
        assert (answer.status, answer.json()["error"]) == (503, "limit")
        assert "Retry-After" in answer.headers
        with gateway.connect(welcome=False) as one_too_many:
            messages, code = one_too_many.wait_closed()
            assert code == 1013
            assert (messages[-1]["type"], messages[-1]["reconnect"]) == ("disconnect", True)
            assert "connections_per_address" in messages[-1]["reason"]
        for subscriber in held:
            subscriber.subscribe()
            subscriber.close()


def test_too_many_messages_are_too_many():
    with Gateway({"subscribers": {"max_messages_per_second": 10}}) as gateway, gateway.connect() as subscriber:
        with pytest.raises(Closed) as closed:
            for _ in range(5000):
                subscriber.send({"type": "ping"})
            while True:
                subscriber.receive()
        assert closed.value.args[0] == 1008
