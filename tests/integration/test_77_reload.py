# SPDX-License-Identifier: Apache-2.0
"""Another configuration for a gateway that runs: whole or not at all, and nobody is sent away."""

import copy
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import threading
import time

import pytest

from clients import PATIENCE, EventStream, handshake_status
from gateway import CALLBACK_PATH, EX_CONFIG, SIGNATURE, Gateway, callback, sign
from handling import DUE, Recorder, handlers, obedient, rows, states, told, wait_until
from plugins import handler_path
from test_10_ingest import post_head
from test_34_keys import KeySet, gateway_for, make_key, token_of
from test_71_listeners import descriptors_without_cloexec, post
from test_70_tls import client, connect, listen, make_certificate

ADMIN = {"admin": {"address": "127.0.0.1:0"}}


def admin(gateway, method="POST", path="/reload"):
    answer = gateway.request(method, path, serves="admin")
    return answer.status, answer.json()


def reload(gateway, **changes):
    """A reload that must succeed; what changed is returned, as {option: how}."""
    gateway.config.update(changes)
    gateway.write_config()
    status, answer = admin(gateway)
    assert status == 200 and answer["ok"], answer
    return {change["option"]: change["change"] for change in answer["changes"]}


def refused(gateway):
    """A reload that must be refused; the complaints are returned."""
    gateway.write_config()
    status, answer = admin(gateway)
    assert (status, answer["ok"], answer["error"]) == (422, False, "refused"), answer
    return [complaint["text"] for complaint in answer["complaints"] if not complaint["is_warning"]]


