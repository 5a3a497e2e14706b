# SPDX-License-Identifier: Apache-2.0
"""belfry journal: check, export, import, backup, erase, beside a gateway that runs and without one."""

import base64
import contextlib
import json
import sqlite3
import subprocess
import threading

import pytest

from clients import PATIENCE
from gateway import Gateway, belfry_path, callback
from handling import CLAIMED, DEAD, handlers, rows, settle, states, told, wait_until

NOT_SO, USAGE, IO = 1, 2, 3
ADMIN = {"admin": {"address": "127.0.0.1:0"}}
NOT_UTF8 = b'{"summary":"\xff\x00"}'


@pytest.fixture
def gateway():
    with Gateway(ADMIN) as running:
        yield running


def journal(gateway, *arguments, **options):
    return gateway.belfry("journal", *arguments, **options)


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def export(gateway, *arguments, **options):
    return lines(journal(gateway, "export", *arguments, **options))


def fill(gateway):
    gateway.deliver(callback(event_id="ada-1"), path=gateway.callback_path(user="ada"))
    gateway.deliver(callback(event_id="bob-1", interaction="conferencing_failing"), path=gateway.callback_path(user="bob"))
    gateway.deliver(NOT_UTF8, path=gateway.callback_path(user="ada"))


def meddle(gateway, sql):
    with contextlib.closing(sqlite3.connect(gateway.journal)) as database:
        database.execute(sql)
        database.commit()


# check


def test_check(gateway):
    fill(gateway)
    said = journal(gateway, "check").stdout.decode()
    assert said.startswith("OK: 3 events from ") and said.endswith("-3, 0 deliveries, 0 attempts\n")
    gateway.stop()
    assert lines(journal(gateway, "--json", "check"))[0]["ok"] is True
    meddle(gateway, "UPDATE events SET source = 'x' WHERE sequence = 2")
    done = journal(gateway, "check", expect_exit=NOT_SO)
    (finding,) = done.stdout.decode().splitlines()
    assert "-2: damaged. Subscribers are told a gap in its place" in finding
    assert lines(journal(gateway, "--json", "check", expect_exit=NOT_SO))[0]["findings"] == [finding]
    gateway.start()


@pytest.mark.parametrize("word", ["check", "export", "erase", "backup"])
def test_without_a_journal(gateway, word):
    operands = {"erase": ["--tag", "a=b"], "backup": [str(gateway.folder / "copy")]}.get(word, [])
    done = journal(gateway, "--journal", str(gateway.folder / "none"), word, *operands, expect_exit=IO)
    assert b"none" in done.stderr
    assert not (gateway.folder / "none").exists()


# export and import


def test_export(gateway):
    fill(gateway)
    first, second, third = export(gateway)
    assert (first["kind"], first["event_id"], first["tags"]) == ("callback", "ada-1", {"user": "ada"})
    assert first["interactions"] == [{"type": "conferencing_assigned"}]
    assert json.loads(first["body"])["event"]["event_id"] == "ada-1"
    assert first["position"].endswith("-1") and first["received_at"].endswith("Z")
    assert third["kind"] == "malformed" and third["malformed"]
    assert base64.b64decode(third["body_base64"]) == NOT_UTF8
    assert export(gateway, "--tag", "user=ada") == [first, third]
    assert export(gateway, "--interaction", "conferencing_f*") == [second]
    assert export(gateway, "--event-id", "ada-1", "--event-id", "bob-1") == [first, second]
    assert export(gateway, "--after", first["position"], "--until", second["position"]) == [second]
    done = journal(gateway, "export", "--after", "nonsense-1", expect_exit=USAGE)
    assert b"no position of this journal" in done.stderr


def test_export_leaves_out_what_is_damaged(gateway):
    fill(gateway)
    gateway.stop()
    meddle(gateway, "UPDATE events SET source = 'x' WHERE sequence = 2")
    done = journal(gateway, "export", expect_exit=NOT_SO)
    assert [line["event_id"] for line in lines(done)] == ["ada-1", ""]
    assert b"1 events are damaged and were left out" in done.stderr
    gateway.start()


