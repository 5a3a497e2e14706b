# SPDX-License-Identifier: Apache-2.0
"""Where the gateway can be reached: by address, by path, by what systemd passes; and what is served where."""

import ctypes
import os
import pathlib
import re
import signal
import socket
import stat
import time

import pytest

import threads
from clients import PATIENCE, RawConnection, Subscriber
from frames import HANDSHAKE
from gateway import CALLBACK_PATH, SIGNATURE, Gateway, callback, sign

# Who can connect to a socket that systemd passes is not known, so anonymous subscribers have to be allowed twice.
ANYWHERE = {"subscribers": {"anonymous_anywhere": True}}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="belfryd is not dumpable: only root may look inside")


def post(connection, body):
    head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    return connection.send(head.encode() + body).read_answer()


def get(connection, path="/events"):
    return connection.send(f"GET {path} HTTP/1.1\r\nHost: g\r\n\r\n".encode()).read_answer()


def unix_connection(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(path))
    return connection


class UnixConnection(RawConnection):
    def __init__(self, path):
        self.socket = unix_connection(path)
        self.buffer = b""


def test_a_unix_socket():
    gateway = Gateway()
    path = gateway.folder / "public.sock"
    gateway.config["listen"] = [{"address": f"unix:{path}"}]
    with gateway:
        assert stat.S_ISSOCK(path.stat().st_mode)
        with Subscriber("ws://localhost/subscribe", sock=unix_connection(path)) as subscriber:
            subscriber.subscribe()
            with UnixConnection(path) as connection:
                assert post(connection, callback()).status == 200
            subscriber.event()
        gateway.kill()  # leaves the socket's file behind, which the next start must not mind
        gateway.start()
        with UnixConnection(path) as connection:
            assert get(connection).status == 200


def test_a_unix_socket_in_the_place_of_something_else():
    gateway = Gateway()
    path = gateway.folder / "precious"
    path.write_text("precious")
    gateway.config["listen"] = [{"address": f"unix:{path}"}]
    gateway.start_refused(code=1)
    assert path.read_text() == "precious"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_ipv6():
    with Gateway({"listen": [{"address": "[::1]:0"}]}) as gateway:
        assert gateway.address()[0] == "::1"
        with gateway.connect() as subscriber:
            subscriber.subscribe()
            gateway.deliver(callback())
            subscriber.event()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_an_ipv6_address_is_no_ipv4_address():
    """[::] is every IPv6 address, and a listener of its own is every IPv4 address."""
    with Gateway({"listen": [{"address": "[::]:0"}], **ANYWHERE}) as gateway:
        port = gateway.address()[1]
        with RawConnection(socket.create_connection(("::1", port), PATIENCE)) as connection:
            assert post(connection, callback()).status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), PATIENCE)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")
def test_ipv4_over_an_ipv6_socket():
    """A socket for both, as systemd makes them: whoever comes by IPv4 has a mapped address."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as passed:
        limits = {"limits": {"connections_per_address": 1}}
        with Gateway({"listen": [{"address": "systemd:"}], **ANYWHERE, **limits}, sockets={"any": passed}) as gateway:
            address = ("127.0.0.1", passed.getsockname()[1])
            with RawConnection(socket.create_connection(address, PATIENCE)) as connection:
                assert post(connection, callback()).status == 200
                with RawConnection(socket.create_connection(address, PATIENCE)) as second:
                    assert get(second).status == 503
                with RawConnection(socket.create_connection(("::1", address[1]), PATIENCE)) as other:
                    assert get(other).status == 200


def test_each_listener_serves_its_own():
    listeners = [
        {"address": "127.0.0.1:0", "serves": ["sources"]},
        {"address": "127.0.0.1:0", "serves": ["subscribers"]},
    ]
    with Gateway({"listen": listeners}) as gateway:
        with gateway.connect() as subscriber:
            subscriber.subscribe()
            gateway.deliver(callback())
            subscriber.event()
        with gateway.raw("sources") as connection:
            for path in ("/events", "/subscribe", "/ticket"):
                assert get(connection, path).status == 404
        for path in ("/subscribe", CALLBACK_PATH):
            with gateway.raw("sources") as connection:
                lines = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
                connection.send(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
                assert connection.read_answer().status in (404, 405)
        with gateway.raw("subscribers") as connection:
            assert post(connection, callback()).status == 404
        with gateway.raw("subscribers") as connection:
            connection.send(b"POST /subscribe HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\n{}")
            assert connection.read_answer().status == 405


def test_several_listeners_for_the_same():
    with Gateway({"listen": [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0"}]}) as gateway:
        ports = {listener["address"].rsplit(":", 1)[1] for listener in gateway.listeners}
        assert len(ports) == 2
        for port in ports:
            with RawConnection(socket.create_connection(("127.0.0.1", int(port)), PATIENCE)) as connection:
                assert post(connection, callback()).status == 200


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert address in Gateway({"listen": [{"address": address}]}).start_refused(code=1)


def listening_socket():
    return socket.create_server(("127.0.0.1", 0))


def test_sockets_that_systemd_passes():
    with listening_socket() as one, listening_socket() as two:
        listeners = [
            {"address": "systemd:subscribers", "serves": ["subscribers"]},
            {"address": "systemd:sources", "serves": ["sources"]},
        ]
        with Gateway({"listen": listeners, **ANYWHERE}, sockets={"sources": one, "subscribers": two}) as gateway:
            assert gateway.address("sources") == one.getsockname()
            assert gateway.address("subscribers") == two.getsockname()
            with gateway.connect() as subscriber:
                subscriber.subscribe()
                gateway.deliver(callback())
                subscriber.event()


def test_a_passed_socket_outlives_the_gateway():
    """What arrives in between waits in the socket's queue: no connection is refused."""
    with listening_socket() as passed:
        with Gateway({"listen": [{"address": "systemd:"}], **ANYWHERE}, sockets={"any": passed}) as gateway:
            gateway.deliver(callback())
            gateway.stop()
            with RawConnection(socket.create_connection(passed.getsockname(), PATIENCE)) as early:
                body = callback()
                head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: g\r\n{SIGNATURE}: {sign(body)}\r\n"
                early.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                gateway.start()
                assert early.read_answer().status == 200