class Traffic:
    """Callbacks on a few kept connections, one after the other, until the end; none may be refused, and a subscriber
    must get each of them."""

    def __init__(self, gateway, n=3):
        self.gateway, self.n, self.sent, self.wrong = gateway, n, [], []
        self.is_over = threading.Event()

    def _send(self, number):
        connection = http.client.HTTPConnection(*self.gateway.address("sources"), timeout=PATIENCE)
        for i in range(1 << 30):
            body = callback(event_id=f"{number}-{i}")
            connection.request("POST", CALLBACK_PATH, body, {SIGNATURE: sign(body)})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                self.wrong.append((answer.status, i))
            self.sent.append(f"{number}-{i}")
            if self.is_over.is_set():
                break
        connection.close()

    def __enter__(self):
        self.subscriber = self.gateway.connect().__enter__()
        self.subscriber.subscribe()
        self.threads = [threading.Thread(target=self._send, args=(i,)) for i in range(self.n)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, exception_type, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        if exception_type is None:
            assert not self.wrong
            came = {self.subscriber.event()["callback"]["event"]["event_id"] for _ in self.sent}
            assert came == set(self.sent)
        self.subscriber.__exit__(None, None, None)


@pytest.fixture
def gateway():
    with Gateway({**ADMIN, "reactors": 2}) as running:
        yield running


# What changes


def test_nothing_changes(gateway):
    before = gateway.request("GET", "/status", serves="admin").json()["configuration"]
    assert before["by"] == "start"
    assert reload(gateway) == {}
    now = gateway.request("GET", "/status", serves="admin").json()["configuration"]
    assert now["by"] == "address" and now["loaded_at"] > before["loaded_at"]
    assert admin(gateway, "GET") == (200, {"ok": True, "changes": [], "complaints": []})


def test_a_secret_that_is_gone_is_refused(gateway):
    """From the answer on; the other one is as good as before."""
    other = gateway.secret_file("other", "CRN_canary-other-secret-0123456789abcdef0123")
    secrets = gateway.config["sources"]["cronofy"]["secrets"]
    new = pathlib.Path(other["file"]).read_text(encoding="utf-8")
    with Traffic(gateway):
        secrets.append(other)
        assert reload(gateway) == {"sources.cronofy.secrets": "changed"}
    gateway.deliver(callback(), secrets=(new,))
    secrets.pop(0)
    assert reload(gateway) == {"sources.cronofy.secrets": "changed"}
    assert gateway.post(callback()).status == 401
    gateway.deliver(callback(), secrets=(new,))


def test_a_secret_changes_in_its_file(gateway):
    gateway.secret_file("cronofy", "CRN_canary-next-secret-0123456789abcdef0123")
    status, answer = admin(gateway, "GET")
    assert (status, answer["changes"]) == (200, [{"option": "sources.cronofy.secrets", "change": "changed"}])
    gateway.deliver(callback())
    reload(gateway)
    assert gateway.post(callback()).status == 401


def test_a_callback_under_way_ends_by_what_it_began_with(gateway):
    """Its head was there before, its body comes after."""
    body = callback()
    with gateway.raw() as connection:
        connection.send(post_head(body) + body[:10])
        wait_until(lambda: gateway.metric("connections_pending") == 0)
        gateway.config["sources"] = {
            "other": {"secrets": [gateway.secret_file("other", "CRN_canary-other-secret-0123456789abcdef0123")]}
        }
        assert reload(gateway) == {"sources.cronofy": "removed", "sources.other": "added"}
        connection.send(body[10:])
        assert connection.read_answer().status == 200
    assert gateway.post(callback()).status == 404
    assert gateway.events()["events"][0]["source"] == "cronofy"


def test_tags(gateway):
    path = gateway.callback_path(user="42")
    gateway.deliver(callback(), path=path)
    gateway.config["sources"]["cronofy"]["tags"]["keys"] = [
        gateway.secret_file("tags-2", "canary-second-tag-key-0123456789abcdef0123")
    ]
    reload(gateway)
    assert gateway.post(callback(), path=path).status == 401
    gateway.deliver(callback(), path=gateway.callback_path(user="42"))


def test_counters_go_on(gateway):
    gateway.deliver(callback())
    reload(gateway, log={"level": "debug"})
    gateway.deliver(callback())
    assert gateway.metric("callbacks_total", source="cronofy", outcome="stored") == 2


def test_sessions_of_a_key_that_is_gone_are_closed():
    """And nobody else's."""
    with Gateway(ADMIN, tokens=True) as gateway:
        second = "canary-second-token-secret-0123456789abcdef0123456789"
        keys = gateway.config["subscribers"]["tokens"]["keys"]
        keys.append(gateway.secret_file("second", second))
        assert reload(gateway) == {"subscribers.tokens.keys": "changed"}
        with gateway.connect(welcome=False) as one, gateway.connect(welcome=False) as two:
            one.authorize(gateway.token())
            two.authorize(gateway.token(secret=second))
            two.subscribe()
            keys.pop(0)
            reload(gateway)
            assert one.wait_closed()[1] == 4501
            gateway.deliver_next(two)


def test_who_watches_by_a_token_that_is_gone_is_sent_away():
    """An administrator, as well."""
    with Gateway(ADMIN) as gateway:
        tokens = {name: f"canary-admin-token-of-{name}-0123456789abcdef" for name in ("alice", "bob")}
        gateway.config["admin"]["tokens"] = [
            {"name": name, "role": "operator", "token": gateway.secret_file(name, token)} for name, token in tokens.items()
        ]
        gateway.config["admin"]["socket"] = str(gateway.folder / "admin.sock")
        reload(gateway)
        url = f"http://{gateway.listener('admin')['address']}/watch"
        alice, bob = ({"headers": {"Authorization": f"Bearer {token}"}} for token in tokens.values())
        with EventStream(url, **alice) as gone, EventStream(url, **bob) as stays:
            for stream in (gone, stays):
                stream.expect("welcome")
                stream.expect("subscribed")
            gateway.config["admin"]["tokens"].pop(0)
            gateway.write_config()
            gateway.belfry("reload")
            assert gone.expect("disconnect")["code"] == 4501
            gateway.deliver(callback())
            stays.expect("event")
        del gateway.config["admin"]["tokens"]  # for what looks at the metrics in the end
        gateway.write_config()
        gateway.belfry("reload")


def test_fetched_keys_stay():
    """What jwks_url answered counts on; a reload fetches nothing that has not changed."""
    key = make_key("one")
    with KeySet([key]) as key_set:
        gateway = gateway_for(key_set)
        gateway.config.update(ADMIN)
        with gateway:
            gateway.wait_for_line("token keys fetched")
            assert key_set.asked.acquire(timeout=PATIENCE)
            with gateway.connect(welcome=False) as subscriber:
                subscriber.authorize(token_of(gateway, key))
                subscriber.subscribe()
                reload(gateway, log={"level": "debug"})
                gateway.deliver_next(subscriber)
                assert not key_set.asked.acquire(timeout=0.5)
                gateway.config["subscribers"]["tokens"] = {"keys": [gateway.secret_file("k", "canary-k" * 8)]}
                reload(gateway)
                assert subscriber.wait_closed()[1] == 4501


def test_anonymous_no_more(gateway):
    with gateway.connect() as subscriber:
        keys = {"keys": [gateway.secret_file("k", "canary-k" * 8)]}
        reload(gateway, subscribers={"tokens": keys})
        assert subscriber.wait_closed()[1] == 4501


def test_limits_and_log(gateway):
    """Of what is there at once; who is over a new limit stays."""
    with gateway.connect() as first, gateway.connect() as second:
        assert reload(gateway, limits={"connections": 10, "idle_timeout": "7s"}, log={"format": "json"}) == {
            "limits.connections": "changed",
            "limits.idle_timeout": "changed",
            "log.format": "changed",
        }
        gateway.wait_for_line('"message":"reloaded"')
        first.subscribe()
        second.subscribe()
        gateway.deliver(callback(event_id="evt-0"))
        for subscriber in (first, second):
            assert subscriber.event()["callback"]["event"]["event_id"] == "evt-0"


def test_retention(gateway):
    for _ in range(3):
        gateway.deliver(callback())
    reload(gateway, journal={**gateway.config["journal"], "retention": {"age": "1s"}})
    wait_until(lambda: gateway.events()["events"] == [])


def test_who_may_come(gateway):
    """By which name, from which pages, to which path: for the next who comes."""
    origin = "https://app.example.com"
    assert handshake_status(gateway.url(), origin=origin) == 403
    with gateway.connect() as subscriber:
        subscribers = {"anonymous": True, "origins": [origin], "path": "/live", "server_names": ["127.0.0.1"]}
        assert reload(gateway, subscribers=subscribers) == {
            "subscribers.path": "changed",
            "subscribers.origins": "changed",
            "subscribers.server_names": "changed",
        }
        assert handshake_status(gateway.url("/live"), origin=origin) == 101
        assert handshake_status(gateway.url(), origin=origin) == 404
        assert gateway.request("GET", "/events", headers={"Host": "localhost"}).status == 421
        subscriber.subscribe()
        gateway.deliver_next(subscriber)


# Listeners and certificates


def is_kept(connection):
    """A callback over a connection that stays."""
    body = callback()
    connection.sendall(post_head(body) + body)
    return connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_another_certificate():
    """For who comes; who is there stays. Another kind of key as well."""
    gateway = Gateway(ADMIN)
    gateway.config["listen"] = listen(make_certificate(gateway.folder))
    with gateway:
        with connect(gateway, client(gateway)) as connection:
            assert is_kept(connection)
            shown = connection.getpeercert(binary_form=True)
            make_certificate(gateway.folder, kind="rsa")  # the same files
            address = gateway.config["listen"][0]["address"]
            assert reload(gateway) == {f"listen.tls.certificate of {address}": "changed"}
            assert reload(gateway) == {}
            with connect(gateway, client(gateway)) as other:
                assert other.getpeercert(binary_form=True) != shown
            assert is_kept(connection)
        pathlib.Path(gateway.config["listen"][0]["tls"]["key"]).write_text("no key", encoding="utf-8")
        (complaint,) = refused(gateway)
        assert "no private key" in complaint
        connect(gateway, client(gateway)).close()


def test_another_certificate_of_the_admin_listener():
    """It is told once, whether the file is another one or its name."""
    gateway = Gateway(ADMIN)
    gateway.config["admin"] = {**ADMIN["admin"], "tls": make_certificate(gateway.folder), "socket": f"{gateway.folder}/admin"}
    with gateway:
        make_certificate(gateway.folder)
        assert gateway.belfry("reload").stdout == b"OK: 1 change\n  admin.tls.certificate: changed\n"
        assert gateway.belfry("reload").stdout == b"OK: 0 changes\n"
        gateway.config["admin"]["tls"] = make_certificate(gateway.folder, name="other")
        gateway.write_config()
        told = b"OK: 2 changes\n  admin.tls.certificate: changed\n  admin.tls.key: changed\n"
        assert gateway.belfry("reload").stdout == told
        del gateway.listeners[:]  # the harness speaks no TLS


def heard_at(gateway, n):
    """Where it listens since line n of its log."""
    line = gateway.wait_for_line(r" info listening ", start=n)
    host, port = re.search(r"address=(\S+):(\d+)", line).groups()
    return host, int(port)


def status_of(address, path="/nowhere"):
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_listeners_come_and_go(gateway):
    """Connections of one that is gone live on; the others are not opened anew."""
    before = gateway.address()
    n = len(gateway.lines)
    gateway.config["listen"].append({"address": "[::1]:0", "serves": ["subscribers"]})
    with gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        assert reload(gateway) == {"listen": "changed"}
        added = heard_at(gateway, n)
        assert status_of((added[0].strip("[]"), added[1]), CALLBACK_PATH) == 404
        assert gateway.address() == before
        gateway.deliver_next(subscriber)
        gateway.config["listen"].pop(0)
        assert reload(gateway) == {"listen": "changed"}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(before, PATIENCE)
        body = callback()
        assert post(connection, body).status == 200
        assert subscriber.event()["callback"] == json.loads(body)


def test_an_address_that_is_taken(gateway):
    """The whole is refused: neither the other address nor the new secret count."""
    with socket.create_server(("127.0.0.1", 0)) as taken, Traffic(gateway, n=1):
        port = taken.getsockname()[1]
        n = len(gateway.lines)
        gateway.config["listen"] += [{"address": "127.0.0.1:0"}, {"address": f"127.0.0.1:{port}"}]
        (complaint,) = refused(gateway)
        assert complaint.startswith(f"cannot listen on 127.0.0.1:{port}: bind: Address already in use")
        assert not any(" listening " in line for line in gateway.lines[n:])


def test_the_admin_listener_moves(gateway):
    gateway.config["admin"]["address"] = "[::1]:0"
    n = len(gateway.lines)
    assert reload(gateway) == {"admin.address": "changed"}
    host, port = heard_at(gateway, n)
    gateway.listener("admin")["address"] = f"{host}:{port}"
    assert gateway.request("GET", "/readyz", serves="admin").status == 200


def test_an_admin_socket_is_added(gateway):
    """The command line takes it at once; and when it is gone, it is not there any more."""
    path = gateway.folder / "admin.sock"
    gateway.config["admin"]["socket"] = str(path)
    assert reload(gateway) == {"admin.socket": "added"}
    assert gateway.belfry("reload").stdout == b"OK: 0 changes\n"
    del gateway.config["admin"]["socket"]
    assert reload(gateway) == {"admin.socket": "removed"}
    with socket.socket(socket.AF_UNIX) as late, pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        late.connect(str(path))


def test_nothing_grows():
    """However often."""
    gateway = Gateway({**ADMIN, **handlers()})
    gateway.config["listen"] = listen(make_certificate(gateway.folder))
    with gateway:
        one, two = gateway.config["listen"], [*gateway.config["listen"], {"address": "127.0.0.1:0"}]

        def count():
            return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))

        def both():
            reload(gateway, listen=two)
            reload(gateway, listen=one)

        both()
        n = count()
        for _ in range(20):
            both()
        wait_until(lambda: count() <= n)  # what the last question came by may be there yet
        assert not list(descriptors_without_cloexec(gateway.process.pid))


