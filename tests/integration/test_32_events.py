# SPDX-License-Identifier: Apache-2.0
"""The HTTP beside the subscriptions: GET /events for those who poll, POST /ticket, and what browsers ask first."""

import json

import pytest

from gateway import Gateway, callback

ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module")
def gateway():
    """With ten events."""
    with Gateway({"subscribers": {"origins": [ORIGIN]}}) as running:
        for i in range(10):
            running.deliver(callback("odd" if i % 2 else "even", event_id=f"evt-{i}"))
        yield running


@pytest.fixture(scope="module")
def guarded():
    with Gateway(tokens=True) as running:
        running.deliver(callback("one", event_id="evt-0"))
        yield running


def event_ids(page):
    return [event["callback"]["event"]["event_id"] for event in page["events"]]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# GET /events


def test_everything(gateway):
    page = gateway.events("?after=earliest")
    assert event_ids(page) == [f"evt-{i}" for i in range(10)]
    assert (page["more"], page["recovered"]) == (False, True)
    assert page["position"] == page["events"][-1]["position"]


@pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
def test_page_by_page(gateway, limit):
    position, seen = "earliest", []
    while True:
        page = gateway.events(f"?after={position}&limit={limit}")
        assert len(page["events"]) <= limit
        seen += event_ids(page)
        position = page["position"]
        if not page["more"]:
            break
    assert seen == [f"evt-{i}" for i in range(10)]
    again = gateway.events(f"?after={position}&limit={limit}")
    assert (again["events"], again["position"], again["more"]) == ([], position, False)


