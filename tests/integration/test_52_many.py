# SPDX-License-Identifier: Apache-2.0
"""Slow and many: thousands of subscribers, a burst, a sleeper, a restart under all of them, and too many callbacks."""

import contextlib
import os
import pathlib

import pytest

from disk import Disk, metric
from gateway import Gateway, callback
from swarm import Swarm, allow_descriptors, memory, read_events

pytestmark = [pytest.mark.only_release, pytest.mark.bound(180)]

N_SUBSCRIBERS = 10000
MIB = 1 << 20


@pytest.fixture
def many():
    """A gateway that lets them all in, and does not interrupt them."""
    allow_descriptors(N_SUBSCRIBERS + 1000)
    limits = {"connections": N_SUBSCRIBERS + 1000, "connections_per_address": N_SUBSCRIBERS + 1000, "pending": 20000}
    return Gateway({"limits": limits, "subscribers": {"ping": "5m"}})


def bodies(first, n):
    return [callback(event_id=f"evt-{i}") for i in range(first, first + n)]


def names(first, n):
    return {f"evt-{i}" for i in range(first, first + n)}


def assert_in_order(events):
    sequences = [int(position.split("-")[1]) for position, _, _ in events]
    assert sequences == sorted(set(sequences))


def everything(gateway, swarm, n):
    """The bytes of all n events, and the events, as a subscriber that comes afterwards gets them."""
    (reader,) = swarm.subscribe(gateway, 1, "after=earliest", keeps=True)
    swarm.run_until(lambda: reader.has_events(n))
    data = bytes(reader.data)
    return data, read_events(data)


def test_ten_thousand_get_a_burst(many):
    """Each event once and in order; and what it costs in memory is one copy of the frames, not ten thousand."""
    n = 100
    with many as gateway, Swarm() as swarm:
        members = swarm.subscribe(gateway, N_SUBSCRIBERS)
        before = memory(gateway)
        assert set(swarm.send(gateway, bodies(0, n), 16)) == {200}
        data, events = everything(gateway, swarm, n)
        assert {name for _, name, _ in events} == names(0, n)
        assert_in_order(events)
        swarm.receive(members, len(data))
        assert all(member.has_got(data) for member in members)
        assert memory(gateway) - before < len(data) + 16 * MIB


def test_ten_thousand_come_back_at_once(many):
    """The gateway is killed under them; they resume from wherever each of them was, while more comes in."""
    n = 200
    with many as gateway:
        with Swarm() as swarm:
            members = swarm.subscribe(gateway, N_SUBSCRIBERS)
            assert set(swarm.send(gateway, bodies(0, n), 16)) == {200}
            data, events = everything(gateway, swarm, n)
            swarm.receive(members, len(data))
            gateway.kill()
        gateway.start()
        with Swarm() as swarm:
            members = swarm.subscribe(gateway, N_SUBSCRIBERS, lambda i: f"after={events[i % n][0]}")
            assert all(member.subscribed["recovered"] for member in members)
            assert set(swarm.send(gateway, bodies(n, n), 16)) == {200}
            starts = [end for _, _, end in events]
            data, events = everything(gateway, swarm, 2 * n)
            assert {name for _, name, _ in events} == names(0, 2 * n)
            expected = [data[start:] for start in starts]
            swarm.run_until(lambda: all(m.n_bytes >= len(expected[i % n]) for i, m in enumerate(members)))
            assert all(member.has_got(expected[i % n]) for i, member in enumerate(members))


def stored_per_commit(gateway, n_connections, n_each):
    """Callbacks of 100 kB over so many connections, each sending the next one as soon as it has an answer."""
    before = metric(gateway, "belfry_journal_commits_total", "durable")
    with Swarm() as swarm:
        large = [callback(padding="x" * 100000) for _ in range(n_connections)]
        statuses = swarm.send(gateway, large * n_each, n_connections)
    assert set(statuses) <= {200, 503}
    return statuses, statuses.count(200) / (metric(gateway, "belfry_journal_commits_total", "durable") - before)


