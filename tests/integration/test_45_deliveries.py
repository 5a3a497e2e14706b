# SPDX-License-Identifier: Apache-2.0
"""What is owed to handlers is handled: tried again, given up, given back; whatever a handler's process does, and whoever
is killed. The plugin does as the callback says (plugins/obedient.c)."""

import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import threading
import uuid

import pytest

from gateway import Gateway, callback
from handling import CLAIMED, DEAD, DONE, DUE, Recorder, handlers, is_settled, rows, settle, states, told, wait_until

OUTCOME_DONE, OUTCOME_RETRY, OUTCOME_REJECT, OUTCOME_FAILED = range(4)


def test_a_callback_is_handled():
    with Recorder() as recorder, Gateway(handlers(**recorder.options())) as gateway:
        assert settle(gateway, told(event_id="one")) == [(1, OUTCOME_DONE, "")]
        assert states(gateway) == [DONE]
        event_id, key, interaction, attempt = recorder.heard[0]
        assert (event_id, interaction, attempt, len(recorder.heard)) == ("one", "conferencing_assigned", 1, 1)
        assert re.fullmatch(r"[a-z0-9]+-1\.0\.it", key)


def test_callbacks_about_one_event_are_handled_one_after_the_other():
    """Whatever its workers are: two that change the same event at once would undo each other's work."""
    with Gateway(handlers(workers=3)) as gateway:
        settle(gateway, *(told("slow", event_id="same", summary=str(i)) for i in range(4)))
        spans = rows(gateway, "SELECT started_ms, started_ms + duration_ms FROM attempts ORDER BY sequence")
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
        assert len(spans) == 4


def test_what_no_interaction_names_owes_nothing():
    with Gateway(handlers(interactions={"conferencing_failing": ["it"]})) as gateway:
        assert settle(gateway, told(), told(interaction="conferencing_failing")) == [(2, OUTCOME_DONE, "")]


def test_it_is_tried_again():
    with Recorder() as recorder, Gateway(handlers(**recorder.options())) as gateway:
        attempts = settle(gateway, told("retry", "retry_later", "done"))
        assert attempts == [(1, OUTCOME_RETRY, "told to retry"), (1, OUTCOME_RETRY, ""), (1, OUTCOME_DONE, "")]
        assert [attempt for _, _, _, attempt in recorder.heard] == [1, 2, 3]
        assert len({key for _, key, _, _ in recorder.heard}) == 1


def test_what_is_rejected_is_dead():
    with Gateway(handlers()) as gateway:
        assert settle(gateway, told("reject")) == [(1, OUTCOME_REJECT, "told to reject")]
        assert states(gateway) == [DEAD]


def test_the_last_attempt_is_the_end():
    with Gateway(handlers()) as gateway:
        attempts = settle(gateway, told(otherwise="retry"))
        assert len(attempts) == 5
        assert attempts[-1] == (1, OUTCOME_RETRY, "told to retry (given up: the last attempt of max_attempts)")
        assert states(gateway) == [DEAD]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("crash", "SIGSEGV in handle()"),
        ("abort", "SIGABRT in handle()"),
        ("exit", "exit status 7 in handle()"),
        ("close", "it closed its connection in handle()"),
        ("garbage", "it broke the protocol: the head is too large in handle()"),
    ],
)
def test_a_crash_costs_an_attempt(what, reason):
    with Gateway(handlers()) as gateway:
        attempts = settle(gateway, told(what))
        assert attempts == [(1, OUTCOME_FAILED, reason), (1, OUTCOME_DONE, "")]
        gateway.wait_for_line("handler's process ended")


def test_the_third_crash_in_a_row_is_the_end():
    with Gateway(handlers()) as gateway:
        attempts = settle(gateway, told("crash", "retry", otherwise="crash"), told())
        assert [outcome for sequence, outcome, _ in attempts if sequence == 1] == [3, 1, 3, 3, 3]
        assert attempts[4][2] == "SIGSEGV in handle() (given up: three times in a row it ended its process)"
        assert states(gateway) == [DEAD, DONE]


def test_who_hangs_is_killed_at_the_deadline():
    with Gateway(handlers(deadline="1s")) as gateway:
        attempts = settle(gateway, told("hang"), told("print"))
        for position in (1, 2):  # where the machine itself stood still, there are more
            *failed, last = [attempt for attempt in attempts if attempt[0] == position]
            assert set(failed) == {(position, OUTCOME_FAILED, "killed at its deadline (1000 ms)")}
            assert last == (position, OUTCOME_DONE, "")
        printed = [line for line in gateway.log().splitlines() if "blah" in line]
        assert 0 < len(printed) <= 100 * len(attempts) * 2  # a hundred lines a second