def test_what_was_exported_is_imported():
    """As it was, in order, nothing twice; a gateway goes on with it at positions of its own."""
    with Gateway() as gateway:
        fill(gateway)
        before = export(gateway)
        exported = gateway.folder / "all.jsonl"
        exported.write_bytes(journal(gateway, "export").stdout)
        done = journal(gateway, "import", str(exported), expect_exit=IO)
        assert b"nothing is overwritten" in done.stderr
        gateway.stop()
        for path in gateway.folder.glob("journal.db*"):
            path.unlink()
        said = journal(gateway, "import", str(exported), str(exported)).stdout.decode()
        assert "3 events, 0 deliveries owed; 3 stood twice, 0 outcomes or erased events left out" in said
        assert [path.name for path in gateway.folder.glob("journal.db*")] == ["journal.db"]
        gateway.start()
        after = export(gateway)
        assert [{**line, "position": ""} for line in after] == [{**line, "position": ""} for line in before]
        assert before[0]["position"].split("-")[0] != after[0]["position"].split("-")[0]
        gateway.deliver(callback(event_id="next"))
        assert gateway.events("?last=1")["events"][0]["position"].endswith("-4")


def test_import_is_whole_or_not_at_all(gateway):
    fill(gateway)
    good = journal(gateway, "export").stdout
    place = gateway.folder / "new.db"
    for bad in [b"{", b"[]", b'{"kind":"callback"}', good.replace(b'"callback"', b'"other"')]:
        done = journal(gateway, "--journal", str(place), "import", "-", input=good + bad + b"\n", expect_exit=USAGE)
        assert b"-:4: " in done.stderr and b"nothing was imported" in done.stderr
        assert not list(gateway.folder.glob("new.db*"))


def test_what_was_owed_is_owed_again_only_if_asked():
    with Gateway(handlers()) as gateway:
        assert settle(gateway, told("done", event_id="done"), told("reject", event_id="dead"))
        gateway.deliver(told(otherwise="hang", event_id="owed"))
        wait_until(lambda: CLAIMED in states(gateway))
        done, dead, owed = export(gateway, "--deliveries")
        assert [line["deliveries"][0]["state"] for line in (done, dead, owed)] == ["done", "dead", "claimed"]
        assert dead["deliveries"][0]["attempts"][0]["reason"] == "told to reject"
        assert (dead["deliveries"][0]["handler"], dead["deliveries"][0]["index"]) == ("it", 0)
        exported = "\n".join(map(json.dumps, (done, dead, owed))).encode()
        for options, n in [((), 0), (("--owed",), 1)]:
            place = str(gateway.folder / f"{n}.db")
            journal(gateway, "--journal", place, "import", *options, "-", input=exported)
            with contextlib.closing(sqlite3.connect(place)) as database:
                assert database.execute("SELECT sequence, handler, state FROM deliveries").fetchall() == [(3, "it", 0)][:n]
        gateway.kill()


def test_nothing_of_what_handlers_keep_is_exported():
    with Gateway(handlers()) as gateway:
        settle(gateway, told("remember", event_id="counted"))
        ((value,),) = rows(gateway, "SELECT value FROM handler_state")
        exported = journal(gateway, "export", "--deliveries").stdout
        assert b"counted 1" in exported
        assert base64.b64encode(value) not in exported and value not in exported


# backup


def test_backup_beside_traffic(gateway):
    """What was acknowledged before it is in it; what comes meanwhile is acknowledged as ever."""
    stops = threading.Event()
    statuses = []

    def post():
        while not stops.is_set():
            statuses.append(gateway.post(callback()).status)

    fill(gateway)
    sender = threading.Thread(target=post)
    sender.start()
    copy = gateway.folder / "copy.db"
    journal(gateway, "backup", str(copy))
    stops.set()
    sender.join()
    assert set(statuses) == {200}
    assert copy.stat().st_mode & 0o777 == 0o600
    assert b"nothing is overwritten" in journal(gateway, "backup", str(copy), expect_exit=IO).stderr
    assert journal(gateway, "--journal", str(copy), "check").stdout.startswith(b"OK: ")
    assert export(gateway, "--journal", str(copy))[:3] == export(gateway)[:3]
    old = gateway.events("?limit=1")["events"][0]["position"]
    gateway.stop()
    for path in gateway.folder.glob("journal.db*"):
        path.unlink()
    copy.rename(gateway.journal)
    gateway.start()
    with gateway.connect() as subscriber:
        assert subscriber.subscribe(after=old)["recovered"] is False


