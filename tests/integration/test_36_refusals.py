# SPDX-License-Identifier: Apache-2.0
"""Bad tokens: one answer for all of them, and no speed for whoever guesses."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

import jwt
import pytest

from clients import Ended
from frames import frame, raw_subscriber, read_frame
from gateway import TOKEN_SECRET, Gateway, belfryd_path

BAD = "eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def guarded():
    with Gateway(tokens=True) as running:
        yield running


# One reason


def bad_token(gateway, reason):
    good = {"aud": "belfry", "iss": "app"}
    if reason == "malformed":
        return "ding"
    if reason == "signature":
        return gateway.token(secret=TOKEN_SECRET + "x", **good)
    changes = {
        "algorithm": {"algorithm": "none", "secret": None},
        "expired": {"lifetime": -3600},
        "not_yet": {"nbf": 4000000000},
        "issuer": {"iss": "other"},
        "audience": {"aud": "other"},
        "grants": {"belfry": None},
    }
    return gateway.token(**{**good, **changes[reason]})


@pytest.mark.parametrize("reason", ["malformed", "algorithm", "signature", "expired", "not_yet", "issuer", "audience",
                                    "grants"])
def test_the_reason_is_for_the_log_alone(reason):
    gateway = Gateway(tokens=True)
    gateway.config["subscribers"]["tokens"].update(issuer="app", audience="belfry")
    with gateway:
        token = bad_token(gateway, reason)
        answer = gateway.request("GET", "/events", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status, answer.json()) == (401, {"error": "unauthorized", "message": "token not valid"})
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        with gateway.connect(welcome=False) as subscriber:
            messages, code = subscriber.send({"type": "auth", "token": token}).wait_closed()
            assert (code, subscriber.socket.close_reason) == (4501, "token not valid")
            assert messages == [
                {"type": "disconnect", "code": 4501, "reason": "token not valid", "reconnect": False}
            ]
        assert f"token refused reason={reason} " in gateway.wait_for_line("token refused")


# No speed


def ask(connection, token=BAD):
    return connection.send(f"GET /events HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {token}\r\n\r\n".encode())


def use_up(gateway):
    """Bad tokens until a refusal is held back, which is its connection's last answer."""
    with gateway.raw("subscribers") as connection:
        for n in range(1000):
            answer = ask(connection).read_answer()
            assert answer.status == 401
            if answer.headers["Connection"] == "close":
                return n
    raise AssertionError("a thousand refusals at once")


def outcomes(connections):
    """What became of each: its status, or None if it was closed without a word."""
    for connection in connections:
        try:
            yield connection.read_answer().status
        except Ended:
            yield None
        connection.socket.close()


# Refusals come once a second and wait five seconds at most: of these, most get none.
CROWD = 40


def test_guessing_gets_slow_and_then_gets_nothing(guarded):
    good = guarded.token()
    assert use_up(guarded) >= 100
    begun = time.monotonic()
    crowd = [ask(guarded.raw("subscribers")) for _ in range(CROWD)]
    with guarded.raw("subscribers") as honest:  # from the same address
        assert ask(honest, good).read_answer().status == 200
    with guarded.connect(welcome=False) as subscriber:
        subscriber.authorize(good).subscribe()
    seen = list(outcomes(crowd))
    assert set(seen) == {401, None}
    assert time.monotonic() - begun > 3  # the last that got an answer waited for it


def auth(token):
    return frame(1, json.dumps({"type": "auth", "token": token}).encode())


def codes(connections):
    """The close code of each, None without one; nobody is let in."""
    for connection in connections:
        code = None
        try:
            while code is None:
                opcode, payload = read_frame(connection)
                assert opcode != 1 or json.loads(payload)["type"] == "disconnect"
                code = int.from_bytes(payload[:2], "big") if opcode == 8 else None
        except Ended:
            pass
        yield code
        connection.socket.close()


def test_guessing_over_a_websocket_is_the_same(guarded):
    """What comes behind a bad token is not looked at, be it a good one."""
    use_up(guarded)
    good = guarded.token()
    seen = list(codes([raw_subscriber(guarded).send(auth(BAD) + auth(good)) for _ in range(CROWD)]))
    assert set(seen) == {4501, None}


def test_guessing_tickets_is_the_same(guarded):
    use_up(guarded)
    seen = list(codes([raw_subscriber(guarded, f"?ticket={'A' * 43}") for _ in range(CROWD)]))
    assert set(seen) == {4501, None}


def test_guessing_is_a_trickle_in_the_log(guarded):
    use_up(guarded)
    for _ in outcomes([ask(guarded.raw("subscribers")) for _ in range(CROWD)]):
        pass
    guarded.stop()
    assert guarded.log().count("token refused") == 1
    assert guarded.log().count("bad tokens come too fast") == 1


