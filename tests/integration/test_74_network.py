# SPDX-License-Identifier: Apache-2.0
"""Peers that are slow, rude or gone, and too many of them."""

import ctypes
import json
import os
import resource
import select
import socket
import struct
import time

import pytest

from frames import frame, raw_subscriber, read_frame
from gateway import Gateway, belfryd_path, callback
from lossy import LossyLink, can_make_links
from swarm import Swarm, allow_descriptors, descriptors, memory, read_events, request, split_frames

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this to a process")
needs_links = pytest.mark.skipif(not can_make_links(), reason="no network namespaces or no /dev/net/tun here")

MIB = 1 << 20
# Whoever compares all that subscribers get wants nothing in it that comes by the clock.
NO_PINGS = {"subscribers": {"ping": "5m"}}


def bodies(first, n, size=0):
    return [callback(event_id=f"evt-{i}", padding="x" * size) for i in range(first, first + n)]


def read_all(gateway, swarm, n):
    """The bytes of all n events, as one who comes afterwards gets them."""
    (reader,) = swarm.subscribe(gateway, 1, "after=earliest", keeps=True)
    swarm.run_until(lambda: reader.has_events(n))
    assert [name for _, name, _ in read_events(bytes(reader.data))] == [f"evt-{i}" for i in range(n)]
    return bytes(reader.data)


# Readers that do not read


def stalled_stream(gateway, query):
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.connect(gateway.address("subscribers"))
    stream.sendall(f"GET /subscribe?{query} HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\n\r\n".encode())
    stream.recv(15)
    return stream


def stall_sockets(gateway, swarm, n):
    """One after the other, so that each gets a page of the journal of its own."""
    for _ in range(n):
        (member,) = swarm.subscribe(gateway, 1, "after=earliest", receive_buffer=4096)
        swarm.remove(member)
        yield member


def stall_streams(gateway, _, n):
    for _ in range(n):
        yield stalled_stream(gateway, "after=earliest")


@pytest.mark.only_release  # a sanitizer has a memory of its own
@pytest.mark.parametrize("stall", [stall_sockets, stall_streams])
def test_who_falls_behind_keeps_little_in_memory(stall):
    """They resume from far back and read nothing: a page of the journal is 1 MiB, and is not kept for each of them."""
    n_stalled, n = 100, 300
    with Gateway({"limits": {"ring": "1MiB"}, **NO_PINGS}) as gateway, Swarm() as swarm:
        assert set(swarm.send(gateway, bodies(0, n, 10000), 1)) == {200}
        read_all(gateway, swarm, n)
        before = memory(gateway)
        kept = list(stall(gateway, swarm, n_stalled))
        read_all(gateway, swarm, n)
        assert len(kept) == n_stalled
        assert memory(gateway) - before < n_stalled * 100000


@pytest.mark.only_release
def test_large_events_are_shared_by_all_who_do_not_read():
    n_stalled, n, size = 4000, 32, 16384
    allow_descriptors(n_stalled + 500)
    with Gateway({"limits": {"pending": 10000}, **NO_PINGS}) as gateway, Swarm() as swarm:
        members = swarm.subscribe(gateway, n_stalled, receive_buffer=4096)
        for member in members:
            swarm.remove(member)
        before = memory(gateway)
        assert set(swarm.send(gateway, bodies(0, n, size), 1)) == {200}
        data = read_all(gateway, swarm, n)
        assert memory(gateway) - before < 16 * MIB < n_stalled * size / 3  # half of one each, on average
        awake = [swarm.add(member) for member in members[:200]]
        swarm.receive(awake, len(data))
        assert all(member.has_got(data) for member in awake)


def test_who_does_not_read_answers_is_not_read_either():
    """Pings that nobody reads the pongs of: the gateway stops taking them, and goes on when they are read."""
    most, at_once = 30000, 50
    with Gateway({"subscribers": {"max_messages_per_second": 10000}}) as gateway:
        connection = raw_subscriber(gateway)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        pings, n = frame(9, b"x" * 125) * at_once, 0
        while n < most and select.select([], [connection.socket], [], 2)[1]:
            connection.send(pings)
            n += at_once
        assert 1000 < n < most
        with gateway.connect() as other:
            other.subscribe()
            gateway.deliver(callback())
            other.event()
        n_pongs = 0
        while n_pongs < n:
            opcode, payload = read_frame(connection)
            n_pongs += (opcode, payload) == (10, b"x" * 125)
        connection.send(frame(9, b"again"))
        assert read_frame(connection) == (10, b"again")


