# SPDX-License-Identifier: Apache-2.0
"""WebSocket frames as the standard has them, and as it does not."""

import ctypes
import json
import os
import resource
import subprocess
import threading

import pytest

from clients import Ended
from frames import HANDSHAKE, close_code, frame, raw_subscriber, read_frame
from gateway import Gateway, callback


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as running:
        yield running


PING = b'{"type":"ping"}'


@pytest.mark.parametrize(
    "data, code",
    [
        (frame(1, PING, reserved=4), 1002),
        (frame(1, PING, reserved=1), 1002),
        (frame(3), 1002),
        (frame(11), 1002),
        (frame(4), 1002),
        (frame(15), 1002),
        (frame(1, PING, reserved=2), 1002),
        (frame(9, reserved=4), 1002),
        (frame(9, final=False), 1002),
        (frame(10, final=False), 1002),
        (frame(8, final=False), 1002),
        (frame(8, b"\x03\xe8" + b"x" * 124), 1002),
        (frame(9, b"x" * 126), 1002),
        (frame(0, b"stray"), 1002),
        (frame(1, b"a", final=False) + frame(1, b"b"), 1002),
        (frame(2, b"binary"), 1003),
        (frame(1, PING, mask=None), 1002),
        (frame(8, mask=None), 1002),
        (frame(1, b"\xff"), 1007),
        (frame(1, b"\xc3", final=False) + frame(0, b"\x28"), 1007),
        (frame(1, b"\xed\xa0\x80"), 1007),
        (frame(1, claim=2**40), 1009),
        (frame(1, claim=16 * 1024 + 1), 1009),
        (frame(1, b"x" * 16384, final=False) + frame(0, claim=1), 1009),
        (frame(1, b"x" * 10000, final=False) + frame(0, b"x" * 10000), 1009),
        (frame(8, b"\x03"), 1002),
        (frame(8, (1005).to_bytes(2, "big")), 1002),
        (frame(8, (999).to_bytes(2, "big")), 1002),
        (frame(8, (1000).to_bytes(2, "big") + b"\xff"), 1007),
        (frame(8, (1000).to_bytes(2, "big") + b"bye"), 1000),
        (frame(8), 1000),
    ],
)
def test_close_codes_of_the_standard(gateway, data, code):
    with raw_subscriber(gateway) as connection:
        connection.send(data)
        answer = close_code(connection)
        assert answer == code or (data == frame(8) and answer in (0, 1000))
        assert connection.read_to_end() == b""


@pytest.mark.parametrize("size", [1, 2, 3])
def test_frames_in_slices_and_fragments(gateway, size):
    with raw_subscriber(gateway) as connection:
        read_frame(connection)  # welcome
        pieces = [PING[i : i + 4] for i in range(0, len(PING), 4)]
        data = b"".join(
            frame(0 if i else 1, piece, final=i == len(pieces) - 1) + (b"" if i == len(pieces) - 1 else frame(9, b"!"))
            for i, piece in enumerate(pieces)
        )
        connection.send_slices(data, size)
        seen = [read_frame(connection) for _ in pieces]
        assert seen[:-1] == [(10, b"!")] * (len(pieces) - 1)
        assert json.loads(seen[-1][1]) == {"type": "pong"}


@pytest.mark.parametrize("last", [frame(8, (1000).to_bytes(2, "big")), frame(8), frame(3)])
def test_what_stands_behind_the_end_is_not_read(gateway, last):
    with raw_subscriber(gateway) as connection:
        read_frame(connection)  # welcome
        connection.send(last + frame(1, PING) + frame(9, b"!"))
        opcodes = []
        while 8 not in opcodes:
            opcode, payload = read_frame(connection)
            opcodes.append(opcode)
            assert opcode == 8 or json.loads(payload)["type"] == "disconnect"
        assert connection.read_to_end() == b""


def test_the_largest_message_is_read(gateway):
    with raw_subscriber(gateway) as connection:
        read_frame(connection)  # welcome
        connection.send(frame(1, PING + b" " * (16 * 1024 - len(PING))))
        assert json.loads(read_frame(connection)[1]) == {"type": "pong"}


# Floods

N_FLOOD = 100_000