# What is refused


def test_what_is_wrong_is_told_and_the_old_one_stays(gateway):
    """As belfry check says it."""
    with Traffic(gateway):
        gateway.config["sources"]["cronofy"]["secrets"][0] = {"file": "/nowhere"}
        gateway.config["colour"] = "red"
        complaints = refused(gateway)
        said = gateway.belfry("check", expect_exit=EX_CONFIG).stderr.decode().splitlines()
        assert [line.removeprefix("belfry: ") for line in said] == complaints
        assert any('unknown key "colour"' in line for line in complaints)
        gateway.config_path.write_text("a: [", encoding="utf-8")
        status, answer = admin(gateway)
        assert status == 422 and f"{gateway.config_path}:2:1: " in answer["complaints"][0]["text"]
        gateway.config_path.unlink()
        status, answer = admin(gateway)
        assert status == 422 and "cannot be read" in answer["complaints"][0]["text"]


@pytest.mark.parametrize(
    "changes, option",
    [
        ({"journal": {"sqlite": {"path": "/tmp/another.db"}}}, "journal.sqlite.path"),
        ({"reactors": 1}, "reactors"),
    ],
)
def test_what_needs_a_restart(gateway, changes, option):
    gateway.config.update(changes)
    gateway.config["sources"]["other"] = dict(gateway.config["sources"]["cronofy"], path="/callbacks/other")
    assert refused(gateway) == [f"{option}: a gateway that runs cannot change this; restart it, or leave it as it was"]
    assert gateway.post(callback(), path="/callbacks/other").status == 404