def test_who_cannot_start_loses_nothing():
    with Gateway(handlers(options={"refuse": True})) as gateway:
        assert gateway.post(told()).status == 200
        gateway.wait_for_line("handler cannot start")
        gateway.wait_for_line("handler cannot start", start=len(gateway.lines))
        assert states(gateway) in ([DUE], [CLAIMED])
        gateway.stop()
        assert states(gateway) == [DUE]
        del gateway.config["handlers"]["it"]["options"]
        gateway.start()
        wait_until(lambda: is_settled(gateway))
        assert rows(gateway, "SELECT state, n_attempts, n_interrupted FROM deliveries") == [(DONE, 1, 0)]


def test_a_handler_that_is_gone_is_told():
    with Gateway(handlers(options={"refuse": True})) as gateway:
        assert gateway.post(told()).status == 200
        gateway.stop()
        handler = gateway.config["handlers"].pop("it")
        del gateway.config["interactions"]
        gateway.start()
        gateway.wait_for_line("not configured any more is owed deliveries.* handler=it")
        gateway.stop()
        del handler["options"]
        gateway.config["handlers"]["it"] = handler
        gateway.start()
        wait_until(lambda: is_settled(gateway))
        assert states(gateway) == [DONE]


def test_a_failing_handler_pauses():
    changes = handlers(breaker={"failures": 3, "pause": "1s"}, retry={"initial": "100ms", "max_attempts": 100})
    with Gateway(changes) as gateway:
        assert gateway.post(told("retry", "retry", "retry", "retry")).status == 200
        gateway.wait_for_line("handler pauses")
        wait_until(lambda: is_settled(gateway))
        started = [at for (at,) in rows(gateway, "SELECT started_ms FROM attempts ORDER BY attempt")]
        assert started[3] - started[2] >= 1000 and started[4] - started[3] >= 1000
        gateway.wait_for_line("handler goes on")


def test_state_is_kept():
    with Gateway(handlers()) as gateway:
        assert settle(gateway, told("remember"))[-1] == (1, OUTCOME_DONE, "counted 1")
        assert settle(gateway, told("remember"))[-1] == (2, OUTCOME_DONE, "counted 2")
        gateway.restart()
        assert settle(gateway, told("remember"))[-1] == (3, OUTCOME_DONE, "counted 3")


def test_state_is_sealed():
    """In the journal nobody reads it; and with another key, or elsewhere, it is not believed."""
    with Gateway(handlers()) as gateway:
        assert settle(gateway, told("remember"))[-1] == (1, OUTCOME_DONE, "counted 1")
        (value,) = rows(gateway, "SELECT value FROM handler_state WHERE handler = 'it' AND key = 'k'")[0]
        assert len(value) == len("1") + 12 + 16
        key = gateway.folder / "journal.db-key"
        assert key.stat().st_mode & 0o777 == 0o600 and key.stat().st_size == 32
        gateway.stop()
        key.chmod(0o640)
        gateway.start()
        assert settle(gateway, told("remember"))[-1] == (2, OUTCOME_REJECT, "")
        gateway.wait_for_line("the key of it cannot be used.*not permitted")
        key.unlink()
        assert settle(gateway, told("read"))[-1] == (3, OUTCOME_DONE, "cannot be read")
        gateway.wait_for_line("kept with another key")


def test_the_latest_event_can_be_asked_for():
    with Gateway(handlers()) as gateway:
        assert settle(gateway, told("latest"))[-1][2] == "itself"
        for body in (told("slow", event_id="x"), told("latest", event_id="x"), told(event_id="x")):
            assert gateway.post(body).status == 200
        wait_until(lambda: is_settled(gateway))
        assert rows(gateway, "SELECT reason FROM attempts WHERE sequence = 3") == [("another",)]


def test_a_callback_uri_is_signed():
    with Gateway(handlers()) as gateway:
        uri = settle(gateway, told("uri"))[-1][2]
        assert uri.startswith("https://gateway.example.com/callbacks/cronofy?user=42&sig=")
        path = uri.removeprefix("https://gateway.example.com")
        assert gateway.post(callback(), path=path).status == 200


def test_an_idle_process_ends():
    changes = {**handlers(), "limits": {"handler_idle_timeout": "1s"}}
    with Gateway(changes) as gateway:
        settle(gateway, told())
        wait_until(lambda: not find_handlers(gateway))
        assert settle(gateway, told())[-1] == (2, OUTCOME_DONE, "")