@pytest.mark.parametrize("opcode", [9, 10])
def test_a_flood_of_pings_or_pongs_is_ended(gateway, opcode):
    with raw_subscriber(gateway) as flooder, gateway.connect() as other:
        other.subscribe()
        flood = threading.Thread(target=send_all, args=(flooder, frame(opcode) * N_FLOOD))
        flood.start()
        ids = [f"evt-{opcode}-{i}" for i in range(20)]
        for event_id in ids:
            gateway.deliver(callback(event_id=event_id))
        assert [event["callback"]["event"]["event_id"] for event in other.events(len(ids))] == ids
        assert close_code(flooder) == 1008
        flooder.read_to_end()
        flood.join()


def send_all(connection, data):
    try:
        connection.send(data)
    except OSError:
        pass  # it has been closed


# Silence


def read_types(connection):
    """Opcodes and types of messages, until the connection ends."""
    try:
        while True:
            opcode, payload = read_frame(connection)
            if opcode == 8:
                yield int.from_bytes(payload[:2], "big")
            else:
                yield json.loads(payload)["type"] if opcode == 1 else opcode
    except Ended:
        pass


def test_whoever_answers_no_ping_is_closed():
    """It says nothing at all, or half a frame, behind which no pong can come; nor does it answer the close."""
    with Gateway({"subscribers": {"ping": "5s"}}) as gateway, raw_subscriber(gateway) as alive:
        silent = [raw_subscriber(gateway).send(sent) for sent in (b"", frame(1, PING)[:1], frame(1, PING)[:-3])]
        assert json.loads(read_frame(alive)[1])["type"] == "welcome"
        for _ in range(3):
            opcode, payload = read_frame(alive)
            assert opcode == 9
            alive.send(frame(10, payload))
            assert json.loads(read_frame(alive)[1])["type"] == "position"
        for connection in silent:
            assert list(read_types(connection)) == ["welcome", 9, "position", "disconnect", 4003]
            connection.socket.close()


CLONE_NEWNET = 0x40000000


def in_a_network_of_its_own(run):
    """On a thread: its sockets, and the processes that it starts, see a loopback that nobody else has."""
    outcome = []

    def work():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                pytest.skip("no network namespaces here")
            set_loopback("up")
            run()
        except BaseException as problem:
            outcome.append(problem)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    if outcome:
        raise outcome[0]


def set_loopback(state):
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def n_descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


@pytest.mark.bound(45)  # TCP itself would give up after 60 s
def test_a_client_that_vanishes_is_forgotten():
    """Its packets and ours go nowhere: neither an end nor a reset ever comes."""

    def run():
        with Gateway({"subscribers": {"ping": "5s"}}) as gateway:
            with raw_subscriber(gateway) as vanishing:
                vanishing.send(frame(1, b'{"type":"subscribe","id":"s1","filter":{}}'))
                while json.loads(read_frame(vanishing)[1])["type"] != "subscribed":
                    pass
                n_before = n_descriptors(gateway)
                set_loopback("down")
                while n_descriptors(gateway) >= n_before:
                    pass
                set_loopback("up")
                gateway.deliver(callback())

    in_a_network_of_its_own(run)


# Crowds

N_HANDSHAKES = 10_000
MAX_PENDING = 100
RESERVED_DESCRIPTORS = 200


@pytest.fixture
def n_handshakes():
    """As many as descriptors allow."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    yield min(N_HANDSHAKES, limits[1] - RESERVED_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def answer_of(connection):
    """The status, or None if it was closed without an answer."""
    try:
        return connection.read_head()[0]
    except Ended:
        return None


def test_handshakes_that_are_never_completed_cost_nobody_anything(n_handshakes):
    """The oldest make room, the rest has until the head's deadline; who is in, and who comes, notices nothing."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
    half = f"GET /subscribe HTTP/1.1\r\n{lines}".encode()
    limits = {"pending": MAX_PENDING, "connections_per_address": 2 * N_HANDSHAKES}
    with Gateway({"limits": limits, "reactors": 1}) as gateway, gateway.connect() as established:
        established.subscribe()
        crowd = []
        for i in range(n_handshakes):
            crowd.append(gateway.raw("subscribers").send(half))
            if i % (n_handshakes // 10) == 0:
                gateway.deliver(callback())
                established.event()
                gateway.connect().close()
        gateway.wait_for_line("closed early limit=pending")
        answers = [answer_of(connection) for connection in crowd]
        assert set(answers) == {None, 408}
        assert answers[-1] == 408  # the newest had its time; of the others some were let go for it, on a slow machine
        for connection in crowd:
            connection.socket.close()