def test_a_socket_that_nobody_passed_is_missed():
    assert "systemd" in Gateway({"listen": [{"address": "systemd:public"}], **ANYWHERE}).start_refused(code=1)


def test_administrators_socket_that_others_reach_takes_tokens():
    """What systemd passes is seen at the start only; where this machine alone reaches it, nobody is asked."""
    with socket.create_server(("0.0.0.0", 0)) as public, listening_socket() as private:
        admin = {"address": "systemd:admin"}
        with Gateway({"admin": admin}, sockets={"admin": private}) as gateway:
            assert gateway.request("GET", "/status", serves="admin").status == 200
        told = Gateway({"admin": admin}, sockets={"admin": public}).start_refused(code=1)
        assert "others than this machine can reach admin.address" in told
        guarded = Gateway({"admin": admin}, sockets={"admin": public})
        token = guarded.secret_file("alice", "canary-operator-token-0123456789abcdef")
        guarded.config["admin"] = {**admin, "tokens": [{"name": "alice", "role": "operator", "token": token}]}
        with guarded:
            assert guarded.request("GET", "/status", serves="admin").status == 401


def test_readiness_is_told_to_systemd(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(PATIENCE)
        with Gateway(environment={"NOTIFY_SOCKET": str(path)}):
            assert b"READY=1" in notify.recv(4096).split(b"\n")
        told = notify.recv(4096)
        while b"STOPPING=1" not in told:
            told = notify.recv(4096)


def watchdog_words(notify):
    """What systemd's watchdog hears, one after the other."""
    while True:
        word = notify.recv(4096)
        if word == b"WATCHDOG=1":
            yield word


@needs_root
def test_the_watchdog_hears_from_a_gateway_whose_threads_work(tmp_path):
    """And from no other: systemd starts it again."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(PATIENCE)
        wanted = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "100000"}
        with Gateway({"reactors": 2}, environment=wanted) as gateway:
            words = watchdog_words(notify)
            next(words), next(words)
            with threads.stopped(gateway.process.pid, "reactor", 1):
                notify.settimeout(1)  # one word may have been on its way, and one is owed to an answer from before
                with pytest.raises(TimeoutError):
                    for _ in range(3):
                        next(words)
            notify.settimeout(PATIENCE)
            next(watchdog_words(notify))


def test_the_watchdog_of_another_process_hears_nothing(tmp_path):
    """What a shell in between has inherited is not meant for us."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        wanted = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"}
        with Gateway(environment=wanted) as gateway:
            gateway.deliver(callback())
        told = []
        while not told or told[-1] != b"STOPPING=1":
            told.append(notify.recv(4096))
        assert told == [b"READY=1", b"STOPPING=1"]


def test_who_has_just_connected_is_answered_before_the_end():
    with Gateway() as gateway, gateway.raw() as early, gateway.raw() as idle:
        assert get(idle).status == 200  # so both have been accepted
        gateway.process.send_signal(signal.SIGTERM)
        assert idle.read_to_end() == b""
        answer = post(early, callback())
        assert answer.status == 200 and answer.headers["Connection"] == "close"
        gateway.join()