def test_ten_times_too_many(tmp_path):
    """What is admitted is stored as fast as before; the rest is told to come again; each 200 is in the journal."""
    n_fitting = 80
    disk = Disk(tmp_path)
    limits = {"limits": {"queue": "8MiB"}, "sources": {"cronofy": {"duplicate_window": "0"}}}
    with disk.gateway(limits) as gateway, disk.slow(100):
        statuses, peak = stored_per_commit(gateway, n_fitting, 5)
        assert set(statuses) == {200}
        crowded, goodput = stored_per_commit(gateway, 10 * n_fitting, 3)
        print(f"stored per commit: {peak:.0f}, with ten times as many {goodput:.0f}; {crowded.count(503)} answered 503")
        assert crowded.count(503) > crowded.count(200)
        assert goodput >= 0.8 * peak
        assert metric(gateway, "belfry_journal_head") == statuses.count(200) + crowded.count(200)


def test_it_stays_within_its_memory():
    """A cap of 64 MiB on the whole process, many subscribers of whom some do not read, large callbacks, too many."""
    n_awake, n_asleep, n = 500, 500, 400
    allow_descriptors(n_awake + n_asleep + 500)
    with capped_memory(64 * MIB) as group, Gateway({"subscribers": {"ping": "5m"}}) as gateway, Swarm() as swarm:
        (group / "cgroup.procs").write_text(str(gateway.process.pid))
        awake = swarm.subscribe(gateway, n_awake)
        for sleeper in swarm.subscribe(gateway, n_asleep, receive_buffer=4096):
            swarm.remove(sleeper)
        large = [callback(event_id=f"evt-{i}", padding="x" * 20000) for i in range(n)]
        statuses = swarm.send(gateway, large, 100)
        assert set(statuses) <= {200, 503}
        data, events = everything(gateway, swarm, statuses.count(200))
        swarm.receive(awake, len(data))
        assert all(member.has_got(data) for member in awake)
        assert memory(gateway) < 64 * MIB


@contextlib.contextmanager
def capped_memory(n_bytes):
    """A control group (version 1 or 2) with a limit; a process that goes beyond it is killed."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(root, f"belfry-test-{os.getpid()}")
        try:
            group.mkdir()
            (group / limit).write_text(str(n_bytes))
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    pytest.skip("no control groups here")


N_PASSING = 100000
N_AWAKE = 6


def pass_by(gateway, has_sleeper):
    """100,000 events pass some subscribers, and maybe one that sleeps; how much the gateway's memory has grown, and
    what the sleeper got in the end."""
    with Swarm() as swarm:
        awake = swarm.subscribe(gateway, N_AWAKE)
        sleepers = swarm.subscribe(gateway, 1, receive_buffer=4096) if has_sleeper else []
        for sleeper in sleepers:
            swarm.remove(sleeper)
        before = memory(gateway)
        assert set(swarm.send(gateway, bodies(0, N_PASSING), 64, patience=120)) == {200}
        data, events = everything(gateway, swarm, N_PASSING)
        grown = memory(gateway) - before
        assert {name for _, name, _ in events} == names(0, N_PASSING)
        assert_in_order(events)
        swarm.receive(awake, len(data))
        assert all(member.has_got(data) for member in awake)
        for sleeper in sleepers:
            assert sleeper.n_bytes < MIB
            swarm.add(sleeper)
        swarm.receive(sleepers, len(data))
        assert all(sleeper.has_got(data) for sleeper in sleepers)
        return grown


def test_a_hundred_thousand_pass_a_sleeper():
    """Nobody else notices, it costs no memory, and on waking it gets all of them in order."""
    grown = []
    for has_sleeper in (False, True):
        with Gateway({"subscribers": {"ping": "5m", "stalled_timeout": "1h"}}) as gateway:
            grown.append(pass_by(gateway, has_sleeper))
    print(f"memory grew by {grown[0]} bytes without a sleeper, {grown[1]} with one")
    assert grown[1] < grown[0] + 4 * MIB
