# SPDX-License-Identifier: Apache-2.0
"""WebSocket frames, byte by byte, for what no honest client would send."""

HANDSHAKE = {
    "Host": "gateway",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def frame(opcode, payload=b"", *, final=True, reserved=0, mask=b"\x01\x02\x03\x04", claim=None):
    length = len(payload) if claim is None else claim
    first = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    bit = 0x80 if mask else 0
    if length < 126:
        head = first + bytes([bit | length])
    elif length < 65536:
        head = first + bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head = first + bytes([bit | 127]) + length.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else head + payload


def raw_subscriber(gateway, query=""):
    connection = gateway.raw("subscribers")
    lines = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
    connection.send(f"GET /subscribe{query} HTTP/1.1\r\n{lines}\r\n".encode())
    assert connection.read_head()[0] == 101
    return connection


def read_frame(connection):
    first, second = connection.read_bytes(2)
    length = second & 127
    if length > 125:
        length = int.from_bytes(connection.read_bytes(2 if length == 126 else 8), "big")
    return first & 15, connection.read_bytes(length)


def close_code(connection):
    while True:
        opcode, payload = read_frame(connection)
        if opcode == 8:
            return int.from_bytes(payload[:2], "big")