def descriptors_without_cloexec(pid):
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as info:
                flags = next(int(line.split()[1], 8) for line in info if line.startswith("flags:"))
            if int(descriptor) > 2 and not flags & os.O_CLOEXEC:
                yield os.readlink(f"/proc/{pid}/fd/{descriptor}")
        except FileNotFoundError:
            pass  # closed meanwhile


@needs_root
def test_no_descriptor_would_be_inherited():
    """What the daemon opens for itself is closed on exec."""
    with Gateway() as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.deliver(callback())
        assert not list(descriptors_without_cloexec(gateway.process.pid))


PIDFD_GETFD = 438


def the_gateways_end_of(gateway, connection):
    """Its socket, duplicated."""
    pidfd = os.pidfd_open(gateway.process.pid)
    for descriptor in os.listdir(f"/proc/{gateway.process.pid}/fd"):
        if not os.readlink(f"/proc/{gateway.process.pid}/fd/{descriptor}").startswith("socket:"):
            continue
        found = socket.socket(fileno=ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, int(descriptor), 0))
        try:
            if found.getpeername() == connection.getsockname():
                os.close(pidfd)
                return found
        except OSError:
            pass  # it listens
        found.close()
    raise AssertionError("the gateway does not have it")


@needs_root
def test_what_is_written_goes_out_at_once_and_whoever_is_gone_is_found_out():
    with Gateway() as gateway, gateway.raw() as connection:
        assert get(connection).status == 200
        with the_gateways_end_of(gateway, connection.socket) as its_end:
            assert its_end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert its_end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60000


def test_several_reactors_serve_as_one():
    with Gateway({"reactors": 4}) as gateway:
        subscribers = [gateway.connect() for _ in range(8)]
        senders = [gateway.raw() for _ in range(8)]
        bodies = [callback() for _ in senders]
        for subscriber in subscribers:
            subscriber.subscribe()
        for sender, body in zip(senders, bodies):
            assert post(sender, body).status == 200
        for subscriber in subscribers:
            for body in bodies:
                assert subscriber.receive_text().endswith(body.decode() + "}")
            subscriber.close()
        for sender in senders:
            sender.socket.close()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_who_waits_does_nothing():
    """With a subscriber, after a callback and after a signal: no loop turns by itself."""
    with Gateway({"limits": {"idle_timeout": "2s"}}) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for_line("SIGHUP")
        with gateway.raw() as idle:
            assert post(idle, callback()).status == 200
            subscriber.event()
            start, before = time.monotonic(), cpu_seconds(gateway.process.pid)
            assert idle.read_to_end() == b""
            used, waited = cpu_seconds(gateway.process.pid) - before, time.monotonic() - start
        assert used < waited / 10


def wake_ups(process):
    """How often its threads have waited for something, ever."""
    found = [path.read_text() for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/status")]
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[1]) for text in found)


def wakes_up_within(seconds, process):
    before = wake_ups(process)
    time.sleep(seconds)  # measures, and waits for nothing
    return wake_ups(process) != before


@pytest.mark.release
@pytest.mark.only_release
def test_a_gateway_at_rest_sleeps_and_is_small():
    """After it has had something to do: no thread wakes up, for longer than any timer of libwebsockets rests."""
    with Gateway({"admin": {"address": "127.0.0.1:0"}}) as gateway:
        with gateway.connect() as subscriber:
            subscriber.subscribe()
            gateway.deliver_next(subscriber)
        while gateway.metric("connections") > 1:
            pass  # the one that asks is the last
        with gateway.raw("admin") as last:
            assert get(last, "/healthz").status == 200
            last.socket.shutdown(socket.SHUT_WR)
            assert last.read_to_end() == b""
        while wakes_up_within(0.5, gateway.process):
            pass  # until it has closed that, too
        assert not wakes_up_within(31, gateway.process)
        memory = pathlib.Path(f"/proc/{gateway.process.pid}/smaps_rollup").read_text()
        private = [int(n) for n in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", memory, re.MULTILINE)]
        assert sum(private) <= 12 * 1024


@needs_root
def test_what_is_loaded_at_run_time_is_installed():
    """Debian's libwebsockets looks for its event loop in a package of its own."""
    dependencies = pathlib.Path(__file__).parent.parent.parent / "packaging" / "dependencies"
    with Gateway() as gateway:
        maps = pathlib.Path(f"/proc/{gateway.process.pid}/maps").read_text(encoding="utf-8")
    assert re.search(r"/libwebsockets-evlib_uv\.so$", maps, re.MULTILINE)
    assert re.search(r"^run +libwebsockets-evlib-uv$", dependencies.read_text(encoding="utf-8"), re.MULTILINE)
