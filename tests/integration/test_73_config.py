# SPDX-License-Identifier: Apache-2.0
"""Configurations and places that must not be started on: told in one line, before anything is opened or said to be ready."""

import os
import pathlib
import socket
import subprocess

import pytest

from clients import PATIENCE
from gateway import EX_CONFIG, SECRET, Gateway, belfryd_path
from test_34_keys import KeySet, make_key
from test_70_tls import listen, make_certificate
from test_71_listeners import has_ipv6

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and give files away")


# The file


def start(tmp_path, text):
    """The exit code, and what was said."""
    path = tmp_path / "belfry.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    done = subprocess.run(
        [belfryd_path(), "--config", path], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stderr


BASE = "sources: {cronofy: {secrets: [{env: SECRET}]}}\n"


BOMB = "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))

FILES = {
    "a tag": (BASE + "log: !!map {level: debug}\n", "2:6"),
    "a merge key": (BASE + "<<: {log: {level: debug}}\n", "2:1"),
    "a second document": (BASE + "---\nlog: {level: debug}\n", "2:1"),
    "a key twice": (BASE + "log: {level: debug, level: info}\n", "2:21"),
    "an unknown key": (BASE + "logs: {level: debug}\n", "2:1"),
    "an alias bomb": (BASE + BOMB, "2:5"),
    "a deep one": ("[" * 128_000, "1:17"),
    "a large one": (BASE + "#" * (1 << 20), None),
    "octal": (BASE + "limits: {connections: 0o17}\n", "2:23"),
    "underscores": (BASE + "limits: {connections: 1_000}\n", "2:23"),
    "an exponent": (BASE + "limits: {connections: 1e3}\n", "2:23"),
    "a leading zero": (BASE + "limits: {connections: ' 08'}\n", "2:23"),
    "beyond the range": (BASE + "limits: {connections: 2147483648}\n", "2:23"),
    "a negative number": (BASE + "limits: {connections: -1}\n", "2:23"),
    "an empty number": (BASE + "limits: {connections: ''}\n", "2:23"),
    "no for false": (BASE + "subscribers: {anonymous: no}\n", "2:26"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_understood(tmp_path, monkeypatch, name):
    text, place = FILES[name]
    monkeypatch.setenv("SECRET", SECRET)
    code, said = start(tmp_path, text)
    assert code == EX_CONFIG
    assert f"belfry.yaml:{place}: " in said if place else "belfry.yaml: larger than 1 MiB" in said
    assert SECRET not in said


# What it names


def expect_refusal(gateway, told, code):
    """One line, and systemd is not told that it is ready."""
    path = gateway.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.setblocking(False)
        gateway._environment = {"NOTIFY_SOCKET": str(path)}
        said = gateway.start_refused(code).splitlines()
        assert len(said) == 1 and told in said[0], said
        with pytest.raises(BlockingIOError):
            notify.recv(4096)


def refuse_address(address, told, **options):
    """Beside what is wrong, it says what to do."""
    gateway = Gateway(tokens=True, **options)
    gateway.config["listen"] = [{"address": address, "tls": make_certificate(gateway.folder, days=30)}]
    expect_refusal(gateway, told, 1)
    return gateway.log()


def this_process():
    name = pathlib.Path("/proc/self/comm").read_text().strip()
    return f"{name} (process {os.getpid()}) listens there: stop it, or choose another address"


@pytest.mark.parametrize("host, listens_at", [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", ""), ("[::1]", "::1")])
def test_a_port_in_use(host, listens_at):
    """Whoever may see who it is, is told."""
    if ":" in listens_at and not has_ipv6():
        pytest.skip("no IPv6 loopback here")
    family = socket.AF_INET6 if ":" in listens_at else socket.AF_INET
    with socket.create_server((listens_at, 0), family=family) as taken:
        address = f"{host}:{taken.getsockname()[1]}"
        assert this_process() in refuse_address(address, f"cannot listen on {address}: bind: Address already in use")


@needs_root
def test_a_port_in_use_by_somebody_who_cannot_be_seen(tmp_path):
    """Without the right to look, it says who has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refuse_address(f"127.0.0.1:{taken.getsockname()[1]}", "another program (as root, ss -lxtnp says which)",
                       runner=["setpriv", "--bounding-set=-sys_ptrace,-dac_override,-dac_read_search"])


def test_an_address_of_another_machine():
    told = refuse_address("192.0.2.1:8080", "this machine has no such address")
    assert "ip address shows those that it has" in told


@needs_root
def test_a_port_that_only_root_may_have():
    assert int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 1
    told = refuse_address("127.0.0.1:1", "Permission denied",
                          runner=["setpriv", "--bounding-set=-net_bind_service"])  # fmt: skip
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in told


def test_unix_sockets_that_cannot_be(tmp_path):
    path = tmp_path / "public.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        assert this_process() in refuse_address(f"unix:{path}", "Address already in use")
    (tmp_path / "file").touch()
    refuse_address(f"unix:{tmp_path}/file", "there is something else of that name: remove it, or choose another path")
    refuse_address(f"unix:{tmp_path}/nowhere/public.sock", "its folder must exist: make it, or let systemd do so")


def test_a_socket_that_systemd_does_not_pass():
    told = refuse_address("systemd:public", "systemd passed no socket; start it by its socket unit")
    assert "cannot listen on systemd:public" in told


@pytest.mark.parametrize("fault", ["missing", "no certificate", "another key", "expired", "open to all"])
def test_certificates_that_cannot_be_used(fault):
    gateway = Gateway()
    tls = make_certificate(gateway.folder, days=-1 if fault == "expired" else 1)
    told = "cert.pem"
    if fault == "missing":
        (gateway.folder / "cert.pem").unlink()
    elif fault == "no certificate":
        (gateway.folder / "cert.pem").write_text("ding dong")
    elif fault == "another key":
        tls["key"] = make_certificate(gateway.folder, name="other")["key"]
        told = "not the key of the certificate"
    elif fault == "open to all":
        (gateway.folder / "cert.key").chmod(0o644)
        told = "cert.key"
    gateway.config["listen"] = listen(tls)
    expect_refusal(gateway, told, EX_CONFIG)


@pytest.mark.parametrize("fault", ["missing", "empty", "open to all", "a folder", "a pipe", "a link to one open to all"])
def test_secrets_that_cannot_be_used(fault):
    gateway = Gateway()
    path = gateway.folder / "cronofy"
    told = str(path)
    if fault == "missing":
        path.unlink()
    elif fault == "empty":
        path.write_text("")
        told = "the secret is empty"
    elif fault == "open to all":
        path.chmod(0o644)
    elif fault == "a link to one open to all":
        path.rename(gateway.folder / "target").chmod(0o644)
        path.symlink_to("target")
    else:
        path.unlink()
        os.mkfifo(path, 0o600) if fault == "a pipe" else path.mkdir(0o700)
    expect_refusal(gateway, told, EX_CONFIG)


def test_a_secret_behind_a_link():
    gateway = Gateway()
    path = gateway.folder / "cronofy"
    path.rename(gateway.folder / "target")
    path.symlink_to("target")
    with gateway:
        gateway.deliver(b"{}")


# The journal's place


def journal_at(folder):
    return Gateway({"journal": {"sqlite": {"path": str(folder / "journal.db")}}})


def test_a_missing_folder(tmp_path):
    expect_refusal(journal_at(tmp_path / "nowhere"), "its folder must exist; make it, for user", 1)


@pytest.fixture
def mount(tmp_path):
    """Mounts something under a name, and takes it away in the end."""
    mounted = []

    def mount(name, *arguments):
        path = tmp_path / name
        path.mkdir()
        if subprocess.run(["mount", *arguments, path], check=False).returncode != 0:
            pytest.skip("cannot be mounted here")
        mounted.append(path)
        return path

    yield mount
    for path in reversed(mounted):
        subprocess.run(["umount", "--lazy", path], check=True)


@needs_root
def test_a_folder_that_cannot_be_written_to(mount):
    expect_refusal(journal_at(mount("disk", "-t", "tmpfs", "-o", "ro", "tmpfs")), "Read-only file system", 1)


@needs_root
def test_a_journal_of_somebody_else(tmp_path):
    path = tmp_path / "journal.db"
    path.touch(0o600)
    os.chown(path, 65534, 65534)
    expect_refusal(journal_at(tmp_path), "belongs to user 65534", 1)


@needs_root
@pytest.mark.parametrize("kind", ["tmpfs", "overlay"])
def test_a_file_system_that_may_lose_it_is_warned_of(mount, kind):
    options = []
    if kind == "overlay":
        base = mount("base", "-t", "tmpfs", "tmpfs")  # an overlay cannot lie on another one
        for name in ("lower", "upper", "work"):
            (base / name).mkdir()
        options = ["-o", f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"]
    with journal_at(mount("disk", "-t", kind, *options, kind)) as gateway:
        gateway.wait_for_line(f"file system that may lose it .*file_system={kind}")
        gateway.deliver(b"{}")


@needs_root
def test_a_folder_of_somebody_else(tmp_path):
    """As the gateway's user meets it: root may write everywhere."""
    gateway = Gateway(runner=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    gateway.config["journal"] = {"sqlite": {"path": str(tmp_path / "journal.db")}}
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    gateway.write_config()
    for path in (gateway.folder, *gateway.folder.iterdir()):
        os.chown(path, 65534, 65534)
    expect_refusal(gateway, "the gateway runs as user 65534, who may not; give the folder", 1)


@needs_root
def test_a_configuration_that_cannot_be_read():
    gateway = Gateway(runner=["setpriv", "--bounding-set=-dac_override,-dac_read_search"])
    gateway.write_config()
    gateway.write_config = lambda: os.chown(gateway.config_path, 65534, 65534)
    expect_refusal(gateway, "belfry.yaml: cannot be read: Permission denied", EX_CONFIG)


# Descriptors


def test_a_limit_of_open_files_that_was_raised_is_told():
    """As far as the system allows; what is missing then is told, too."""
    with Gateway(runner=["prlimit", "--nofile=256:1000"]) as gateway:
        gateway.wait_for_line(r"limit of open files raised from=256 to=1000")
        gateway.wait_for_line(r"raise the limit of open files \(LimitNOFILE=\).* configured=16000 possible=\d+")


# The clock

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*next)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = next(clock, now);
	if (clock == CLOCK_REALTIME)
		now->tv_sec = 1000000000;
	return r;
}
"""


@pytest.mark.release
@pytest.mark.only_release
def test_a_clock_that_is_obviously_wrong(tmp_path):
    """It is told, and the gateway starts all the same: a machine without a battery must not need a hand."""
    library = tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=CLOCK.encode(), check=True)
    with Gateway(environment={"LD_PRELOAD": str(library)}) as gateway:
        line = gateway.wait_for_line("the clock is wrong")
        assert "timedatectl set-ntp true" in line and "time=2001-09-09T01:46:40" in line
    with Gateway() as gateway:
        assert "clock" not in gateway.log()


# Checking without starting


def test_check_touches_nothing():
    """Neither ports, nor sockets, nor the journal, nor the key set that would be fetched."""
    with socket.create_server(("127.0.0.1", 0)) as taken, KeySet([make_key("one")]) as key_set:
        gateway = Gateway()
        gateway.config["listen"] = [
            {"address": f"unix:{gateway.folder / 'public.sock'}"},
            {"address": f"127.0.0.1:{taken.getsockname()[1]}"},
        ]
        gateway.config["subscribers"] = {"tokens": {"jwks_url": key_set.url}}
        gateway.write_config()
        before = sorted(gateway.folder.rglob("*"))
        gateway.belfry("check")
        assert before == sorted(gateway.folder.rglob("*"))
        gateway.start_refused(1)  # where the daemon would not start
        assert not key_set.asked.acquire(blocking=False)
    with Gateway() as running:  # and beside one that runs
        before = {path: path.stat().st_mtime_ns for path in running.folder.rglob("*")}
        running.belfry("check")
        assert before == {path: path.stat().st_mtime_ns for path in running.folder.rglob("*")}
