# SPDX-License-Identifier: Apache-2.0
"""TLS: new enough, HTTP/1.1 only, and the same gateway behind it."""

import contextlib
import datetime
import http.client
import ipaddress
import re
import socket
import ssl
import subprocess
import xml.etree.ElementTree

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from clients import PATIENCE, RawConnection, Subscriber
from gateway import CALLBACK_PATH, SIGNATURE, Gateway, callback, sign


def make_certificate(folder, *, name="cert", days=1, kind="ec"):
    """A self-signed one for loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.utcnow()
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return {"certificate": str(certificate_path), "key": str(key_path)}


def listen(tls):
    return [{"address": "127.0.0.1:0", "tls": tls, "serves": ["sources", "subscribers"]}]


@pytest.fixture(scope="module")
def gateway():
    running = Gateway()
    running.config["listen"] = listen(make_certificate(running.folder))
    with running:
        yield running


def client(gateway, **changes):
    """A context that trusts the gateway; the changes are attributes of it."""
    context = ssl.create_default_context(cafile=gateway.config["listen"][0]["tls"]["certificate"])
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def connect(gateway, context):
    return context.wrap_socket(
        socket.create_connection(gateway.address(), PATIENCE), server_hostname="127.0.0.1"
    )


def post(gateway, body):
    connection = http.client.HTTPSConnection(*gateway.address(), timeout=PATIENCE, context=client(gateway))
    connection.request("POST", CALLBACK_PATH, body, {SIGNATURE: sign(body)})
    status = connection.getresponse().status
    connection.close()
    return status


def test_callbacks_and_subscribers(gateway):
    assert gateway.listeners[0]["tls"] == "yes"
    url = gateway.url(scheme="wss")
    with Subscriber(url, ssl=client(gateway)) as subscriber, gateway_stream(gateway) as stream:
        subscriber.subscribe()
        stream.expect("welcome")
        stream.expect("subscribed")
        for n in (0, 100, 200000):
            body = callback(padding="x" * n)
            assert post(gateway, body) == 200
            text = subscriber.receive_text()
            assert text.endswith('"callback":' + body.decode() + "}")
            assert stream.expect("event")["text"] == text


def gateway_stream(gateway):
    from clients import EventStream

    certificate = gateway.config["listen"][0]["tls"]["certificate"]
    return EventStream(gateway.url(scheme="https"), options=("--cacert", certificate))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(gateway, version):
    with connect(gateway, client(gateway, minimum_version=version, maximum_version=version)) as connection:
        assert connection.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        cipher = connection.cipher()[0]
        assert "GCM" in cipher or "CHACHA20" in cipher


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(gateway, version):
    with pytest.warns(DeprecationWarning):
        context = client(gateway, minimum_version=version, maximum_version=version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        connect(gateway, context)


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "AES256-SHA", "ECDHE-ECDSA-AES128-SHA", "NULL"])
def test_weak_ciphers_are_refused(gateway, ciphers):
    context = client(gateway, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        connect(gateway, context)


@pytest.mark.release
def test_a_scanner_finds_nothing(gateway):
    address = ":".join(map(str, gateway.address()))
    found = subprocess.run(["sslscan", "--xml=-", address], capture_output=True, check=True, timeout=60).stdout
    scan = xml.etree.ElementTree.fromstring(found).find("ssltest")
    protocols = {(each.get("type"), each.get("version")) for each in scan.iter("protocol") if each.get("enabled") == "1"}
    assert protocols == {("tls", "1.2"), ("tls", "1.3")}
    ciphers = [(each.get("cipher"), int(each.get("bits"))) for each in scan.iter("cipher")]
    assert len(ciphers) >= 5
    for name, bits in ciphers:
        assert name.startswith(("TLS_", "ECDHE-")) and re.search("GCM|CHACHA20", name) and bits >= 128, name
    assert {each.get("vulnerable") for each in scan.iter("heartbleed")} == {"0"}
    assert scan.find("renegotiation").get("supported") == "0"


@pytest.mark.parametrize(
    "offered, chosen", [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)]
)
def test_alpn(gateway, offered, chosen):
    context = client(gateway)
    if offered:
        context.set_alpn_protocols(offered)
    with connect(gateway, context) as connection:
        assert connection.selected_alpn_protocol() == chosen


def test_http_2_alone_is_never_chosen(gateway):
    context = client(gateway)
    context.set_alpn_protocols(["h2"])
    try:
        with connect(gateway, context) as connection:
            assert connection.selected_alpn_protocol() is None
    except ssl.SSLError:
        pass  # no common protocol: RFC 7301 wants it refused


def test_clear_text_on_a_port_with_tls(gateway):
    with gateway.raw() as connection:
        connection.send(b"GET /events HTTP/1.1\r\nHost: g\r\n\r\n")
        assert not connection.read_to_end().startswith(b"HTTP/1.1 2")


def test_one_byte_at_a_time(gateway):
    body = callback()
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    with RawConnection(connect(gateway, client(gateway))) as connection:
        connection.send_slices(head.encode() + body, 1)
        assert connection.read_answer().status == 200


def test_many_pipelined_requests(gateway):
    """More answers than a record holds, read late."""
    body = callback()
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    with RawConnection(connect(gateway, client(gateway))) as connection:
        connection.send((head.encode() + body) * 200)
        assert [connection.read_answer().status for _ in range(200)] == [200] * 200


def test_a_handshake_that_never_ends_harms_nobody(gateway):
    half = [gateway.raw().send(b"\x16\x03\x01\x02\x00\x01\x00") for _ in range(20)]
    assert post(gateway, callback()) == 200
    for connection in half:
        connection.socket.close()


LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info) ")
BROKEN = [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05garbage" * 10, b"\x80\x2e\x01\x00\x02" * 20, b"\x15\x03\x01", b""]


def test_broken_handshakes_are_a_trickle_in_the_log():
    """And what the libraries below say comes in lines like all others."""
    gateway = Gateway()
    gateway.config["listen"] = listen(make_certificate(gateway.folder))
    with gateway:
        n_before = len(gateway.lines)
        for data in BROKEN * 20:
            with gateway.raw() as connection, contextlib.suppress(OSError):  # it may be gone before we are
                connection.send(data).finish_sending()
                connection.read_to_end()
        assert post(gateway, callback()) == 200
        gateway.stop()
        assert gateway.log().count("\n") - n_before < 10
        assert all(LINE.match(line) for line in gateway.log().split("\n"))


def test_a_subscriber_that_is_behind_gets_everything(gateway):
    """More than its socket takes while it does not read."""
    with RawConnection(connect(gateway, client(gateway))) as reader:
        reader.send(
            b"GET /subscribe?interactions=bulk HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        )
        assert reader.read_head()[0] == 200
        ids = [f"bulk-{i}" for i in range(60)]
        for event_id in ids:
            assert post(gateway, callback("bulk", event_id=event_id, padding="x" * 200000)) == 200
        for event_id in ids:
            reader.read_until(f'"event_id": "{event_id}"'.encode())


@pytest.mark.parametrize("fault", ["no certificate", "no key", "another key", "readable key"])
def test_what_cannot_work_is_told_at_the_start(fault):
    gateway = Gateway()
    tls = make_certificate(gateway.folder)
    if fault == "no certificate":
        tls["certificate"] = str(gateway.folder / "nowhere.pem")
    elif fault == "no key":
        (gateway.folder / "cert.key").write_text("ding dong")
    elif fault == "another key":
        tls["key"] = make_certificate(gateway.folder, name="other")["key"]
    else:
        (gateway.folder / "cert.key").chmod(0o644)
    gateway.config["listen"] = listen(tls)
    gateway.start_refused()


# Too many handshakes


def hello():
    """The first flight of a client that will never send another."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("said", [b"", hello()[:20], hello()], ids=["nothing", "half a hello", "a hello"])
def test_handshakes_that_never_end_make_room(said):
    """They are connections without a request: the oldest go first, it is counted, and who means it gets in."""
    n, most = 300, 50
    gateway = Gateway({"limits": {"pending": most}, "reactors": 1, "admin": {"address": "127.0.0.1:0"}})
    gateway.config["listen"] = listen(make_certificate(gateway.folder))
    with gateway:
        crowd = []
        for _ in range(n):
            crowd.append(socket.create_connection(gateway.address(), PATIENCE))
            crowd[-1].sendall(said)
            if len(crowd) % 100 == 0:
                with RawConnection(connect(gateway, client(gateway))) as honest:
                    assert honest.send(b"GET /events HTTP/1.1\r\nHost: g\r\n\r\n").read_answer().status == 200
        text = gateway.request("GET", "/metrics", serves="admin").body.decode()
        (pushed_out,) = re.findall(r'belfry_connections_refused_total{reason="pending"} (\d+)', text)
        assert int(pushed_out) >= n // 2  # some may have been let go for being slow instead
        for connection in crowd:
            connection.close()
