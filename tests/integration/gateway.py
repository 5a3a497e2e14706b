# SPDX-License-Identifier: Apache-2.0
"""The real belfryd, started for one test.

    with Gateway() as gateway:
        gateway.post(body)
        with gateway.connect() as subscriber:
            subscriber.subscribe()

Each gateway has a folder and ports of its own. Nothing sleeps: whoever waits, waits for something, and not longer
than PATIENCE. On the way out belfryd must obey SIGTERM, exit with 0, and must have written neither a sanitizer's
report nor a secret to stderr. Nor may a secret be in an answer, in what the command line prints, or in what everybody
can see of a process. So every test is a test of those, too.
"""

import base64
import copy
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

import jwt

import exposition
from clients import PATIENCE, EventStream, RawConnection, Response, Subscriber

SECRET = "CRN_canary-source-secret-0123456789abcdef"
TAG_KEY = "canary-tag-key-0123456789abcdef0123456789"
TOKEN_SECRET = "canary-token-secret-0123456789abcdef0123456789"

# What tests write as Host when they write bytes: without such a list, anonymous subscribers have to use an address.
HOSTS = ["127.0.0.1", "[::1]", "localhost", "gateway", "g"]

CALLBACK_PATH = "/callbacks/cronofy"
CONTENT_TYPE = "application/json; charset=utf-8"
SIGNATURE = "Cronofy-HMAC-SHA256"

# Exit status of a configuration that is not valid (sysexits.h).
EX_CONFIG = 78

# What no belfryd may ever say.
REPORTS = re.compile(r"Sanitizer|runtime error:|assert|Assertion|stack smashing|buffer overflow|==\d+==")


def belfryd_path():
    return os.environ.get("BELFRYD", "build/core/belfryd")


def belfry_path():
    return os.environ.get("BELFRY", "build/core/cli/belfry")


def sign(body, *secrets):
    """The signature header's value: one element for each secret."""
    digests = [hmac.new(secret.encode(), body, hashlib.sha256).digest() for secret in secrets or (SECRET,)]
    return ",".join(base64.b64encode(digest).decode() for digest in digests)


def callback(interaction="conferencing_assigned", subtype=None, event_id=None, **event):
    """A body as the provider sends it; a new event id each time, so that no two are duplicates."""
    entry = {"type": interaction} if subtype is None else {"type": interaction, "subtype": subtype}
    return json.dumps(
        {
            "notification": {"type": "event_subscription", "interactions": [entry]},
            "event": {"event_id": event_id or uuid.uuid4().hex, "summary": "Board meeting", **event},
        }
    ).encode()


