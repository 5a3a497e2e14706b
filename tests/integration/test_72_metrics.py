# SPDX-License-Identifier: Apache-2.0
"""What administrators see: metrics, health, readiness and the log tell what happened, and nothing that is secret."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import shlex
import socket
import sqlite3
import ssl
import time

import pytest

import exposition
import threads
from clients import PATIENCE, RawConnection
from frames import frame
from gateway import CALLBACK_PATH, SIGNATURE, Gateway, callback, sign
from handling import handlers, settle, told
from test_10_ingest import MALFORMED
from test_34_keys import KeySet, gateway_for, make_key
from test_70_tls import listen, make_certificate

ADMIN = {"admin": {"address": "127.0.0.1:0"}}
STRANGER = sign(b"another body")
SUMMARY = "canary-summary-of-a-meeting"
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "core" / "net" / "metrics.md"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can stop a thread of a process with secrets")


@pytest.fixture(scope="module")
def gateway():
    changes = {**ADMIN, **handlers(interactions={"for_handlers": ["it"]}), "limits": {"body_timeout": "1s"}}
    with Gateway(changes) as running:
        yield running


def admin(gateway, path):
    answer = gateway.request("GET", path, serves="admin")
    return answer.status, answer.body.decode().strip()


def until(condition):
    """Asks until it is so; the test's bound is the end of patience."""
    while not condition():
        pass


# The format, and its description


def test_the_exposition_is_strict():
    """The parser that says so refuses what Prometheus would."""
    good = "# HELP a_total x\n# TYPE a_total counter\na_total 1\n"
    assert exposition.parse(good)["a_total"].sum() == 1
    for bad in [
        good[:-1],
        good + "\n",
        good + good,
        good.replace("a_total 1", "a_total -1"),
        good.replace("a_total 1", "a_total  1"),
        good.replace("a_total 1", 'a_total{x="a"b"} 1'),
        good.replace("a_total 1", 'a_total{x="1",x="2"} 1'),
        good.replace("a_total 1", "b_total 1"),
        good.replace("a_total 1\n", ""),
        good + "a_total 1\n",
        good.replace("counter", "summary"),
        good.replace("counter", "gauge"),
        good.replace("a_total", "a"),
        "a_total 1\n",
    ]:
        with pytest.raises(Exception):
            exposition.parse(bad)


