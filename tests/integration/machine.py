# SPDX-License-Identifier: Apache-2.0
"""A Debian of its own in a folder: made by mmdebstrap, booted with its own systemd by systemd-nspawn.

    with Machine() as machine:
        machine.wait()                              # it takes a while to be made
        machine.run("apt-get", "install", ...)      # not booted; with this machine's network
        with machine.booted():
            machine.run("systemctl", "start", ...)  # with a network of its own, of nothing but a loopback

Its packages come from where this machine's come from.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

# Calls that systemd-nspawn of Debian 12 does not know and so refuses; plugins' processes are confined with them.
CALLS = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
CONTAINER = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--system-call-filter={CALLS}"]
# Processes and mounts that end with whoever started them.
ALONE = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
WITH_US = ["setpriv", "--pdeathsig", "TERM"]  # which shuts the machine down
SOURCES = [pathlib.Path("/etc/apt/sources.list.d/debian.sources"), pathlib.Path("/etc/apt/sources.list")]
PATIENCE = 60


def run(*command, expect_exit=0, **options):
    """What the command printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
    assert done.returncode == expect_exit, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Machine:
    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="belfry-test-")
        folder = pathlib.Path(self._folder.name)
        self.root = folder / "root"
        self._notify = folder / "notify"
        self._leader = None  # its process 1, while it is booted
        settings = folder / "apt.conf"
        settings.write_text(run("apt-config", "dump", "Acquire"))
        sources = next(path for path in SOURCES if path.exists())
        self._log = folder / "mmdebstrap.log"
        with open(self._log, "w", encoding="utf-8") as log:
            self._making = subprocess.Popen(
                [*ALONE, "mmdebstrap", "--variant=apt", "--include=systemd-sysv", f"--aptopt={settings}",
                 "--skip=cleanup/apt", "bookworm", self.root, sources],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._making.terminate()
        self._making.wait()
        self._folder.cleanup()

    def wait(self):
        assert self._making.wait() == 0, self._log.read_text(encoding="utf-8")

    def path(self, inside):
        return self.root / inside.lstrip("/")

    def copy(self, path):
        """Where it is inside."""
        shutil.copy(path, self.path("/root"))
        return f"/root/{path.name}"

    def run(self, *command, **options):
        if self._leader:
            return run("nsenter", "--target", self._leader, "--all", *command, **options)
        return run(*CONTAINER, "--pipe", "--directory", self.root, *command, **options)

    @contextlib.contextmanager
    def booted(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(self._notify))
            notify.settimeout(PATIENCE)
            container = subprocess.Popen(
                [*WITH_US, *CONTAINER, "--private-network", "--notify-ready=yes", "--console=passive", "--directory", self.root,
                 "--boot"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/sbin:/usr/bin", "NOTIFY_SOCKET": str(self._notify)},
            )  # fmt: skip
            try:
                told = ""
                while not re.search("^READY=1$", told, re.MULTILINE):
                    told += notify.recv(4096).decode() + "\n"
                self._leader = re.search("^X_NSPAWN_LEADER_PID=([0-9]+)$", told, re.MULTILINE)[1]
                yield
            finally:
                if self._leader:
                    os.kill(int(self._leader), signal.SIGKILL)  # all the others go with it
                else:
                    container.terminate()
                self._leader = None
                container.wait(PATIENCE)
                self._notify.unlink()
