# SPDX-License-Identifier: Apache-2.0
"""The provider's sequence diagram with everything that is ours: belfryd hears of a failure and hands it to handlers;
one repairs it, others tell people; a subscriber sees all of it."""

import json

import pytest

import handling
import plugins
from gateway import SECRET, Gateway
from handling import DEAD, DONE, rows, wait_until
from simulator import Simulator
from standins import MailServer, Slack, Tokens, parsed

PUBLIC_URL = "https://gateway.example.com"
START = "2099-04-27T15:30:00Z"


@pytest.fixture(name="world")
def _world(tmp_path):
    with World(tmp_path) as world:
        yield world


class World:
    """A gateway with three handlers, and all whom they talk to."""

    def __init__(self, tmp_path):
        self.folder = tmp_path
        self.slack, self.mail = Slack(), MailServer()
        self.cronofy = Simulator([SECRET])
        self.cronofy.callbacks.answer_timeout = 120
        self.tokens = Tokens(self.cronofy.account)
        self.gateway = Gateway(self.configuration())

    def handler(self, name, options):
        return {
            "plugin": str(plugins.shipped(name)), "options": options, "allow": ["inner"],
            "retry": {"initial": "100ms", "maximum": "100ms"},
            "limits": {"memory": "64GiB", "processes": 65536},  # a sanitizer's shadow is large
        }  # fmt: skip

    def configuration(self):
        webhook = self.folder / "webhook"
        webhook.touch(mode=0o600)
        webhook.write_text(self.slack.webhook)
        slack = {
            "webhook_url": {"file": str(webhook)}, "title": "{{ .event.summary }}", "text": "{{ $interaction }}",
            "link": '{{ .event.conferencing.join_url // "" }}', "interval": "0ms",
        }  # fmt: skip
        mail = {
            "server": self.mail.url, "tls": "none", "from": "belfry@example.com", "to": ["on-call@example.com"],
            "subject": "No conference for {{ .event.summary }}", "text": "It begins at {{ .event.start }}.",
        }  # fmt: skip
        retry = {"api_url": self.cronofy.url, "profiles": ["pro_a", "pro_b", "pro_c"], "token_url": self.tokens.url}
        return {
            "plugins": {"program": plugins.handler_path()},
            "subscribers": {"outcomes": True},
            "handlers": {
                "next-profile": self.handler("retry_profile", retry),
                "team-slack": self.handler("slack", slack),
                "on-call": self.handler("email", mail),
            },
            "interactions": {
                "conferencing_failing": ["next-profile", "on-call"],
                "conferencing_assigned": ["next-profile", "team-slack"],
            },
        }

    def __enter__(self):
        self.gateway.__enter__()
        host, port = self.gateway.address("sources")
        self.cronofy.callbacks.routes[PUBLIC_URL] = f"http://{host}:{port}"
        return self

    def __exit__(self, *exception):
        self.gateway.__exit__(*exception)
        for each in (self.cronofy, self.tokens, self.slack, self.mail):
            each.__exit__(*exception)

    def create(self, profile="pro_a", **more):
        """By belfry upsert. The provider has accepted it, and made nothing yet."""
        (self.folder / "token").write_text(self.cronofy.account.access_token)
        (self.folder / "new.json").write_text(json.dumps({
            "event_id": "evt", "summary": "Board meeting", "start": START, "end": "2099-04-27T17:00:00Z",
            "conferencing": {"profile_id": profile}, **more,
        }))  # fmt: skip
        self.gateway.belfry("upsert", "--api", self.cronofy.url, "--calendar", self.cronofy.calendar.calendar_id,
                            "--token-file", str(self.folder / "token"), "--file", str(self.folder / "new.json"),
                            "--tag", "user=42", "--tag", f"profile_id={profile}")  # fmt: skip

    def event(self):
        return self.cronofy.events[self.cronofy.calendar.calendar_id, "evt"]

    def await_version(self, n):
        """Until the gateway has updated the event; then the provider goes on."""
        self.cronofy.wait_for(lambda: self.event().version == n)
        self.cronofy.clock.advance(1)

    def outcomes(self, handler="next-profile"):
        """What became of a handler's deliveries, in order: (state, reasons)."""
        wait_until(lambda: handling.is_settled(self.gateway))
        found = rows(self.gateway, "SELECT sequence, interaction, state FROM deliveries WHERE handler = ? "
                                   "ORDER BY sequence, interaction", handler)  # fmt: skip
        return [(state, self.reasons(sequence, interaction, handler)) for sequence, interaction, state in found]

    def reasons(self, sequence, interaction, handler):
        found = rows(self.gateway, "SELECT reason FROM attempts WHERE sequence = ? AND interaction = ? AND handler = ? "
                                   "ORDER BY attempt", sequence, interaction, handler)  # fmt: skip
        return [reason for (reason,) in found]