def test_the_command_line(gateway):
    url = f"http://{gateway.listener('admin')['address']}/reload"
    gateway.config["log"] = {"level": "debug"}
    gateway.write_config()
    said = gateway.belfry("reload", "--dry-run", "--url", url).stdout.decode()
    assert said == "OK: 1 change to come\n  log.level: changed\n"
    assert gateway.belfry("reload", "--url", url).stdout.decode() == "OK: 1 change\n  log.level: changed\n"
    assert gateway.belfry("reload", "--url", url).stdout.decode() == "OK: 0 changes\n"
    gateway.config["reactors"] = 1
    gateway.write_config()
    done = gateway.belfry("reload", "--url", url, expect_exit=EX_CONFIG)
    assert done.stdout == b"" and b"reactors: a gateway that runs cannot change this" in done.stderr
    assert json.loads(gateway.belfry("reload", "--json", "--url", url, expect_exit=EX_CONFIG).stdout)["ok"] is False


def test_without_an_admin_listener():
    """It says what to do instead."""
    with Gateway() as gateway:
        assert b"kill -HUP" in gateway.belfry("reload", expect_exit=2).stderr


def test_pages_reload_nothing(gateway):
    answer = gateway.request("POST", "/reload", headers={"Origin": "https://e.example.com"}, serves="admin")
    assert answer.status == 403


