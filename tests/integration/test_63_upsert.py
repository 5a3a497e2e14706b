# SPDX-License-Identifier: Apache-2.0
"""belfry upsert against the simulated provider: the event is made, and its callbacks come to the gateway."""

import json
import socket

import pytest

from gateway import Gateway

NOT_SO, USAGE, NO_ANSWER = 1, 2, 3
EVENT = ("--summary", "Board meeting", "--start", "2026-04-27T15:30:00Z", "--end", "2026-04-27T17:00:00Z")


@pytest.fixture(name="gateway", scope="module")
def _gateway():
    with Gateway() as running:
        yield running


@pytest.fixture(name="cronofy")
def _cronofy(cronofy):
    cronofy.add_profile(cronofy.account, "pro_zoom")
    return cronofy


@pytest.fixture(name="upsert")
def _upsert(gateway, cronofy):
    """belfry upsert with the account's token."""
    gateway.secret_file("access-token", cronofy.account.access_token)

    def run(*arguments, calendar=cronofy.calendar.calendar_id, **options):
        token = ("--token-file", str(gateway.folder / "access-token"))
        return gateway.belfry("upsert", "--api", cronofy.url, "--calendar", calendar, *token, *arguments, **options)

    return run


def write_event(gateway, text):
    path = gateway.folder / "event.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return str(path)


@pytest.mark.release
def test_an_event_is_made_and_its_callbacks_come_here(gateway, cronofy, upsert):
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        said = upsert(*EVENT, "--profile", "pro_gone", "--tag", "user=42").stdout.decode()
        assert said.startswith("202 Accepted in ")
        assert "callbacks to https://gateway.example.com/callbacks/cronofy?user=42&sig=" in said
        cronofy.clock.advance(1)
        event = subscriber.event()
        assert event["interactions"] == [{"type": "conferencing_failing", "subtype": "profile_missing"}]
        assert event["tags"] == {"user": "42"}
        told = event["callback"]["event"]
        assert told["event_id"] in said and told["summary"] == "Board meeting"
        upsert(*EVENT, "--event-id", told["event_id"])  # with the default profile: an update
        cronofy.clock.advance(1)
        assert subscriber.event()["callback"]["event"]["conferencing"]["provider_name"] == "zoom"
    assert len(cronofy.events) == 1


def test_each_event_has_an_id_of_its_own(cronofy, upsert):
    for _ in range(3):
        upsert(*EVENT)
    assert len(cronofy.events) == 3


def test_as_json(gateway, cronofy, upsert):
    told = json.loads(upsert(*EVENT, "--event-id", "mine", "--json").stdout)
    assert told == {
        "status": 202,
        "calendar_id": cronofy.calendar.calendar_id,
        "event_id": "mine",
        "callback_uri": "https://gateway.example.com" + gateway.callback_path(),
    }


def test_a_file_goes_out_as_it_is_and_options_win(gateway, cronofy, upsert):
    event = {
        "event_id": "filed", "summary": "Old", "start": "2026-04-27", "end": {"time": "2026-04-28", "tzid": "Etc/UTC"},
        "location": {"description": "Tower"}, "conferencing": {"profile_id": "integrated"},
        "subscriptions": [{"type": "webhook", "uri": "https://elsewhere.example", "interactions": []}],
    }  # fmt: skip
    upsert("--file", write_event(gateway, event), "--summary", "Größe \U0001f514")
    sent = json.loads(cronofy.server.requests[-1].body)
    (subscription,) = sent.pop("subscriptions")
    event.pop("subscriptions")
    assert sent == {**event, "summary": "Größe \U0001f514"}
    assert subscription["uri"].startswith("https://gateway.example.com/")
    upsert("--file", "-", "--profile", "pro_zoom", input=json.dumps(event).encode())
    assert json.loads(cronofy.server.requests[-1].body)["conferencing"] == {"profile_id": "pro_zoom"}


def test_what_would_be_sent(gateway, cronofy):
    """No token is needed, and nobody is asked."""
    done = gateway.belfry("upsert", "--calendar", "c", "--api", cronofy.url, *EVENT, "--event-id", "x", "--print")
    assert json.loads(done.stdout) == {
        "event_id": "x",
        "summary": "Board meeting",
        "start": "2026-04-27T15:30:00Z",
        "end": "2026-04-27T17:00:00Z",
        "conferencing": {"profile_id": "default"},
        "subscriptions": [
            {
                "type": "webhook",
                "uri": "https://gateway.example.com" + gateway.callback_path(),
                "interactions": [{"type": "conferencing_assigned"}, {"type": "conferencing_failing"}],
            }
        ],
    }
    assert cronofy.server.requests == []


