# SPDX-License-Identifier: Apache-2.0
"""What is written down before a callback is answered, and what happens when it cannot be."""

import contextlib
import os
import sqlite3
import subprocess
import time

import pytest

import threads
from gateway import CALLBACK_PATH, EX_CONFIG, SIGNATURE, Gateway, callback, sign

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")


@pytest.fixture
def gateway():
    with Gateway() as running:
        yield running


def positions(gateway):
    """Of all that the journal holds."""
    result, page = [], {"position": "earliest", "more": True}
    while page["more"]:
        page = gateway.events(f"?after={page['position']}")
        result += [event["position"] for event in page["events"]]
    return result


def event_ids(events):
    return [event["callback"]["event"]["event_id"] for event in events]


def sequence(position):
    return int(position.split("-")[1])


def test_what_came_together_becomes_durable_together():
    """The reactor wakes the writer once for all that it has read: one transaction and one sync instead of twenty."""
    bodies = [callback(event_id=str(i)) for i in range(20)]
    with Gateway({"reactors": 1, "admin": {"address": "127.0.0.1:0"}}) as gateway, contextlib.ExitStack() as connections:
        raw = [connections.enter_context(gateway.raw()) for _ in bodies]
        gateway.deliver(callback())  # all have been accepted by then
        before = gateway.metric("journal_commits_total", outcome="durable")
        with threads.stopped(gateway.process.pid, "reactor"):
            for connection, body in zip(raw, bodies, strict=True):
                head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\n"
                connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        for connection in raw:
            assert connection.read_answer().status == 200
        assert gateway.metric("journal_commits_total", outcome="durable") == before + 1


def deliver(gateway, *names, **options):
    for name in names:
        gateway.deliver(callback(event_id=name), **options)


# Restarts


def test_a_restart_keeps_everything(gateway):
    deliver(gateway, "evt-0", "evt-1")
    before = positions(gateway)
    gateway.restart()
    assert positions(gateway) == before
    deliver(gateway, "evt-2")
    assert positions(gateway)[:2] == before
    assert sequence(positions(gateway)[2]) > sequence(before[1])
    with gateway.connect() as subscriber:
        assert subscriber.subscribe(after=before[0])["recovered"] is True
        assert event_ids(subscriber.events(2)) == ["evt-1", "evt-2"]


def test_a_kill_keeps_what_was_answered(gateway):
    deliver(gateway, "evt-0", "evt-1")
    before = positions(gateway)
    gateway.kill()
    gateway.start()
    assert positions(gateway) == before


def test_another_journal_has_another_epoch(gateway):
    deliver(gateway, "evt-0")
    old = positions(gateway)[0]
    gateway.stop()
    for path in gateway.folder.glob("journal.db*"):
        path.unlink()
    gateway.start()
    deliver(gateway, "evt-1")
    assert positions(gateway)[0].split("-")[0] != old.split("-")[0]
    with gateway.connect() as subscriber:
        assert subscriber.subscribe(after=old)["recovered"] is False
        subscriber.expect_nothing()


def purge(gateway):
    """Restarts it with a retention of a second, and without it again when everything is gone."""
    time.sleep(1.1)  # until all is older than that; retention looks at the start, and then once a minute
    gateway.stop()
    gateway.config["journal"]["retention"] = {"age": "1s"}
    gateway.start()
    while positions(gateway):
        pass  # it is at work, and the test has a bound
    gateway.stop()
    del gateway.config["journal"]["retention"]
    gateway.start()


def test_positions_are_never_given_twice(gateway):
    """Also when everything has been purged and the gateway was started again."""
    deliver(gateway, "evt-0", "evt-1")
    last = positions(gateway)[-1]
    purge(gateway)
    deliver(gateway, "evt-2")
    (position,) = positions(gateway)
    assert sequence(position) > sequence(last)
    assert position.split("-")[0] == last.split("-")[0]


def test_a_gap_is_told(gateway):
    """A client was away for longer than the journal remembers."""
    deliver(gateway, "evt-0", "evt-1", "evt-2")
    first = positions(gateway)[0]
    purge(gateway)
    deliver(gateway, "evt-3")
    with gateway.connect() as subscriber:
        assert subscriber.subscribe(after=first)["recovered"] is False
        gap = subscriber.expect("gap")
        assert gap["after"] == first
        event = subscriber.event()
        assert event_ids([event]) == ["evt-3"]
        assert sequence(first) < sequence(gap["resumed_at"]) <= sequence(event["position"])
    page = gateway.events(f"?after={first}")
    assert (event_ids(page["events"]), page["gap"]["after"]) == (["evt-3"], first)


