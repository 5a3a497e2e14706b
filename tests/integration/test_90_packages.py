# SPDX-License-Identifier: Apache-2.0
"""The packages: what is in them, and a fresh Debian on which they are installed, used as the README says, upgraded and
purged, under a systemd of its own. The tests of that machine are its life, in order."""

import json
import os
import pathlib
import re
import stat

import pytest

from machine import Machine, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
CALLBACKS = "http://127.0.0.1:8080/callbacks/cronofy"
SUBSCRIBE = "http://127.0.0.1:8080/subscribe"

pytestmark = [
    pytest.mark.only_release,
    pytest.mark.bound(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can install packages"),
]


def build(folder, *arguments):
    run(folder / "packaging" / "build-packages.sh", *arguments)


def packages_in(folder, ending="deb"):
    return {path.name.split("_")[0]: path for path in (folder / "build-packages").glob(f"*.{ending}")}


@pytest.fixture(name="made", scope="module")
def _made():
    """While it is made, the packages are built."""
    with Machine() as machine:
        yield machine


@pytest.fixture(name="packages", scope="module")
def _packages(made):
    build(ROOT)
    return packages_in(ROOT)


# What is in them


def test_lintian_has_nothing_to_say(packages):
    """What it is told to overlook, it is told with a reason."""
    assert run("lintian", "--allow-root", *packages.values()) == ""


def test_two_builds_are_the_same_bytes(packages, tmp_path):
    """In another folder, from the same files."""
    other = tmp_path / "elsewhere" / "and deeper"
    other.mkdir(parents=True)
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    run("cp", "--parents", "--target-directory", other, *files, cwd=ROOT)
    moment = run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()
    run(other / "packaging" / "build-packages.sh", env={**os.environ, "SOURCE_DATE_EPOCH": moment})
    built = packages_in(other)
    assert {name: path.read_bytes() for name, path in built.items()} == {
        name: path.read_bytes() for name, path in packages.items()
    }


def test_what_a_package_says_of_itself(packages):
    version = run("dpkg-parsechangelog", "--file", ROOT / "packaging" / "debian" / "changelog", "--show-field", "Version")
    assert {path.name for path in packages.values()} == {
        f"belfry_{version.strip()}_{run('dpkg', '--print-architecture').strip()}.deb",
        f"belfry-dev_{version.strip()}_all.deb",
    }
    needs = run("dpkg-deb", "--field", packages["belfry"], "Depends")
    listed = (ROOT / "packaging" / "dependencies").read_text(encoding="utf-8").splitlines()
    libraries = [line.split()[1] for line in listed if line.startswith("run ") and "ca-certificates" not in line]
    assert [library for library in libraries if f" {library}" not in f" {needs}"] == []
    about = (ROOT / "packaging" / "README.md").read_text(encoding="utf-8")
    (documents,) = re.findall(r"^\| `/usr/share/doc/belfry` \|.*", about, re.MULTILINE)
    contents = run("dpkg-deb", "--contents", packages["belfry"])
    names = re.findall(r"`(\w+\.md)`", documents)
    assert names and [name for name in names if f"./usr/share/doc/belfry/{name}\n" not in contents] == []


# The rpm


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def whose(root, path):
    status = (root / path).stat()
    names = [run("chroot", root, "getent", what, number).split(":")[0]
             for what, number in (("passwd", status.st_uid), ("group", status.st_gid))]  # fmt: skip
    return " ".join([f"{stat.S_IMODE(status.st_mode):04o}", *names])


def test_the_rpm(bare, packages, tmp_path):
    """What Debian's rpm can show of it: it is built, installed into a root of its own, its scripts are run, and it is
    erased. What it needs has Fedora's names, which no Debian has."""
    build(ROOT, "rpm")
    built = {run("rpm", "-qp", "--queryformat", "%{NAME}", path): path for path in packages_in(ROOT, "rpm").values()}
    assert set(built) == {"belfry", "belfry-devel"}
    needs = run("rpm", "-qp", "--requires", built["belfry"])
    assert "libwebsockets.so." in needs and "/libwebsockets-evlib_uv.so\n" in needs
    root = tmp_path / "root"
    run("cp", "--archive", bare.root, root)
    run("systemd-sysusers", f"--root={root}", ROOT / "packaging" / "systemd" / "belfry.sysusers")  # rpm 4.19 does it
    rpm = ["rpm", "--root", root]
    run(*rpm, "--initdb")
    before = files(root)
    run(*rpm, "--install", "--nodeps", *built.values())
    assert run(*rpm, "--verify", "--nodeps", *built) == ""
    assert whose(root, "etc/belfry") == whose(root, "etc/belfry/secrets") == "0750 root belfry"
    assert whose(root, "var/lib/belfry") == "0700 belfry belfry"
    assert (root / "etc/systemd/system/multi-user.target.wants/belfry.service").is_symlink()
    with open(root / "etc/belfry/belfry.yaml", "a", encoding="utf-8") as config:
        config.write("# mine\n")
    run(*rpm, "--erase", *built)
    left = {path for path in files(root) - before if not path.startswith("var/lib/rpm/")}
    assert {path for path in left if not (root / path).is_dir()} == {"etc/belfry/belfry.yaml.rpmsave"}


# A machine


@pytest.fixture(name="bare", scope="module")
def _bare(made):
    made.wait()
    return made


@pytest.fixture(name="machine", scope="module")
def _machine(bare, packages):
    bare.before = files(bare.root)
    install(bare, packages["belfry"])
    with bare.booted():
        yield bare


def install(machine, package):
    keep = "Dpkg::Options::=--force-confold"
    inside = machine.copy(package)
    machine.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", keep,
                "--no-install-recommends", "install", inside)  # fmt: skip
    machine.path(inside).unlink()


