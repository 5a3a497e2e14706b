# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows must work: every ```sh block behind the line <!-- test --> is run as it stands.

Each file's blocks are run in order, as one script, in a folder of its own, with the built programs first in PATH. And
what it names must be there.
"""

import os
import pathlib
import re
import subprocess

import pytest

from gateway import belfry_path, belfryd_path
from plugins import handler_path

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^<!-- test -->\n+```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def scripts():
    paths = [*ROOT.glob("*.md"), *(path for folder in ("core", "include") for path in (ROOT / folder).rglob("*.md"))]
    found = {path: "".join(BLOCK.findall(path.read_text(encoding="utf-8"))) for path in sorted(paths)}
    return [(path, script) for path, script in found.items() if script]


def test_blocks_are_found():
    shown = "text\n<!-- test -->\n```sh\necho one\n```\n```sh\necho other\n```\n<!-- test -->\n\n```sh\necho two\n```\n"
    assert BLOCK.findall(shown) == ["echo one\n", "echo two\n"]


@pytest.mark.release
@pytest.mark.parametrize("path, script", scripts(), ids=[str(path.relative_to(ROOT)) for path, _ in scripts()])
def test_what_is_shown_works(path, script, tmp_path):
    programs = {pathlib.Path(belfry_path()).resolve().parent, pathlib.Path(belfryd_path()).resolve().parent}
    built = pathlib.Path(belfry_path()).resolve().parent.parent.parent
    environment = {
        **os.environ,
        "PATH": ":".join([*map(str, programs), os.environ["PATH"]]),
        "ROOT": str(ROOT),
        "BELFRY_HANDLER": handler_path(),
        "PKG_CONFIG_PATH": str(built / "include"),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=80, check=False,
    )
    assert done.returncode == 0, (path, done.stdout, done.stderr)


def test_the_map_names_what_is_there():
    """Every file and function that core/README.md names exists."""
    text = (ROOT / "core" / "README.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "core").rglob("*.[ch]"))
    functions = re.findall(r"`(\w+)\(\)`", text)
    files = re.findall(r"`((?:\w+/)+\w+\.\w+)`", text)
    assert len(functions) > 15 and len(files) > 20
    assert [name for name in functions if f"{name}(" not in code] == []
    assert [name for name in files if not (ROOT / "core" / name).exists() and not (ROOT / name).exists()] == []


# Which test proves what

# The attacks and faults by section, each a row in tests/README.md.
FAULTS = {
    "HTTP": "H1 H2 H3 H4 H5 H6 H7 H8 H10 H11 H13 H14 H15 H16 H17 H18 H19 H20 H21 H22 H23 H25",
    "Signatures": "S1 S2 S3 S4 S6 S7 S8 S9 S10 S13 S14",
    "JSON": "J1 J2 J3 J4 J5 J6 J7 J8 J9 J10 J12",
    "WebSocket handshake": "W1 W2 W3 W4 W5 W7 W9 W10 W11 W12 W13",
    "WebSocket frames": "F1 F2 F3 F4 F5 F7 F8 F10 F11 F12 F13",
    "Client protocol": "C1 C2 C3 C4 C5 C9",
    "Tokens": "T1 T2 T3 T4 T5 T6 T7 T8",
    "Configuration": "Y1 Y2 Y3 Y4 Y5 Y6 Y7 Y9",
    "Journal": "D1 D3 D5 D6 D7 D8 D11 D16 D19",
    "Network and overload": "N1 N2 N3 N4 N5 N7 O1 O2 O3 O5",
    "Plugins": "P1 P2 P3 P4 P5 P6 P7 P8 P9 P11 P12 P15 P16 P17 P22 X2 X3 X4",
    "Deliveries": "P1 P5 P6 P10 P11 P12 P18 P23 P24 D1 D11 D12 D15 D20",
    "Reload and stop": "G1 G2 G3 U1 U2 U3 U6 P21",
    "libwebsockets": " ".join(f"L{i}" for i in range(1, 32)),
}
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
NAME = re.compile(r"`([^`]+)`((?:,? \"[^\"]+\")*)")


def faults():
    """The rows of each section: (id, tests)."""
    text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    sections = re.split(r"^### (.+)\n", text.split("\n## Which test proves what\n")[1], flags=re.MULTILINE)
    return {name: [(row[0], row[2]) for row in ROW.findall(body)] for name, body in zip(sections[1::2], sections[2::2])}


def is_there(name, titles):
    """A test of ours: `test_NN_name.py::test`, `test_name.c` "title", "another", `fuzz_NAME`, `layers.py`."""
    tests = ROOT / "tests"
    if name == "layers.py":
        return (tests / name).exists() and not titles
    if name.startswith("fuzz_"):
        return (tests / "fuzz" / f"{name}.c").exists() and not titles
    path, _, function = name.partition("::")
    if path.endswith(".py"):
        path, wanted = tests / "integration" / path, [f"\ndef {function}("]
    else:
        beside = next(ROOT.glob(f"plugins/*/{path}"), None)  # a plugin's own
        path, wanted = beside or tests / "unit" / path, [f"{{ {title}," for title in titles]
    return bool(wanted) and path.exists() and all(each in path.read_text(encoding="utf-8") for each in wanted)


def test_only_what_is_there_counts():
    assert is_there("test_80_docs.py::test_blocks_are_found", [])
    assert is_there("test_http.c", ['"refuses lengths"', '"bounds, from both sides"'])
    assert is_there("test_email.c", ['"refuses recipients"'])
    assert is_there("fuzz_http", [])
    for name in ("test_80_docs.py::test_blocks", "test_8_docs.py::test_blocks_are_found", "test_http.c", "fuzz_htt"):
        assert not is_there(name, [])
    assert not is_there("test_http.c", ['"refuses lengths"', '"refuses length"'])


def test_the_list_of_faults_has_every_section():
    assert list(faults()) == list(FAULTS)


@pytest.mark.parametrize("section", FAULTS)
def test_every_fault_has_tests_that_are_there(section):
    """A fault without any says why: "no test: ..."."""
    rows = faults()[section]
    assert set(FAULTS[section].split()) <= {fault for fault, _ in rows}
    assert len({fault for fault, _ in rows}) == len(rows)
    for fault, tests in rows:
        named = [(name, re.findall(r'"[^"]+"', titles)) for name, titles in NAME.findall(tests)]
        assert named or tests.startswith("no test: "), fault
        assert [name for name in named if not is_there(*name)] == [], fault