# Handlers


def processes(gateway):
    """Those of belfry-handler."""
    children = pathlib.Path(f"/proc/{gateway.process.pid}/task").glob("*/children")
    return {int(pid) for child in children for pid in child.read_text(encoding="ascii").split()}


def deliver(gateway, recorder, *do, n=1, **event):
    """Until so many more have been heard."""
    before = len(recorder.heard)
    gateway.deliver(told(*do, **event))
    wait_until(lambda: len(recorder.heard) >= before + n)


def with_handlers(recorder, *names, **changes):
    config = handlers(**recorder.options(), **changes)
    it = config["handlers"].pop("it")
    return {**config, "handlers": {name: copy.deepcopy(it) for name in names}, "interactions": {"*": list(names)}}


def test_who_has_not_changed_keeps_its_process():
    """Who has is started again when it has done what it is at; who is new begins; nothing is lost or done twice."""
    with Recorder() as recorder, Gateway({**ADMIN, **with_handlers(recorder, "same", "other")}) as gateway:
        deliver(gateway, recorder, n=2)
        before = processes(gateway)
        assert len(before) == 2
        gateway.deliver(told("slow", event_id="evt-slow"))
        wait_until(lambda: len(recorder.heard) == 4)  # both are at it
        gateway.config["handlers"]["other"]["limits"]["descriptors"] = 65
        gateway.config["handlers"]["same"]["deadline"] = "29s"
        gateway.config["handlers"]["new"] = copy.deepcopy(gateway.config["handlers"]["same"])
        gateway.config["interactions"]["*"].append("new")
        assert reload(gateway) == {
            "handlers.same.deadline": "changed",
            "handlers.other.limits.descriptors": "changed",
            "handlers.new": "added",
            "interactions.*": "changed",
        }
        deliver(gateway, recorder, n=3)
        wait_until(lambda: len(processes(gateway)) == 3 and len(processes(gateway) & before) == 1)
        wait_until(lambda: not rows(gateway, "SELECT 1 FROM deliveries WHERE state < 2"))
        assert len(recorder.heard) == 7 and {attempt for *_, attempt in recorder.heard} == {1}
        assert gateway.metric("deliveries_total", handler="same", outcome="done") == 3
        assert gateway.metric("handler_crashes_total") == 0