def test_damage_is_told_in_its_place(gateway):
    """One record of three is not what was written: it costs that record, and everybody is told."""
    deliver(gateway, "evt-0", "evt-1", "evt-2")
    before, damaged, behind = positions(gateway)
    gateway.stop()
    with contextlib.closing(sqlite3.connect(gateway.journal)) as journal:
        journal.execute("UPDATE events SET body = cast('{}' AS BLOB) WHERE sequence = ?", (sequence(damaged),))
        journal.commit()
    gateway.start()
    lost = {"after": before, "resumed_at": behind}
    with gateway.connect() as subscriber:
        subscriber.subscribe(after="earliest")
        assert subscriber.event()["position"] == before
        assert lost.items() <= subscriber.expect("gap").items()
        assert subscriber.event()["position"] == behind
    with gateway.connect() as subscriber:
        subscriber.subscribe(last=3)
        assert lost.items() <= subscriber.expect("gap").items()
        assert [subscriber.event()["position"] for _ in range(2)] == [before, behind]
    first, second, third = (gateway.events(f"?after={after}") for after in ("earliest", before, damaged))
    assert (event_ids(first["events"]), first["position"], first.get("gap")) == (["evt-0"], before, None)
    assert (event_ids(second["events"]), second["position"], second["more"]) == ([], damaged, True)
    assert second["gap"] == lost
    assert (event_ids(third["events"]), third.get("gap")) == (["evt-2"], None)


def test_the_earliest_is_what_is_left(gateway):
    deliver(gateway, "evt-0")
    purge(gateway)
    deliver(gateway, "evt-1")
    with gateway.connect() as subscriber:
        assert subscriber.subscribe(after="earliest")["recovered"] is True
        assert event_ids([subscriber.event()]) == ["evt-1"]


# Duplicates


def test_duplicates_have_one_place(gateway):
    body = callback(event_id="evt-0")
    for _ in range(3):
        gateway.deliver(body)
    assert len(positions(gateway)) == 1


def test_a_duplicate_is_known_after_a_restart(gateway):
    body = callback()
    gateway.deliver(body)
    gateway.restart()
    gateway.deliver(body)
    assert len(positions(gateway)) == 1


def test_what_is_not_a_duplicate(gateway):
    body = callback(event_id="evt-0")
    gateway.deliver(body)
    gateway.deliver(body, path=gateway.callback_path(user="42"))
    gateway.deliver(body, path=gateway.callback_path(user="43"))
    gateway.deliver(body + b" ")
    assert len(positions(gateway)) == 4


def test_equal_to_the_latest_only(gateway):
    """Failed, assigned, failed again in the same words: that is news."""
    failing = callback("conferencing_failing", event_id="evt-0")
    gateway.deliver(failing)
    gateway.deliver(callback("conferencing_assigned", event_id="evt-0"))
    gateway.deliver(failing)
    assert len(positions(gateway)) == 3


def test_the_window_can_be_turned_off():
    with Gateway({"sources": {"cronofy": {"duplicate_window": "0"}}}) as gateway:
        body = callback()
        gateway.deliver(body)
        gateway.deliver(body)
        assert len(positions(gateway)) == 2


def test_the_window_ends():
    with Gateway({"sources": {"cronofy": {"duplicate_window": "1s"}}}) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        body = callback()
        gateway.deliver(body)
        while len(positions(gateway)) < 2:
            gateway.deliver(body)
        subscriber.events(2)


# What administrators see


def test_the_journal_is_a_database_that_anybody_can_read(gateway):
    body = callback(event_id="evt-0")
    gateway.deliver(body)
    gateway.deliver(b"no JSON")
    gateway.stop()
    connection = sqlite3.connect(f"file:{gateway.journal}?mode=ro", uri=True)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = connection.execute("SELECT * FROM events ORDER BY 1").fetchall()
    assert len(rows) == 2
    assert body in rows[0] or body.decode() in rows[0]
    connection.close()


def test_only_its_owner_may_read_it(gateway):
    deliver(gateway, "evt-0")
    for path in gateway.folder.glob("journal.db*"):
        assert path.stat().st_mode & 0o077 == 0, path


# When it cannot be written


def test_a_journal_that_was_deleted_is_not_written_to(gateway):
    deliver(gateway, "evt-0")
    gateway.journal.unlink()
    answer = gateway.post(callback(event_id="evt-1"))
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    gateway.stop()
    gateway.start()
    deliver(gateway, "evt-2")


