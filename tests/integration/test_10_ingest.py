# SPDX-License-Identifier: Apache-2.0
"""Callbacks come in: what the provider sends arrives as it was sent, and everything else is told off in time."""

import contextlib
import gzip
import itertools
import random
import re
import socket
import sqlite3
import subprocess
import time

import pytest

from bodies import ASSIGNED, BODIES, MALFORMED
from gateway import CALLBACK_PATH, SIGNATURE, Gateway, callback, sign

MAX_BODY = 256 * 1024


@pytest.fixture(scope="module")
def gateway():
    with Gateway({"admin": {"address": "127.0.0.1:0"}}) as running:
        yield running


def head(*lines, method="POST", path=CALLBACK_PATH, host="gateway"):
    """The bytes of a request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


def post_head(body, *lines, signature=None):
    return head(f"Content-Length: {len(body)}", f"{SIGNATURE}: {signature or sign(body)}", *lines)


def chunked(body, *sizes):
    """The body in chunks of these sizes, the last one again and again."""
    sizes, result = list(sizes), b""
    while body:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        result += b"%x\r\n%b\r\n" % (len(body[:size]), body[:size])
        body = body[size:]
    return result + b"0\r\n\r\n"


def chunked_head(body, *lines):
    return head("Transfer-Encoding: chunked", f"{SIGNATURE}: {sign(body)}", *lines)


def assert_refused(gateway, request, *statuses):
    """Answered with one of these statuses, and closed; None stands for a close without an answer."""
    with gateway.raw() as connection:
        try:
            connection.send(request)
        except ConnectionError:
            pass  # it need not read what it has refused
        answer = connection.read_to_end()
        if not answer:
            assert None in statuses, gateway.log()
            return
        connection.buffer = answer
        status, headers = connection.read_head()
        assert status in statuses, (status, gateway.log())
        assert headers["Connection"] == "close"


# What arrives


@pytest.mark.parametrize("body, interactions", [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
def test_bodies_arrive_as_they_were_sent(gateway, body, interactions):
    with gateway.connect() as subscriber, gateway.stream() as stream:
        subscriber.subscribe()
        stream.expect("welcome")
        stream.expect("subscribed")
        gateway.deliver(body)
        text = subscriber.receive_text()
        assert text.endswith('"callback":' + body.decode() + "}")
        event = stream.expect("event")
        assert event["interactions"] == interactions
        assert event["source"] == "cronofy"
        # CR would end a line of the stream, too; in JSON it is nothing but white space
        assert event["text"] == text.replace("\r", "")


CALL = re.compile(r"\d+ +(?:<\.\.\. )?(\w+)(?:\((\d+<[^>]*>)?| resumed>)(.*)")


def completed_calls(trace):
    """What strace -f -y wrote, as (call, file, the rest of the line), in the order in which calls returned."""
    begun = {}
    for line in trace.splitlines():
        thread, match = line.split()[0], CALL.match(line)
        if not match:
            continue
        name, file, rest = match.groups()
        if " resumed>" in line:
            file, begin = begun.pop((thread, name))
            rest = begin + rest
        if rest.endswith("<unfinished ...>"):
            begun[thread, name] = file, rest
        else:
            yield name, file or "", rest


@pytest.mark.only_release  # LeakSanitizer cannot be traced
def test_200_is_said_after_the_disk_has_it(tmp_path):
    trace = tmp_path / "trace"
    calls = "trace=recvfrom,read,pwrite64,fsync,fdatasync,sendto"
    with Gateway(runner=["strace", "-D", "-f", "-y", "-q", "-o", str(trace), "-e", calls]) as gateway:
        for _ in range(5):
            gateway.deliver(callback())
        pid = gateway.process.pid
    while not re.search(rf"^{pid} +\+\+\+ exited", trace.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
        pass  # strace ends a moment later than what it watches
    steps = []
    for name, file, rest in completed_calls(trace.read_text(encoding="utf-8", errors="replace")):
        if "POST " + CALLBACK_PATH in rest:
            steps.append(["received"])
        elif "HTTP/1.1 200 OK" in rest:
            steps[-1].append("answered")
        elif "journal.db-wal" in file and steps:
            steps[-1].append({"pwrite64": "written", "fdatasync": "synced", "fsync": "synced"}[name])
    assert len(steps) == 5
    for step in steps:
        step = [word for word, _ in itertools.groupby(step)]
        assert step[: step.index("answered")][-2:] == ["written", "synced"], step


@pytest.mark.parametrize("body", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_bodies_are_not_pushed(gateway, body):
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.deliver(body)
        gateway.deliver(callback())
        assert subscriber.event()["interactions"] == [{"type": "conferencing_assigned"}]


def test_malformed_bodies_are_kept_with_the_reason_and_told():
    """Their sender is authentic and will not send them again: they are there to be looked at."""
    with Gateway({"admin": {"address": "127.0.0.1:0"}}) as gateway:
        for body in (case[1] for case in MALFORMED):
            gateway.deliver(body)
        assert gateway.metric("callbacks_total", outcome="malformed") == len(MALFORMED)
        assert gateway.metric("callbacks_total", outcome="stored") == 0
        assert "reason=empty" in gateway.wait_for_line(r" warning callback outcome=malformed ")
        assert gateway.events("?after=earliest")["events"] == []
        gateway.stop()
        with contextlib.closing(sqlite3.connect(f"file:{gateway.journal}?mode=ro", uri=True)) as journal:
            rows = journal.execute("SELECT body, malformed FROM events ORDER BY sequence").fetchall()
        assert [body for body, _ in rows] == [case[1] for case in MALFORMED]
        assert all(reason for _, reason in rows)


def test_no_body_at_all_needs_a_signature_too(gateway):
    assert gateway.post(b"", headers={SIGNATURE: None}).status == 401


@pytest.mark.parametrize("n", [MAX_BODY - 1, MAX_BODY])
def test_bodies_up_to_the_limit(gateway, n):
    body = b'{"x":"' + b"x" * (n - 8) + b'"}'
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.deliver(body)
        assert subscriber.receive_text().endswith(body.decode() + "}")


def test_many_keys_are_read_quickly(gateway):
    keys = ",".join(f'"{i:x}":0' for i in range(25000))
    gateway.deliver(("{" + keys + "}").encode())


def test_a_duplicate_is_answered_and_pushed_once(gateway):
    body = callback()
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        for _ in range(3):
            gateway.deliver(body)
        subscriber.event()
        subscriber.expect_nothing()


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/json; charset=latin1", 'x"\\y' + "\xff" + "z" * 400]
)
def test_the_content_type_does_not_matter_but_is_told(content_type):
    with Gateway() as gateway:
        gateway.deliver(callback())
        gateway.deliver(callback(), headers={"Content-Type": "Application/JSON"})
        assert "another type" not in gateway.log()
        assert gateway.post(callback(), headers={"Content-Type": content_type, SIGNATURE: "x"}).status == 401
        assert "another type" not in gateway.log()  # it is the sender's word only if it is the sender's
        gateway.deliver(callback(), headers={"Content-Type": content_type})
        line = gateway.wait_for_line(" info callback of another type is taken as JSON ")
        if content_type and "z" in content_type:
            assert 'content_type="x\\"\\\\y\\xff' + "z" * 251 + '"... ' in line
        else:
            assert (content_type or "none") in line


# Slices


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_request_in_slices(gateway, size):
    body = callback()
    with gateway.raw() as connection:
        connection.send_slices(post_head(body) + body, size)
        assert connection.read_answer().status == 200


@pytest.mark.parametrize("sizes", [(1,), (2, 3, 5), (100000,), (1, 100000), (16, 1)])
@pytest.mark.parametrize("slice_size", [1, 5, 100000])
def test_chunked_bodies(gateway, sizes, slice_size):
    body = callback()
    with gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        connection.send_slices(chunked_head(body) + chunked(body, *sizes), slice_size)
        assert connection.read_answer().status == 200
        assert subscriber.receive_text().endswith(body.decode() + "}")


def test_chunked_bodies_in_random_slices(gateway):
    random_numbers = random.Random(7)
    for _ in range(20):
        body = callback()
        data = chunked_head(body) + chunked(body, *(random_numbers.randint(1, 40) for _ in range(30)))
        with gateway.raw() as connection:
            while data:
                n = random_numbers.randint(1, 50)
                connection.send(data[:n])
                data = data[n:]
            assert connection.read_answer().status == 200


@pytest.mark.parametrize(
    "framing",
    [
        b"%x;name=value\r\n%b\r\n0\r\n\r\n",
        b'%x;a="b;c";d\r\n%b\r\n0;last\r\n\r\n',
        b"%016x\r\n%b\r\n0000000000000000\r\n\r\n",
        b"%X\r\n%b\r\n0\r\nTrailer: ignored\r\nAnother: one\r\n\r\n",
    ],
    ids=["extension", "quoted extension", "sixteen digits", "trailers"],
)
def test_odd_but_legal_chunks(gateway, framing):
    body = callback()
    with gateway.raw() as connection:
        connection.send(chunked_head(body) + framing % (len(body), body))
        assert connection.read_answer().status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n\r\n",
        b"-1\r\n",
        b"+5\r\n",
        b"0x5\r\n",
        b" 5\r\n",
        b"\r\n",
        b"5\nhello",
        b"5\r\nhelloX",
        b"5\r\nhello0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"5;" + b"x" * 20000,
        b"0\r\nno colon\r\n\r\n",
    ],
)
def test_bad_chunks_are_refused(gateway, data):
    assert_refused(gateway, chunked_head(b"hello") + data, 400, 413)


@pytest.mark.parametrize("size", [MAX_BODY + 1, 2**31, 2**62, 2**63])
def test_too_large_chunks_are_refused_at_the_claim(gateway, size):
    assert_refused(gateway, chunked_head(b"") + b"%x\r\n" % size, 400, 413)


def test_the_signature_is_over_what_was_sent_in_chunks(gateway):
    body = callback()
    framed = chunked(body, 7)
    with gateway.raw() as connection:
        connection.send(head("Transfer-Encoding: chunked", f"{SIGNATURE}: {sign(framed)}") + framed)
        assert connection.read_answer().status == 401


def test_too_many_chunks_are_refused(gateway):
    assert_refused(gateway, chunked_head(b"") + b"1\r\nx\r\n" * (MAX_BODY + 1), 413, None)


# Connections


def test_keep_alive(gateway):
    with gateway.raw() as connection:
        for _ in range(5):
            body = callback()
            connection.send(post_head(body) + body)
            answer = connection.read_answer()
            assert answer.status == 200
            assert answer.headers.get("Connection", "keep-alive") == "keep-alive"


@pytest.mark.parametrize("n", [2, 20])
def test_pipelined_requests_are_answered_in_order(gateway, n):
    bodies = [callback() for _ in range(n)]
    with gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        connection.send(b"".join(post_head(body) + body for body in bodies))
        assert [connection.read_answer().status for _ in bodies] == [200] * n
        for body in bodies:
            assert subscriber.receive_text().endswith(body.decode() + "}")


def test_pipelined_requests_of_different_merit(gateway):
    good, bad = callback(), callback()
    with gateway.raw() as connection:
        connection.send(
            chunked_head(good) + chunked(good, 7)
            + post_head(bad, signature=sign(good)) + bad
            + head(method="GET", path="/nowhere")
            + post_head(good) + good
        )
        assert [connection.read_answer().status for _ in range(4)] == [200, 401, 404, 200]


def test_connection_close_is_obeyed(gateway):
    body = callback()
    with gateway.raw() as connection:
        connection.send(post_head(body, "Connection: close") + body)
        answer = connection.read_answer()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert connection.read_to_end() == b""


def test_http_1_0_is_closed_after_the_answer(gateway):
    body = callback()
    with gateway.raw() as connection:
        connection.send((post_head(body) + body).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert connection.read_answer().status == 200
        assert connection.read_to_end() == b""


def test_a_client_that_stops_sending_is_taken_for_gone_but_its_callback_is_kept(gateway):
    body = callback()
    with gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        connection.send(post_head(body) + body).finish_sending()
        assert subscriber.receive_text().endswith(body.decode() + "}")


def test_expect_100_continue(gateway):
    body = callback()
    with gateway.raw() as connection:
        connection.send(post_head(body, "Expect: 100-continue"))
        assert connection.read_head()[0] == 100
        connection.send(body)
        assert connection.read_answer().status == 200


def test_expect_100_continue_with_the_body_at_once(gateway):
    body = callback()
    with gateway.raw() as connection:
        connection.send(post_head(body, "Expect: 100-Continue") + body)
        answer = connection.read_answer()
        if answer.status == 100:
            answer = connection.read_answer()
        assert answer.status == 200


def test_expect_is_answered_before_a_body_that_is_not_wanted(gateway):
    assert_refused(gateway, head(f"Content-Length: {MAX_BODY + 1}", "Expect: 100-continue"), 413)


def test_another_expectation_is_refused(gateway):
    assert_refused(gateway, post_head(b"x", "Expect: wonders"), 417)


# Who is refused, and how


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"])
def test_only_post(gateway, method):
    with gateway.raw() as connection:
        connection.send(head(method=method))
        status, headers = connection.read_head()
        assert (status, headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("method", ["post", "TRACE", "CONNECT", "ODD", "POSTS", "M" * 33])
def test_unknown_methods_are_closed(gateway, method):
    """Whatever follows is not read: it may be a tunnel's first bytes."""
    body = callback()
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        assert_refused(gateway, head(method=method) + post_head(body) + body, 405, 501)
        gateway.deliver_next(subscriber)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/callbacks",
        "/callbacks/",
        CALLBACK_PATH + "/",
        "/" + CALLBACK_PATH,
        "/x/.." + CALLBACK_PATH,
        "/callbacks%2fcronofy",
        "/callbacks/cronof%79",
        "/Callbacks/Cronofy",
        CALLBACK_PATH + "x",
        CALLBACK_PATH + ";x",
        CALLBACK_PATH + "%00",
        "/" + "x" * 8000,
    ],
)
def test_other_paths_are_not_there(gateway, path):
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        answer = gateway.post(callback(), path=path)
        assert answer.status == 404
        assert answer.json()["error"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"  # and a browser takes it for nothing else
        gateway.deliver_next(subscriber)


def test_a_path_that_is_not_there_is_told_escaped():
    with Gateway() as gateway:
        assert gateway.post(callback(), path='/a"b\\c=d' + "e" * 8000 + "?secret").status == 404
        line = gateway.wait_for_line(" info nothing is at this path ")
        assert ' path="/a\\"b\\\\c=d' + "e" * 248 + '"... method=POST peer=127.0.0.1:' in line
        assert "secret" not in gateway.log()


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT gateway:443 HTTP/1.1",
        "POST HTTP/1.1",
        "POST  /callbacks/cronofy HTTP/1.1",
        "POST /callbacks/cronofy HTTP/1.1 x",
        "POST /callbacks/cronofy HTTP/2.0",
        "POST /callbacks/cronofy HTTP/0.9",
        "POST /callbacks/cronofy http/1.1",
        "POST /callbacks/cronofy",
        "POST callbacks/cronofy HTTP/1.1",
        "POST http://gateway/callbacks/cronofy HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "P(ST /callbacks/cronofy HTTP/1.1",
        "POST /callbacks/cro\x01nofy HTTP/1.1",
    ],
)
def test_bad_request_lines(gateway, request_line):
    body = callback()
    request = head(f"Content-Length: {len(body)}", f"{SIGNATURE}: {sign(body)}") + body
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        assert_refused(gateway, request.replace(b"POST /callbacks/cronofy HTTP/1.1", request_line.encode()), 400, 505, None)
        gateway.deliver_next(subscriber)