def seen(subscriber):
    event = subscriber.event()
    entry = event["interactions"][0]
    return entry["type"], entry.get("subtype"), event["tags"]


@pytest.mark.release
def test_a_missing_profile_is_replaced(world):
    world.cronofy.add_profile(world.cronofy.account, "pro_c")
    with world.gateway.connect() as subscriber:
        subscriber.subscribe()
        world.create(description="Größe")
        world.cronofy.clock.advance(1)
        assert seen(subscriber) == ("conferencing_failing", "profile_missing", {"user": "42", "profile_id": "pro_a"})
        world.await_version(2)
        second = {"user": "42", "profile_id": "pro_b", "retry": "1"}
        assert seen(subscriber) == ("conferencing_failing", "profile_missing", second)
        world.await_version(3)
        third = {"user": "42", "profile_id": "pro_c", "retry": "2"}
        assert seen(subscriber) == ("conferencing_assigned", None, third)
    assert world.outcomes() == [
        (DONE, ["tried pro_b after pro_a: accepted"]),
        (DONE, ["tried pro_c after pro_b: accepted"]),
        (DONE, ["the event has its conference: what was tried is forgotten"]),
    ]
    written = world.cronofy.calendar.written["evt"]
    assert (written["description"], written["conferencing"]["provider_name"]) == ("Größe", "zoom")
    assert [parsed(mail)["Subject"] for mail in world.mail.mails] == ["No conference for Board meeting"] * 2
    (message,) = world.slack.messages
    assert message["text"] == "conferencing_assigned"
    assert message["blocks"][-1]["elements"][0]["url"] == written["conferencing"]["join_url"]


def test_a_page_shows_what_is_tried(world):
    """Failing; what the gateway does about it; and what came of it: all that a page needs for its user."""
    world.cronofy.add_profile(world.cronofy.account, "pro_b")
    world.cronofy.server.fail("/v1/events", 429, n=1)
    with world.gateway.connect() as page:
        page.subscribe({"tags": {"user": "42"}, "interactions": "conferencing_*"}, outcomes=True)
        world.create()
        world.cronofy.clock.advance(1)
        failing = page.expect("event")
        assert failing["interactions"] == [{"type": "conferencing_failing", "subtype": "profile_missing"}]
        world.await_version(2)
        heard = [page.expect("event", "outcome") for _ in range(6)]
    for message in heard:
        assert message["tags"]["user"] == "42"
    (assigned,) = [message for message in heard if message["type"] == "event"]
    assert assigned["interactions"] == [{"type": "conferencing_assigned"}]
    outcomes = {(each["event_position"], each["handler"], each["state"], each["detail"])
                for each in heard if each["type"] == "outcome"}  # fmt: skip
    assert outcomes == {
        (failing["position"], "on-call", "done", "accepted for 1 recipient"),
        (failing["position"], "next-profile", "retry", "Cronofy answered 429: too many requests"),
        (failing["position"], "next-profile", "done", "tried pro_b after pro_a: accepted"),
        (assigned["position"], "team-slack", "done", ""),
        (assigned["position"], "next-profile", "done", "the event has its conference: what was tried is forgotten"),
    }


def test_the_end_of_the_list_is_a_dead_letter(world):
    world.create()
    world.cronofy.clock.advance(1)
    world.await_version(2)
    world.await_version(3)
    wait_until(lambda: len(rows(world.gateway, "SELECT 1 FROM deliveries WHERE handler = 'next-profile'")) == 3)
    assert world.outcomes()[-1] == (DEAD, ["no profile is left: these have failed: pro_a, pro_b, pro_c"])
    assert world.event().version == 3