def test_every_metric_is_described(gateway):
    """core/net/metrics.md has a row for each, in the order of a scrape."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    found = [
        (family.name, family.kind, " ".join(f"`{label}`" for label in family.labels()), family.help)
        for family in gateway.metrics().values()
    ]
    assert rows == found


def test_results_are_described(gateway):
    rows = re.findall(r"^\| `(\w+)` \|(.*?)\|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    described = {outcome: set(re.findall(r"`(\w+)`", reasons)) for outcome, reasons in rows}
    found = {}
    for _, labels, _ in gateway.metrics()["belfry_callbacks_total"].samples:
        found.setdefault(labels["outcome"], set()).update({labels["reason"]} - {""})
    assert {outcome: described[outcome] for outcome in found} == found


# Callbacks


def chunked(gateway, chunks):
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n"
    with gateway.raw() as connection:
        return connection.send(head.encode() + chunks).read_answer()


def send_in_part(gateway):
    connection = gateway.raw()
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\n"
    return connection.send(head.encode() + b"some of it")


def without_length(gateway):
    with gateway.raw() as connection:
        return connection.send(f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n\r\n".encode()).read_answer()


def too_slow(gateway):
    with send_in_part(gateway) as connection:
        return connection.read_answer()


def duplicate(gateway):
    body = callback()
    gateway.deliver(body)
    return gateway.deliver(body)


def post_tags(query):
    return lambda gateway: gateway.post(callback(), path=f"{CALLBACK_PATH}?{query}")


RESULTS = {
    ("stored", ""): lambda gateway: gateway.post(callback()),
    ("duplicate", ""): duplicate,
    ("malformed", "empty"): lambda gateway: gateway.post(b""),
    ("malformed", "too_deep"): lambda gateway: gateway.post(b"[" * 100),
    ("malformed", "not_json"): lambda gateway: gateway.post(b"nonsense"),
    ("malformed", "not_an_object"): lambda gateway: gateway.post(b"[1]"),
    ("malformed", "duplicate_key"): lambda gateway: gateway.post(b'{"a":1,"a":2}'),
    ("malformed", "invalid_utf8"): lambda gateway: gateway.post(b'{"a":"\xff"}'),
    ("malformed", "premature_end"): lambda gateway: gateway.post(b'{"a":'),
    ("malformed", "trailing_bytes"): lambda gateway: gateway.post(b"{} {}"),
    ("malformed", "null_in_key"): lambda gateway: gateway.post(b'{"\\u0000":1}'),
    ("refused", "signature_missing"): lambda gateway: gateway.post(callback(), headers={SIGNATURE: None}),
    ("refused", "signature_too_many"): lambda gateway: gateway.post(callback(), headers={SIGNATURE: "A," * 9 + "A"}),
    ("refused", "signature_mismatch"): lambda gateway: gateway.post(callback(), headers={SIGNATURE: STRANGER}),
    ("refused", "tags_malformed"): post_tags("user=%zz"),
    ("refused", "tags_unsigned"): post_tags("user=42"),
    ("refused", "tags_signature"): post_tags("user=42&sig=" + "A" * 43),
    ("refused", "length_required"): without_length,
    ("refused", "content_encoding"): lambda gateway: gateway.post(callback(), headers={"Content-Encoding": "gzip"}),
    ("refused", "too_large"): lambda gateway: gateway.post(b"x" * 300000),
    ("refused", "body_malformed"): lambda gateway: chunked(gateway, b"nonsense\r\n"),
    ("refused", "body_timeout"): too_slow,
    ("abandoned", "peer_gone"): lambda gateway: send_in_part(gateway).socket.close(),
}
# Seen below, with a journal that does not work.
ELSEWHERE = {("unavailable", reason) for reason in ("queue_full", "journal_not_writable", "journal_too_slow")}
# Nobody can bring these about from outside.
UNSEEN = {("unavailable", "no_memory"), ("unavailable", "stopping")}


def results(gateway):
    samples = gateway.metrics()["belfry_callbacks_total"].samples
    return {(labels["outcome"], labels["reason"]): int(value) for _, labels, value in samples}


def test_nothing_is_left_out(gateway):
    assert set(results(gateway)) == RESULTS.keys() | ELSEWHERE | UNSEEN
    assert len({name for name, _ in MALFORMED}) > 5


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: "-".join(filter(None, result)))
def test_a_callback_is_counted_by_what_became_of_it(gateway, result):
    """Once, as one thing; and there is a line for it."""
    before, n_lines = results(gateway), len(gateway.lines)
    others = {("stored", "")} if result[0] == "duplicate" else set()
    RESULTS[result](gateway)
    until(lambda: results(gateway)[result] == before[result] + 1)
    after = results(gateway)
    assert {key for key in after if after[key] != before[key]} == {result} | others
    reason = f"reason={result[1]} " if result[1] else ""
    gateway.wait_for_line(rf" callback outcome={result[0]} {reason}source=cronofy ", start=n_lines)


def test_when_a_certificate_expires_is_told(gateway):
    """Of several listeners, the first that does."""
    assert gateway.metrics()["belfry_certificate_expires_timestamp_seconds"].samples[0][2] == float("inf")
    other = Gateway(ADMIN)
    names = {"soon": 3, "late": 30}
    tls = [make_certificate(other.folder, name=name, days=days) for name, days in names.items()]
    other.config["listen"] = [{"address": "127.0.0.1:0", "tls": each} for each in tls]
    with other:
        left = other.metric("certificate_expires_timestamp_seconds") - time.time()
        assert 2 * 86400 < left <= 3 * 86400


def test_kept_bytes_and_times_are_counted(gateway):
    before, body = gateway.metrics(), callback()
    gateway.deliver(body)
    gateway.deliver(body)
    after = gateway.metrics()

    def gained(name, part=""):
        return sum(
            sign * value
            for sign, metrics in ((-1, before), (1, after))
            for sample, _, value in metrics[name].samples
            if sample == name + part
        )

    assert gained("belfry_callback_bytes_total") == len(body)
    assert gained("belfry_callback_durable_seconds", "_count") == 2
    assert 0 < gained("belfry_callback_durable_seconds", "_sum") < 60
    assert gained("belfry_journal_events_total") == 1
    assert gained("belfry_journal_head") == 1
    assert gained("belfry_journal_commits_total") == 2
    assert gained("belfry_received_bytes_total") > 2 * len(body)
    assert after["belfry_journal_bytes"].sum() >= 4096
    assert after["belfry_journal_oldest"].sum() == 1
    assert after["belfry_reactor_head"].sum(reactor="0") == after["belfry_journal_head"].sum()


def test_handlers_are_counted(gateway):
    settle(gateway, *(told(what, interaction="for_handlers") for what in ("done", "retry", "reject", "crash")))
    outcomes = {
        labels["outcome"]: value for _, labels, value in gateway.metrics()["belfry_deliveries_total"].samples
        if labels["handler"] == "it"
    }  # fmt: skip
    assert outcomes == {"done": 3, "retry": 2, "dead": 1}
    assert gateway.metric("handler_crashes_total", handler="it") == 1
    assert gateway.metric("handler_processes", handler="it") == 1
    until(lambda: gateway.metric("deliveries_claimed", handler="it") == 0)
    assert gateway.metric("handler_paused", handler="it") == 0


def test_answers_are_counted_by_status(gateway):
    def count(status):
        return gateway.metric("http_answers_total", status=str(status))

    before = {status: count(status) for status in (400, 404, 405)}
    malformed = gateway.metric("http_malformed_total")
    gateway.request("GET", "/nowhere")
    gateway.request("GET", CALLBACK_PATH)
    with gateway.raw() as connection:
        connection.send(b"GET / HTTP/1.1\r\n\r\n").read_answer()
    assert {status: count(status) - before[status] for status in before} == {400: 1, 404: 1, 405: 1}
    assert gateway.metric("http_malformed_total") == malformed + 1


# Subscribers


def subscribers(gateway, **labels):
    return gateway.metric("subscribers", **labels)


def test_subscribers_are_counted():
    with Gateway(ADMIN) as gateway, gateway.connect() as one, gateway.connect():
        one.subscribe()
        assert subscribers(gateway, transport="websocket", state="idle") == 1
        until(lambda: subscribers(gateway, transport="websocket", state="live") == 1)
        stream = gateway.stream()
        until(lambda: subscribers(gateway, transport="stream", state="live") == 1)
        stream.close()
        until(lambda: subscribers(gateway, transport="stream") == 0)
        assert gateway.metric("subscribers_total", transport="stream") == 1
        assert gateway.metric("subscribers_total", transport="websocket") == 2
        assert gateway.metric("connections") == 3  # and the one that asks
    # all are gone with the gateway


def test_deliveries_are_counted_however_they_come():
    """Live, from the ring, and from pages of the journal."""
    with Gateway({**ADMIN, "limits": {"ring": "1MiB"}}) as gateway, gateway.connect() as live:
        live.subscribe()
        texts = []
        for i in range(20):
            gateway.deliver(callback(padding="x" * 100000))
            texts.append(live.receive_text())
        frames = sum(len(text.encode()) + (4 if len(text.encode()) < 65536 else 10) for text in texts)
        assert gateway.metric("events_delivered_total") == 20
        assert gateway.metric("events_delivered_bytes_total") == frames
        assert 0 < gateway.metric("ring_bytes") <= (1 << 20) + 200000
        with gateway.connect() as late, gateway.stream("?after=earliest") as stream:
            late.subscribe(after="earliest")
            late.events(20)
            stream.expect("welcome")
            stream.expect("subscribed")
            for _ in range(20):
                stream.expect("event")
        assert gateway.metric("events_delivered_total") == 60
        assert gateway.metric("events_delivered_bytes_total") == 3 * frames


def test_the_time_to_the_last_subscriber_is_told():
    """An event counts once on each reactor where somebody waits for it."""
    with Gateway({**ADMIN, "reactors": 2}) as gateway, contextlib.ExitStack() as stack:
        gateway.deliver(callback())
        assert gateway.metric("event_written_seconds", "_count") == 0  # nobody was there
        for subscriber in [stack.enter_context(gateway.connect()) for _ in range(4)]:
            subscriber.subscribe({"interactions": ["conferencing_failing"]})
        until(lambda: subscribers(gateway, state="live") == 4)
        gateway.deliver(callback("conferencing_failing"))
        gateway.deliver(callback("conferencing_assigned"))  # nobody's
        until(lambda: gateway.metric("event_written_seconds", "_count") == 2)
        assert 0 < gateway.metrics()["belfry_event_written_seconds"].samples[-2][2] < 60


def test_the_lag_is_told():
    """Of a subscriber that does not read."""
    with Gateway(ADMIN) as gateway, gateway.raw("subscribers") as lazy:
        lazy.send(
            b"GET /subscribe HTTP/1.1\r\nHost: g\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert lazy.read_head()[0] == 101
        lazy.send(frame(1, b'{"type":"subscribe","id":"s1","filter":{}}'))
        until(lambda: subscribers(gateway, state="live") == 1)
        assert gateway.metric("subscriber_lag_events") == 0
        for _ in range(60):
            gateway.deliver(callback(padding="x" * 200000))
        until(lambda: subscribers(gateway, state="behind") == 1)
        lag = gateway.metric("subscriber_lag_events")
        assert 0 < lag <= 60
        assert gateway.metric("events_delivered_total") == 60 - lag


def test_who_is_not_let_in_is_counted():
    changes = {**ADMIN, "subscribers": {"origins": ["https://app.example.com"]}}
    with Gateway(changes, tokens=True) as gateway:
        subscriber = gateway.connect(welcome=False).send({"type": "auth", "token": "no.token.atall"})
        assert subscriber.wait_closed()[1] == 4501
        gateway.request("GET", "/events?ticket=" + "A" * 43)
        gateway.request("GET", "/events", headers={"Origin": "https://elsewhere.example.com"})
        for reason in ("token", "ticket", "origin"):
            assert gateway.metric("subscribers_refused_total", reason=reason) == 1, reason


# Connections


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
def test_connections_over_a_limit_are_counted(limit):
    """And whoever asks is answered all the same."""
    with Gateway({**ADMIN, "limits": {limit: 10}}) as gateway:
        held = [gateway.raw() for _ in range(10)]
        assert gateway.request("GET", "/events").status == 503
        assert admin(gateway, "/healthz") == (200, "ok")
        refused = gateway.metrics()["belfry_connections_refused_total"]
        assert {labels["reason"]: value for _, labels, value in refused.samples if value} == {limit: 1}
        for connection in held:
            connection.socket.close()


def test_connections_that_ask_for_nothing_are_counted():
    with Gateway({**ADMIN, "limits": {"pending": 1}, "reactors": 1}) as gateway:
        idle = [gateway.raw() for _ in range(4)]
        until(lambda: gateway.metric("connections_refused_total", reason="pending") >= 2)
        assert gateway.metric("connections_pending") <= 2
        for connection in idle:
            connection.socket.close()


def test_failed_handshakes_are_counted():
    gateway = Gateway(ADMIN)
    gateway.config["listen"] = listen(make_certificate(gateway.folder))
    with gateway:
        with gateway.raw() as connection:
            connection.send(b"GET / HTTP/1.1\r\n\r\n").read_to_end()
        until(lambda: gateway.metric("tls_handshakes_failed_total") == 1)
        context = ssl.create_default_context(cafile=gateway.config["listen"][0]["tls"]["certificate"])
        raw = context.wrap_socket(socket.create_connection(gateway.address()), server_hostname="localhost")
        with RawConnection(raw) as connection:
            connection.send(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").read_to_end()
        assert gateway.metric("tls_handshakes_failed_total") == 1


# Alive and ready


def test_alive_and_ready(gateway):
    assert admin(gateway, "/healthz") == (200, "ok")
    assert admin(gateway, "/readyz") == (200, "ready")


def test_not_ready_while_the_journal_cannot_be_written():
    """And ready again by itself: no callback comes to a gateway that is not ready."""
    with Gateway(ADMIN) as gateway:
        moved = gateway.folder / "moved.db"
        gateway.journal.rename(moved)
        assert gateway.post(callback()).status == 503
        status, why = admin(gateway, "/readyz")
        assert status == 503 and why.startswith("the journal cannot be written: "), why
        assert admin(gateway, "/healthz") == (200, "ok")
        assert gateway.metric("journal_writable") == 0
        assert gateway.metric("callbacks_total", reason="journal_not_writable") == 1
        assert gateway.metric("journal_commits_total", outcome="failed") == 1
        moved.rename(gateway.journal)
        until(lambda: admin(gateway, "/readyz") == (200, "ready"))
        assert gateway.metric("journal_writable") == 1
        gateway.deliver(callback())


@needs_root
def test_not_ready_while_the_journal_hangs():
    """Callbacks are answered in time, and told apart; what becomes durable after all is not lost, and not hidden."""
    changes = {
        **ADMIN,
        "limits": {"answer_timeout": "300ms", "queue": "8MiB"},
        "sources": {"cronofy": {"max_body": "4MiB"}},
    }
    with Gateway(changes) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        with threads.stopped(gateway.process.pid, "writer"):
            assert gateway.post(callback(event_id="evt-0")).status == 503
            status, why = admin(gateway, "/readyz")
            assert (status, why) == (503, "the journal is too slow: callbacks are answered 503")
            assert gateway.metric("callbacks_total", reason="journal_too_slow") == 1
            assert gateway.metric("queue_callbacks") == 1
            while gateway.metric("callbacks_total", reason="queue_full") == 0:
                assert gateway.post(callback(padding="x" * 3000000)).status == 503
            assert gateway.metric("queue_callbacks") == 3
            assert 6000000 < gateway.metric("queue_bytes") < 8 << 20
            until(lambda: admin(gateway, "/healthz") == (503, "does not respond: the journal's writer"))
        assert subscriber.event()["callback"]["event"]["event_id"] == "evt-0"
        until(lambda: gateway.metric("callbacks_late_total") == 3)
        assert gateway.metric("queue_callbacks") == gateway.metric("queue_bytes") == 0
        assert gateway.metric("callbacks_total", outcome="stored") == 0
        assert gateway.metric("callbacks_total") == 4
        gateway.wait_for_line(r" info callback outcome=late .* event_id=evt-0 .* peer=gone")
        until(lambda: admin(gateway, "/readyz") == (200, "ready"))
        assert admin(gateway, "/healthz") == (200, "ok")


@needs_root
def test_not_alive_while_the_reader_hangs():
    with Gateway({**ADMIN, "limits": {"answer_timeout": "300ms"}}) as gateway:
        with threads.stopped(gateway.process.pid, "reader"), gateway.raw("subscribers") as connection:
            connection.send(b"GET /events HTTP/1.1\r\nHost: g\r\n\r\n")
            until(lambda: admin(gateway, "/healthz") == (503, "does not respond: the journal's reader"))
            assert admin(gateway, "/readyz") == (200, "ready")
        until(lambda: admin(gateway, "/healthz") == (200, "ok"))


@needs_root
def test_not_alive_while_a_reactor_hangs():
    """Whichever reactor has the connection, it does not get "ok"."""
    with Gateway({**ADMIN, "reactors": 2}) as gateway:
        with threads.stopped(gateway.process.pid, "reactor", 1), gateway.raw("admin") as one, gateway.raw("admin") as two:
            for connection in (one, two):
                connection.send(b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
            (ready, *others), _, _ = select.select([one.socket, two.socket], [], [], 20)
            assert not others
            answer = (one if ready is one.socket else two).read_answer()
            assert (answer.status, answer.body) == (503, b"does not respond: reactor 1\n")
        until(lambda: admin(gateway, "/healthz") == (200, "ok"))


def test_not_ready_without_keys():
    """Which can only be fetched, and could not."""
    with KeySet([make_key("k1")]) as key_set:
        key_set.status = 500
        gateway = gateway_for(key_set)
        gateway.config.update(ADMIN)
        with gateway:
            assert key_set.asked.acquire(timeout=20)
            expected = (503, "no token can be checked: the key set could not be fetched yet")
            assert admin(gateway, "/readyz") == expected
            key_set.status = 200
            gateway.restart()
            until(lambda: admin(gateway, "/readyz") == (200, "ready"))


def test_damage_is_counted():
    with Gateway(ADMIN) as gateway:
        gateway.deliver(callback())
        gateway.deliver(callback())
        gateway.stop()
        with contextlib.closing(sqlite3.connect(gateway.journal)) as journal:
            journal.execute("UPDATE events SET received_ms = received_ms + 1 WHERE sequence = 1")
            journal.commit()
        gateway.start()
        assert gateway.metric("journal_damaged_total") == 0
        assert len(gateway.events("?last=2")["events"]) == 1
        assert gateway.metric("journal_damaged_total") == 1


# The log


def fields_of_text(line):
    words = shlex.split(line)
    return {"level": words[1], "message": words[2], **dict(word.split("=", 1) for word in words[3:])}


def fields_of_json(line):
    fields = json.loads(line)
    assert list(fields)[:3] == ["time", "level", "message"]
    return fields


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_callback_is_one_line(form):
    """Whose it is, where it is, how long it took; nothing of what it says."""
    read = {"text": fields_of_text, "json": fields_of_json}[form]
    with Gateway({**ADMIN, "log": {"format": form}}) as gateway:
        n = len(gateway.lines)
        body = callback("conferencing_failing", "profile_missing", event_id="evt-0", summary=SUMMARY)
        gateway.deliver(body, path=gateway.callback_path(user="canary-tag"))
        gateway.deliver(body, path=gateway.callback_path(user="canary-tag"))
        gateway.post(body, headers={SIGNATURE: STRANGER})
        gateway.wait_for_line("signature_mismatch")
        position = gateway.events()["position"]
        stored, again, refused = [read(line) for line in gateway.lines[n:]]
        number = {"text": str, "json": int}[form]
        for fields in (stored, again):
            assert isinstance(fields["durable_us"], number) and int(fields.pop("durable_us")) > 0
        for fields in (stored, again, refused):
            assert re.fullmatch(r"127\.0\.0\.1:\d+", fields.pop("peer"))
            assert fields.pop("message") == "callback" and fields.pop("source") == "cronofy"
            assert fields.pop("bytes") == number(len(body)) and fields.pop("time", "20")[:2] == "20"
        kept = {"interactions": "conferencing_failing/profile_missing", "event_id": "evt-0", "position": position}
        assert stored == {"level": "info", "outcome": "stored", **kept}
        assert again == {"level": "info", "outcome": "duplicate", **kept}
        assert refused == {"level": "warning", "outcome": "refused", "reason": "signature_mismatch"}
        gateway.stop()
        assert SUMMARY not in gateway.log() and "canary-tag" not in gateway.log()
        for line in gateway.lines[:-1]:
            read(line)


HOSTILE = 'x"},{\\"\n2026-01-01T00:00:00.000Z error stolen a=b \x1b[2J\u2028\u202e\U0001f600' + "y" * 1000


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_callback_cannot_forge_a_line(form):
    with Gateway({"log": {"format": form}}) as gateway:
        n = len(gateway.lines)
        gateway.deliver(callback(HOSTILE, HOSTILE, event_id=HOSTILE))
        gateway.deliver(callback())
        gateway.wait_for_line("conferencing_assigned", start=n)
        first, second = gateway.lines[n:]
        assert first.isascii() and len(first) < 4096
        if form == "json":
            fields = json.loads(first)
            assert HOSTILE.startswith(fields["event_id"].removesuffix("..."))
            assert len(fields["event_id"].encode()) <= 259
            assert json.loads(second)["outcome"] == "stored"
        else:
            assert " stolen" not in first.replace("error stolen a=b", "") and "\\x1b[2J" in first


def test_nobody_waits_for_whoever_reads_the_log():
    """A collector that hangs holds up no callback; what did not fit is counted in its place."""
    n, filler = 2000, "x" * 200
    with Gateway() as gateway:
        gateway.reads_log.clear()
        connection = http.client.HTTPConnection(*gateway.address("sources"), timeout=PATIENCE)
        for i in range(n):
            body = callback(event_id=f"{i}-{filler}")
            connection.request("POST", CALLBACK_PATH, body, {SIGNATURE: sign(body)})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
        connection.close()
        gateway.reads_log.set()
        line = gateway.wait_for_line("lines are missing here")
        n_missing = int(re.search(r"lines=(\d+)", line)[1])
        assert n_missing > 0
        gateway.stop()
        assert len(re.findall(r" callback outcome=stored ", gateway.log())) == n - n_missing
