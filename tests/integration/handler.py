# SPDX-License-Identifier: Apache-2.0
"""belfry-handler, spoken to in packets as the daemon speaks to it."""

import json
import os
import signal
import socket
import struct
import subprocess

from clients import PATIENCE
from plugins import handler_path

DELIVER = {
    "type": "deliver", "key": "e-1.0.test", "position": "e-1", "source": "cronofy", "event_id": "id",
    "interaction": "change", "subtype": "", "index": 0, "tags": {}, "received_ms": 1, "attempt": 1, "max_attempts": 3,
    "deadline_ms": 30000,
}  # fmt: skip


class Handler:
    """with Handler(plugin, {"do": "thread"}) as handler: handler.deliver()"""

    def __init__(self, plugin, options=None, *, runner=(), environment=None, **configuration):
        ours, theirs = socket.socketpair()
        self.socket = ours
        ours.settimeout(PATIENCE)
        # the other end becomes descriptor 3, whatever its number; nothing else is closed: that is the handler's business
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs.fileno()}', "bash", *runner, handler_path(), "--serve"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[theirs.fileno()],
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        theirs.close()
        self.configuration = {"type": "configure", "handler": "test", "plugin": str(plugin), "options": options or {},
                              **configuration}  # fmt: skip

    def send(self, head, payload=b""):
        text = json.dumps(head).encode()
        self.socket.sendall(struct.pack(">II", len(text), len(payload)) + text + payload)

    def receive(self):
        """A packet that is no log line; None at the end."""
        while True:
            prefix = self._read(8)
            if prefix is None:
                return None
            n_head, n_payload = struct.unpack(">II", prefix)
            head = json.loads(self._read(n_head))
            head["payload"] = self._read(n_payload)
            if head["type"] != "log":
                return head

    def _read(self, n):
        data = b""
        while len(data) < n:
            try:
                more = self.socket.recv(n - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                assert not data, "half a packet"
                return None
            data += more
        return data

    def deliver(self, body=b"{}", **changes):
        self.send({**DELIVER, **changes}, body)
        return self.receive()

    def end(self):
        """Its exit status, and what it printed."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode("utf-8", "replace")

    def __enter__(self):
        self.send(self.configuration)
        self.answer = self.receive()
        return self

    def __exit__(self, *exception):
        self.socket.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.stdout.close()
        self.process.wait(PATIENCE)