def test_the_same_object_as_everywhere(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe(last=1)
        event = subscriber.event()
    assert gateway.events("?after=earliest")["events"][-1] == event


def test_the_body_is_unchanged(gateway):
    body = json.dumps(json.loads(callback("spaced", event_id="evt-x")), indent=3).replace("\n", "\r\n").encode()
    gateway.deliver(body)
    answer = gateway.request("GET", "/events?after=earliest&interactions=spaced")
    assert body in answer.body


def test_filters(gateway):
    assert event_ids(gateway.events("?after=earliest&interactions=odd&limit=2")) == ["evt-1", "evt-3"]
    assert event_ids(gateway.events("?after=earliest&event_ids=evt-4,evt-7")) == ["evt-4", "evt-7"]
    assert event_ids(gateway.events("?after=earliest&interactions=never")) == []
    assert event_ids(gateway.events("?after=earliest&tags.user=42")) == []


def test_the_last_ones(gateway):
    assert event_ids(gateway.events("?last=2&interactions=even")) == ["evt-6", "evt-8"]


def test_without_a_position_from_the_beginning(gateway):
    assert gateway.events() == gateway.events("?after=earliest")


def test_after_the_latest_there_is_nothing_yet(gateway):
    page = gateway.events("?after=latest")
    assert page["events"] == []
    assert page["position"] == gateway.events("?after=earliest")["position"]


@pytest.mark.parametrize("after", ["abcd-1", "FUTURE"])
def test_positions_that_are_not_ours(gateway, after):
    epoch = gateway.events()["position"].split("-")[0]
    page = gateway.events(f"?after={after.replace('FUTURE', epoch + '-1000000')}")
    assert page["events"] == []
    assert page["recovered"] is False
    assert page["position"] == gateway.events()["position"]


@pytest.mark.parametrize(
    "query",
    ["?after=x", "?after=", "?limit=0", "?limit=x", "?limit=-1", "?limit=99999999", "?color=red", "?last=1&after=latest"],
)
def test_bad_questions(gateway, query):
    answer = gateway.request("GET", "/events" + query)
    assert answer.status == 400
    assert answer.json()["message"]


def test_head(gateway):
    answer = gateway.request("HEAD", "/events")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("query", ["", "?limit=3"])
def test_an_upgrade_is_no_business_of_this_path(gateway, query):
    answer = gateway.request("GET", "/events" + query, headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert (answer.status, answer.json()) == (200, gateway.events(query))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_only_get(gateway, method):
    answer = gateway.request(method, "/events", headers={"Content-Length": "0"})
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_it_needs_a_token(guarded):
    answer = guarded.request("GET", "/events?after=earliest")
    assert (answer.status, answer.json()["error"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    token = guarded.token()
    assert event_ids(guarded.events("?after=earliest", **bearer(token))) == ["evt-0"]
    ticket = guarded.ticket(token)
    assert event_ids(guarded.events(f"?after=earliest&ticket={ticket}")) == ["evt-0"]
    assert guarded.request("GET", f"/events?after=earliest&ticket={ticket}").status == 401


def test_it_keeps_to_the_grants(guarded):
    token = guarded.token([{"interactions": ["one"]}])
    assert guarded.request("GET", "/events?after=earliest", headers=bearer(token)).status == 403
    assert event_ids(guarded.events("?after=earliest&interactions=one", **bearer(token))) == ["evt-0"]


# POST /ticket


def test_tickets(guarded):
    answer = guarded.request("POST", "/ticket", headers=bearer(guarded.token()))
    assert answer.status == 200
    assert set(answer.json()) == {"ticket", "expires_in"}
    assert answer.json()["expires_in"] == 30
    assert "no-store" in answer.headers["Cache-Control"]
    other = guarded.request("POST", "/ticket", body=b"{}", headers=bearer(guarded.token()))
    assert other.json()["ticket"] != answer.json()["ticket"]


def test_tickets_need_a_token(guarded):
    assert guarded.request("POST", "/ticket").status == 401
    assert guarded.request("POST", "/ticket", headers=bearer("x")).status == 401
    ticket = guarded.ticket(guarded.token())
    assert guarded.request("POST", "/ticket", headers=bearer(ticket)).status == 401


def test_tickets_are_posted_for(guarded):
    answer = guarded.request("GET", "/ticket", headers=bearer(guarded.token()))
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_a_ticket_grants_what_its_token_grants(guarded):
    ticket = guarded.ticket(guarded.token([{"interactions": ["one"]}]))
    assert guarded.request("GET", f"/events?interactions=two&ticket={ticket}").status == 403


# Pages


@pytest.mark.parametrize("path", ["/subscribe", "/events", "/ticket"])
def test_preflight(gateway, path):
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = gateway.request("OPTIONS", path, headers=headers)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/subscribe", "/events", "/ticket"])
@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", ORIGIN + "."])
def test_other_pages(gateway, path, origin):
    for method in ("OPTIONS", "POST" if path == "/ticket" else "GET"):
        answer = gateway.request(method, path, headers={"Origin": origin})
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_answers_tell_the_page_that_it_may_read_them(gateway):
    assert gateway.request("GET", "/events", headers={"Origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN
    refused = gateway.request("GET", "/events?after=x", headers={"Origin": ORIGIN})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (400, ORIGIN)


@pytest.mark.parametrize("path", ["/", "/nowhere", "/events/", "/tickets", "/metrics", "/healthz", "/readyz"])
def test_nothing_else_is_here(gateway, path):
    answer = gateway.request("GET", path)
    assert (answer.status, answer.json()["error"]) == (404, "not_found")


# The administrator's side


def test_health_and_metrics():
    with Gateway({"admin": {"address": "127.0.0.1:0"}}) as gateway:
        gateway.deliver(callback())
        assert gateway.request("GET", "/healthz", serves="admin").status == 200
        assert gateway.request("GET", "/readyz", serves="admin").status == 200
        metrics = gateway.request("GET", "/metrics", serves="admin")
        assert metrics.status == 200
        samples = [line for line in metrics.body.decode().splitlines() if line and not line.startswith("#")]
        assert any(line.endswith(" 1") and "callbacks" in line for line in samples)
        assert gateway.request("GET", "/subscribe", serves="admin").status == 404
        assert gateway.request("POST", "/callbacks/cronofy", b"", serves="admin").status == 404
