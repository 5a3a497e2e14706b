# SPDX-License-Identifier: Apache-2.0
"""Real clients, made to be used from a test, one line at a time: each wait ends with an answer or with a failure."""

import asyncio
import email.message
import json
import queue
import socket
import subprocess
import threading
import time

import websockets

# Seconds that anything may take. Generous, as sanitizers on a busy machine are slow; nobody waits for it in vain.
PATIENCE = 20


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


class Ended(AssertionError):
    """The gateway closed a connection on which an answer was awaited."""


class RawConnection:
    """A socket on which a test writes exactly the bytes that it wants."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def send_slices(self, data, size):
        for start in range(0, len(data), size):
            self.socket.sendall(data[start : start + size])
        return self

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def _more(self):
        """False at the end. A reset is an end, too: bytes that were not read may cause one."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise Ended(f"before {mark!r}: {self.buffer[:300]!r}")
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def read_bytes(self, n):
        while len(self.buffer) < n:
            if not self._more():
                raise Ended(f"{n - len(self.buffer)} bytes early")
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def read_head(self):
        """Status and fields of an answer."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1", lines[0]
        headers = email.message.Message()
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name] = value.strip()
        return int(status), headers

    def read_answer(self):
        """One whole answer; the connection must not end before."""
        status, headers = self.read_head()
        return Response(status, headers, self.read_bytes(int(headers.get("Content-Length", 0))))

    def read_to_end(self):
        """All that still comes until the gateway closes."""
        while self._more():
            pass
        data, self.buffer = self.buffer, b""
        return data


class _Loop:
    """One asyncio loop on a thread of its own, so that WebSockets answer pings while a test does something else."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine, timeout=PATIENCE):
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, timeout), self._loop)
        return future.result(timeout + 5)


_loop = _Loop()


class Closed(Exception):
    """The WebSocket was closed: code, reason."""


class Subscriber:
    """A WebSocket of belfry.v1."""

    def __init__(self, url, *, protocols=("belfry.v1",), headers=None, origin=None, welcome=True, **options):
        self.socket = _loop.run(_open(url, protocols, headers, origin, options))
        self.welcome = self.expect("welcome") if welcome else None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def send(self, message):
        """A JSON value, or text or bytes as they are."""
        try:
            _loop.run(self.socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message)))
        except websockets.ConnectionClosed as closed:
            raise Closed(*self._close_state()) from closed
        return self

    def receive_text(self, timeout=PATIENCE):
        try:
            return _loop.run(self.socket.recv(), timeout)
        except websockets.ConnectionClosed as closed:
            raise Closed(*self._close_state()) from closed

    def receive(self, timeout=PATIENCE):
        return json.loads(self.receive_text(timeout))

    def expect(self, *types, timeout=PATIENCE):
        """The next message, which must be of one of these types; `position` messages come when they want."""
        while True:
            message = self.receive(timeout)
            if message["type"] != "position" or "position" in types:
                assert message["type"] in types, message
                return message

    def expect_nothing(self):
        """A pong is the next message: nothing was on its way."""
        self.send({"type": "ping"})
        self.expect("pong")

    def authorize(self, token):
        self.send({"type": "auth", "token": token})
        self.welcome = self.expect("welcome")
        return self

    def subscribe(self, filter=None, id="s1", **wishes):
        """Subscribes and returns the answer, `subscribed`."""
        self.send({"type": "subscribe", "id": id, "filter": filter or {}, **wishes})
        answer = self.expect("subscribed")
        assert answer["id"] == id
        return answer

    def ping(self):
        """A ping of the protocol below; returns when its pong is there."""

        async def ping():
            await (await self.socket.ping())

        _loop.run(ping())

    def event(self):
        return self.expect("event")

    def events(self, n):
        return [self.event() for _ in range(n)]

    def _close_state(self):
        return self.socket.close_code, self.socket.close_reason

    def wait_closed(self, timeout=PATIENCE):
        """Everything that still comes, and the close code."""
        messages = []
        try:
            while True:
                messages.append(self.receive(timeout))
        except Closed as closed:
            return messages, closed.args[0]

    def close(self):
        _loop.run(self.socket.close())


async def _open(url, protocols, headers, origin, options):
    return await websockets.connect(
        url,
        subprotocols=protocols or None,
        extra_headers=headers or {},
        origin=origin,
        compression=None,
        ping_interval=None,
        max_size=None,
        max_queue=None,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        **options,
    )


def handshake_status(url, **options):
    """The status with which an upgrade was refused."""
    try:
        Subscriber(url, welcome=False, **options).close()
    except websockets.InvalidStatusCode as refused:
        return refused.status_code
    return 101


class EventStream:
    """Server-Sent Events, read by curl as a page would: `id`, `event` and `data` of each."""

    def __init__(self, url, *, headers=None, options=()):
        command = ["curl", "--silent", "--show-error", "--no-buffer", "--include", "--max-time", "120", *options]
        for name, value in {"Accept": "text/event-stream", **(headers or {})}.items():
            command += ["--header", f"{name}: {value}"]
        self.process = subprocess.Popen([*command, url], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.status = int(self._line().split()[1])
        self.headers = email.message.Message()
        for name, value in iter(self._header, None):
            self.headers[name] = value

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _line(self, timeout=PATIENCE):
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError("the stream says nothing") from None
        if line is None:
            raise EOFError
        return line.decode().removesuffix("\n")

    def _header(self):
        line = self._line().removesuffix("\r")
        return [part.strip() for part in line.split(":", 1)] if line else None

    def rest(self):
        """The body of an answer that is no stream."""
        lines = []
        try:
            while True:
                lines.append(self._line())
        except EOFError:
            return "\n".join(lines)

    def receive(self, timeout=PATIENCE):
        """The next event: a map of its fields, `data` joined as the standard says. Comments are passed over."""
        fields, data, deadline = {}, [], time.monotonic() + timeout
        while True:
            line = self._line(max(0.0, deadline - time.monotonic()))
            if not line and (fields or data):
                return {**fields, "data": "\n".join(data)}
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name:
                fields[name] = value

    def expect(self, *types):
        """The next event, which must be of one of these types: its object, with the id line as "id"."""
        while True:
            event = self.receive()
            message = json.loads(event["data"])
            assert event["event"] == message["type"], event
            if message["type"] != "position" or "position" in types:
                assert message["type"] in types, message
                return {"id_line": event.get("id"), "text": event["data"], **message}

    def close(self):
        self.process.kill()
        self.process.wait()