def test_the_first_handlers_and_the_last():
    """What a removed one is owed stays, and is done when it is there again."""
    with Recorder() as recorder, Gateway(ADMIN) as gateway:
        reload(gateway, **with_handlers(recorder, "it", breaker={"failures": 1, "pause": "1h"}))
        deliver(gateway, recorder)
        gateway.deliver(told("retry_later", "retry_later", event_id="evt-0"))  # and then it pauses
        wait_until(lambda: len(recorder.heard) == 2)
        wait_until(lambda: rows(gateway, "SELECT 1 FROM attempts WHERE sequence = 2"))
        owner = gateway.config["handlers"]
        assert reload(gateway, handlers={}, interactions={}) == {"handlers.it": "removed", "interactions.*": "removed"}
        gateway.wait_for_line("a handler that is not configured any more is owed deliveries.* handler=it")
        wait_until(lambda: not processes(gateway))
        heard = len(recorder.heard)
        gateway.deliver(callback())
        assert states(gateway)[-1] == DUE and len(recorder.heard) == heard
        del owner["it"]["breaker"]
        reload(gateway, handlers=owner, interactions={"*": ["it"]})
        wait_until(lambda: not rows(gateway, "SELECT 1 FROM deliveries WHERE state < 2"))
        assert recorder.heard[-1][0] == "evt-0" and recorder.heard[-1][3] == 3


def test_a_plugin_that_was_built_again(tmp_path):
    """Same name, other bytes: its handlers are started again."""
    copy = tmp_path / "plugin.so"
    copy.write_bytes(obedient().read_bytes())
    copy.chmod(0o755)
    with Recorder() as recorder, Gateway({**ADMIN, **with_handlers(recorder, "it", plugin=str(copy))}) as gateway:
        deliver(gateway, recorder)
        before = processes(gateway)
        again = tmp_path / "again.so"
        again.write_bytes(copy.read_bytes() + b"again")
        again.chmod(0o755)
        again.rename(copy)
        assert reload(gateway) == {"handlers.it.plugin": "changed"}
        deliver(gateway, recorder)
        assert not before & processes(gateway)


def test_a_pause_outlasts_a_reload_unless_it_is_about_that_handler():
    with Recorder() as recorder:
        changes = with_handlers(recorder, "it", breaker={"failures": 1, "pause": "1h"})
        with Gateway({**ADMIN, **changes}) as gateway:
            deliver(gateway, recorder, "retry_later")
            wait_until(lambda: gateway.metric("handler_paused", handler="it") == 1)
            reload(gateway, log={"level": "debug"})
            assert gateway.metric("handler_paused", handler="it") == 1
            gateway.config["handlers"]["it"]["limits"]["descriptors"] = 65
            reload(gateway)
            wait_until(lambda: not rows(gateway, "SELECT 1 FROM deliveries WHERE state < 2"))


def test_a_handler_that_begins_anew_is_not_called_failing():
    """Its old process was; the new one is at work and has not said anything yet."""
    with Gateway({**ADMIN, **handlers(options={"refuse": True}, deadline="1h")}) as gateway:
        gateway.deliver(told(otherwise="hang"))
        wait_until(lambda: gateway.metric("handler_failing", handler="it") == 1)
        del gateway.config["handlers"]["it"]["options"]
        reload(gateway)
        wait_until(lambda: gateway.metric("handler_failing", handler="it") == 0)
        assert not rows(gateway, "SELECT 1 FROM deliveries WHERE state >= 2")


