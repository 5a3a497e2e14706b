# SPDX-License-Identifier: Apache-2.0
"""belfry, the command line, against a running gateway: each command does what its help says."""

import json
import os
import re
import signal
import subprocess

import jwt
import pytest

from bodies import ASSIGNED, FAILING
from clients import PATIENCE
from gateway import CALLBACK_PATH, EX_CONFIG, SECRET, SIGNATURE, TOKEN_SECRET, Gateway, belfry_path, callback, sign

pytestmark = pytest.mark.release
NOT_SO, USAGE, NOT_REACHED = 1, 2, 3
ANYWHERE = ("--url", "http://127.0.0.1:1/subscribe")


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as running:
        yield running


@pytest.fixture(scope="module")
def guarded():
    with Gateway(tokens=True) as running:
        yield running


def text(output):
    return output.decode("utf-8")


def callback_url(gateway, path=CALLBACK_PATH):
    host, port = gateway.address("sources")
    return f"http://{host}:{port}{path}"


def send(gateway, *arguments, **options):
    return gateway.belfry("send", "--url", callback_url(gateway), *arguments, **options)


def listen(gateway, *arguments, **options):
    url = gateway.url(scheme="http")
    return gateway.belfry("listen", "--url", url, "--timeout", f"{PATIENCE}s", *arguments, **options)


def listen_json(gateway, *arguments):
    return [json.loads(line) for line in listen(gateway, "--json", *arguments).stdout.splitlines()]


class Listening:
    """belfry listen, beside the test."""

    def __init__(self, gateway, *arguments):
        command = [belfry_path(), "listen", "--url", gateway.url(scheme="http"), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        assert "listening at" in self.process.stderr.readline()
        return self

    def line(self):
        return self.process.stdout.readline()

    def finish(self, signal_number=signal.SIGINT):
        self.process.send_signal(signal_number)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert "Sanitizer" not in err
        return self.process.returncode, out, err

    def __exit__(self, *exception):
        self.process.kill()
        self.process.communicate()


# help


def test_help(gateway):
    overview = text(gateway.belfry("help").stdout)
    commands = json.loads(gateway.belfry("help", "--json").stdout)["commands"]
    assert {command["name"] for command in commands} >= {"check", "send", "listen", "token", "callback-uri", "explain"}
    for command in commands:
        assert command["name"] in overview
        shown = text(gateway.belfry("help", command["name"]).stdout)
        assert shown == text(gateway.belfry(command["name"], "--help").stdout)
        assert all(len(line) <= 100 for line in shown.splitlines())
        for option in command["options"]:
            assert f"--{option['name']}" in shown


def test_version(gateway):
    assert re.fullmatch(r"belfry \d+\.\d+\.\d+\n", text(gateway.belfry("--version").stdout))


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (["lisen"], "listen"),
        (["send", "--bad-signatur"], "--bad-signature"),
        (["send", "conferencing_asigned"], "conferencing_assigned"),
        (["listen", "--count", "many", *ANYWHERE], "--count"),
        (["listen", "--timeout", "soon", *ANYWHERE], "--timeout"),
        (["listen", "--tag", "user", *ANYWHERE], "--tag"),
        (["send", "conferencing_assigned", "extra"], ""),
        ([], ""),
    ],
)
def test_mistakes_are_told_with_what_was_meant(gateway, arguments, hint):
    assert hint in text(gateway.belfry(*arguments, expect_exit=USAGE).stderr)


# check


def test_check(gateway):
    assert text(gateway.belfry("check").stdout).startswith("OK")
    assert json.loads(gateway.belfry("--json", "check").stdout)["ok"] is True


