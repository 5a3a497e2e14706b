# SPDX-License-Identifier: Apache-2.0
"""A line between two network namespaces, made of two tun devices and a thread that carries packets, or loses them.

Nothing of it touches this machine's own network.
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import random
import select
import struct
import subprocess
import threading
import time

from gateway import Gateway

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

ADDRESSES = ["10.77.0.1", "10.77.0.2"]  # the gateway's, everybody else's


def enter(namespace):
    """From here on this thread's sockets, and its children, belong to the namespace (an open file)."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


def can_make_links():
    """One is made, as no other question has a certain answer."""
    try:
        with LossyLink():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


class LossyLink:
    def __init__(self, loss=0.0, bits_per_second=None):
        self.loss = loss
        self.bits_per_second = bits_per_second
        self.n_lost = 0
        self._chance = random.Random(20260427)
        self._names = [f"belfry-{os.getpid()}-{i}" for i in range(2)]
        self._stack = contextlib.ExitStack()
        self._is_over = False

    def __enter__(self):
        with self._stack as stack:
            self._home = stack.enter_context(open("/proc/thread-self/ns/net", "rb"))
            stack.callback(lambda: enter(self._home))
            self._namespaces, self._ends = [], []
            for name, address in zip(self._names, ADDRESSES):
                subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
                stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
                self._namespaces.append(stack.enter_context(pathlib.Path("/run/netns", name).open("rb")))
                self._ends.append(self._make_end(stack, address))
            enter(self._home)
            carrier = threading.Thread(target=self._carry, daemon=True)
            carrier.start()
            stack.callback(carrier.join)
            stack.callback(setattr, self, "_is_over", True)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def _make_end(self, stack, address):
        enter(self._namespaces[-1])
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        stack.callback(os.close, end)
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", b"line", IFF_TUN | IFF_NO_PI))
        for command in ("link set lo up", f"addr add {address}/24 dev line", "link set line up"):
            subprocess.run(["ip", *command.split()], check=True)
        return end

    def _carry(self):
        poll = select.poll()
        for end in self._ends:
            poll.register(end, select.POLLIN)
        while not self._is_over:
            for end, events in poll.poll(50):
                if events & select.POLLIN:
                    with contextlib.suppress(OSError):  # the other end is down
                        self._pass_on(os.read(end, 65536), self._ends[end == self._ends[0]])

    def _pass_on(self, packet, end):
        if self.bits_per_second:
            time.sleep(len(packet) * 8 / self.bits_per_second)
        if self._chance.random() < self.loss:
            self.n_lost += 1
        else:
            os.write(end, packet)

    @contextlib.contextmanager
    def gateway(self, changes):
        """A gateway at one end, and the test at the other."""
        listen = {"listen": [{"address": f"{ADDRESSES[0]}:0"}]}
        subscribers = {**changes.get("subscribers", {}), "anonymous_anywhere": True}
        enter(self._namespaces[0])
        try:
            with Gateway({**changes, **listen, "subscribers": subscribers}) as gateway:
                enter(self._namespaces[1])
                yield gateway
        finally:
            enter(self._home)

    def deliver_inside(self, gateway, bodies):
        """Callbacks that do not come over the line."""
        enter(self._namespaces[0])
        for body in bodies:
            gateway.deliver(body)
        enter(self._namespaces[1])

    def set_up(self, is_up):
        enter(self._namespaces[0])
        subprocess.run(["ip", "link", "set", "line", "up" if is_up else "down"], check=True)
        enter(self._namespaces[1])
