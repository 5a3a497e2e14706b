# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows must work: every ```sh block behind the line <!-- test --> is run as it stands.

Each file's blocks are run in order, as one script, in a folder of its own, with the built programs first in PATH.
"""

import os
import pathlib
import re
import subprocess

import pytest

from gateway import belfry_path, belfryd_path

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^<!-- test -->\n+```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def scripts():
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "core").rglob("*.md")]
    found = {path: "".join(BLOCK.findall(path.read_text(encoding="utf-8"))) for path in sorted(paths)}
    return [(path, script) for path, script in found.items() if script]


def test_blocks_are_found():
    shown = "text\n<!-- test -->\n```sh\necho one\n```\n```sh\necho other\n```\n<!-- test -->\n\n```sh\necho two\n```\n"
    assert BLOCK.findall(shown) == ["echo one\n", "echo two\n"]


@pytest.mark.release
@pytest.mark.parametrize("path, script", scripts(), ids=[str(path.relative_to(ROOT)) for path, _ in scripts()])
def test_what_is_shown_works(path, script, tmp_path):
    programs = {pathlib.Path(belfry_path()).resolve().parent, pathlib.Path(belfryd_path()).resolve().parent}
    environment = {**os.environ, "PATH": ":".join([*map(str, programs), os.environ["PATH"]]), "ROOT": str(ROOT)}
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