def test_check_finds_all_that_is_wrong(tmp_path):
    path = tmp_path / "belfry.yaml"
    path.write_text("sources:\n  cronofy:\n    secret: x\n    duplicate_window: long\nlisten: [{address: here}]\n")
    path.chmod(0o600)
    done = subprocess.run([belfry_path(), "check", path], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == EX_CONFIG
    assert "belfry.yaml:3:5:" in said and 'did you mean "secrets"?' in said
    assert "belfry.yaml:4:" in said and "belfry.yaml:5:" in said


def test_check_agrees_with_the_daemon(tmp_path):
    gateway = Gateway({"sources": {"cronofy": {"secrets": []}}}, folder=tmp_path)
    told = gateway.start_refused()
    checked = gateway.belfry("check", expect_exit=EX_CONFIG)
    complaint = re.search(r"belfry\.yaml:\d+:\d+: (.*)", text(checked.stdout + checked.stderr))[0]
    assert complaint.split(": ", 1)[1][:40] in told


# send


@pytest.mark.parametrize("sample, body", [("conferencing_assigned", ASSIGNED), ("conferencing_failing", FAILING)])
def test_send_sends_what_the_provider_documents(sample, body):
    with Gateway() as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        assert "200" in text(send(gateway, sample).stdout)
        assert json.loads(subscriber.receive_text())["callback"] == json.loads(body)


def test_every_sample_is_accepted(gateway):
    names = [line.split()[0] for line in text(gateway.belfry("send", "--list").stdout).splitlines()]
    assert len(names) > 20
    for name in names:
        send(gateway, name)


def test_send_a_file_or_stdin_byte_for_byte(gateway, tmp_path):
    body = callback("a file") + b" \r\n\t"
    (tmp_path / "body").write_bytes(body)
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        send(gateway, "--file", str(tmp_path / "body"))
        assert subscriber.receive_text().endswith('"callback":' + body.decode() + "}")
        body = callback("stdin")
        send(gateway, "-", input=body)
        assert subscriber.receive_text().endswith('"callback":' + body.decode() + "}")


@pytest.mark.parametrize("option", ["--chunked", "--all-secrets", "--duplicate"])
def test_send_in_other_ways(gateway, option):
    send(gateway, "-", option, input=callback())


def test_send_a_bad_signature(gateway):
    done = send(gateway, "conferencing_assigned", "--bad-signature", expect_exit=NOT_SO)
    assert "401" in text(done.stdout)


def test_send_with_tags(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe({"tags": {"user": "4 2"}})
        send(gateway, "-", "--tag", "user=4 2", "--tag", "team=7", input=callback())
        assert subscriber.event()["tags"] == {"user": "4 2", "team": "7"}


def test_send_many(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        assert "50" in text(send(gateway, "conferencing_assigned", "--count", "50").stdout)
        ids = {event["callback"]["event"]["event_id"] for event in subscriber.events(50)}
        assert len(ids) == 50


def test_send_as_json(gateway):
    assert json.loads(send(gateway, "--json", "-", input=callback()).stdout)


def test_send_to_nobody(gateway):
    gateway.belfry("send", "change", "--url", "http://127.0.0.1:1/callbacks/cronofy", expect_exit=NOT_REACHED)


# listen


def test_listen(gateway):
    with Listening(gateway) as listening:
        gateway.deliver(callback("conferencing_failing", "profile_missing", event_id="evt-1"))
        line = listening.line()
        for part in ("conferencing_failing/profile_missing", "evt-1", "Board meeting"):
            assert part in line
        code, out, _ = listening.finish()
        assert (code, out) == (0, "")


def test_listen_escapes_what_would_move_the_cursor(gateway):
    with Listening(gateway) as listening:
        gateway.deliver(callback(summary="\x1b[2J\r\n\u202e forged"))
        line = listening.line()
        assert "\x1b" not in line and "\r" not in line and "\u202e" not in line


def test_listen_as_json(gateway):
    with Listening(gateway, "--json") as listening:
        body = callback()
        gateway.deliver(body)
        message = json.loads(listening.line())
        assert (message["type"], message["callback"]) == ("event", json.loads(body))
        assert listening.finish(signal.SIGTERM)[0] == 0


def test_listen_chooses():
    with Gateway() as gateway:
        gateway.deliver(callback("conferencing_assigned", event_id="evt-0"))
        gateway.deliver(callback("conferencing_failing", "profile_missing", event_id="evt-1"))
        gateway.deliver(callback("change", event_id="evt-2"), path=gateway.callback_path(user="42"))
        everything = listen_json(gateway, "--after", "earliest", "--count", "3")
        assert [event["callback"]["event"]["event_id"] for event in everything] == ["evt-0", "evt-1", "evt-2"]
        for expected, options in [
            ("evt-1", ["--interaction", "conferencing_failing"]),
            ("evt-0", ["--interaction", "conferencing_*"]),
            ("evt-1", ["--subtype", "profile_missing"]),
            ("evt-2", ["--tag", "user=42"]),
            ("evt-2", ["--event-id", "evt-2", "--event-id", "evt-3"]),
            ("evt-0", ["--source", "cronofy"]),
        ]:
            (event,) = listen_json(gateway, "--after", "earliest", "--count", "1", *options)
            assert event["callback"]["event"]["event_id"] == expected
        (event,) = listen_json(gateway, "--after", everything[1]["position"], "--count", "1")
        assert event["callback"]["event"]["event_id"] == "evt-2"
        (event,) = listen_json(gateway, "--last", "1", "--count", "1")
        assert event["callback"]["event"]["event_id"] == "evt-2"


def test_listen_gives_up_in_time(gateway):
    gateway.belfry("listen", "--url", gateway.url(scheme="http"), "--interaction", "never", "--count", "1",
                   "--timeout", "200ms", expect_exit=NOT_SO)


def test_listen_comes_back_and_misses_nothing():
    with Gateway() as gateway:
        port = gateway.address()[1]
        gateway.config["listen"][0]["address"] = f"127.0.0.1:{port}"
        with Listening(gateway, "--json") as listening:
            gateway.deliver(callback(event_id="evt-0"))
            assert "evt-0" in listening.line()
            gateway.restart()
            gateway.deliver(callback(event_id="evt-1"))
            assert "evt-1" in listening.line()
            gateway.kill()
            gateway.start()
            gateway.deliver(callback(event_id="evt-2"))
            assert "evt-2" in listening.line()


def test_listen_without_a_token(guarded):
    environment = {**os.environ, "BELFRY_TOKEN": ""}
    done = subprocess.run(
        [belfry_path(), "listen", "--url", guarded.url(scheme="http")],
        capture_output=True, env=environment, timeout=PATIENCE, check=False,
    )
    assert done.returncode == NOT_SO


def test_listen_with_a_token_from_a_file(guarded, tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(guarded.token())
    guarded.deliver(callback())
    assert listen_json(guarded, "--token-file", str(path), "--last", "1", "--count", "1")


def test_listen_makes_its_own_token_from_the_configuration(guarded):
    guarded.deliver(callback())
    assert listen_json(guarded, "--last", "1", "--count", "1")


def test_listen_to_nobody(gateway):
    gateway.belfry("listen", *ANYWHERE, expect_exit=NOT_REACHED)


# token


def test_token(guarded):
    token = text(guarded.belfry("token", "--subject", "user-42", "--expires", "15m").stdout).strip()
    guarded.canaries.add(token)
    claims = jwt.decode(token, TOKEN_SECRET, ["HS256"])
    assert claims["sub"] == "user-42"
    assert claims["exp"] - claims["iat"] == 900
    guarded.connect(headers={"Authorization": f"Bearer {token}"}).close()


def test_token_with_a_filter(guarded):
    token = text(guarded.belfry("token", "--filter", '{"tags":{"user":"42"}}').stdout).strip()
    guarded.canaries.add(token)
    with guarded.connect(headers={"Authorization": f"Bearer {token}"}) as subscriber:
        subscriber.subscribe({"tags": {"user": "42"}})
        subscriber.send({"type": "subscribe", "id": "all", "filter": {}})
        assert subscriber.expect("error")["code"] == "forbidden"


def test_token_inspect(guarded):
    good, expired = guarded.token(), guarded.token(lifetime=-3600)
    assert guarded.belfry("token", "--inspect", input=good.encode()).stdout
    done = guarded.belfry("token", "--inspect", input=expired.encode(), expect_exit=NOT_SO)
    assert "expired" in text(done.stdout + done.stderr)
    for said in (done.stdout, done.stderr):
        assert TOKEN_SECRET.encode() not in said


# callback-uri


def test_callback_uri(gateway):
    uri = text(gateway.belfry("callback-uri", "--tag", "user=42", "--tag", "calendar=c/1&2").stdout).strip()
    assert uri.startswith("https://gateway.example.com" + CALLBACK_PATH + "?")
    gateway.deliver(callback(), path=uri.removeprefix("https://gateway.example.com"))
    assert gateway.post(callback(), path=uri.removeprefix("https://gateway.example.com") + "x").status == 401


# explain


def explain(gateway, body, header, *, expect_exit):
    done = gateway.belfry("explain", "--header", header, "-", input=body, expect_exit=expect_exit)
    assert SECRET.encode() not in done.stdout + done.stderr
    return text(done.stdout)


def test_explain(gateway):
    body = callback(event_id="evt-1")
    assert "evt-1" in explain(gateway, body, sign(body), expect_exit=0)
    assert "evt-1" in explain(gateway, body, f"{SIGNATURE}: {sign(body)}", expect_exit=0)
    assert sign(body) in explain(gateway, body, "A" * 43 + "=", expect_exit=NOT_SO)
    assert "line" in explain(gateway, body + b"\n", sign(body), expect_exit=NOT_SO)


@pytest.mark.parametrize("body", [callback(event_id="evt-2"), b"no JSON", b"{}", b""])
def test_explain_agrees_with_the_gateway(gateway, body):
    is_pushed = body.startswith(b"{")
    gateway.deliver(body)
    explain(gateway, body, sign(body), expect_exit=0 if is_pushed else NOT_SO)