def test_an_integrated_conference_without_a_link(world):
    world.cronofy.calendar.provider.gives_links = False
    world.cronofy.add_profile(world.cronofy.account, "pro_a")
    with world.gateway.connect() as subscriber:
        subscriber.subscribe()
        world.create("integrated")
        world.cronofy.clock.advance(600)
        assert seen(subscriber)[:2] == ("conferencing_failing", "missing_meeting_url")
        world.await_version(2)
        assert seen(subscriber)[0] == "conferencing_assigned"
    assert world.outcomes()[0] == (DONE, ["tried pro_a after integrated: accepted"])


def test_what_cronofy_repairs_by_itself_is_left_to_it(world):
    profile = world.cronofy.add_profile(world.cronofy.account, "pro_a", is_connected=False)
    with world.gateway.connect() as subscriber:
        subscriber.subscribe()
        world.create()
        world.cronofy.clock.advance(1)
        assert seen(subscriber)[:2] == ("conferencing_failing", None)
        assert world.outcomes() == [(DONE, ["Cronofy keeps trying by itself"])]
        profile.is_connected = True
        world.cronofy.clock.advance(60)
        assert seen(subscriber)[0] == "conferencing_assigned"
    assert world.event().version == 1


def test_late_and_double_callbacks_offer_nothing_twice(world):
    """Two callbacks about the same failure, beyond what is taken for a duplicate."""
    world.create()
    world.cronofy.clock.advance(1)
    world.await_version(2)
    first = world.cronofy.callbacks.sent[0]
    world.cronofy.callbacks.send(first.uri, first.body + b"\n")  # its bytes are others
    world.cronofy.clock.advance()
    world.await_version(3)
    wait_until(lambda: len(rows(world.gateway, "SELECT 1 FROM deliveries WHERE handler = 'next-profile'")) == 4)
    reasons = [reasons[-1] for _, reasons in world.outcomes()]
    assert reasons.count("tried pro_b after pro_a: accepted") == 1
    assert reasons.count("tried pro_c after pro_b: accepted") == 1
    assert sum(reason.startswith("superseded: ") for reason in reasons) == 1
    assert world.event().version == 3


def test_a_provider_that_is_down_is_asked_again(world):
    world.cronofy.add_profile(world.cronofy.account, "pro_b")
    world.cronofy.server.fail("/v1/.*", 503, n=2)
    with world.gateway.connect() as subscriber:
        subscriber.subscribe()
        world.cronofy.server.fail("/v1/events", 429, n=1)
        uri = PUBLIC_URL + world.gateway.callback_path(user="42", profile_id="pro_a")
        entries = [{"type": "conferencing_assigned"}, {"type": "conferencing_failing"}]
        world.cronofy.upsert(world.cronofy.account, world.cronofy.calendar.calendar_id, {
            "event_id": "evt", "summary": "Board meeting", "start": START, "end": START,
            "conferencing": {"profile_id": "pro_a"},
            "subscriptions": [{"type": "webhook", "uri": uri, "interactions": entries}],
        })  # fmt: skip
        world.cronofy.clock.advance(1)
        assert seen(subscriber)[0] == "conferencing_failing"
        world.await_version(2)
        assert seen(subscriber)[0] == "conferencing_assigned"
    assert world.outcomes()[0] == (
        DONE,
        ["Cronofy answered 503", "Cronofy answered 503", "Cronofy answered 429: too many requests",
         "tried pro_b after pro_a: accepted"],
    )


def test_the_gateway_is_killed_while_it_retries(world):
    """Whatever the moment: the next profile is tried once, and no other."""
    world.cronofy.add_profile(world.cronofy.account, "pro_b")
    world.create()
    world.cronofy.server.fail("/v1/calendars/.*", 503)
    world.cronofy.clock.advance(1)
    world.cronofy.wait_for(lambda: any("POST" == each.method and "pro_b" in each.body.decode()
                                       for each in world.cronofy.server.requests))  # fmt: skip
    world.gateway.kill()
    world.gateway.start()
    host, port = world.gateway.address("sources")
    world.cronofy.callbacks.routes[PUBLIC_URL] = f"http://{host}:{port}"
    with world.gateway.connect() as subscriber:
        subscriber.subscribe()
        world.await_version(2)
        assert seen(subscriber)[0] == "conferencing_assigned"
    assert world.event().wish == {"profile_id": "pro_b"}
    assert [state for state, _ in world.outcomes()] == [DONE, DONE]