def test_a_slow_reader_delays_nobody():
    """It takes a little now and then; the others get everything meanwhile, and it does in the end."""
    n = 400
    with Gateway(NO_PINGS) as gateway, Swarm() as swarm:
        (slow,) = swarm.subscribe(gateway, 1, receive_buffer=4096)
        fast = swarm.subscribe(gateway, 20)
        swarm.remove(slow)
        assert set(swarm.send(gateway, bodies(0, n, 2000), 1)) == {200}
        data = read_all(gateway, swarm, n)
        swarm.receive(fast, len(data))
        assert all(member.has_got(data) for member in fast)
        slow.socket.setblocking(True)
        while slow.n_bytes < 10240:
            slow.read(1024)
        slow.socket.setblocking(False)
        swarm.add(slow)
        swarm.receive([slow], len(data))
        assert slow.has_got(data)


def test_a_purge_under_a_sleeper_is_told():
    """What it slept through is gone from the journal: it is told where, and goes on behind it."""
    n = 300
    with Gateway({"journal": {"retention": {"age": "1s"}}, "limits": {"ring": "1MiB"}}) as gateway, Swarm() as swarm:
        (sleeper,) = swarm.subscribe(gateway, 1, receive_buffer=4096, keeps=True)
        swarm.remove(sleeper)
        assert set(swarm.send(gateway, bodies(0, n, 10000), 1)) == {200}
        deadline = time.monotonic() + 20
        while gateway.events("?after=earliest")["events"]:
            assert time.monotonic() < deadline
        swarm.add(sleeper)
        swarm.run_until(lambda: b'"type":"gap"' in sleeper.data)
        gateway.deliver(callback(event_id="next"))
        swarm.run_until(lambda: b'"event_id": "next"' in sleeper.data)
        messages = [json.loads(payload) for payload, _ in split_frames(bytes(sleeper.data))]
        assert [message["type"] for message in messages] == [*["event"] * (len(messages) - 2), "gap", "event"]
        before, gap, after = messages[:-2], messages[-2], messages[-1]
        names = [message["callback"]["event"]["event_id"] for message in before]
        assert names == [f"evt-{i}" for i in range(len(before))] and 0 < len(before) < n
        assert gap["after"] == before[-1]["position"]
        assert gap["resumed_at"] == after["position"]


# Connections that come and go