def test_more_handlers_than_processes():
    changes = handlers()
    handler = changes["handlers"]["it"]
    changes["handlers"] = {f"h{i}": handler for i in range(6)}
    changes["interactions"] = {"*": list(changes["handlers"])}
    changes["limits"] = {"handler_processes": 2}
    with Gateway(changes) as gateway:
        assert len(settle(gateway, told(), told())) == 12
        assert set(states(gateway)) == {DONE}


def test_a_stop_gives_back_what_waits():
    with Gateway(handlers(workers=2)) as gateway:
        for _ in range(50):
            assert gateway.post(told("slow")).status == 200
        wait_until(lambda: rows(gateway, "SELECT 1 FROM attempts LIMIT 1"))
        gateway.restart()
        wait_until(lambda: is_settled(gateway))
        assert rows(gateway, "SELECT max(n_interrupted), max(n_attempts), count(*) FROM deliveries") == [(0, 1, 50)]


def test_a_handler_in_trouble_delays_no_other():
    changes = handlers(retry={"initial": "100ms", "max_attempts": 1000})
    changes["handlers"]["other"] = dict(changes["handlers"]["it"])
    changes["interactions"] = {"conferencing_failing": ["it"], "conferencing_assigned": ["other"]}
    with Gateway(changes) as gateway:
        for _ in range(5):
            assert gateway.post(told(otherwise="crash", interaction="conferencing_failing")).status == 200
        gateway.wait_for_line("handler's process ended")
        for i in range(20):
            assert gateway.post(told(event_id=f"other-{i}")).status == 200
        wait_until(lambda: rows(gateway, "SELECT count(*) FROM deliveries WHERE handler = 'other' AND state = 2") == [(20,)])


# Notices

NOTICES = {"conferencing_assigned": ["it"], "belfry_dead_letter": ["other", "it"], "belfry_breaker": ["other"]}


def with_other(**changes):
    """`other` is told of what becomes of `it`."""
    config = handlers(interactions=NOTICES, **changes)
    config["handlers"]["other"] = handlers()["handlers"]["it"]
    return config


def notices(gateway):
    found = rows(gateway, "SELECT sequence, event_id, body FROM events WHERE kind = 2 ORDER BY sequence")
    return [(sequence, event_id, json.loads(body)) for sequence, event_id, body in found]


def test_other_handlers_are_told_of_a_dead_letter():
    with Gateway(with_other()) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        settle(gateway, told("reject", event_id="one"))
        ((sequence, event_id, body),) = notices(gateway)
        assert (sequence, event_id) == (2, "one")
        assert body["belfry"].pop("position").endswith("-1")
        assert body["belfry"] == {
            "type": "belfry_dead_letter", "handler": "it", "source": "cronofy", "interaction": "conferencing_assigned",
            "subtype": "", "attempts": 1, "reason": "told to reject",
        }  # fmt: skip
        assert body["callback"]["event"]["event_id"] == "one"
        assert rows(gateway, "SELECT handler, state FROM deliveries WHERE sequence = 2") == [("other", DONE)]
        assert subscriber.event()["position"].endswith("-1")
        gateway.deliver_next(subscriber)  # and not the notice


def test_nobody_is_told_of_a_notice():
    with Gateway(with_other()) as gateway:
        gateway.config["handlers"]["other"]["when"] = 'error("no")'
        gateway.restart()
        settle(gateway, told("reject"))
        assert len(notices(gateway)) == 1
        assert states(gateway) == [DEAD, DEAD]


def test_others_are_told_of_a_pause():
    with Gateway(with_other(breaker={"failures": 2, "pause": "1s"})) as gateway:
        settle(gateway, told("retry", "retry"))
        ((_, _, body),) = notices(gateway)
        assert body == {"belfry": {"type": "belfry_breaker", "handler": "it", "failures": 2, "pause_ms": 1000}}
        assert rows(gateway, "SELECT handler FROM deliveries WHERE sequence = 2") == [("other",)]


# What operators see and do

ADMIN = {"admin": {"address": "127.0.0.1:0"}}


def operate(gateway, *words, expect_exit=0):
    """belfry deliveries, belfry replay: where the gateway listens is known to itself alone, so they are told."""
    url = f"http://{gateway.listener('admin')['address']}/{words[0]}"
    return gateway.belfry(*words, "--url", url, expect_exit=expect_exit)


def shown(gateway, *words):
    return json.loads(operate(gateway, "deliveries", "--json", *words).stdout)