def test_a_thousand_handlers(tmp_path):
    """Their plugin is described once."""
    counting = program(tmp_path, f"echo $1 >> {tmp_path}/calls")
    one = handlers()["handlers"]["it"]
    names = [f"handler-{i}" for i in range(1000)]
    with Gateway({**ADMIN, **counting}) as gateway:
        gateway.config.update(handlers={name: one for name in names}, interactions={"*": names[:3]})
        gateway.write_config()
        start = time.monotonic()
        status, answer = admin(gateway)
        first = time.monotonic() - start
        assert (status, len(answer["changes"])) == (200, 1001)
        start = time.monotonic()
        reload(gateway)
        print(f"1,000 handlers: {first:.3f} s, and again {time.monotonic() - start:.3f} s")
        calls = (tmp_path / "calls").read_text(encoding="ascii").split()
        assert calls.count("--describe") == 2


# Signals


def test_a_signal_reloads_and_the_log_tells(gateway):
    n = len(gateway.lines)
    gateway.config["colour"] = "red"
    gateway.write_config()
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_line("the configuration is refused", start=n)
    assert 'unknown key \\"colour\\"' in gateway.log()
    del gateway.config["colour"]
    gateway.config["log"] = {"level": "debug"}
    gateway.write_config()
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_line(r" reloaded by=SIGHUP changes=1", start=n)


def test_a_hundred_signals(gateway):
    """Of all that come, the last one counts; each reads what is there at that moment."""
    with Traffic(gateway, n=1):
        for i in range(100):
            gateway.config["limits"] = {"idle_timeout": f"{i + 1}s"}
            gateway.write_config()
            gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: admin(gateway, "GET")[1]["changes"] == [])


def program(folder, line):
    """A belfry-handler that does something before."""
    script = folder / "handler-program"
    script.write_text(f'#!/bin/sh\n{line}\nexec {handler_path()} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return {"plugins": {"program": str(script)}}


def test_a_stop_during_a_reload(tmp_path):
    """Is not kept waiting by plugins that do not come to an end with their description."""
    stuck = program(tmp_path, f"test -e {tmp_path}/stuck && touch {tmp_path}/asked && sleep 1000")
    copies = [tmp_path / f"plugin-{i}.so" for i in range(3)]
    for copy_of_it in copies:
        copy_of_it.write_bytes(obedient().read_bytes())
    with Gateway({**ADMIN, **handlers(), **stuck}) as gateway:
        (tmp_path / "stuck").touch()
        it = gateway.config["handlers"]["it"]
        gateway.config["handlers"] = {f"h{i}": {**it, "plugin": str(each)} for i, each in enumerate(copies)}
        gateway.config["interactions"] = {}
        gateway.write_config()
        gateway.process.send_signal(signal.SIGHUP)
        wait_until((tmp_path / "asked").exists)
        gateway.stop()


def test_a_signal_during_the_start(tmp_path):
    """It waits until there is somebody to do it."""
    signals = program(tmp_path, f"mkdir {tmp_path}/once 2>/dev/null && kill -HUP $PPID")
    with Gateway({**ADMIN, **handlers(), **signals}) as gateway:
        gateway.wait_for_line("reloaded by=SIGHUP changes=0")


class Notified:
    """A NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(PATIENCE)

    def next(self):
        return self.socket.recv(4096).decode()


def test_systemd_is_told(tmp_path):
    notified = Notified(tmp_path)
    with Gateway(ADMIN, environment={"NOTIFY_SOCKET": notified.path}) as gateway:
        assert notified.next() == "READY=1"
        before = time.monotonic_ns() // 1000
        gateway.process.send_signal(signal.SIGHUP)
        what, when = notified.next().split("\n")
        assert what == "RELOADING=1"
        assert before <= int(when.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert notified.next() == "READY=1"
    assert notified.next() == "STOPPING=1"
