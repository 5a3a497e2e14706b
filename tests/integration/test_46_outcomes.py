# SPDX-License-Identifier: Apache-2.0
"""What handlers did, as subscribers see it who ask: one outcome for each attempt, at a position of its own, written
together with the settlement that it tells of."""

import contextlib
import json
import random
import sqlite3
import threading
import uuid

import pytest

from gateway import Gateway
from handling import CLAIMED, DEAD, DONE, handlers, is_settled, rows, settle, states, told, wait_until

ON = {"subscribers": {"outcomes": True}}


@pytest.fixture(name="gateway")
def _gateway():
    with Gateway({**handlers(), **ON}) as running:
        yield running


@pytest.fixture(name="guarded", scope="module")
def _guarded():
    with Gateway({**handlers(), **ON}, tokens=True) as running:
        settle(running, told(event_id="one"))
        yield running


def sequence_of(position):
    return int(position.rsplit("-", 1)[1])


def essence(message):
    """Of an outcome: (its position, its event's, state, attempt, detail); of an event: its position."""
    if message["type"] == "event":
        return sequence_of(message["position"])
    return (sequence_of(message["position"]), sequence_of(message["event_position"]),
            message["state"], message["attempt"], message["detail"])  # fmt: skip


def hear(subscriber, n):
    return [essence(subscriber.expect("event", "outcome")) for _ in range(n)]


TWICE = [1, (2, 1, "retry", 1, "told to retry"), (3, 1, "done", 2, "")]


def test_each_attempt_has_its_outcome(gateway):
    path = gateway.callback_path(user="42")
    body = told("retry", "done", event_id="one", interaction="conferencing_failing", subtype="x")
    with gateway.connect() as asks, gateway.connect() as does_not:
        asks.subscribe(outcomes=True)
        does_not.subscribe()
        gateway.deliver(body, path=path)
        assert essence(asks.expect("event")) == 1
        first, second = asks.expect("outcome"), asks.expect("outcome")
        assert [essence(first), essence(second)] == TWICE[1:]
        assert first.pop("at").endswith("Z")
        assert first == {
            "type": "outcome", "position": first["position"], "event_position": first["position"][:-1] + "1",
            "source": "cronofy", "event_id": "one", "interaction": "conferencing_failing", "subtype": "x",
            "tags": {"user": "42"}, "handler": "it", "state": "retry", "attempt": 1, "detail": "told to retry",
        }  # fmt: skip
        assert essence(does_not.expect("event")) == 1
        gateway.deliver_next(does_not)  # and no outcome


def test_filters_choose_outcomes_as_they_do_events(gateway):
    body = json.loads(told())
    body["notification"]["interactions"] = [{"type": "conferencing_failing"}, {"type": "conferencing_assigned"}]
    with gateway.connect() as subscriber, gateway.connect() as other:
        subscriber.subscribe({"interactions": "conferencing_assigned", "tags": {"user": "42"}}, outcomes=True)
        other.subscribe({"event_ids": "no such"}, outcomes=True)
        gateway.deliver(json.dumps(body).encode(), path=gateway.callback_path(user="42"))
        gateway.deliver(told(), path=gateway.callback_path(user="43"))
        wait_until(lambda: is_settled(gateway))
        assert essence(subscriber.expect("event")) == 1
        assert subscriber.expect("outcome")["interaction"] == "conferencing_assigned"
        subscriber.expect_nothing()
        other.expect_nothing()