def until(condition):
    """Asks until it is so; the test's bound is the end of patience."""
    while not condition():
        pass


def show(machine, what, unit="belfry.service"):
    return machine.run("systemctl", "show", "--value", f"--property={what}", unit).strip()


def configure(machine, **sections):
    """JSON is YAML."""
    path = machine.path("/etc/belfry/belfry.yaml")
    lines = "".join(f"{name}: {json.dumps(value)}\n" for name, value in sections.items())
    path.write_text(path.read_text(encoding="utf-8") + lines, encoding="utf-8")


def add_secret(machine, name, secret):
    """As etc/belfry.yaml says."""
    machine.run("sh", "-c", f"printf %s {secret} | install -m 0640 -g belfry /dev/stdin /etc/belfry/secrets/{name}")


def drop_in(machine, name, *lines):
    machine.run("sh", "-c", f"mkdir -p /etc/systemd/system/belfry.service.d; printf '%s\\n' '[Service]' {' '.join(lines)} "
                f">/etc/systemd/system/belfry.service.d/{name}.conf; systemctl daemon-reload")  # fmt: skip


def messages(machine, n):
    """What a subscriber gets from the beginning on."""
    lines = machine.run("belfry", "--json", "listen", "--url", SUBSCRIBE, "--token-file", "/run/token",
                        "--after", "earliest", "--count", n, timeout=30)  # fmt: skip
    return [json.loads(line) for line in lines.splitlines()]


def said(machine):
    return machine.run("journalctl", "--unit=belfry")


def test_who_may_read_and_write_what(machine):
    assert whose(machine.root, "etc/belfry") == whose(machine.root, "etc/belfry/secrets") == "0750 root belfry"
    assert whose(machine.root, "var/lib/belfry") == "0700 belfry belfry"


def test_the_units(machine):
    """systemd has nothing to complain of, and little is left that an attacker could use."""
    assert machine.run("systemd-analyze", "verify", "--man=no", "belfry.service", "belfry.socket") == ""
    machine.run("systemd-analyze", "security", "--offline=true", "--threshold=12", "/lib/systemd/system/belfry.service")


def test_it_starts_with_the_machine_but_not_without_a_secret(machine):
    """And what cannot become better by itself is not tried again and again."""
    assert show(machine, "UnitFileState") == "enabled"
    assert show(machine, "UnitFileState", "belfry.socket") == "disabled"
    until(lambda: show(machine, "ActiveState") == "failed")
    assert (show(machine, "ExecMainStatus"), show(machine, "NRestarts")) == ("78", "0")
    assert "/etc/belfry/secrets/cronofy cannot be read" in said(machine)


def test_configured_it_receives_handles_and_tells(machine):
    """Handlers run inside of the unit's sandbox: one that starts a program, one that speaks to the network. (This one has
    nobody to speak to.)"""
    add_secret(machine, "cronofy", "CRN_0123456789abcdef0123456789abcdef")
    add_secret(machine, "tokens", "token-secret-0123456789abcdef0123456789abcdef")
    add_secret(machine, "forward", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    configure(
        machine,
        subscribers={"tokens": {"keys": [{"file": "/etc/belfry/secrets/tokens"}]}},
        handlers={
            "runs": {
                "plugin": "exec",
                "allow": ["exec"],
                "options": {"program": "/usr/bin/tee", "arguments": ["/var/lib/belfry/seen"]},
            },
            "posts": {
                "plugin": "forward",
                "allow": ["inner"],
                "options": {"url": "http://localhost:1/", "secrets": [{"file": "/etc/belfry/secrets/forward"}]},
            },
        },
        interactions={"conferencing_assigned": ["runs", "posts"]},
    )
    machine.run("belfry", "check")
    machine.run("systemctl", "start", "belfry")
    machine.run("belfry", "send", "conferencing_assigned", "--url", CALLBACKS)
    machine.run("sh", "-c", "umask 077; belfry token >/run/token")
    (event,) = messages(machine, 1)
    assert event["interactions"][0]["type"] == "conferencing_assigned"
    until(lambda: "outcome=done handler=runs" in said(machine))
    until(lambda: re.search("outcome=retry handler=posts .*Failed to connect", said(machine)))
    assert json.loads(machine.path("/var/lib/belfry/seen").read_bytes()) == event["callback"]


def test_a_reload_is_whole_or_refused(machine):
    path = machine.path("/etc/belfry/belfry.yaml")
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "limits: {ring: 16MiB}\n", encoding="utf-8")
    machine.run("systemctl", "reload", "belfry")
    assert "limits.ring: changed" in said(machine)
    path.write_text(text + "limits: {rnig: 16MiB}\n", encoding="utf-8")
    machine.run("systemctl", "reload", "belfry", expect_exit=1)
    assert "belfry.yaml" in said(machine) and "rnig" in said(machine)
    path.write_text(text, encoding="utf-8")
    machine.run("systemctl", "reload", "belfry")
    assert show(machine, "ActiveState") == "active"


