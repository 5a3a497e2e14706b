# SPDX-License-Identifier: Apache-2.0
"""The other tests trust the harness to see what a bad gateway does; these show that it would."""

import stat

import pytest

import gateway as gateway_module
from gateway import SECRET, Gateway

FAKE = """#!/usr/bin/python3
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
{before}
print("2026-04-27T15:00:01.123Z info ready", file=sys.stderr, flush=True)
while True:
    signal.sigwait([signal.SIGTERM])
    {at_end}
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a belfryd that starts well and ends as told."""

    def make(at_end="sys.exit(0)", before=""):
        path = tmp_path / "belfryd"
        path.write_text(FAKE.format(at_end=at_end, before=before), encoding="utf-8")
        path.chmod(stat.S_IRWXU)
        monkeypatch.setenv("BELFRYD", str(path))

    return make


def run():
    with Gateway():
        pass


def test_a_good_end_is_accepted(fake):
    fake()
    run()


@pytest.mark.parametrize(
    "at_end",
    [
        "sys.exit(1)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.write(2, b'==1==ERROR: AddressSanitizer: heap-use-after-free\\n'); sys.exit(0)",
        "os.write(2, b'WARNING: ThreadSanitizer: data race\\n'); sys.exit(0)",
        "os.write(2, b'hub.c:12:3: runtime error: shift exponent 32\\n'); sys.exit(0)",
        "os.write(2, b'belfryd: hub.c:12: Assertion failed\\n'); sys.exit(0)",
        f"os.write(2, b'warning secret={SECRET}\\n'); sys.exit(0)",
    ],
)
def test_a_bad_end_is_seen(fake, at_end):
    fake(at_end)
    with pytest.raises(AssertionError):
        run()


@pytest.mark.parametrize(
    "before",
    [
        f"if len(sys.argv) < 4: os.execv(sys.executable, [sys.executable, *sys.argv, '{SECRET}'])",
        f"if len(sys.argv) < 4: os.execve(sys.executable, [sys.executable, *sys.argv, ''], {{'KEY': '{SECRET}'}})",
    ],
)
def test_secrets_in_the_view_of_others_are_seen(fake, before):
    fake(before=before)
    with pytest.raises(AssertionError, match="has the secret"):
        run()


def test_secrets_in_answers_are_seen():
    with Gateway() as gateway:
        gateway.canaries |= {"there is nothing here", "OK: "}
        with pytest.raises(AssertionError, match="an answer has the secret"):
            gateway.request("GET", "/nowhere")
        with pytest.raises(AssertionError, match="the command line has the secret"):
            gateway.belfry("check")


def test_a_gateway_that_hangs_is_seen(fake, monkeypatch):
    fake("pass")
    monkeypatch.setattr(gateway_module, "PATIENCE", 1)
    with pytest.raises(AssertionError, match="did not end"):
        run()


def test_a_gateway_that_does_not_start_is_seen(fake):
    fake(before="sys.exit(1)")
    with pytest.raises(AssertionError, match="did not say"):
        run()