def test_deliveries_are_shown():
    changes = {**handlers(), **ADMIN}
    changes["handlers"]["other"] = changes["handlers"]["it"]
    changes["interactions"]["conferencing_failing"] = ["other"]
    with Gateway(changes) as gateway:
        settle(gateway, told(event_id="one"), told("reject", interaction="conferencing_failing", event_id="two"))
        found = shown(gateway)["deliveries"]
        assert [(row["event_id"], row["handler"], row["state"], row["attempts"]) for row in found] == [
            ("two", "it", "dead", 1), ("two", "other", "dead", 1), ("one", "it", "done", 1),
        ]  # fmt: skip
        assert found[0]["interaction"] == "conferencing_failing"
        assert (found[0]["last"]["outcome"], found[0]["last"]["reason"]) == ("reject", "told to reject")
        assert found[0]["position"].endswith("-2") and "due_at" not in found[0]
        assert [row["handler"] for row in shown(gateway, "--handler", "other")["deliveries"]] == ["other"]
        assert [row["event_id"] for row in shown(gateway, "--state", "done")["deliveries"]] == ["one"]
        assert [row["event_id"] for row in shown(gateway, "--position", found[2]["position"])["deliveries"]] == ["one"]
        page = shown(gateway, "--limit", "1")  # those of one event are not torn apart
        assert len(page["deliveries"]) == 2
        assert [row["event_id"] for row in shown(gateway, "--before", page["before"])["deliveries"]] == ["one"]
        assert "told to reject" in operate(gateway, "deliveries").stdout.decode()


def test_the_dead_are_replayed():
    with Gateway({**handlers(), **ADMIN}) as gateway:
        settle(gateway, told("reject", "reject", otherwise="done"), told())
        assert b"nothing" not in operate(gateway, "replay", "--dead").stdout
        wait_until(lambda: is_settled(gateway))
        assert states(gateway) == [DEAD, DONE]  # its first attempt again
        assert rows(gateway, "SELECT n_attempts, n_before FROM deliveries WHERE sequence = 1") == [(2, 1)]
        position = shown(gateway, "--state", "done")["deliveries"][0]["position"]
        assert operate(gateway, "replay", position, "--handler", "it").stdout == b"1 delivery is owed again\n"
        wait_until(lambda: rows(gateway, "SELECT n_attempts FROM deliveries WHERE sequence = 2") == [(2,)])
        assert operate(gateway, "replay", position.split("-")[0] + "-7", expect_exit=1).stdout.startswith(b"0 ")


def test_senseless_questions_are_refused():
    with Gateway({**handlers(), **ADMIN}) as gateway:
        for words in (
            ("deliveries", "--handler", "nobody"), ("deliveries", "--state", "gone"), ("deliveries", "--limit", "0"),
            ("deliveries", "--position", "other-1"), ("replay",), ("replay", "x-1", "--dead"), ("replay", "nonsense"),
        ):  # fmt: skip
            operate(gateway, *words, expect_exit=2)


def find_handlers(gateway):
    """The numbers of its handlers' processes."""
    pids = []
    for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            pids += [int(pid) for pid in (task / "children").read_text().split()]
    return pids


def kill_again_and_again(victim, rounds):
    """Every callback that was acknowledged is handled, whoever is killed at whatever moment."""
    chance = random.Random(victim)
    acknowledged = set()
    with Recorder() as recorder:
        # a kill counts as a crash: such deliveries may be tried often
        changes = handlers(
            workers=3, retry={"initial": "100ms", "maximum": "100ms", "max_attempts": 1000},
            breaker={"failures": "off"}, **recorder.options(),
        )  # fmt: skip
        with Gateway(changes) as gateway:
            for _ in range(rounds):
                for _ in range(chance.randrange(1, 20)):
                    event_id = uuid.uuid4().hex
                    if gateway.post(told(event_id=event_id)).status == 200:
                        acknowledged.add(event_id)
                threading.Event().wait(chance.random() * 0.1)
                pids = find_handlers(gateway)
                if victim != "daemon" and pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(pids), 9)
                if victim != "handler":
                    gateway.kill()
                    # they go with it
                    wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}/fd").exists() for pid in pids))
                    gateway.start()
            wait_until(lambda: is_settled(gateway))
            heard = {event_id for event_id, _, _, _ in recorder.heard}
            assert acknowledged <= heard


@pytest.mark.parametrize("victim", ["daemon", "handler", "both"])
def test_kill_minus_nine(victim):
    kill_again_and_again(victim, rounds=10)


@pytest.mark.only_release
@pytest.mark.parametrize("victim", ["daemon", "handler", "both"])
def test_kill_minus_nine_at_full_speed(victim):
    kill_again_and_again(victim, rounds=34)
