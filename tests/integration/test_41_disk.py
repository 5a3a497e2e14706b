# SPDX-License-Identifier: Apache-2.0
"""A disk that fails, hangs or is taken away, and a kill at any system call: what was answered 200 is kept, once."""

import contextlib
import errno
import os
import shutil
import subprocess

import pytest

from clients import Ended
from disk import Disk, compile_c, metric, wait_until
from frames import frame, raw_subscriber, read_frame
from gateway import Gateway, belfryd_path, callback
from swarm import request

def kept(gateway):
    """The event ids in the journal, in order."""
    result, page = [], {"position": "earliest", "more": True}
    while page["more"]:
        page = gateway.events(f"?after={page['position']}&limit=1000")
        result += [event["callback"]["event"]["event_id"] for event in page["events"]]
    return result


# Killed


@pytest.mark.only_release
@pytest.mark.bound(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="belfryd is not dumpable: only root may trace it")
def test_a_kill_at_every_system_call_of_a_callback(tmp_path):
    """From its first byte to its event's arrival at a subscriber; the provider sends it again until it is answered."""
    killer = tmp_path / "kill_at"
    compile_c("kill_at.c", killer)
    names, n_unanswered, is_complete = [], 0, False
    with Gateway() as gateway:
        while not is_complete:
            body = callback(event_id=f"evt-{len(names)}")
            names.append(f"evt-{len(names)}")
            is_answered, is_complete = send_and_kill(gateway, killer, len(names), body)
            n_unanswered += not is_answered
            if not is_complete:
                gateway.kill()
                gateway.start()
            if not is_answered:
                gateway.deliver(body)
            assert kept(gateway) == names
    print(f"{len(names)} system calls; killed without an answer {n_unanswered} times")
    assert len(names) > 20 and n_unanswered > 10


