# SPDX-License-Identifier: Apache-2.0
"""Thousands of subscribers, and senders at full speed, in one thread: raw sockets under one epoll.

Subscribers that want the same get the same bytes. So each member of a swarm only counts and digests what it gets behind
its greeting, and one that keeps everything is read frame by frame in the end.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import resource
import select
import socket
import time

import pytest

from clients import PATIENCE
from frames import HANDSHAKE
from gateway import CALLBACK_PATH, SIGNATURE, sign

CHUNK = 1 << 18


def allow_descriptors(n):
    """For this process and the gateway that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n:
        pytest.skip(f"at most {hard} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), hard))


def memory(gateway):
    """Resident bytes of the gateway."""
    status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) << 10


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def split_frames(data):
    """(payload, end) of each whole frame."""
    at = 0
    while len(data) - at >= 2:
        n, head = data[at + 1], 2
        if n > 125:
            head = 4 if n == 126 else 10
            n = int.from_bytes(data[at + 2 : at + head], "big")
        if len(data) - at < head + n:
            return
        yield data[at + head : at + head + n], at + head + n
        at += head + n


def read_events(data):
    """(position, event id, offset behind its frame) of each event."""
    frames = [(json.loads(payload), end) for payload, end in split_frames(data)]
    assert [message for message, _ in frames if message["type"] != "event"] == []
    return [(message["position"], message["callback"]["event"]["event_id"], end) for message, end in frames]


class Member:
    """A subscriber by the wish in its URL."""

    def __init__(self, address, query="after=latest", keeps=False, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(address)
        lines = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
        self.to_send = f"GET /subscribe?{query} HTTP/1.1\r\n{lines}\r\n".encode()
        self.greeting = b""  # until it is complete: the answer's head, welcome, subscribed
        self.subscribed = None
        self.data = bytearray() if keeps else None
        self.digest = hashlib.sha256()
        self.n_bytes = 0
        self.has_ended = False

    def write(self):
        self.to_send = self.to_send[self.socket.send(self.to_send) :]

    def read(self, most=CHUNK):
        data = self.socket.recv(most)
        self.has_ended = self.has_ended or not data
        if not self.subscribed:
            self.greeting += data
            data = self._skip_greeting()
        self.n_bytes += len(data)
        self.digest.update(data)
        if self.data is not None:
            self.data += data

    def _skip_greeting(self):
        head, mark, rest = self.greeting.partition(b"\r\n\r\n")
        frames = list(split_frames(rest))
        if not mark or len(frames) < 2:
            return b""
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert json.loads(frames[0][0])["type"] == "welcome"
        self.subscribed = json.loads(frames[1][0])
        assert self.subscribed["type"] == "subscribed", self.subscribed
        return rest[frames[1][1] :]

    def has_events(self, n):
        """At least so many, and the last of them whole."""
        if self.data.count(b'"type":"event"') < n:
            return False
        return max((end for _, end in split_frames(bytes(self.data))), default=0) == len(self.data)

    def has_got(self, data):
        return self.n_bytes == len(data) and self.digest.digest() == hashlib.sha256(data).digest()


def request(body):
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Sender:
    """Callbacks one after the other on one connection, each sent once: the status of each answer."""

    def __init__(self, address, bodies):
        self.socket = socket.create_connection(address, PATIENCE)
        self.socket.setblocking(False)
        self.bodies = iter(bodies)
        self.statuses = []
        self.retry_after = []
        self.has_ended = False
        self.buffer = b""
        self.to_send = b""
        self._next()

    def _next(self):
        body = next(self.bodies, None)
        self.has_ended = body is None
        self.to_send = request(body) if body is not None else b""

    def write(self):
        self.to_send = self.to_send[self.socket.send(self.to_send) :]

    def read(self):
        data = self.socket.recv(CHUNK)
        assert data, "the gateway closed a sender's connection"
        self.buffer += data
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        n = int(fields.get(b"content-length", 0))
        if not mark or len(rest) < n:
            return
        self.buffer = rest[n:]
        self.statuses.append(int(head[9:12]))
        if self.statuses[-1] == 503:
            self.retry_after.append(int(fields[b"retry-after"]))
        self._next()


class Swarm:
    def __init__(self):
        self._poll = select.epoll()
        self._by_fd = {}
        self._ended = []
        self.members = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for each in self._by_fd.values():
            each.socket.close()
        self._poll.close()

    def add(self, each):
        self._by_fd[each.socket.fileno()] = each
        self._poll.register(each.socket, select.EPOLLIN | (select.EPOLLOUT if each.to_send else 0))
        return each

    def remove(self, each):
        """Nobody looks after it any more; its socket stays open."""
        self._poll.unregister(each.socket)
        del self._by_fd[each.socket.fileno()]

    def take_ended(self):
        """Those whose connection has come to its end since the last call; it is closed."""
        ended, self._ended = self._ended, []
        for each in ended:
            del self._by_fd[each.socket.fileno()]
            each.socket.close()
        return ended

    def _serve(self, fd, events):
        each = self._by_fd[fd]
        if events & select.EPOLLOUT:
            each.write()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            each.read()
        if each.has_ended:
            self._poll.unregister(fd)
            self._ended.append(each)
        else:
            self._poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if each.to_send else 0))

    def run_until(self, is_over, patience=60):
        """Serves everybody until it is so."""
        deadline = time.monotonic() + patience
        while not is_over():
            assert time.monotonic() < deadline, "it takes too long"
            for fd, events in self._poll.poll(1, 4096):
                self._serve(fd, events)

    def subscribe(self, gateway, n, query="after=latest", **options):
        """n members that have been greeted."""
        address = gateway.address("subscribers")
        members = [self.add(Member(address, query(i) if callable(query) else query, **options)) for i in range(n)]
        self.run_until(lambda: all(member.subscribed for member in members))
        return members

    def send(self, gateway, bodies, n_connections, patience=60):
        """All bodies over so many connections; the statuses of the answers."""
        bodies = iter(bodies)
        senders = [self.add(Sender(gateway.address("sources"), bodies)) for _ in range(n_connections)]
        self.run_until(lambda: all(sender.has_ended for sender in senders), patience)
        for sender in senders:
            del self._by_fd[sender.socket.fileno()]
            sender.socket.close()
        return [status for sender in senders for status in sender.statuses]

    def receive(self, members, n_bytes, patience=60):
        """Until each has got so many bytes of events."""
        self.run_until(lambda: all(member.n_bytes >= n_bytes for member in members), patience)