def test_a_journal_that_was_replaced_is_not_written_to(gateway):
    deliver(gateway, "evt-0")
    moved = gateway.folder / "moved.db"
    gateway.journal.rename(moved)
    gateway.journal.write_bytes(b"somebody else's")
    assert gateway.post(callback(event_id="evt-1")).status == 503
    assert gateway.journal.read_bytes() == b"somebody else's"


def test_a_journal_that_was_moved_back_is_written_again(gateway):
    deliver(gateway, "evt-0")
    moved = gateway.folder / "moved.db"
    gateway.journal.rename(moved)
    assert gateway.post(callback(event_id="evt-1")).status == 503
    moved.rename(gateway.journal)
    deliver(gateway, "evt-1", "evt-2")
    assert len(positions(gateway)) == 3


@pytest.mark.parametrize("content", [b"no database at all " * 1000, b"x"], ids=["long", "short"])
def test_a_file_of_another_kind_is_refused(content):
    gateway = Gateway()
    gateway.journal.write_bytes(content)
    gateway.journal.chmod(0o600)
    gateway.start_refused(code=1)
    assert gateway.journal.read_bytes() == content


def test_another_programs_database_is_refused():
    gateway = Gateway()
    connection = sqlite3.connect(gateway.journal)
    connection.execute("CREATE TABLE birds (name)")
    connection.commit()
    connection.close()
    gateway.journal.chmod(0o600)
    assert "journal" in gateway.start_refused(code=1)


def test_a_missing_folder_is_told():
    gateway = Gateway()
    gateway.config["journal"]["sqlite"]["path"] = str(gateway.folder / "nowhere" / "journal.db")
    assert "nowhere" in gateway.start_refused(code=1)


@pytest.fixture
def small_disk(tmp_path):
    """A small file system of its own; remount(option) changes it."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(*options):
        subprocess.run(["mount", *options, path], check=True)

    mount("-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs")
    yield path, lambda option: mount("-o", f"remount,{option}")
    subprocess.run(["umount", "--lazy", path], check=True)


@needs_root
def test_a_full_disk_is_told_and_passes(small_disk):
    """Nothing is acknowledged that is not kept; what is kept is pushed on; with room again, it goes on by itself."""
    disk, remount = small_disk
    with Gateway({"journal": {"sqlite": {"path": str(disk / "journal.db")}}}) as gateway:
        acknowledged, n = [], 0
        while True:
            answer = gateway.post(callback(event_id=f"evt-{n}", padding="x" * 50000))
            if answer.status != 200:
                break
            acknowledged.append(f"evt-{n}")
            n += 1
        assert (answer.status, n > 3) == (503, True)
        assert int(answer.headers["Retry-After"]) > 0
        with gateway.connect() as subscriber:
            subscriber.subscribe(after="earliest")
            assert event_ids(subscriber.events(len(acknowledged))) == acknowledged
            subscriber.expect_nothing()
            remount("size=20m")
            deliver(gateway, "after")
            assert event_ids([subscriber.event()]) == ["after"]
        gateway.restart()
        with gateway.connect() as subscriber:
            subscriber.subscribe(after="earliest")
            assert event_ids(subscriber.events(len(acknowledged) + 1)) == [*acknowledged, "after"]


@needs_root
def test_a_disk_that_is_full_at_the_start(small_disk):
    disk, remount = small_disk
    with Gateway({"journal": {"sqlite": {"path": str(disk / "journal.db")}}}) as gateway:
        deliver(gateway, "evt-0")
        gateway.stop()
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
        gateway.start()
        assert len(positions(gateway)) == 1
        while gateway.post(callback(padding="x" * 50000)).status == 200:
            pass
        (disk / "filler").unlink()
        deliver(gateway, "evt-1")


def test_its_queue_is_bounded_and_told():
    """Many at once are all answered, with 200 or 503, and every 200 is in the journal."""
    with Gateway() as gateway:
        connections = [gateway.raw() for _ in range(50)]
        for i, connection in enumerate(connections):
            body = callback(event_id=f"evt-{i}", padding="x" * 100000)
            head = f"POST /callbacks/cronofy HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\n"
            connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        statuses = [connection.read_answer().status for connection in connections]
        assert set(statuses) <= {200, 503}
        assert len(positions(gateway)) == statuses.count(200)
        for connection in connections:
            connection.socket.close()


def test_a_configuration_is_checked_before_anything_else():
    gateway = Gateway({"journal": {"retention": {"age": "forever"}}})
    assert "belfry.yaml:" in gateway.start_refused(code=EX_CONFIG)
    assert not gateway.journal.exists()
