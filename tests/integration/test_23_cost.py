# SPDX-License-Identifier: Apache-2.0
"""What reading a body costs: twice as much of the same costs twice as much, whatever it is.

Counted in instructions, by valgrind, so that neither the machine nor what else runs on it matters. What is measured is
the fuzz target, which reads a file as a callback, writes it down and reads it back.
"""

import pathlib
import re
import subprocess

import pytest

from gateway import belfryd_path

pytestmark = pytest.mark.only_release  # sanitizers exclude valgrind

PROGRAM = pathlib.Path(belfryd_path()).resolve().parent.parent / "tests" / "fuzz" / "fuzz_callback"
N = 3000


def keys(n):
    return ",".join(f'"{i:x}":0' for i in range(n))


# Bodies of n pieces.
BODIES = {
    "one string": lambda n: '{"x":"' + "bell tower" * n + '"}',
    "escapes": lambda n: '{"x":"' + r"\u0041\n" * n + '"}',
    "surrogates": lambda n: '{"x":"' + r"\ud83d\udd14" * n + '"}',
    "combining marks": lambda n: '{"event":{"summary":"a' + "\u0300\u0301\u202e" * n + '"}}',
    "backslashes": lambda n: '{"x":"' + r"\\" * 4 * n + '"}',
    "keys": lambda n: "{" + keys(n) + "}",
    "a key twice": lambda n: "{" + keys(n) + ',"0":1}',
    "numbers": lambda n: '{"x":[' + "0.5," * n + "1]}",
    "numbers too large": lambda n: '{"x":[' + "1e400," * n + "1]}",
    "one number": lambda n: '{"x":' + "12345678" * n + "}",
    "lists": lambda n: '{"x":[' + "[{}]," * n + "[]]}",
    "interactions": lambda n: '{"notification":{"interactions":[' + '{"type":"a","subtype":"b"},' * n + "7]}}",
    "brackets": lambda n: "[" * 8 * n,
    "braces": lambda n: '{"a":' * n,
    "white space": lambda n: "{" + " \n\t\r" * 4 * n + "}",
    "no end": lambda n: '{"x":"' + "bell tower" * n,
    "no end of an escape": lambda n: '{"x":"' + "bell tower" * n + "\\",
}


def instructions(folder, text):
    path = folder / "body"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(PROGRAM), str(path)],
        capture_output=True, text=True, check=True,
    )
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    return instructions(tmp_path_factory.mktemp("idle"), "{}")


@pytest.mark.parametrize("kind", BODIES)
def test_twice_as_much_costs_twice_as_much(kind, idle, tmp_path):
    once, twice = (instructions(tmp_path, BODIES[kind](n)) - idle for n in (N, 2 * N))
    assert once > 10 * N, "too little work to tell"
    assert twice < 2.4 * once, (once, twice)


def test_keys_fall_into_other_places_in_each_process(tmp_path):
    """So nobody can send keys that collide. Text is read in always the same number of instructions, or one more; keys are
    not."""
    strings, tables = ([instructions(tmp_path, BODIES[kind](N)) for _ in range(4)] for kind in ("one string", "keys"))
    assert max(strings) - min(strings) < 10 < max(tables) - min(tables)