def test_whoever_is_killed_or_hangs_is_started_again(machine):
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "belfry")
    until(lambda: (show(machine, "NRestarts"), show(machine, "ActiveState")) == ("1", "active"))
    drop_in(machine, "test", "WatchdogSec=1s")
    machine.run("systemctl", "restart", "belfry")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "belfry")
    until(lambda: (show(machine, "NRestarts"), show(machine, "ActiveState")) == ("1", "active"))
    assert "Watchdog timeout" in said(machine)


def test_a_secret_that_systemd_keeps(machine):
    path = machine.path("/etc/belfry/belfry.yaml")
    text = path.read_text(encoding="utf-8")
    secret = "- file: /etc/belfry/secrets/cronofy\n"
    assert text.count(secret) == 1
    path.write_text(text.replace(secret, "- credential: cronofy\n"), encoding="utf-8")
    machine.run("sh", "-c", "install -m 0600 /etc/belfry/secrets/cronofy /root/kept; rm /etc/belfry/secrets/cronofy")
    drop_in(machine, "test", "LoadCredential=cronofy:/root/kept")
    machine.run("systemctl", "restart", "belfry")
    machine.run("sh", "-c", "install -m 0640 -g belfry /root/kept /etc/belfry/secrets/cronofy; rm /root/kept")
    path.write_text(text, encoding="utf-8")
    machine.run("sh", "-c", "rm -r /etc/systemd/system/belfry.service.d; systemctl daemon-reload; systemctl restart belfry")


def test_systemd_listens(machine):
    """Nobody is refused, whether the gateway runs, restarts or was never started."""
    configure(machine, listen=[{"address": "systemd:public"}])
    machine.run("systemctl", "stop", "belfry")
    machine.run("systemctl", "start", "belfry.socket")
    for _ in range(5):
        machine.run("belfry", "send", "change", "--count", "2", "--url", CALLBACKS)
        machine.run("systemctl", "--no-block", "restart", "belfry")
    assert [event["position"].split("-")[1] for event in messages(machine, 11)] == [str(i) for i in range(1, 12)]


def newer(package, folder):
    """The same with a higher version, and a sample configuration in which something is new."""
    run("dpkg-deb", "--raw-extract", package, folder / "newer")
    control = folder / "newer" / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 1000."))
    with open(folder / "newer" / "etc" / "belfry" / "belfry.yaml", "a", encoding="utf-8") as sample:
        sample.write("\n# Something new.\n")
    run("dpkg-deb", "--build", folder / "newer", folder)
    return next(folder.glob("belfry_1000.*.deb"))


def test_an_upgrade_keeps_configuration_and_journal(machine, packages, tmp_path):
    config = machine.path("/etc/belfry/belfry.yaml").read_bytes()
    process, before = show(machine, "MainPID"), messages(machine, 11)
    install(machine, newer(packages["belfry"], tmp_path))
    assert machine.run("dpkg-query", "--show", "--showformat=${Version}", "belfry").startswith("1000.")
    assert machine.path("/etc/belfry/belfry.yaml").read_bytes() == config
    assert messages(machine, 11) == before
    assert show(machine, "MainPID") not in ("0", process)
    assert show(machine, "UnitFileState") == "enabled"


def files_of_packages(machine):
    listed = machine.run("sh", "-c", "dpkg-query --listfiles $(dpkg-query --show --showformat='${binary:Package} ')")
    return {re.sub("^/(lib|bin|sbin)/", r"/usr/\1/", line)[1:] for line in listed.splitlines()}


def test_removing_keeps_configuration_and_journal_and_purging_nothing(machine):
    machine.run("apt-get", "-q", "-y", "remove", "belfry")
    assert show(machine, "ActiveState") == "inactive"
    assert machine.path("/etc/belfry/belfry.yaml").exists() and machine.path("/var/lib/belfry/journal.db").exists()
    machine.run("apt-get", "-q", "-y", "purge", "belfry")
    machine.run("getent", "passwd", "belfry", expect_exit=2)
    machine.run("getent", "group", "belfry", expect_exit=2)
    others = ("var/log/", "var/cache/", "var/lib/apt/", "var/lib/dpkg/", "var/lib/systemd/timers", "etc/localtime")
    left = files(machine.root) - machine.before - files_of_packages(machine)
    assert {path for path in left if not path.startswith(others)} == set()
