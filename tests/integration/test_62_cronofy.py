# SPDX-License-Identifier: Apache-2.0
"""The provider's sequence diagram, end to end: an application makes an event at the simulated provider
(tests/simulator), its callbacks come to the real belfryd, and a subscriber sees them."""

import http.client
import json
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

from clients import PATIENCE
from gateway import CALLBACK_PATH, SECRET, Gateway, sign
from simulator.notifications import FORMS, OTHERS

PUBLIC_URL = "https://gateway.example.com"
OTHER_SECRET = "CRN_canary-new-secret-0123456789abcdef"
EVENT = {
    "summary": "Board meeting",
    "description": "Discuss plans for the next quarter.",
    "start": "2026-04-27T15:30:00Z",
    "end": "2026-04-27T17:00:00Z",
}
MINUTE, HOUR, DAY = 60, 3600, 86400


class Application:
    """What asks the provider, as a user's application would."""

    def __init__(self, cronofy):
        self.cronofy = cronofy
        self.event = {"event_id": uuid.uuid4().hex, **EVENT}  # so that no callback is another test's duplicate

    @property
    def written(self):
        """The event in its owner's calendar."""
        return self.cronofy.calendar.written[self.event["event_id"]]

    def request(self, method, path, body=None, token=None, headers=None):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.cronofy.url).netloc, timeout=PATIENCE)
        fields = {"Authorization": f"Bearer {token or self.cronofy.account.access_token}", **(headers or {})}
        if not isinstance(body, (bytes, type(None))):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, **options):
        status, _, body = self.request("GET", path, **options)
        assert status == 200, body
        return json.loads(body)

    def upsert(self, uri=None, interactions=("conferencing_assigned", "conferencing_failing"), **changes):
        body = {**self.event, "conferencing": {"profile_id": "default"}, **changes}
        if uri:
            entries = [{"type": kind} for kind in interactions]
            body["subscriptions"] = [{"type": "webhook", "uri": uri, "interactions": entries}]
        path = f"/v1/calendars/{urllib.parse.quote(self.cronofy.calendar.calendar_id, safe='')}/events"
        return self.request("POST", path, {name: value for name, value in body.items() if value is not None})

    def create(self, uri, **changes):
        status, _, body = self.upsert(uri, **changes)
        assert (status, body) == (202, b"")


