# SPDX-License-Identifier: Apache-2.0
"""The other tests trust the harness to see what a bad gateway does; these show that it would."""

import os
import stat

import pytest

import gateway as gateway_module
from gateway import SECRET, Gateway

FAKE = """#!/bin/sh
{before}
echo "2026-04-27T15:00:01.123Z info ready" >&2
trap '{at_end}' TERM
while :; do read -r line <&3; done 3<>"{fifo}"
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a belfryd that starts well and ends as told."""

    def make(at_end="exit 0", before=":"):
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        path = tmp_path / "belfryd"
        path.write_text(FAKE.format(at_end=at_end, before=before, fifo=fifo), encoding="utf-8")
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
        "exit 1",
        "kill -9 $$",
        "echo ==1==ERROR: AddressSanitizer: heap-use-after-free >&2; exit 0",
        "echo WARNING: ThreadSanitizer: data race >&2; exit 0",
        "echo hub.c:12:3: runtime error: signed integer overflow >&2; exit 0",
        "echo belfryd: hub.c:12: Assertion failed >&2; exit 0",
        f"echo warning secret={SECRET} >&2; exit 0",
    ],
)
def test_a_bad_end_is_seen(fake, at_end):
    fake(at_end)
    with pytest.raises(AssertionError):
        run()


def test_a_gateway_that_hangs_is_seen(fake, monkeypatch):
    fake(":")
    monkeypatch.setattr(gateway_module, "PATIENCE", 1)
    with pytest.raises(AssertionError, match="did not end"):
        run()


def test_a_gateway_that_does_not_start_is_seen(fake):
    fake(before="echo error no >&2; exit 1")
    with pytest.raises(AssertionError, match="did not say"):
        run()