def send_and_kill(gateway, killer, n, body):
    """Whether the callback was answered 200; whether it has all happened before the n-th call."""
    is_answered = False
    with gateway.raw() as sender, raw_subscriber(gateway) as subscriber:
        read_frame(subscriber)  # welcome
        subscriber.send(frame(1, b'{"type":"subscribe","id":"s1","filter":{}}'))
        read_frame(subscriber)
        tracer = subprocess.Popen(
            [killer, str(n), str(gateway.process.pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert tracer.stdout.readline() == b"attached\n"
        with contextlib.suppress(Ended, ConnectionError):
            sender.send(request(body))
            is_answered = sender.read_answer().status == 200
            assert body in read_frame(subscriber)[1]
            is_answered = True
        tracer.communicate()
        assert tracer.returncode in (0, 1)
        return is_answered, tracer.returncode == 1


# A disk that fails or hangs


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def assert_unavailable(answer):
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0


def readiness(gateway):
    return gateway.request("GET", "/readyz", serves="admin").status


FAILURES = [
    ("fdatasync", errno.EIO),
    ("pwrite64", errno.EIO),
    ("pwrite64", errno.ENOSPC),
    ("pwrite64", errno.EROFS),  # what the kernel makes of a disk that fails
]


@pytest.mark.parametrize("function, error", FAILURES, ids=["sync", "write", "full", "read-only"])
def test_a_disk_that_fails_for_a_while(disk, function, error):
    """503 and not ready; what is stored is read and pushed on; and it recovers by itself."""
    with disk.gateway() as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.deliver(callback(event_id="before"))
        subscriber.event()
        assert readiness(gateway) == 200
        with disk.failing(function, error=error):
            for _ in range(3):
                assert_unavailable(gateway.post(callback(event_id="while")))
            assert readiness(gateway) == 503
            assert kept(gateway) == ["before"]
            subscriber.expect_nothing()
        gateway.deliver(callback(event_id="after"))
        assert subscriber.event()["callback"]["event"]["event_id"] == "after"
        assert readiness(gateway) == 200
        gateway.kill()
        gateway.start()
        assert kept(gateway) == ["before", "after"]


def queued(gateway):
    return metric(gateway, "belfry_queue_callbacks")


def test_all_of_a_batch_that_fails_are_told(disk):
    """One is being synced, others wait in the queue: these fail together, and are not in the journal."""
    n = 10
    with disk.gateway() as gateway:
        gateway.deliver(callback(event_id="before"))  # the first one needs more syncs than the others
        connections = [gateway.raw() for _ in range(n)]
        with disk.hanging_under(gateway, connections, [callback(event_id=f"evt-{i}") for i in range(n)]):
            wait_until(lambda: queued(gateway) == n - 1)
            (disk.folder / "pwrite64").write_text(str(errno.EIO))
        answers = [connection.read_answer() for connection in connections]
        (disk.folder / "pwrite64").unlink()
        assert answers[0].status == 200
        for answer in answers[1:]:
            assert_unavailable(answer)
        assert kept(gateway) == ["before", "evt-0"]
        for connection in connections:
            connection.socket.close()


def test_a_sync_that_hangs_is_not_waited_for(disk):
    """Answered 503 before the provider gives up; what is stored is still read; nothing is lost or doubled afterwards."""
    changes = {"limits": {"answer_timeout": "1s"}}
    with disk.gateway(changes) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.deliver(callback(event_id="before"))
        subscriber.event()
        bodies = {name: callback(event_id=name) for name in ("one", "two", "three")}
        with disk.hanging():
            for body in bodies.values():
                with gateway.raw() as provider:
                    provider.socket.settimeout(5)  # as long as it waits
                    assert_unavailable(provider.send(request(body)).read_answer())
            assert kept(gateway) == ["before"]
            subscriber.expect_nothing()
        for body in bodies.values():
            gateway.deliver(body)  # again, as the provider does
        assert kept(gateway) == ["before", *bodies]
        assert [event["callback"]["event"]["event_id"] for event in subscriber.events(3)] == list(bodies)
        subscriber.expect_nothing()


def test_while_a_sync_takes_long_the_next_batch_grows(disk):
    n = 40
    with disk.gateway() as gateway:
        gateway.deliver(callback())
        connections = [gateway.raw() for _ in range(n)]
        with disk.hanging_under(gateway, connections, [callback() for _ in range(n)]):
            wait_until(lambda: queued(gateway) == n - 1)
        assert [connection.read_answer().status for connection in connections] == [200] * n
        assert metric(gateway, "belfry_journal_commits_total") == 3
        for connection in connections:
            connection.socket.close()


# Too many


@pytest.mark.only_release  # within the time for an answer
def test_what_does_not_fit_into_the_queue_is_refused_at_once(disk):
    """Ten times as many as there is room for, while the disk hangs: the rest is told before it goes on."""
    size, n = 250000, 340
    changes = {"limits": {"queue": "8MiB", "answer_timeout": "4500ms"}}
    with disk.gateway(changes) as gateway:
        bodies = [callback(event_id=f"evt-{i}", padding="x" * size) for i in range(n)]
        connections = [gateway.raw() for _ in bodies]
        with disk.hanging_under(gateway, connections, bodies):
            n_refused = n - 1 - (8 << 20) // (len(bodies[-1]) + 512)
            wait_until(lambda: metric(gateway, "belfry_callbacks_total", "queue_full") == n_refused)
        answers = {f"evt-{i}": connection.read_answer() for i, connection in enumerate(connections)}
        accepted = [name for name, answer in answers.items() if answer.status == 200]
        assert len(accepted) == n - n_refused
        for answer in answers.values():
            assert answer.status == 200 or int(answer.headers["Retry-After"]) > 0
        assert sorted(kept(gateway)) == sorted(accepted)
        for connection in connections:
            connection.socket.close()


# Taken away


@pytest.mark.parametrize("what", ["folder moved", "folder deleted", "log deleted", "log replaced"])
def test_a_journal_that_is_taken_away(tmp_path, what):
    """503, and nothing is written into what stands in its place."""
    folder = tmp_path / "journal"
    folder.mkdir(mode=0o700)
    path, log = folder / "journal.db", folder / "journal.db-wal"
    with Gateway({"journal": {"sqlite": {"path": str(path)}}}) as gateway:
        gateway.deliver(callback())
        if what == "folder moved":
            folder.rename(tmp_path / "moved")
            folder.mkdir()
        elif what == "folder deleted":
            shutil.rmtree(folder)
        elif what == "log deleted":
            log.unlink()
        else:
            log.unlink()
            log.write_bytes(b"somebody else's")
        for _ in range(2):
            assert_unavailable(gateway.post(callback()))
        gateway.stop()
        assert gateway.log().count("the journal cannot be written") == 1
        if what == "log replaced":
            assert log.read_bytes() == b"somebody else's"
        elif "folder" in what:
            assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_a_disk_that_is_read_only_at_the_start(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=0700", "tmpfs", folder], check=True)
    try:
        with Gateway({"journal": {"sqlite": {"path": str(folder / "journal.db")}}}) as gateway:
            gateway.deliver(callback(event_id="before"))
            gateway.stop()  # nothing may be open for writing
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            assert "Read-only file system" in gateway.start_refused(code=1)
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
            gateway.start()
            assert kept(gateway) == ["before"]
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="root may do anything: the gateway has to be somebody else")
def test_permissions_that_are_taken_away(tmp_path, monkeypatch):
    """What is open stays open: every 200 is kept. The next start says what is wrong."""
    script = tmp_path / "belfryd"
    script.write_text(f'#!/bin/sh\nexec setpriv --reuid 65534 --clear-groups {os.path.abspath(belfryd_path())} "$@"\n')
    script.chmod(0o700)
    monkeypatch.setenv("BELFRYD", str(script))
    gateway = Gateway()
    for path in [gateway.folder, *gateway.folder.iterdir()]:
        os.chown(path, 65534, -1)
    gateway.write_config()
    os.chown(gateway.config_path, 65534, -1)
    with gateway:
        answers = [gateway.post(callback(event_id="before"))]
        for path in gateway.folder.glob("journal.db*"):
            path.chmod(0)
        gateway.folder.chmod(0o500)
        answers.append(gateway.post(callback(event_id="after")))
        stored = [name for name, answer in zip(("before", "after"), answers) if answer.status == 200]
        assert kept(gateway) == stored
        gateway.stop()
        assert "who may not" in gateway.start_refused(code=1)
        gateway.folder.chmod(0o700)
        for path in gateway.folder.glob("journal.db*"):
            path.chmod(0o600)
        gateway.start()
        assert kept(gateway) == stored
