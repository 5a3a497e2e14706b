# SPDX-License-Identifier: Apache-2.0
"""A disk that fails, hangs or is slow when a test says so: disk.c, in front of the C library."""

import contextlib
import os
import pathlib
import subprocess
import time

from clients import PATIENCE
from gateway import Gateway, merge
from swarm import request

HERE = pathlib.Path(__file__).parent


def compile_c(source, target, *options):
    command = ["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", *options, "-o", target, HERE / source]
    subprocess.run(command, check=True)


def metric(gateway, name, label=""):
    """All of a metric's values together, or those with this label."""
    lines = gateway.request("GET", "/metrics", serves="admin").body.decode().splitlines()
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and label in line)


def wait_until(is_so):
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline


class Disk:
    def __init__(self, folder):
        self.folder = folder
        self.library = folder / "disk.so"
        compile_c("disk.c", self.library, "-shared", "-fPIC")

    def gateway(self, changes=None):
        # a sanitizer wants to be loaded first, and works as well behind this
        sanitizer = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        disk = {"LD_PRELOAD": str(self.library), "DISK": str(self.folder)}
        admin = {"admin": {"address": "127.0.0.1:0"}}
        return Gateway(merge(admin, changes or {}), environment={**disk, **sanitizer})

    @contextlib.contextmanager
    def failing(self, *functions, error):
        for function in functions:
            (self.folder / function).write_text(str(error))
        yield
        for function in functions:
            (self.folder / function).unlink()

    @contextlib.contextmanager
    def hanging(self):
        """No sync ends."""
        with self.failing("fdatasync", error=0):
            yield
        (self.folder / "fdatasync.waits").unlink(missing_ok=True)

    def slow(self, ms):
        """Each sync takes that long."""
        return self.failing("fdatasync", error=-ms)

    def is_waited_for(self):
        return (self.folder / "fdatasync.waits").exists()

    @contextlib.contextmanager
    def hanging_under(self, gateway, connections, bodies):
        """The first callback's sync does not end, and the others wait behind it in the queue, or were refused."""
        with self.hanging():
            connections[0].send(request(bodies[0]))
            wait_until(self.is_waited_for)
            for connection, body in zip(connections[1:], bodies[1:]):
                connection.send(request(body))
            yield