def reset(connection):
    """Closes it without a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


SAID = pytest.mark.parametrize("said", [b"", b"POST /callbacks/cronofy HTTP/1.1\r\nContent-Le"], ids=["silent", "half"])


def storm(gateway, said, n):
    """So many connections, each reset at once; others have their turn."""
    for i in range(n):
        connection = socket.create_connection(gateway.address())
        connection.sendall(said)
        reset(connection)
        if i % 1000 == 0:
            gateway.deliver(callback())


def wait_for_descriptors(gateway, n, patience=20):
    deadline = time.monotonic() + patience
    while descriptors(gateway) > n:
        assert time.monotonic() < deadline


@SAID
def test_ten_thousand_resets_leave_no_descriptor(said):
    with Gateway() as gateway:
        gateway.deliver(callback())
        before = descriptors(gateway)
        storm(gateway, said, 10000)
        wait_for_descriptors(gateway, before)


@pytest.mark.only_release  # a sanitizer keeps what is freed
@SAID
def test_ten_thousand_resets_leave_no_memory(said):
    with Gateway() as gateway:
        storm(gateway, said, 1000)
        before = memory(gateway)
        storm(gateway, said, 9000)
        assert memory(gateway) - before < 4 * MIB


def cpu_seconds(gateway):
    fields = open(f"/proc/{gateway.process.pid}/stat", encoding="ascii").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@needs_root
def test_without_descriptors_it_waits_and_goes_on():
    """No spinning, no flood of lines, what is connected goes on, and who waits gets in when there is room."""
    with Gateway() as gateway, gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        limit = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        full = descriptors(gateway)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (full, limit[1]))
        waiting = [gateway.raw() for _ in range(20)]
        gateway.wait_for_line("accepting pauses")
        start, cpu = time.monotonic(), cpu_seconds(gateway)
        time.sleep(1)  # what it does in this time is what is tested
        assert cpu_seconds(gateway) - cpu < (time.monotonic() - start) / 4
        assert gateway.log().count("accepting pauses") == 1
        body = callback()
        assert connection.send(request(body)).read_answer().status == 200
        subscriber.event()
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, limit)
        for late in waiting:
            assert late.send(b"GET /events HTTP/1.1\r\nHost: g\r\n\r\n").read_answer().status == 200
            late.socket.close()


def test_connections_leave_descriptors_for_everything_else(tmp_path, monkeypatch):
    """Fewer descriptors than the configuration wants: however many come, some stay free."""
    most, free = 900, 100
    limited = tmp_path / "belfryd"
    limited.write_text(f'#!/bin/sh\nulimit -n {most}\nexec {os.path.abspath(belfryd_path())} "$@"\n')
    limited.chmod(0o700)
    monkeypatch.setenv("BELFRYD", str(limited))
    with Gateway({"reactors": 32}) as gateway:
        connections = [socket.create_connection(gateway.address(), 20) for _ in range(most + 100)]
        assert connections[-1].recv(1) == b""  # it would be one too many to be told; so all before it have been taken
        assert descriptors(gateway) <= most - free
        for connection in connections:
            connection.close()
        wait_for_descriptors(gateway, 300)
        gateway.deliver(callback())
        gateway.stop()
        assert "accepting pauses" not in gateway.log()


# Peers that are gone


def sockets_of(pid):
    """The TCP sockets of a process, as our own."""
    pidfd, result = os.pidfd_open(pid), []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        own = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, int(fd), 0)  # pidfd_getfd
        if own >= 0 and os.readlink(f"/proc/self/fd/{own}").startswith("socket:"):
            result.append(socket.socket(fileno=own))
        elif own >= 0:
            os.close(own)
    os.close(pidfd)
    return [each for each in result if each.family == socket.AF_INET]


@needs_root
@pytest.mark.parametrize("stalled, expected", [("60s", 60000), ("5s", 60000), ("1h", 3600000)])
def test_the_kernel_gives_up_on_peers_as_well(stalled, expected):
    """But not on a subscriber that may still sleep: for the kernel a closed window is the same as silence."""
    with Gateway({"subscribers": {"stalled_timeout": stalled}}) as gateway, gateway.raw() as connection:
        connection.send(b"GET /events HTTP/1.1\r\nHost: g\r\n\r\n").read_answer()
        port = connection.socket.getsockname()[1]
        sockets = sockets_of(gateway.process.pid)
        timeouts = [
            each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            for each in sockets
            if not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and each.getpeername()[1] == port
        ]
        for each in sockets:
            each.close()
        assert timeouts == [expected]


@needs_links
def test_over_a_bad_line_everything_arrives():
    """Every tenth packet is lost, in both directions, and there is one megabit a second."""
    n = 100
    with LossyLink(loss=0.1, bits_per_second=1e6) as link, link.gateway(NO_PINGS) as gateway:
        with Swarm() as swarm:
            members = swarm.subscribe(gateway, 3, keeps=True)
            assert set(swarm.send(gateway, bodies(0, n), 2)) == {200}
            swarm.run_until(lambda: all(member.has_events(n) for member in members))
            for member in members:
                events = read_events(bytes(member.data))
                assert sorted(name for _, name, _ in events) == sorted(f"evt-{i}" for i in range(n))
                sequences = [int(position.split("-")[1]) for position, _, _ in events]
                assert sequences == sorted(sequences)
        assert link.n_lost > 0


@needs_links
def test_who_vanishes_is_let_go():
    """Nothing arrives any more in either direction: a ping stays unanswered."""
    with LossyLink() as link, link.gateway({"subscribers": {"ping": "5s"}}) as gateway, Swarm() as swarm:
        before = descriptors(gateway)
        swarm.subscribe(gateway, 5)
        assert descriptors(gateway) == before + 5
        link.loss = 1
        wait_for_descriptors(gateway, before, patience=40)


@needs_links
def test_a_line_that_comes_back():
    """The interface is gone for a while; who was connected still is, and has missed nothing."""
    with LossyLink() as link, link.gateway(NO_PINGS) as gateway, Swarm() as swarm:
        (member,) = swarm.subscribe(gateway, 1, keeps=True)
        assert swarm.send(gateway, bodies(0, 1), 1) == [200]
        link.set_up(False)
        link.deliver_inside(gateway, bodies(1, 5))
        link.set_up(True)
        swarm.run_until(lambda: member.has_events(6))
        assert swarm.send(gateway, bodies(6, 1), 1) == [200]
        swarm.run_until(lambda: member.has_events(7))
        assert [name for _, name, _ in read_events(bytes(member.data))] == [f"evt-{i}" for i in range(7)]