# erase


def has(gateway, text):
    """In any byte of the journal's files."""
    return any(text in path.read_bytes() for path in gateway.folder.glob("journal.db*"))


def erase(gateway, *arguments, **options):
    host, port = gateway.address("admin")
    return journal(gateway, "--url", f"http://{host}:{port}/journal/erase", "erase", *arguments, **options)


def test_erase_beside_subscribers(gateway):
    """Nobody gets it any more, also not from memory; everybody else's events stay where they were."""
    fill(gateway)
    before = gateway.events("?limit=10")["events"]
    with gateway.connect() as subscriber:
        assert has(gateway, b"ada-1")
        done = erase(gateway, "--tag", "user=ada")
        assert done.stdout == b"erased: 2 events, the reasons of 0 attempts; 0 deliveries that were owed are dead\n"
        assert not has(gateway, b"ada-1") and not has(gateway, b'"ada"') and not has(gateway, NOT_UTF8)
        subscriber.subscribe(after="earliest")
        event = subscriber.event()
        assert (event["position"], event["callback"]["event"]["event_id"]) == (before[1]["position"], "bob-1")
        gateway.deliver_next(subscriber)
    assert [line["kind"] for line in export(gateway)] == ["erased", "callback", "erased", "callback"]
    assert journal(gateway, "check").stdout.startswith(b"OK: 4 events")
    assert erase(gateway, "--tag", "user=ada", expect_exit=NOT_SO)
    gateway.restart()
    assert gateway.events("?limit=10")["events"][0] == before[1]


def test_erase_what_a_handler_has_in_its_hands():
    """It waits for the end of the attempt; what handlers said, and were told, goes as well."""
    with Gateway({**ADMIN, **handlers(deadline="2s"), "subscribers": {"outcomes": True}}) as gateway:
        path = gateway.callback_path(user="ada")
        gateway.deliver(told("reject", event_id="ada-1"), path=path)
        wait_until(lambda: states(gateway) == [DEAD])
        assert len(export(gateway, "--tag", "user=ada")) == 2  # the callback and its outcome
        gateway.deliver(told("hang", "reject", event_id="ada-2"), path=path)
        wait_until(lambda: CLAIMED in states(gateway))
        host, port = gateway.address("admin")
        url = f"http://{host}:{port}/journal/erase"
        command = [belfry_path(), "journal", "--url", url, "erase", "--tag", "user=ada", "--event-id", "ada-2"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as erasing:
            assert b"1 events are in handlers' hands" in erasing.stderr.readline()
            assert has(gateway, b"ada-2")
            said, _ = erasing.communicate(timeout=PATIENCE)
        assert said.startswith(b"erased: ")
        assert not has(gateway, b"ada-2")
        erase(gateway, "--tag", "user=ada")
        assert not has(gateway, b"ada-1")
        assert export(gateway, "--tag", "user=ada") == []


def test_erase_of_a_stopped_gateway(gateway):
    fill(gateway)
    gateway.stop()
    done = journal(gateway, "--json", "erase", "--event-id", "bob-1")
    assert lines(done) == [{"events": 1, "deliveries": 0, "attempts": 0}]
    assert not has(gateway, b"bob-1") and has(gateway, b"ada-1")
    gateway.start()
    assert len(gateway.events("?limit=10")["events"]) == 1


def test_erase_everything_by_a_slip(gateway):
    assert b"erase what?" in journal(gateway, "erase", expect_exit=USAGE).stderr
    assert journal(gateway, "erase", "--source", "cronofy", expect_exit=USAGE)
    for query in ["", "?sources=cronofy", "?tags.a=b&sources=cronofy", "?tags.a=b&after=earliest", "?nonsense=1"]:
        assert gateway.request("POST", f"/journal/erase{query}", serves="admin").status == 400
    assert gateway.request("GET", "/journal/erase?tags.a=b", serves="admin").status == 405
    answer = gateway.request("POST", "/journal/erase?tags.a=b", headers={"Origin": "http://x"}, serves="admin")
    assert answer.status == 403
