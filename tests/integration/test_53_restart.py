# SPDX-License-Identifier: Apache-2.0
"""Restarts under load, while whoever starts the gateway keeps its listening socket open, as systemd does by belfry.socket."""

import concurrent.futures
import hashlib
import json
import socket

import pytest

from gateway import Gateway, callback
from swarm import Member, Sender, Swarm, allow_descriptors, split_frames

pytestmark = [pytest.mark.only_release, pytest.mark.bound(180)]

N_CALLBACKS = 10000
N_SUBSCRIBERS = 1000
N_WISHES = 20  # different ones: each subscriber wants one type of interaction, each callback has one
N_AT_ONCE = 64
N_RESTARTS = 3


class Visit(Member):
    """One connection of a subscriber."""

    def __init__(self, subscriber):
        super().__init__(subscriber.address, f"{subscriber.wish}&after={subscriber.position}", keeps=True)
        self.subscriber = subscriber

    def read(self):
        try:
            super().read()
        except ConnectionResetError:
            self.has_ended = True
        self.subscriber.take(self)


class Faithful:
    """A subscriber that comes back with its last position whenever its connection ends."""

    def __init__(self, swarm, address, wish):
        self.swarm, self.address, self.wish = swarm, address, wish
        self.position = "latest"
        self.digest = hashlib.sha256()
        self.n_events = 0
        self.come()

    def come(self):
        self.visit = self.swarm.add(Visit(self))

    def take(self, visit):
        newest, end = None, 0
        for payload, end in split_frames(visit.data):
            if payload.startswith(b'{"type":"event"'):
                newest = payload
                self.digest.update(newest)
                self.n_events += 1
            visit.has_ended |= payload.startswith(b'{"type":"disconnect"')
        del visit.data[:end]
        if newest:
            self.position = json.loads(newest)["position"]
        elif visit.subscribed and self.position == "latest":
            self.position = visit.subscribed["position"]


class Load:
    """Callbacks, each on a connection of its own and sent once, and subscribers; `statuses` are the answers."""

    def __init__(self, swarm, address, bodies):
        self.swarm, self.address, self.bodies = swarm, address, iter(bodies)
        self.statuses = []
        for _ in range(N_AT_ONCE):
            self._call()

    def _call(self):
        for body in self.bodies:
            self.swarm.add(Sender(self.address, [body]))
            return

    def run_until(self, is_over):
        self.swarm.run_until(lambda: self._go_on() or is_over())

    def _go_on(self):
        """Whoever's connection has ended has a successor."""
        for each in self.swarm.take_ended():
            if isinstance(each, Visit):
                each.subscriber.come()
            else:
                self.statuses += each.statuses
                self._call()


def everything(swarm, address, wish, n):
    """What a subscriber that comes afterwards gets: the digest of all events."""
    reader = swarm.add(Member(address, f"{wish}&after=earliest", keeps=True))
    swarm.run_until(lambda: reader.subscribed and reader.has_events(n))
    return hashlib.sha256(b"".join(payload for payload, _ in split_frames(reader.data))).digest()


def test_a_restart_costs_nobody_anything():
    """Every callback is answered 200 at the first try, and each subscriber gets each event once and in order."""
    allow_descriptors(N_SUBSCRIBERS + 1000)
    wishes = [f"interactions=type-{i}" for i in range(N_WISHES)]
    bodies = [callback(f"type-{i % N_WISHES}") for i in range(N_CALLBACKS)]
    n_each = N_CALLBACKS // N_WISHES
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as passed, concurrent.futures.ThreadPoolExecutor() as other:
        address = passed.getsockname()
        changes = {
            "listen": [{"address": "systemd:public"}],
            "subscribers": {"anonymous_anywhere": True, "ping": "5m"},
        }
        with Gateway(changes, sockets={"public": passed}) as gateway, Swarm() as swarm:
            subscribers = [Faithful(swarm, address, wishes[i % N_WISHES]) for i in range(N_SUBSCRIBERS)]
            swarm.run_until(lambda: all(subscriber.visit.subscribed for subscriber in subscribers))
            load = Load(swarm, address, bodies)
            for i in range(1, N_RESTARTS + 1):
                load.run_until(lambda: len(load.statuses) >= i * N_CALLBACKS // (N_RESTARTS + 1))
                restart = other.submit(gateway.restart)
                load.run_until(restart.done)
                restart.result()
            load.run_until(lambda: len(load.statuses) == N_CALLBACKS)
            assert set(load.statuses) == {200}
            load.run_until(lambda: all(subscriber.n_events >= n_each for subscriber in subscribers))
            expected = {wish: everything(swarm, address, wish, n_each) for wish in wishes}
            assert {subscriber.n_events for subscriber in subscribers} == {n_each}
            assert all(subscriber.digest.digest() == expected[subscriber.wish] for subscriber in subscribers)