def test_a_held_back_refusal_is_no_reason_to_wait_at_the_end(guarded):
    use_up(guarded)
    with guarded.raw("subscribers") as connection:
        ask(connection)
        guarded.stop()
        connection.read_to_end()


# Secrets


def test_tokens_and_tickets_are_nowhere_to_be_read():
    """Wherever they were shown, and if the log is as long as it can be."""
    with Gateway({"log": {"level": "debug"}, "admin": {"address": "127.0.0.1:0"}}, tokens=True) as gateway:
        for token in (gateway.token(), gateway.token(lifetime=-3600)):
            header = {"Authorization": f"Bearer {token}"}
            for query in (f"token={token}", f"ticket={token}", f"after={token}", f"{token}=1", token):
                for path in ("/events", "/subscribe", "/ticket", "/nowhere", "/callbacks/cronofy"):
                    gateway.request("GET", f"{path}?{query}", headers={"Accept": "text/event-stream"})
            for method, path in (("GET", "/events"), ("POST", "/events"), ("GET", "/nowhere"), ("PUT", "/subscribe")):
                gateway.request(method, path, headers=header)
            with gateway.connect(welcome=False) as subscriber:
                subscriber.send({"type": "subscribe", "id": token, "filter": {}, "token": token})
                gateway.check_no_secret("an error", subscriber.receive_text().replace(f'"id":"{token}"', ""))
                subscriber.send({"type": "auth", "token": token})
                gateway.check_no_secret("the answer", subscriber.receive_text())
        ticket = gateway.ticket(gateway.token())
        gateway.request("GET", f"/events?ticket={ticket}")
        gateway.request("GET", f"/events?ticket={ticket}")
        gateway.post(b"{}", secrets=["x" * 32])


@pytest.mark.only_release  # sanitizers turn cores off
def test_no_core_is_left(tmp_path, monkeypatch):
    """Not even where cores are wanted: other programs leave one."""

    def dumps_core(pid):
        resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        os.kill(pid, signal.SIGABRT)
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_code == os.CLD_DUMPED

    monkeypatch.setenv("BELFRYD", os.path.abspath(belfryd_path()))
    monkeypatch.chdir(tmp_path)  # where cores are left, and nothing else is called core
    with subprocess.Popen(["sleep", "infinity"]) as other:
        if not dumps_core(other.pid):
            pytest.skip("no cores here")
    with Gateway() as gateway:
        assert not dumps_core(gateway.process.pid)
        gateway.kill()


# Time


def digest_of(key, text):
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def signed_body():
    return f"{digest_of(b'CRN_fuzz', b'{}')}\n{{}}", 0


def signed_tags():
    signed = b"11:belfry-tags,7:cronofy,4:user,2:42,"
    sig = digest_of(b"a key that signs tags, 32 bytes.", signed).translate(str.maketrans("+/", "-_")).rstrip("=")
    return f"user=42&sig={sig}", len("user=42&sig=")


def signed_token():
    claims = {"exp": 1764000100, "belfry": {"subscribe": [{}]}}
    token = jwt.encode(claims, "a secret that signs tokens: 32 b", "HS256")
    return token, token.rindex(".") + 1


# By the target that reads it with a key that everybody knows: what is signed and where its signature begins, and the
# function in which instructions are counted. In a token's case the rest of its reading costs now this, now that, because
# JSON's tables are seeded.
COMPARISONS = {
    "fuzz_signature": (signed_body, "verifier_check"),
    "fuzz_tags": (signed_tags, "tag_checker_read"),
    "fuzz_token": (signed_token, "CRYPTO_memcmp"),
}


def instructions(path, target, function):
    program = pathlib.Path(belfryd_path()).resolve().parent.parent / "tests" / "fuzz" / target
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={function}"]
    done = subprocess.run([*command, str(program), str(path)], capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


@pytest.mark.only_release  # sanitizers exclude valgrind
@pytest.mark.parametrize("target", COMPARISONS)
def test_how_much_of_a_guess_is_right_does_not_show_in_time(target, tmp_path):
    """A signature that is wrong from the start costs what one costs that is wrong at the end."""
    make, function = COMPARISONS[target]
    signed, start = make()

    def cost(text):
        path = tmp_path / "input"
        path.write_text(text)
        return instructions(path, target, function)

    guesses = [f"{signed[:i]}{'A' if signed[i] != 'A' else 'B'}{signed[i + 1:]}" for i in range(start, start + 43, 7)]
    costs = [cost(guess) for guess in guesses]
    assert costs[0] > 100 and set(costs) == {costs[0]}
    assert function == "CRYPTO_memcmp" or cost(signed) != costs[0]  # so the guesses were near
