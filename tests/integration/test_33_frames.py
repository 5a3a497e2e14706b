# SPDX-License-Identifier: Apache-2.0
"""WebSocket frames as the standard has them, and as it does not."""

import json

import pytest

from frames import close_code, frame, raw_subscriber, read_frame
from gateway import Gateway


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
        (frame(9, final=False), 1002),
        (frame(9, b"x" * 126), 1002),
        (frame(0, b"stray"), 1002),
        (frame(1, b"a", final=False) + frame(1, b"b"), 1002),
        (frame(2, b"binary"), 1003),
        (frame(1, b"\xff"), 1007),
        (frame(1, b"\xc3", final=False) + frame(0, b"\x28"), 1007),
        (frame(1, b"\xed\xa0\x80"), 1007),
        (frame(1, claim=2**40), 1009),
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
