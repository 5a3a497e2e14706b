# SPDX-License-Identifier: Apache-2.0
"""Requests that a plugin sends: which addresses they reach, whom they follow, and what becomes of a far end that is slow,
broken, large or lying."""

import contextlib
import email.utils
import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
import types

import pytest

from plugins import run

pytestmark = [pytest.mark.release, pytest.mark.no_tsan]

MIB = 1024 * 1024


class Far(http.server.BaseHTTPRequestHandler):
    """The path says what to answer."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(types.SimpleNamespace(command=self.command, headers=self.headers, body=body))
        kind, _, argument = self.path.strip("/").partition("/")
        getattr(self, kind)(argument)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def status(self, argument):
        self.say(int(argument), b"said")

    def retry(self, argument):
        self.say(429, Retry_After=argument.replace("%20", " "))

    def large(self, argument):
        self.say(200, b"x" * int(argument))

    def redirect(self, argument):
        status, _, target = argument.partition("/")
        self.say(int(status), Location=target if ":" in target else f"/{target}")

    def loop(self, argument):
        self.say(307, Location=f"/loop/{int(argument or 0) + 1}")

    def garbage(self, _):
        self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        self.close_connection = True

    def reset(self, _):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()
        self.close_connection = True

    def silence(self, _):
        self.server.is_over.wait()
        self.close_connection = True

    def headers_of(self, argument):
        self.say(200, b"", **{f"X-{i}": "y" * 500 for i in range(int(argument))})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # whoever hangs up


@contextlib.contextmanager
def serving(family=socket.AF_INET, address="127.0.0.1", context=None):
    Server.address_family = family
    server = Server((address, 0), Far)
    server.seen, server.is_over = [], threading.Event()
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def far():
    with serving() as server:
        yield server


def url(server, path="", host="127.0.0.1", scheme="http"):
    return f"{scheme}://{host}:{server.server_port}/{path}"


def fetch(zoo, text, *arguments, inner=True, **options):
    allowed = ["--allow", "inner"] if inner else []
    return run(zoo, *allowed, *arguments, do="http", text=f"'{text}'", **options)


def failure(said):
    """The name of the errno, and the reason."""
    assert said.out[0].startswith("log error: http: ") and said.out[1].startswith("reject: "), said
    return said.out[0].removeprefix("log error: http: "), said.out[1].removeprefix("reject: ")


# What is sent


def test_a_request(zoo, far):
    assert fetch(zoo, url(far, "status/200")).out == ["done: http: 200, 4 bytes, retry after -1, 3 headers: said"]
    seen = far.seen[-1]
    assert seen.command == "GET" and seen.headers["X-Zoo"] == "yes" and seen.headers["Content-Type"] == "text/plain"
    assert seen.headers["User-Agent"].startswith("belfry/")
    assert fetch(zoo, "POST " + url(far, "status/503")).out[0].startswith("done: http: 503, 4 bytes")
    assert (far.seen[-1].command, far.seen[-1].body) == ("POST", b"hello") and "Expect" not in far.seen[-1].headers
    assert fetch(zoo, "PUT " + url(far, "status/201")).out[0].startswith("done: http: 201,")
    assert far.seen[-1].body == b"hello"
    assert fetch(zoo, "DELETE " + url(far, "status/200")).out[0].startswith("done: http: 200,")
    assert far.seen[-1].command == "DELETE"
    assert fetch(zoo, "HEAD " + url(far, "status/200")).out[0].startswith("done: http: 200, 0 bytes")


@pytest.mark.parametrize("header, number, words", [
    ("Host=a", 0, "a header Host, which is not the plugin's to set"),
    ("content-length=3", 0, "a header content-length, which is not the plugin's to set"),
    ("Transfer-Encoding=chunked", 0, "a header Transfer-Encoding, which is not the plugin's to set"),
    ("X Y=a", 0, "a header whose name is none"),
    ("=a", 0, "a header whose name is none"),
    ("X-Injected=a", 1, "header X-Injected has a control character in it"),
])  # fmt: skip
def test_headers_that_are_refused(zoo, header, number, words):
    said = run(zoo, "--allow", "inner", do="header", text=f"'{header}'", number=number)
    assert failure(said)[0] == "EINVAL" and words in failure(said)[1], said


@pytest.mark.parametrize("address", ["file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "example.com",
                                     "http://", "http://user:secret@127.0.0.1/", "//127.0.0.1/", "http://[::1/",
                                     "http://a b/", "unix:/run/belfry.sock"])  # fmt: skip
def test_urls_that_are_none(zoo, address):
    name, words = failure(fetch(zoo, "GET " + address))
    assert name == "EINVAL" and words.startswith("the URL ") and "secret" not in words


@pytest.mark.parametrize("method", ["GE T", "get", "CONNECT", "G\tT"])
def test_methods_that_are_none(zoo, far, method):
    name, _ = failure(run(zoo, "--allow", "inner", do="http", text=f'"{method.replace(chr(9), "-")} {url(far)}"'))
    assert name == "EINVAL"


# Where to


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "localhost", "0.0.0.0", "0",
                                  "[::1]", "[::ffff:127.0.0.1]", "[::]", "[::127.0.0.1]"])  # fmt: skip
def test_this_machine_is_not_reached(zoo, far, host):
    """By whatever name; and there is no connection at all."""
    before = len(far.seen)
    name, words = failure(fetch(zoo, url(far, "status/200", host), inner=False))
    assert name == "EACCES" and words.endswith(" is an inner address, which `allow: [inner]` would permit"), words
    assert len(far.seen) == before


@pytest.mark.parametrize("host", ["10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fe80::1]",
                                  "[fd00::1]", "[64:ff9b::a00:1]", "[2002:7f00:1::1]"])  # fmt: skip
def test_inner_networks_are_not_reached(zoo, host):
    name, words = failure(fetch(zoo, f"http://{host}/", inner=False, number=5000))
    assert name == "EACCES" and "is an inner address" in words


def test_they_are_if_the_administrator_says_so(zoo, far):
    for host in ("127.0.0.1", "localhost", "0x7f.1"):
        assert fetch(zoo, url(far, "status/200", host)).out[0].startswith("done: http: 200")


@pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="no IPv6")
def test_ipv6(zoo):
    with serving(socket.AF_INET6, "::1") as server:
        assert fetch(zoo, url(server, "status/200", "[::1]")).out[0].startswith("done: http: 200")
        assert failure(fetch(zoo, url(server, "status/200", "[::1]"), inner=False))[0] == "EACCES"


# Redirects


@pytest.mark.parametrize("request_line, status, expected, commands", [
    ("GET", 301, 200, ["GET", "GET"]),
    ("GET", 302, 200, ["GET", "GET"]),
    ("GET", 307, 200, ["GET", "GET"]),
    ("POST", 307, 200, ["POST", "POST"]),
    ("POST", 308, 200, ["POST", "POST"]),
    ("POST", 303, 200, ["POST", "GET"]),
    ("POST", 301, 301, ["POST"]),
    ("POST", 302, 302, ["POST"]),
    ("GET", 300, 300, ["GET"]),
    ("GET", 304, 304, ["GET"]),
])  # fmt: skip
def test_redirects_on_the_same_host(zoo, far, request_line, status, expected, commands):
    before = len(far.seen)
    said = fetch(zoo, f"{request_line} {url(far, f'redirect/{status}/status/200')}")
    assert said.out[0].startswith(f"done: http: {expected},"), said
    assert [seen.command for seen in far.seen[before:]] == commands
    assert all(seen.body == b"hello" for seen in far.seen[before:] if seen.command == "POST")


def test_redirects_to_elsewhere_are_answers(zoo, far):
    with serving() as other:
        for target in (url(other, "status/200"), url(far, "status/200", "localhost"), url(far, "status/200", scheme="https"),
                       "file:///etc/passwd", f"http://user@127.0.0.1:{far.server_port}/"):  # fmt: skip
            said = fetch(zoo, url(far, f"redirect/307/{target}"))
            assert said.out[0].startswith("done: http: 307,"), (target, said)
        assert other.seen == []


def test_redirects_without_end(zoo, far):
    before = len(far.seen)
    assert fetch(zoo, url(far, "loop/0")).out[0].startswith("done: http: 307,")
    assert len(far.seen) - before == 6


# Far ends of every kind


def test_retry_after(zoo, far):
    def wait(value):
        said = fetch(zoo, url(far, f"retry/{value}")).out[0]
        return int(said.split("retry after ")[1].split(",")[0])

    assert wait("7") == 7000
    assert wait("0") == 0
    assert wait("99999999999999999999999") == -1
    assert wait("999999999") == 24 * 60 * 60 * 1000
    assert wait("soon") == wait("-1") == wait("1.5") == -1
    date = email.utils.formatdate(time.time() + 3600, usegmt=True).replace(" ", "%20")
    assert 0 < wait(date) <= 3600 * 1000
    past = email.utils.formatdate(time.time() - 3600, usegmt=True).replace(" ", "%20")
    assert wait(past) == 0


def test_large_answers(zoo, far):
    assert fetch(zoo, url(far, f"large/{MIB}")).out[0].startswith(f"done: http: 200, {MIB} bytes")
    name, words = failure(fetch(zoo, url(far, f"large/{MIB + 1}")))
    assert name == "EMSGSIZE" and words.startswith("the answer is too large")
    assert fetch(zoo, url(far, "headers_of/100")).out[0].startswith("done: http: 200,")
    assert failure(fetch(zoo, url(far, "headers_of/140")))[0] == "EMSGSIZE"


def test_broken_far_ends(zoo, far):
    for path in ("garbage", "reset"):
        assert failure(fetch(zoo, url(far, path)))[0] == "EPROTO"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert failure(fetch(zoo, f"http://127.0.0.1:{closed.getsockname()[1]}/"))[0] == "ECONNREFUSED"
    name, words = failure(fetch(zoo, "http://nowhere.invalid/"))
    assert name == "ENOTUNIQ" and "nowhere.invalid" in words


def test_slow_far_ends(zoo, far):
    """The plugin's own patience; and its deadline's, a little before it would be killed."""
    assert failure(fetch(zoo, url(far, "silence"), number=300))[0] == "ETIMEDOUT"
    assert failure(fetch(zoo, url(far, "silence"), "--timeout", "3s"))[0] == "ETIMEDOUT"


def test_certificates(zoo, tmp_path):
    """Nobody has signed this one."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(context=context) as server:
        name, words = failure(fetch(zoo, url(server, "status/200", "localhost", "https")))
        assert name == "EPROTO" and "certificate" in words
        assert server.seen == []


def test_tls_with_who_speaks_none(zoo, far):
    assert failure(fetch(zoo, url(far, "status/200", scheme="https")))[0] == "EPROTO"