class Receiver:
    """Somewhere that callbacks can be sent to: answers with the statuses in turn, the last one again and again; None
    stands for no answer at all."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.heads = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/"
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def serve(self):
        kept = []
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            self.heads.append(data.split(b"\r\n\r\n")[0].decode())
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            if status is None:
                kept.append(connection)
                continue
            connection.sendall(f"HTTP/1.1 {status} X\r\nLocation: {self.url}\r\nContent-Length: 0\r\n\r\n".encode())
            connection.close()


@pytest.fixture(name="gateway", scope="module")
def _gateway():
    with Gateway() as running:
        yield running


@pytest.fixture(name="application")
def _application(cronofy):
    return Application(cronofy)


@pytest.fixture(name="subscriber")
def _subscriber(gateway):
    with gateway.connect() as connected:
        connected.subscribe()
        yield connected


def uri(gateway, **tags):
    return PUBLIC_URL + (gateway.callback_path(**tags) if tags else CALLBACK_PATH)


def seen(subscriber):
    """The interactions of the next event, and its conference."""
    event = subscriber.event()
    pairs = [(entry["type"], entry.get("subtype")) for entry in event["interactions"]]
    return pairs, event["callback"]["event"].get("conferencing")


ASSIGNED = [("conferencing_assigned", None)]
ZOOM = {"provider_name": "zoom", "join_url": "https://zoom.us/00001111-1"}


# The diagram


def test_conference_generation_works(cronofy, application, gateway, subscriber):
    cronofy.add_profile(cronofy.account, "pro_zoom")
    application.create(uri(gateway, user="42"))
    subscriber.expect_nothing()
    cronofy.clock.advance(1)
    event = subscriber.event()
    assert event["callback"] == {
        "notification": {"type": "event_subscription", "interactions": [{"type": "conferencing_assigned"}]},
        "event": {**application.event, "conferencing": ZOOM},
    }
    assert event["tags"] == {"user": "42"}
    assert application.written["conferencing"] == ZOOM
    assert cronofy.arrows == [
        ("Your Application", "Cronofy", "Create event with conferencing"),
        ("Cronofy", "Conferencing provider", "Create conference"),
        ("Conferencing provider", "Cronofy", "Conference details"),
        ("Cronofy", "Calendar provider", "Write event with conference"),
        ("Cronofy", "Your Application", "conferencing_assigned"),
    ]
    assert [callback.state for callback in cronofy.callbacks.sent] == ["delivered"]


def test_conference_generation_fails_and_recovers(cronofy, application, gateway, subscriber):
    cronofy.add_profile(cronofy.account, "pro_zoom")
    cronofy.conferencing_providers["zoom"].is_up = False
    application.create(uri(gateway))
    cronofy.clock.advance(1)
    assert seen(subscriber) == ([("conferencing_failing", None)], {"pending": True})
    assert "join_url" not in application.written["conferencing"]
    cronofy.clock.advance(MINUTE)  # it tries again, for nothing: told once is enough
    subscriber.expect_nothing()
    cronofy.conferencing_providers["zoom"].is_up = True
    cronofy.clock.advance(5 * MINUTE)
    assert seen(subscriber) == (ASSIGNED, ZOOM)
    assert cronofy.arrows == [
        ("Your Application", "Cronofy", "Create event with conferencing"),
        ("Cronofy", "Conferencing provider", "Create conference"),
        ("Conferencing provider", "Cronofy", "Error"),
        ("Cronofy", "Calendar provider", "Write event without conference"),
        ("Cronofy", "Your Application", "conferencing_failing"),
        ("Cronofy", "Conferencing provider", "Retry create conference"),
        ("Conferencing provider", "Cronofy", "Error"),
        ("Cronofy", "Conferencing provider", "Retry create conference"),
        ("Conferencing provider", "Cronofy", "Conference details"),
        ("Cronofy", "Calendar provider", "Write event with conference"),
        ("Cronofy", "Your Application", "conferencing_assigned"),
    ]


def test_credentials_that_expired_and_are_given_again(cronofy, application, gateway, subscriber):
    profile = cronofy.add_profile(cronofy.account, "pro_zoom", is_connected=False)
    application.create(uri(gateway), conferencing={"profile_id": "pro_zoom"})
    cronofy.clock.advance(1)
    assert seen(subscriber)[0] == [("conferencing_failing", None)]
    profile.is_connected = True
    cronofy.clock.advance(MINUTE)
    assert seen(subscriber) == (ASSIGNED, ZOOM)


def test_a_profile_that_is_missing_and_another_one(cronofy, application, gateway, subscriber):
    cronofy.add_profile(cronofy.account, "pro_b")
    application.create(uri(gateway), conferencing={"profile_id": "pro_a"})
    cronofy.clock.advance(1)
    assert seen(subscriber) == ([("conferencing_failing", "profile_missing")], None)
    cronofy.clock.advance(HOUR)  # nobody tries again what is gone
    subscriber.expect_nothing()
    application.create(uri(gateway), conferencing={"profile_id": "pro_b"})
    cronofy.clock.advance(1)
    assert seen(subscriber) == (ASSIGNED, ZOOM)


def test_integrated_conferences(cronofy, application, gateway, subscriber):
    provider = cronofy.calendar.provider
    provider.gives_links = False
    application.create(uri(gateway), conferencing={"profile_id": "integrated"})
    cronofy.clock.advance(1)
    subscriber.expect_nothing()  # it tries to resolve this by itself
    cronofy.clock.advance(2 * MINUTE)
    assert seen(subscriber) == ([("conferencing_failing", "missing_meeting_url")], None)
    provider.gives_links = True
    application.create(uri(gateway), conferencing={"profile_id": "integrated"}, event_id="other")
    cronofy.clock.advance(1)
    pairs, conferencing = seen(subscriber)
    assert pairs == ASSIGNED and conferencing["provider_name"] == "google_meet_api"
    assert cronofy.calendar.written["other"]["conferencing"] == conferencing


def test_an_explicit_conference(cronofy, application, gateway, subscriber):
    wish = {"profile_id": "explicit", "provider_description": "Bell", "join_url": "https://bell.example/1"}
    application.create(uri(gateway), conferencing=wish)
    cronofy.clock.advance(1)
    assert seen(subscriber) == (ASSIGNED, {"provider_name": "Bell", "join_url": "https://bell.example/1"})


def test_the_past_gets_no_conference(cronofy, application, gateway, subscriber):
    cronofy.add_profile(cronofy.account, "pro_zoom")
    application.create(uri(gateway), start="2026-03-27T15:30:00Z", end="2026-03-27T17:00:00Z")
    cronofy.clock.advance(DAY)
    subscriber.expect_nothing()
    assert application.written["conferencing"] is None


@pytest.mark.parametrize(
    "start, end",
    [
        ("2026-04-27", "2026-04-28"),
        ({"time": "2026-04-27T15:30:00", "tzid": "Etc/UTC"}, {"time": "2026-04-27T17:30:00", "tzid": "Etc/UTC"}),
    ],
)
def test_other_forms_of_time(cronofy, application, gateway, subscriber, start, end):
    cronofy.add_profile(cronofy.account, "pro_zoom")
    application.create(uri(gateway), start=start, end=end)
    cronofy.clock.advance(1)
    told = subscriber.event()["callback"]["event"]
    assert (told["start"], told["end"]) == (start, end)


def test_only_what_was_asked_for_is_told(cronofy, application, gateway, subscriber):
    application.create(uri(gateway), interactions=["conferencing_assigned"])
    cronofy.clock.advance(1)
    subscriber.expect_nothing()
    cronofy.add_profile(cronofy.account, "pro_zoom")
    application.create(uri(gateway), interactions=["conferencing_assigned"])
    cronofy.clock.advance(1)
    assert seen(subscriber)[0] == ASSIGNED


def test_an_update_keeps_the_conference_and_drops_what_it_leaves_out(cronofy, application, gateway, subscriber):
    cronofy.add_profile(cronofy.account, "pro_zoom")
    application.create(uri(gateway))
    cronofy.clock.advance(1)
    assert seen(subscriber)[0] == ASSIGNED
    application.create(None, conferencing=None, description=None, subscriptions=[])
    cronofy.clock.advance(1)
    subscriber.expect_nothing()
    written = application.written
    assert written["conferencing"] == ZOOM and "description" not in written


def test_an_update_ends_what_was_begun_before(cronofy, application, gateway, subscriber):
    cronofy.add_profile(cronofy.account, "pro_a", is_connected=False)
    application.create(uri(gateway), conferencing={"profile_id": "pro_a"})
    cronofy.clock.advance(1)
    cronofy.add_profile(cronofy.account, "pro_b")
    application.create(uri(gateway), conferencing={"profile_id": "pro_b"})
    cronofy.clock.advance(DAY)
    assert [seen(subscriber)[0] for _ in range(2)] == [[("conferencing_failing", None)], ASSIGNED]
    subscriber.expect_nothing()


# Callbacks


@pytest.mark.parametrize("is_chunked", [False, True], ids=["", "chunked"])
@pytest.mark.parametrize("form", FORMS)
def test_every_body_in_every_form(cronofy, gateway, subscriber, form, is_chunked):
    cronofy.callbacks.form, cronofy.callbacks.is_chunked = form, is_chunked
    path = uri(gateway, form=form, chunked=str(is_chunked))  # so that none is another one's duplicate
    for body in OTHERS.values():
        cronofy.callbacks.send(path, body)
    cronofy.clock.advance()
    for kind, body in OTHERS.items():
        callback = subscriber.event()["callback"]
        assert (callback == body) == (form != "unknown keys"), kind
        assert callback.keys() >= body.keys()


def test_several_interactions_and_subtypes_not_yet_known(cronofy, application, gateway, subscriber):
    cronofy.add_profile(cronofy.account, "pro_zoom")
    application.create(uri(gateway))
    cronofy.clock.advance(1)
    subscriber.event()
    event = cronofy.events[cronofy.calendar.calendar_id, application.event["event_id"]]
    cronofy.push(event, ["conferencing_assigned", ("conferencing_failing", "moon_in_the_way")])
    cronofy.clock.advance()
    assert seen(subscriber)[0] == [*ASSIGNED, ("conferencing_failing", "moon_in_the_way")]


def test_while_a_secret_is_replaced(cronofy, gateway, subscriber):
    cronofy.callbacks.secrets = [OTHER_SECRET, SECRET]
    cronofy.callbacks.send(uri(gateway), OTHERS["change"])
    cronofy.callbacks.secrets = [OTHER_SECRET]
    cronofy.callbacks.send(uri(gateway), OTHERS["verification"])
    cronofy.callbacks.secrets = [OTHER_SECRET, SECRET]
    cronofy.clock.advance()
    assert [subscriber.event()["callback"] for _ in range(2)] == [OTHERS["change"], OTHERS["verification"]]


def test_a_secret_that_the_gateway_does_not_know(cronofy, gateway, subscriber):
    cronofy.callbacks.secrets = [OTHER_SECRET]
    cronofy.callbacks.send(uri(gateway, of="nobody"), OTHERS["change"])
    cronofy.clock.advance()
    (callback,) = cronofy.callbacks.sent
    assert callback.answers == [401]
    cronofy.callbacks.secrets = [SECRET]  # and it is sent again until then
    cronofy.clock.advance(10)
    assert callback.answers == [401, 200] and callback.state == "delivered"
    subscriber.event()


def test_duplicates_come_through_once(cronofy, application, gateway, subscriber):
    cronofy.callbacks.n_copies = 3
    application.create(uri(gateway), event_id="thrice")
    cronofy.clock.advance(1)
    assert [callback.answers for callback in cronofy.callbacks.sent] == [[200]] * 3
    subscriber.event()
    subscriber.expect_nothing()


@pytest.mark.parametrize("is_together", [False, True], ids=["reordered", "at the same time"])
def test_order_is_not_promised(cronofy, gateway, subscriber, is_together):
    with cronofy.callbacks.held() as held:
        for i in range(20):
            cronofy.callbacks.send(uri(gateway), {"notification": {"type": "change"}, "n": [i, is_together]})
    if is_together:
        cronofy.callbacks.deliver_together(held)
    else:
        cronofy.callbacks.deliver(reversed(held))
    numbers = [subscriber.event()["callback"]["n"][0] for _ in range(20)]
    assert sorted(numbers) == list(range(20))
    assert is_together or numbers == list(range(19, -1, -1))


def test_a_gateway_that_is_away_is_called_again(application, cronofy):
    with Gateway() as gateway:
        host, port = gateway.address("sources")
        cronofy.callbacks.routes = {PUBLIC_URL: f"http://{host}:{port}"}
        path = uri(gateway)
        gateway.stop()
        application.create(path)
        cronofy.clock.advance(1)
        (callback,) = cronofy.callbacks.sent
        assert isinstance(callback.answers[0], ConnectionRefusedError) and callback.state == "waiting"
        gateway.start()
        host, port = gateway.address("sources")
        cronofy.callbacks.routes = {PUBLIC_URL: f"http://{host}:{port}"}
        with gateway.connect() as subscriber:
            subscriber.subscribe()
            cronofy.clock.advance(10)
            assert seen(subscriber)[0] == [("conferencing_failing", "profile_missing")]
        assert callback.answers[1:] == [200] and callback.state == "delivered"


def test_what_is_no_2xx_is_sent_again_for_a_day(cronofy):
    cronofy.callbacks.answer_timeout = 0.2
    with Receiver(500, 302, None, 404, 503) as receiver:
        cronofy.callbacks.send(receiver.url + "there?x=1", OTHERS["change"])
        (callback,) = cronofy.callbacks.sent
        cronofy.clock.advance()
        cronofy.clock.advance(10)
        cronofy.clock.advance(30)
        assert callback.answers[:2] == [500, 302] and isinstance(callback.answers[2], TimeoutError)
        cronofy.clock.advance(2 * DAY)
        assert callback.state == "given up"
        assert len(receiver.heads) == len(callback.answers) == len(cronofy.callbacks.schedule) + 1
        assert 22 * 3600 <= sum(cronofy.callbacks.schedule) <= DAY + 3600
    lines = receiver.heads[0].split("\r\n")
    assert lines[0] == "POST /there?x=1 HTTP/1.1"
    assert "Content-Type: application/json; charset=utf-8" in lines
    assert f"Cronofy-HMAC-SHA256: {sign(callback.body)}" in lines


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_enough(cronofy, status):
    with Receiver(status) as receiver:
        cronofy.callbacks.send(receiver.url, OTHERS["change"])
        cronofy.clock.advance(DAY)
        assert cronofy.callbacks.sent[0].answers == [status]


# The API


def errors(answer):
    status, _, body = answer
    assert status == 422, answer
    found = json.loads(body)["errors"]
    assert all(entry.keys() == {"key", "description"} for entries in found.values() for entry in entries)
    return set(found)


def test_upserts_that_are_refused(cronofy, application):
    assert errors(application.upsert(summary=None, start=None)) == {"summary", "start"}
    assert errors(application.upsert(start="soon")) == {"start"}
    assert errors(application.upsert(end="2026-04-27T15:00:00Z")) == {"end"}
    assert errors(application.upsert(conferencing={})) == {"conferencing.profile_id"}
    explicit = {"profile_id": "explicit", "provider_description": "Bell"}
    assert errors(application.upsert(conferencing=explicit)) == {"conferencing.join_url"}
    assert errors(application.upsert("ftp://x")) == {"subscriptions.uri"}
    assert errors(application.upsert("http://x", interactions=["x"])) == {"subscriptions.interactions.type"}
    path = f"/v1/calendars/{cronofy.calendar.calendar_id}/events"
    assert errors(application.request("POST", path, b"{")) == {"body"}
    assert application.request("POST", "/v1/calendars/cal_other/events", application.event)[0] == 404
    assert cronofy.events == {}


def test_calendars_whose_id_is_an_address(cronofy, application):
    cronofy.calendar = cronofy.add_calendar(cronofy.account, "a+b@example.com")
    application.create(None)
    assert list(cronofy.events) == [("a+b@example.com", application.event["event_id"])]


def test_who_may_not(cronofy, application):
    account = cronofy.account
    path = f"/v1/calendars/{cronofy.calendar.calendar_id}/events"
    assert application.request("POST", path, application.event, token="made-up")[0] == 401
    account.scope = "read_only"
    assert application.upsert()[0] == 403
    account.scope = "read_write"
    cronofy.calendar.is_readonly = True
    assert application.upsert()[0] == 403
    cronofy.calendar.is_readonly = False
    account.has_plan = False
    assert application.upsert()[0] == 402
    account.is_locked = True
    assert application.upsert()[0] == 423
    account.is_locked, account.has_plan = False, True
    assert application.upsert()[0] == 202


def test_faults_on_demand(cronofy, application):
    cronofy.server.fail("/v1/.*", 429, headers={"Retry-After": "7"})
    cronofy.server.fail("/v1/.*", 503, n=2, body=b"down")
    status, headers, _ = application.upsert()
    assert (status, headers["Retry-After"]) == (429, "7")
    for _ in range(2):
        status, headers, body = application.upsert()
        assert (status, headers["Retry-After"], body) == (503, None, b"down")
    assert application.upsert()[0] == 202
    cronofy.server.fail("/v1/.*", 0)
    with pytest.raises(http.client.RemoteDisconnected):
        application.upsert()


def test_limits_of_an_application(cronofy, application):
    for _ in range(50):
        assert application.request("GET", "/v1/userinfo")[0] == 200
    status, headers, _ = application.request("GET", "/v1/userinfo")
    assert (status, headers["Retry-After"]) == (429, None)
    cronofy.clock.advance(1)
    assert application.request("GET", "/v1/userinfo")[0] == 200


def refresh(application, refresh_token, secret=SECRET, **changes):
    form = {
        "client_id": "client", "client_secret": secret, "grant_type": "refresh_token", "refresh_token": refresh_token,
        **changes,
    }  # fmt: skip
    status, _, body = application.request("POST", "/oauth/token", form)
    return status, json.loads(body)


def test_tokens_expire_and_are_rotated(cronofy, application):
    cronofy.clock.advance(10799)
    assert application.upsert()[0] == 202
    cronofy.clock.advance(1)
    assert application.upsert()[0] == 401
    old = cronofy.account.refresh_token
    status, tokens = refresh(application, old)
    assert status == 200 and tokens["expires_in"] == 10800 and tokens["refresh_token"] != old
    assert application.upsert()[0] == 202
    assert refresh(application, old) == (400, {"error": "invalid_grant"})
    assert refresh(application, tokens["refresh_token"], secret="x") == (400, {"error": "invalid_client"})
    assert refresh(application, tokens["refresh_token"], grant_type="x") == (400, {"error": "unsupported_grant_type"})
    cronofy.account.rotates = False
    assert refresh(application, tokens["refresh_token"])[1]["refresh_token"] == tokens["refresh_token"]
    cronofy.account.revoke()
    assert refresh(application, tokens["refresh_token"]) == (400, {"error": "invalid_grant"})
    assert application.upsert()[0] == 401


def test_tokens_are_given_for_a_form_as_well(application, cronofy):
    form = {
        "client_id": "client", "client_secret": SECRET, "grant_type": "refresh_token",
        "refresh_token": cronofy.account.refresh_token,
    }  # fmt: skip
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert application.request("POST", "/oauth/token", urllib.parse.urlencode(form).encode(), headers=kind)[0] == 200


def test_events_are_read_by_pages(cronofy, application):
    cronofy.server.page_size = 2
    for i in range(5):
        application.create(None, event_id=f"e{i}", attendees={"invite": [{"email": "a@example.com"}]})
    assert errors(application.request("GET", "/v1/events")) == {"tzid"}
    assert application.get("/v1/events?tzid=Etc/UTC")["events"] == []  # the application's own are managed ones
    found, path = [], "/v1/events?tzid=Etc/UTC&include_managed=true"
    for current in (1, 2, 3):
        page = application.get(path)
        assert (page["pages"]["current"], page["pages"]["total"]) == (current, 3)
        found += page["events"]
        path = page["pages"].get("next_page", "").removeprefix(cronofy.url)
    assert path == ""
    assert [event["event_id"] for event in found] == [f"e{i}" for i in range(5)]
    assert found[0]["calendar_id"] == cronofy.calendar.calendar_id
    assert found[0]["attendees"] == [{"status": "needs_action", "email": "a@example.com"}]
    assert application.request("GET", "/v1/events/pages/x")[0] == 404
    for days, n in [("from=2026-04-27", 5), ("from=2026-04-28", 0), ("to=2026-04-27", 0), ("to=2026-04-28", 5)]:
        cronofy.server.page_size = 100
        assert len(application.get(f"/v1/events?tzid=Etc/UTC&include_managed=true&{days}")["events"]) == n, days
    cronofy.server.page_size = 2
    cronofy.server.next_page_origin = "http://elsewhere.example"
    next_page = application.get("/v1/events?tzid=Etc/UTC&include_managed=true")["pages"]["next_page"]
    assert next_page.startswith("http://elsewhere.example/")


def test_userinfo(cronofy, application):
    cronofy.add_profile(cronofy.account, "pro_a", "go_to")
    cronofy.add_profile(cronofy.account, "pro_b", is_connected=False)
    data = application.get("/v1/userinfo")["cronofy.data"]
    first, second = data["conferencing_profiles"]
    assert (first["profile_id"], first["provider_name"], first["profile_connected"]) == ("pro_a", "go_to", True)
    assert second["profile_connected"] is False and second["profile_relink_url"]
    assert data["profiles"][0]["profile_calendars"][0]["calendar_id"] == cronofy.calendar.calendar_id


def test_what_is_not_there(application):
    assert application.request("GET", "/v1/nothing")[0] == 404


@pytest.mark.parametrize("length", ["1048577", "-1", "five"])
def test_bodies_that_are_not_read(application, length):
    assert application.request("POST", "/oauth/token", headers={"Content-Length": length})[0] == 413


# The program


class Program:
    """python3 tests/simulator, as the quickstart runs it."""

    def __init__(self, *arguments):
        folder = pathlib.Path(__file__).resolve().parent.parent / "simulator"
        self.process = subprocess.Popen(
            [sys.executable, str(folder), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        told = json.loads(self.process.stdout.readline())
        self.url, self.calendar_id, self.token = told["url"], told["calendar_id"], told["access_token"]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()  # it ends with whoever started it
        assert self.process.wait(PATIENCE) == 0
        self.process.stdout.close()

    def request(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        fields = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.url + path, data, fields, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()


def test_the_program_runs_by_itself(gateway, subscriber):
    gateway.secret_file("simulator-secret", SECRET)
    host, port = gateway.address("sources")
    with Program(
        "--client-secret-file", str(gateway.folder / "simulator-secret"), "--profile", "pro_a=zoom", "--pace", "1000"
    ) as program:
        program.request("PUT", "/simulator/routes", {"origin": PUBLIC_URL, "to": f"http://{host}:{port}"})
        program.request("DELETE", "/simulator/profiles/pro_a")
        event = {**EVENT, "start": "2099-04-27T15:30:00Z", "end": "2099-04-27T17:00:00Z", "event_id": "program"}
        event["conferencing"] = {"profile_id": "pro_a"}
        event["subscriptions"] = [
            {"type": "webhook", "uri": uri(gateway), "interactions": [{"type": "conferencing_failing"}]}
        ]
        program.request("POST", f"/v1/calendars/{program.calendar_id}/events", event)
        assert seen(subscriber)[0] == [("conferencing_failing", "profile_missing")]
        program.request("PUT", "/simulator/profiles/pro_b", {"connected": False})
        program.request("POST", "/simulator/faults", {"path": "/v1/userinfo", "status": 500})
        with pytest.raises(urllib.error.HTTPError):
            program.request("GET", "/v1/userinfo")
        data = json.loads(program.request("GET", "/v1/userinfo"))["cronofy.data"]
        assert [profile["profile_connected"] for profile in data["conferencing_profiles"]] == [False]
        program.request("POST", "/simulator/callbacks", {"uri": uri(gateway, by="hand"), "body": OTHERS["change"]})
        assert subscriber.event()["callback"] == OTHERS["change"]
        state = json.loads(program.request("GET", "/simulator/state"))
        assert state["arrows"][0] == ["Your Application", "Cronofy", "Create event with conferencing"]
        assert state["callbacks"][0]["state"] == "delivered"
        program.request("POST", "/simulator/advance", {"seconds": 86400 * 2})