def test_a_calendar_whose_id_is_an_address(cronofy, upsert):
    cronofy.add_calendar(cronofy.account, "a+b/c@example.com")
    upsert(*EVENT, calendar="a+b/c@example.com")
    assert [calendar for calendar, _ in cronofy.events] == ["a+b/c@example.com"]


def test_a_token_in_the_environment(cronofy, gateway, monkeypatch):
    monkeypatch.setenv("BELFRY_CRONOFY_TOKEN", cronofy.account.access_token)
    gateway.belfry("upsert", "--api", cronofy.url + "/", "--calendar", cronofy.calendar.calendar_id, *EVENT)
    assert len(cronofy.events) == 1


@pytest.mark.parametrize(
    "status, words",
    [(401, "expired"), (402, "plan"), (403, "may not write"), (404, "no such"), (423, "locked"), (429, "later")],
)
def test_refusals_are_told_in_words(cronofy, upsert, status, words):
    cronofy.server.fail("/v1/.*", status)
    said = upsert(*EVENT, expect_exit=NOT_SO).stdout.decode()
    assert said.startswith(f"{status} ") and words in said
    cronofy.server.fail("/v1/.*", status)
    assert json.loads(upsert(*EVENT, "--json", expect_exit=NOT_SO).stdout)["status"] == status


def test_what_is_wrong_with_an_event_is_told(gateway, upsert):
    event = {"event_id": "x", "summary": "s", "start": "2026-04-27", "end": "2026-04-26"}
    said = upsert("--file", write_event(gateway, event), expect_exit=NOT_SO).stdout.decode()
    assert said.startswith("422 ") and "before the start" in said
    told = json.loads(upsert("--file", write_event(gateway, event), "--json", expect_exit=NOT_SO).stdout)
    assert told["answer"]["errors"]["end"][0]["description"] == "before the start"


def test_what_an_answer_brings_is_harmless(cronofy, upsert):
    cronofy.server.fail("/v1/.*", 500, body="\x1b]0;owned\x07\u202e".encode() + b"x" * 1000)
    said = upsert(*EVENT, expect_exit=NOT_SO).stdout.decode()
    assert "\x1b" not in said and "\u202e" not in said and len(said) < 500


def test_no_answer(gateway):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    token = gateway.folder / "any-token"
    token.write_text("token\n", encoding="utf-8")
    arguments = ("--api", address, "--calendar", "c", *EVENT, "--token-file", str(token))
    assert address in gateway.belfry("upsert", *arguments, expect_exit=NO_ANSWER).stderr.decode()


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (EVENT, "--calendar"),
        (("--calendar", "c", "--summary", "s", "--start", "2026-04-27"), "--end"),
        (("--calendar", "c", *EVENT), "--token-file"),
        (("--calendar", "c", *EVENT, "--data-center", "fr"), "de, sg, uk"),
        (("--calendar", "c", *EVENT, "--data-center", "de", "--api", "http://x"), "not both"),
        (("--calendar", "c", *EVENT, "--api", "api.cronofy.com"), "https://api.cronofy.com"),
        (("--calendar", "c", *EVENT, "--summary", b"\xff"), "--summary"),
        (("--calendar", "c", *EVENT, "--tag", "sig=x", "--print"), "tag"),
    ],
)
def test_mistakes(gateway, arguments, hint):
    assert hint in gateway.belfry("upsert", *arguments, expect_exit=USAGE).stderr.decode()


@pytest.mark.parametrize(
    "text, hint",
    [("[]", "JSON object"), ("{", "event.json:1:"), ('{"a":1,"a":2}', "duplicate"), ('{"event_id":7}', "event_id")],
)
def test_files_that_are_no_event(gateway, text, hint):
    arguments = ("--calendar", "c", "--file", write_event(gateway, text), "--print")
    wanted = EVENT if "event_id" in text else ()
    assert hint in gateway.belfry("upsert", *arguments, *wanted, expect_exit=USAGE).stderr.decode()


def test_a_file_that_is_not_there(gateway):
    gateway.belfry("upsert", "--calendar", "c", "--file", "/nowhere/event.json", expect_exit=NO_ANSWER)


@pytest.mark.parametrize("token", ["one two", "one\r\nX-Header: y", "Größe"])
def test_tokens_that_would_break_a_header(gateway, token):
    path = gateway.folder / "bad-token"
    path.write_text(token, encoding="utf-8", newline="")
    arguments = ("--calendar", "c", *EVENT, "--token-file", str(path))
    assert "characters" in gateway.belfry("upsert", *arguments, expect_exit=USAGE).stderr.decode()


def test_without_a_public_url_there_is_no_callback():
    with Gateway({"sources": {"cronofy": {"public_url": None}}}) as gateway:
        done = gateway.belfry("upsert", "--calendar", "c", *EVENT, "--print", expect_exit=USAGE)
        assert "public_url" in done.stderr.decode()