def test_lines_end_with_cr_lf(gateway):
    body = callback()
    for request in (post_head(body).replace(b"\r\n", b"\n"), post_head(body, "X: 1").replace(b"X: 1\r\n", b"X: 1\n")):
        assert_refused(gateway, request + body, 400)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n" + head(method="GET", path="/events"),
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x67\x01\xbb",
        b"\x00" * 1000,
        b"\xff" * 20000,
        b"ding dong\r\n\r\n",
    ],
    ids=["TLS", "HTTP/2", "SSH", "PROXY", "PROXY v2", "zeros", "ones", "text"],
)
def test_other_protocols_are_closed(gateway, data):
    assert_refused(gateway, data, 400, None)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 50"],
        ["Content-Length: 5, 5"],
        ["Content-Length: +5"],
        ["Content-Length: -1"],
        ["Content-Length: 5abc"],
        ["Content-Length: 0x5"],
        ["Content-Length: 5 5"],
        ["Content-Length:"],
        ["Content-Length: 5\xb2"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Content-Length : 5"],
        ["Content-Length: 5", " folded: 1"],
        ["Content-Length: 5", "no colon"],
        ["Content-Length: 5", ": no name"],
        ["Content-Length: 5", "X: a\x00b"],
        ["Content-Length: 5", "X: a\rb"],
        [f"{SIGNATURE}: a\x01b", "Content-Length: 5"],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(gateway, lines):
    smuggled = callback()
    status = b"501" if len(lines) == 1 and lines[0].startswith("Transfer-Encoding") else b"400"
    with gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        connection.send(head(*lines) + b"0\r\n\r\n" + post_head(smuggled) + smuggled)
        answer = connection.read_to_end()
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert answer.count(b"HTTP/1.1 ") == 1
        gateway.deliver_next(subscriber)


@pytest.mark.parametrize("before, behind", [("", "\x00"), ("\x00", ""), ("", "\x01"), ("", "\x7f"), ("", "\x1b[2J")])
def test_control_characters_in_a_header_that_is_read(gateway, before, behind):
    body = callback()
    assert_refused(gateway, post_head(body, signature=before + sign(body) + behind) + body, 400)


def test_other_bytes_in_a_header_that_is_read(gateway):
    """Compared to the last byte: what is right up to there is wrong."""
    body = callback()
    with gateway.raw() as connection:
        connection.send(post_head(body, signature=sign(body) + "\xff") + body)
        assert connection.read_answer().status == 401
    assert_refused(gateway, head(f"Content-Length: {len(body)}", host="gatew\xe4y"), 400)


@pytest.mark.parametrize("length", ["99999999999999999999", str(2**63), str(2**64 + 5)])
def test_lengths_beyond_numbers(gateway, length):
    assert_refused(gateway, head(f"Content-Length: {length}"), 400, 413)


@pytest.mark.parametrize("length", [MAX_BODY + 1, 2**31, 2**62])
def test_a_long_body_is_refused_at_the_claim(gateway, length):
    assert_refused(gateway, head(f"Content-Length: {length}"), 413)


def memory_kib(gateway, kind):
    with open(f"/proc/{gateway.process.pid}/status", encoding="ascii") as status:
        return int(re.search(rf"^{kind}:\s+(\d+) kB$", status.read(), re.MULTILINE)[1])


@pytest.mark.release
def test_a_claim_reserves_nothing():
    with Gateway({"sources": {"cronofy": {"max_body": "4MiB"}}}) as gateway:
        gateway.deliver(callback())
        before = memory_kib(gateway, "VmData")
        claims = [gateway.raw().send(head(f"Content-Length: {4 << 20}", "Expect: 100-continue")) for _ in range(200)]
        for claim in claims:
            assert claim.read_head()[0] == 100
            claim.send(b"{")
        gateway.deliver(callback())
        assert memory_kib(gateway, "VmData") - before < 200 << 10
        for claim in claims:
            claim.socket.close()


def test_a_body_without_a_length_is_refused(gateway):
    assert_refused(gateway, head(), 411)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity", "nonsense"])
def test_compressed_bodies_are_refused(gateway, encoding):
    body = callback()
    assert gateway.post(body, headers={"Content-Encoding": encoding}).status == 415


def test_nothing_is_ever_inflated(gateway):
    """Signed as it is sent or as it would be: refused with the header, and bytes like others without it."""
    plain = callback(padding="x" * 10000000)
    bomb = gzip.compress(plain)
    for signed in (bomb, plain):
        answer = gateway.post(bomb, headers={SIGNATURE: sign(signed), "Content-Encoding": "gzip"})
        assert answer.status == 415
    assert gateway.post(bomb, headers={SIGNATURE: sign(plain)}).status == 401
    malformed = gateway.metric("callbacks_total", outcome="malformed")
    gateway.deliver(bomb)
    assert gateway.metric("callbacks_total", outcome="malformed") == malformed + 1


@pytest.mark.parametrize("host_lines", [[], ["Host: a", "Host: b"]])
def test_the_host_stands_once(gateway, host_lines):
    body = callback()
    lines = [f"POST {CALLBACK_PATH} HTTP/1.1", *host_lines, f"Content-Length: {len(body)}", f"{SIGNATURE}: {sign(body)}"]
    assert_refused(gateway, "\r\n".join([*lines, "", ""]).encode() + body, 400)


def test_long_heads_are_served_up_to_16_kib(gateway):
    body = callback()
    for padding in (4096, 8192, 15500):
        assert gateway.post(body, headers={"X-Padding": "x" * padding}).status == 200


@pytest.mark.parametrize("padding", [17000, 65536, 1000000])
def test_longer_heads_are_refused(gateway, padding):
    assert_refused(gateway, head("X-Padding: " + "x" * padding), 431, None)


@pytest.mark.parametrize("n", [200, 1000])
def test_too_many_fields_are_refused(gateway, n):
    assert_refused(gateway, head(*(f"X-{i}: 1" for i in range(n))), 400, 431, None)


def test_refusals_are_a_trickle_in_the_log():
    with Gateway() as gateway:
        for padding in (17000, 65536) * 20:
            assert_refused(gateway, head("X-Padding: " + "x" * padding), 431, None)
        assert gateway.log().count("request refused") == 1


def test_a_hundred_fields_are_fine(gateway):
    assert gateway.post(callback(), headers={f"X-{i}": "1" for i in range(100)}).status == 200


def test_names_that_begin_like_known_ones_hide_nothing(gateway):
    body = callback()
    lines = ["C: 1", "Content-Len: 7", "Cronofy-HMAC: x", "X-A: 1", f"{SIGNATURE}: {sign(body)}"]
    with gateway.raw() as connection:
        connection.send(head(*lines, f"Content-Length: {len(body)}") + body)
        assert connection.read_answer().status == 200


@pytest.mark.parametrize("rest", [b"garbage\r\n\r\n", b"}", b'","x":"' + b"x" * 20000 + b'"}'])
@pytest.mark.parametrize("is_signed", [True, False])
def test_what_stands_behind_the_body_is_another_request(gateway, rest, is_signed):
    """The first is answered by its own merit, what is no request is not."""
    body = callback()
    with gateway.connect() as subscriber, gateway.raw() as connection:
        subscriber.subscribe()
        connection.send(post_head(body, signature=sign(body if is_signed else body + rest)) + body + rest)
        assert connection.read_answer().status == (200 if is_signed else 401)
        assert connection.read_to_end() == b""
        if is_signed:
            assert subscriber.receive_text().endswith(body.decode() + "}")
        gateway.deliver_next(subscriber)


def test_a_body_that_ends_early_leaves_nothing_behind(gateway):
    body = callback()
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        for request in (post_head(body) + body[:-1], chunked_head(body) + chunked(body, 7)[:-2]):
            with gateway.raw() as connection:
                connection.send(request).finish_sending()
                answer = connection.read_to_end()
                assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 "))
        gateway.deliver_next(subscriber)


def assert_upgrades_are_refused(gateway, protocol):
    body = callback()
    lines = ["Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]
    with gateway.raw() as connection:
        connection.send(post_head(body) + body)
        assert connection.read_answer().status == 200
        connection.send(head(*lines, method="GET"))
        assert connection.read_answer().status == 405
        assert connection.read_to_end() == b""
    for path, status in (("/nowhere", 404), ("/events", 200)):
        with gateway.raw() as connection:
            connection.send(post_head(body) + body + head(*lines, method="GET", path=path) + post_head(body) + body)
            assert [connection.read_answer().status for _ in range(3)] == [200, status, 200]


PROTOCOLS = ["foo", "h2c", "websocket", "websocket, h2c", "", ","]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_upgrades_are_refused(gateway, protocol):
    """A POST on a connection that stays, then an upgrade to something: a library's use after free in its time."""
    assert_upgrades_are_refused(gateway, protocol)


@pytest.mark.only_release  # valgrind and sanitizers exclude each other
def test_upgrades_are_refused_without_a_word_from_valgrind():
    with Gateway(runner=["valgrind", "--quiet", "--error-exitcode=99"]) as gateway:
        for protocol in PROTOCOLS:
            assert_upgrades_are_refused(gateway, protocol)


def test_who_it_comes_from_is_the_sockets_word():
    spoofed = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP"]
    with Gateway({"limits": {"connections_per_address": 10}}) as gateway:
        for i, name in enumerate(spoofed):
            value = f"for=192.0.2.{i}" if name == "Forwarded" else f"192.0.2.{i}"
            assert gateway.post(callback(), headers={SIGNATURE: "x", name: value}).status == 401
        assert " peer=127.0.0.1:" in gateway.wait_for_line(" warning callback outcome=refused ")
        assert "192.0.2." not in gateway.log()
        held = [gateway.raw() for _ in range(10)]
        with gateway.raw() as one_more:
            one_more.send(head("X-Forwarded-For: 192.0.2.7", method="GET", path="/events"))
            assert one_more.read_answer().status == 503
        for connection in held:
            connection.socket.close()


# Those who take their time


@pytest.fixture(scope="module")
def impatient():
    limits = {"header_timeout": "1s", "body_timeout": "1s", "idle_timeout": "1s", "write_timeout": "1s"}
    with Gateway({"limits": limits}) as running:
        yield running


def trickle(connection, data):
    """Sends a byte whenever a tenth of a second has passed without an answer; what was not sent, and the answer."""
    connection.socket.settimeout(0.1)
    answer = b""
    while data and not answer:
        try:
            connection.send(data[:1])
            data = data[1:]
            answer = connection.socket.recv(1000)
            if not answer:
                break
        except TimeoutError:
            pass
        except ConnectionError:
            break
    return data, answer


def slow_requests():
    """What comes at once, and what comes slowly: each byte in time, the whole not."""
    body = callback()
    return {
        "head": (b"", post_head(body)),
        "body": (post_head(body), body),
        "chunks": (chunked_head(body), chunked(body, 1)),
        "last chunk": (chunked_head(body) + chunked(body, 7)[:-5], b"0;" + b"x" * 100),
        "trailers": (chunked_head(body) + chunked(body, 7)[:-2], b"X: " + b"x" * 100),
    }


@pytest.mark.parametrize("part", slow_requests())
def test_what_comes_slowly_is_cut_at_an_absolute_deadline(impatient, part):
    at_once, slow = slow_requests()[part]
    with impatient.connect() as subscriber, impatient.raw() as connection:
        subscriber.subscribe()
        left, answer = trickle(connection.send(at_once), slow)
        assert left
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
        impatient.deliver_next(subscriber)


@pytest.mark.parametrize("part", slow_requests())
def test_what_never_comes_is_answered_and_closed(impatient, part):
    at_once, slow = slow_requests()[part]
    assert_refused(impatient, at_once + slow[:1], 408)


def test_an_answer_that_is_read_slowly_is_cut_at_an_absolute_deadline(impatient):
    """The reader always reads on, but for all of it it would take longer than a second."""
    for _ in range(20):
        impatient.deliver(callback(padding="x" * 200000))
    request = head(method="GET", path="/events?after=earliest&limit=20")
    with impatient.raw("subscribers") as connection:
        connection.send(request)
        n_whole = n_left = len(connection.read_answer().body)
    with impatient.raw("subscribers") as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        connection.send(request)
        with pytest.raises(ConnectionResetError):  # and not just an end, until which the kernel would keep the rest
            while n_left > 0:
                n_left -= len(connection.socket.recv(n_whole // 400)) or n_left
                time.sleep(0.01)  # the fault under test: a reader that takes its time


SLOW = {
    "heads": (CALLBACK_PATH, "-H -i 1"),
    "bodies": (CALLBACK_PATH, "-B -i 1 -s 200000 -t POST"),
    "reading": ("/events?last=1&interactions=large", "-X -w 64 -y 128 -n 1 -z 1024 -k 10"),
}


@pytest.mark.only_release
@pytest.mark.parametrize("what", SLOW)
def test_slowhttptest_is_got_rid_of_and_callbacks_pass(impatient, what):
    path, options = SLOW[what]
    host, port = impatient.address()
    url = f"http://{host}:{port}{path}"
    impatient.deliver(callback("large", padding="x" * 200000))
    n_served = 0
    with subprocess.Popen(
        ["slowhttptest", "-c", "100", "-r", "100", "-l", "30", *options.split(), "-u", url],
        stdout=subprocess.PIPE, text=True,
    ) as tool:
        while tool.poll() is None:
            impatient.deliver(callback())
            n_served += 1
        said = tool.stdout.read()
    assert "No open connections left" in said, said
    assert n_served > 50


def test_silence_is_closed(impatient):
    with impatient.raw() as connection:
        answer = connection.read_to_end()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    with impatient.raw() as connection:
        body = callback()
        connection.send(post_head(body) + body)
        assert connection.read_answer().status == 200
        assert connection.read_to_end() == b""


def test_slow_ones_cost_the_others_nothing(gateway):
    body = callback(padding="x" * 200000)
    gateway.deliver(body)
    slow = [gateway.raw().send(head("X: 1")[:-2]) for _ in range(50)]
    slow += [gateway.raw().send(post_head(body) + b"{") for _ in range(50)]
    slow += [gateway.raw().send(head(method="GET", path="/events?last=1") * 20) for _ in range(50)]
    for _ in range(10):
        gateway.deliver(callback())
    for connection in slow:
        connection.socket.close()


def test_connections_that_are_reset_cost_nothing(gateway):
    for i in range(200):
        connection = socket.create_connection(gateway.address())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        if i % 2:
            connection.sendall(post_head(ASSIGNED)[: i * 2])
        connection.close()
    gateway.deliver(callback())