def merge(base, changes):
    """A copy of the map with the changes laid over it; None takes a key away."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Gateway:
    """`changes` are laid over a small configuration: one listener for all, one source, anonymous subscribers.
    `runner` is a command that runs belfryd, as in valgrind belfryd ..."""

    def __init__(self, changes=None, *, tokens=False, folder=None, environment=None, sockets=None, runner=()):
        self._owned_folder = None
        if folder is None:
            self._owned_folder = tempfile.TemporaryDirectory(prefix="belfry-test-")
            folder = self._owned_folder.name
        self.folder = pathlib.Path(folder)
        self.journal = self.folder / "journal.db"
        self.config_path = self.folder / "belfry.yaml"
        self.canaries = {SECRET, TAG_KEY, TOKEN_SECRET}
        self.config = merge(self._default_config(tokens), changes or {})
        self.listeners = []
        self.lines = []
        self.process = None
        self._environment = environment or {}
        self._sockets = sockets or {}  # by name, as systemd would pass them
        self._runner = runner
        self._said_something = threading.Condition()
        self.reads_log = threading.Event()  # cleared: its log is not read, as by a collector that hangs
        self.reads_log.set()

    def _default_config(self, tokens):
        subscribers = {"path": "/subscribe", "anonymous": True, "server_names": HOSTS}
        if tokens:
            subscribers = {"path": "/subscribe", "tokens": {"keys": [self.secret_file("token-key", TOKEN_SECRET)]}}
        return {
            "listen": [{"address": "127.0.0.1:0", "serves": ["sources", "subscribers"]}],
            "journal": {"sqlite": {"path": str(self.journal)}},
            "sources": {
                "cronofy": {
                    "scheme": "cronofy",
                    "path": CALLBACK_PATH,
                    "public_url": "https://gateway.example.com",
                    "secrets": [self.secret_file("cronofy", SECRET)],
                    "tags": {"keys": [self.secret_file("tags", TAG_KEY)]},
                }
            },
            "subscribers": subscribers,
        }

    def secret_file(self, name, content):
        """Writes a secret for the configuration to name."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
        self.canaries.add(content)
        return {"file": str(path)}

    def belfry(self, *arguments, input=None, expect_exit=0, timeout=PATIENCE):
        """Runs the command line with this gateway's configuration; what it printed is returned."""
        done = subprocess.run(
            [belfry_path(), "--config", str(self.config_path), *arguments],
            input=input, capture_output=True, timeout=timeout, check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == expect_exit, (done.returncode, said)
        assert not REPORTS.search(said.decode("utf-8", "replace")), said
        self.check_no_secret("the command line", said)
        return done

    def callback_path(self, source="cronofy", **tags):
        """The path of a callback with signed tags in its query."""
        options = [option for name, value in tags.items() for option in ("--tag", f"{name}={value}")]
        uri = self.belfry("callback-uri", "--source", source, *options).stdout.decode().strip()
        return uri.removeprefix(self.config["sources"][source]["public_url"])

    def write_config(self):
        """JSON is YAML."""
        self.config_path.write_text(json.dumps(self.config, indent="  "), encoding="utf-8")
        self.config_path.chmod(0o600)

    # The process

    def start(self):
        self._spawn()
        self.wait_for_line(r" info ready|\"message\":\"ready\"")
        for line in self.lines:
            if " info listening " in line:
                self.listeners.append(dict(field.split("=", 1) for field in line.split() if "=" in field))
            elif '"message":"listening"' in line:
                self.listeners.append(json.loads(line[line.index("{") :]))
        return self

    def start_refused(self, code=EX_CONFIG):
        """It must end by itself; what it said is returned."""
        self._spawn()
        self.join(expect_exit=code)
        return self.log()

    def _spawn(self):
        self.write_config()
        self.lines, self.listeners = [], []
        passed = [fcntl.fcntl(listening, fcntl.F_DUPFD, 50) for listening in self._sockets.values()]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LISTEN_", "NOTIFY_"))}
        self.process = subprocess.Popen(
            [*self._as_systemd(passed), *self._runner, belfryd_path(), "--config", str(self.config_path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**inherited, **self._environment},
            pass_fds=passed,
        )
        for descriptor in passed:
            os.close(descriptor)
        threading.Thread(target=self._listen_to, args=(self.process, self.lines), daemon=True).start()

    def _as_systemd(self, descriptors):
        """What makes the next words a process with these descriptors from 3 on. LISTEN_PID is the process's own number,
        so a shell sets it and becomes belfryd."""
        if not descriptors:
            return []
        moves = " ".join(f"{3 + i}<&{descriptor} {descriptor}<&-" for i, descriptor in enumerate(descriptors))
        names = ":".join(self._sockets)
        script = f'LISTEN_PID=$$ LISTEN_FDS={len(descriptors)} LISTEN_FDNAMES={names} exec "$@" {moves}'
        return ["bash", "-c", script, "bash"]

    def _listen_to(self, process, lines):
        for line in process.stderr:
            self.reads_log.wait()
            with self._said_something:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._said_something.notify_all()
        process.stderr.close()
        with self._said_something:
            lines.append(None)
            self._said_something.notify_all()

    def wait_for_line(self, pattern, timeout=PATIENCE, start=0):
        """The first line of the log from line `start` on in which the pattern is found."""

        def find():
            return next((line for line in self.lines[start:] if line is None or re.search(pattern, line)), False)

        with self._said_something:
            found = self._said_something.wait_for(lambda: find() is not False, timeout)
            line = find() if found else None
        assert line is not None, f"belfryd did not say {pattern!r}; it said:\n{self.log()}"
        return line

    def log(self):
        return "\n".join(line for line in self.lines if line is not None)

    def stop(self, *, expect_exit=0):
        """SIGTERM, and what must be true before and afterwards."""
        self.check_what_others_see()
        self.process.send_signal(signal.SIGTERM)
        self.join(expect_exit=expect_exit)

    def join(self, *, expect_exit=0):
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # a core, or a sanitizer's stack, says where it hangs
            self._reap()
            raise AssertionError(f"belfryd did not end; it said:\n{self.log()}") from None
        self._reap()
        self.check_log()
        assert code == expect_exit, f"belfryd ended with {code}; it said:\n{self.log()}"

    def _reap(self):
        """It is dead, and all that it said has been read."""
        self.process.wait(PATIENCE)
        self.process = None
        with self._said_something:
            assert self._said_something.wait_for(lambda: None in self.lines, PATIENCE)

    def check_log(self):
        log = self.log()
        assert not REPORTS.search(log), log
        self.check_no_secret("the log", log)

    def check_no_secret(self, what, said, except_for=()):
        text = said if isinstance(said, str) else said.decode("utf-8", "replace")
        for canary in self.canaries.difference(except_for):
            assert canary not in text, f"{what} has the secret {canary!r}:\n{text}"

    def check_what_others_see(self):
        """ps(1), and the metrics."""
        process = pathlib.Path(f"/proc/{self.process.pid}")
        if self.process.poll() is None:
            self.check_no_secret("ps", (process / "cmdline").read_bytes())
            if os.access(process / "environ", os.R_OK):  # its owner may not, as it is not dumpable
                environment = (process / "environ").read_bytes()
                self.check_no_secret("the environment", environment, self._environment.values())
        if any(listener["serves"] == "admin" for listener in self.listeners):
            self.request("GET", "/metrics", serves="admin")

    def kill(self):
        self.process.kill()
        self._reap()
        self.check_log()

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self._clean_up()
            raise

    def __exit__(self, exception_type, exception, traceback):
        try:
            if exception_type is not None:
                print(f"belfryd said:\n{self.log()}")
            elif self.process:
                self.stop()
        finally:
            self._clean_up()

    def _clean_up(self):
        if self.process:
            self.process.kill()
            self._reap()
        if self._owned_folder:
            self._owned_folder.cleanup()

    # Talking to it

    def listener(self, serves="sources"):
        return next(listener for listener in self.listeners if serves in listener["serves"].split(","))

    def address(self, serves="sources"):
        host, port = self.listener(serves)["address"].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def request(self, method, path, body=None, headers=None, serves="subscribers", unix=None):
        """At the first listener that serves this, or at a socket."""
        if not unix and self.listener(serves)["address"].startswith("unix:"):
            unix = self.listener(serves)["address"].removeprefix("unix:")
        if unix:
            connection = UnixConnection(str(unix))
        else:
            connection = http.client.HTTPConnection(*self.address(serves), timeout=PATIENCE)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
            self.check_no_secret("an answer", f"{answer.headers}\n".encode() + body)
            return Response(answer.status, answer.headers, body)
        finally:
            connection.close()

    def post(self, body, *, path=CALLBACK_PATH, headers=None, secrets=(SECRET,)):
        """A callback, signed; a header of None is left out."""
        wanted = {"Content-Type": CONTENT_TYPE, SIGNATURE: sign(body, *secrets), **(headers or {})}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return self.request("POST", path, body, wanted, serves="sources")

    def deliver(self, body, **options):
        """A callback that must be accepted."""
        answer = self.post(body, **options)
        assert answer.status == 200, (answer, self.log())
        return answer

    def deliver_next(self, subscriber):
        """A callback that must be the next event, so that nothing else has been written down before it."""
        body = callback()
        self.deliver(body)
        assert subscriber.event()["callback"] == json.loads(body)

    def metrics(self):
        """All metrics, by name; the gateway needs an admin listener."""
        answer = self.request("GET", "/metrics", serves="admin")
        assert answer.status == 200, answer
        text = answer.body.decode()
        for canary in self.canaries:
            assert canary not in text, f"/metrics has the secret {canary!r}"
        return exposition.parse(text)

    def metric(self, name, part="", **labels):
        """The value of belfry_NAME (or of a part of that histogram), added up over the samples that have these labels."""
        return self.metrics()[f"belfry_{name}"].sum(part, **labels)

    def raw(self, serves="sources"):
        return RawConnection(socket.create_connection(self.address(serves), PATIENCE))

    def url(self, path="/subscribe", scheme="ws"):
        return f"{scheme}://{self.listener('subscribers')['address']}{path}"

    def connect(self, query="", **options):
        """A WebSocket."""
        return Subscriber(self.url("/subscribe" + query), **options)

    def stream(self, query="", **options):
        """Server-Sent Events, by curl."""
        return EventStream(self.url("/subscribe" + query, "http"), **options)

    def token(self, grants=({},), *, lifetime=3600, secret=TOKEN_SECRET, algorithm="HS256", headers=None, **claims):
        payload = {"sub": "user-42", "exp": time.time() + lifetime, "belfry": {"subscribe": list(grants)}, **claims}
        payload = {name: value for name, value in payload.items() if value is not None}
        token = jwt.encode(payload, secret, algorithm, headers=headers)
        self.canaries.add(token)
        return token

    def ticket(self, token):
        answer = self.request("POST", "/ticket", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 200, answer
        self.canaries.add(answer.json()["ticket"])
        return answer.json()["ticket"]

    def events(self, query="", **headers):
        answer = self.request("GET", "/events" + query, headers=headers)
        assert answer.status == 200, answer
        return answer.json()