def test_one_connection_may_ask_for_some(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe({"event_ids": "one"}, id="s1")
        subscriber.subscribe({"event_ids": "two"}, id="s2", outcomes=True)
        settle(gateway, told(event_id="one"))
        settle(gateway, told(event_id="two"))
        assert hear(subscriber, 3) == [1, 3, (4, 3, "done", 1, "")]
        subscriber.expect_nothing()


def test_a_dead_letter_is_the_end():
    changes = handlers(interactions={"*": ["it"], "belfry_dead_letter": ["other"]})
    changes["handlers"]["other"] = changes["handlers"]["it"]
    with Gateway({**changes, **ON}) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe(outcomes=True)
        settle(gateway, told("reject"))
        assert hear(subscriber, 2) == [1, (2, 1, "dead", 1, "told to reject")]
        subscriber.expect_nothing()
        assert rows(gateway, "SELECT sequence, kind FROM events ORDER BY sequence") == [(1, 0), (2, 3), (3, 2)]
        assert states(gateway) == [DEAD, DONE]


def test_what_ends_the_gateway_again_and_again_is_given_up():
    changes = handlers(interactions={"*": ["it"], "belfry_dead_letter": ["other"]})
    changes["handlers"]["other"] = changes["handlers"]["it"]
    with Gateway({**changes, **ON}) as gateway:
        gateway.deliver(told("hang"))
        for i in range(16):
            wait_until(lambda n=i: rows(gateway, "SELECT state, n_interrupted FROM deliveries") == [(CLAIMED, n)])
            gateway.kill()
            gateway.start()
        with gateway.connect() as subscriber:
            subscriber.subscribe(outcomes=True, after="earliest")
            why = "given up: the gateway ended again and again while it was handled"
            assert hear(subscriber, 2) == [1, (2, 1, "dead", 1, why)]
        wait_until(lambda: is_settled(gateway))
        assert states(gateway) == [DEAD, DONE]  # the notice has been handled


def test_it_can_be_resumed_from(gateway):
    settle(gateway, told("retry", "done"))
    page = gateway.events("?outcomes=true&after=earliest")
    assert [essence(message) for message in page["events"]] == TWICE
    assert page["position"] == page["events"][-1]["position"]
    for n, message in enumerate(page["events"]):
        with gateway.connect() as subscriber:
            assert subscriber.subscribe(after=message["position"], outcomes=True)["recovered"]
            assert hear(subscriber, 2 - n) == TWICE[n + 1 :]
            subscriber.expect_nothing()
    gateway.restart()
    assert gateway.events("?outcomes=true&after=earliest")["events"] == page["events"]
    assert gateway.events("?outcomes=true&last=1")["events"] == page["events"][-1:]
    assert gateway.events("?last=1")["events"] == page["events"][:1]
    assert gateway.events("?after=earliest")["events"] == page["events"][:1]


def test_an_event_stream_has_outcomes(gateway):
    settle(gateway, told("retry", "done"))
    with gateway.stream("?outcomes=true&after=earliest") as stream:
        stream.expect("welcome")
        stream.expect("subscribed")
        assert hear(stream, 3) == TWICE
    (event,) = gateway.events("?after=earliest")["events"]
    with gateway.stream("?outcomes=true", headers={"Last-Event-ID": event["position"]}) as stream:
        stream.expect("welcome")
        stream.expect("subscribed")
        outcome = stream.expect("outcome")
        assert (outcome["id_line"], essence(outcome)) == (outcome["position"], TWICE[1])


def test_the_command_line_shows_them(gateway):
    settle(gateway, told("retry", "done"))
    settle(gateway, told())
    listen = ["listen", "--url", gateway.url(scheme="http"), "--after", "earliest", "--count", "2"]
    first, second, third, fourth = gateway.belfry(*listen, "--outcomes").stdout.decode().splitlines()
    assert "-1  conferencing_assigned" in first and "-4  conferencing_assigned" in fourth
    assert second.endswith("it  conferencing_assigned  retry  told to retry  attempt 1")
    assert third.endswith("it  conferencing_assigned  done  attempt 2")
    assert len(gateway.belfry(*listen).stdout.splitlines()) == 2


def test_a_damaged_outcome_is_told(gateway):
    settle(gateway, told("retry", "done"))
    gateway.stop()
    meddle(gateway, "UPDATE events SET body = CAST(replace(body, 'retry', 'done') AS BLOB) WHERE sequence = 2")
    gateway.start()
    with gateway.connect() as subscriber:
        subscriber.subscribe(after="earliest", outcomes=True)
        assert essence(subscriber.expect("event")) == 1
        gap = subscriber.expect("gap")
        assert [sequence_of(gap[key]) for key in ("after", "resumed_at")] == [1, 3]
        assert hear(subscriber, 1) == TWICE[2:]


def meddle(gateway, statement):
    with contextlib.closing(sqlite3.connect(gateway.journal)) as journal, journal:
        assert journal.execute(statement).rowcount == 1


def test_a_repetition_is_still_a_duplicate(gateway):
    body = told()
    settle(gateway, body, body)
    gateway.restart()
    settle(gateway, body)
    assert rows(gateway, "SELECT kind FROM events") == [(0,), (3,)]


# Who may


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def grants(gateway, outcomes):
    return gateway.token(belfry={"subscribe": [{}], **outcomes})


NOT_GRANTED = [{}, {"outcomes": False}]


@pytest.mark.parametrize("outcomes", NOT_GRANTED, ids=str)
def test_a_token_must_grant_it(guarded, outcomes):
    token = grants(guarded, outcomes)
    with guarded.connect(welcome=False) as subscriber:
        subscriber.authorize(token)
        check_refused(subscriber, "the token does not grant outcomes")
        subscriber.subscribe(after="earliest")
        assert hear(subscriber, 1) == [1]
        subscriber.expect_nothing()
    for path in ("/events?outcomes=true", "/subscribe?outcomes=true"):
        answer = guarded.request("GET", path, headers={**bearer(token), "Accept": "text/event-stream"})
        assert (answer.status, b"does not grant outcomes" in answer.body) == (403, True)
    assert guarded.events("?outcomes=false", **bearer(token))["events"]


def check_refused(subscriber, why):
    subscriber.send({"type": "subscribe", "id": "s1", "filter": {}, "outcomes": True})
    error = subscriber.expect("error")
    assert (error["id"], error["code"], error["message"]) == ("s1", "forbidden", why)


def test_a_token_that_grants_it(guarded):
    token = grants(guarded, {"outcomes": True})
    assert len(guarded.events("?outcomes=true", **bearer(token))["events"]) == 2
    with guarded.connect(welcome=False) as subscriber:
        subscriber.authorize(token)
        subscriber.subscribe(after="earliest", outcomes=True)
        assert hear(subscriber, 2) == [1, (2, 1, "done", 1, "")]
        subscriber.send({"type": "auth", "token": grants(guarded, {})})
        subscriber.expect("authorized")
        error = subscriber.expect("error")
        assert (error["id"], error["code"]) == ("s1", "forbidden")


def test_it_is_off_unless_written():
    with Gateway(handlers()) as gateway, gateway.connect() as subscriber:
        check_refused(subscriber, "this gateway tells no outcomes (subscribers.outcomes)")
        settle(gateway, told("retry", "done"))
        assert rows(gateway, "SELECT kind FROM events") == [(0,)]
        answer = gateway.request("GET", "/events?outcomes=true")
        assert (answer.status, b"subscribers.outcomes" in answer.body) == (403, True)


# Whoever is killed


def outcomes_and_attempts(gateway):
    """Of each attempt that is in the journal, and of each that subscribers are told of: (event, attempt, detail)."""
    attempts = rows(gateway, "SELECT sequence, attempt, reason FROM attempts WHERE handler = 'it' ORDER BY 1, 2")
    bodies = [json.loads(body) for (body,) in rows(gateway, "SELECT body FROM events WHERE kind = 3")]
    return attempts, sorted((body["event"], body["attempt"], body["detail"]) for body in bodies)


def check_what_was_told(gateway):
    """An outcome for each attempt, and a notice for each dead letter. The attempts."""
    attempts, outcomes = outcomes_and_attempts(gateway)
    assert attempts == outcomes
    dead = rows(gateway, "SELECT sequence FROM deliveries WHERE handler = 'it' AND state = 3 ORDER BY sequence")
    notices = [json.loads(body)["belfry"] for (body,) in rows(gateway, "SELECT body FROM events WHERE kind = 2")]
    assert sorted((sequence_of(notice["position"]),) for notice in notices) == dead
    return attempts


def test_kill_minus_nine():
    """Whenever it is: neither is there without the other; and who resumes gets each outcome once."""
    chance = random.Random(46)
    heard, position = [], "earliest"
    retry = {"initial": "100ms", "maximum": "100ms", "max_attempts": 1000}
    told_of = {"conferencing_assigned": ["it"], "belfry_dead_letter": ["other"]}
    changes = handlers(workers=2, retry=retry, breaker={"failures": "off"}, interactions=told_of)
    changes["handlers"]["other"] = changes["handlers"]["it"]
    with Gateway({**changes, **ON}) as gateway:
        for _ in range(10):
            with gateway.connect() as subscriber:
                subscriber.subscribe(after=position, outcomes=True)
                for _ in range(chance.randrange(5, 20)):
                    gateway.deliver(told("retry", chance.choice(["done", "reject"]), event_id=uuid.uuid4().hex))
                for _ in range(chance.randrange(5, 20)):
                    message = subscriber.expect("event", "outcome")
                    heard.append(essence(message))
                    position = message["position"]
                threading.Event().wait(chance.random() * 0.1)
                gateway.kill()
            check_what_was_told(gateway)
            gateway.start()
        wait_until(lambda: is_settled(gateway))
        attempts = check_what_was_told(gateway)
        assert len(attempts) >= 2 * 50
        rest = gateway.events(f"?outcomes=true&after={position}&limit=1000")
        assert not rest["more"]
        heard += [essence(message) for message in rest["events"]]
        positions = [each if isinstance(each, int) else each[0] for each in heard]
        in_journal = rows(gateway, "SELECT sequence FROM events WHERE kind <> 2 ORDER BY sequence")
        assert positions == [sequence for (sequence,) in in_journal]
        assert sorted(each[1:2] + each[3:] for each in heard if not isinstance(each, int)) == attempts
