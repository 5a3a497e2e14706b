# SPDX-License-Identifier: Apache-2.0
"""Plugins, built as strangers build them, and run by `belfry plugin` without any gateway."""

import os
import pathlib
import subprocess

from clients import PATIENCE
from gateway import REPORTS, belfry_path

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "tests" / "plugins"
INCLUDE = ROOT / "include"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]

DONE, NOT_SO, NOT_READ, LATER, REFUSED = 0, 1, 3, 75, 78


def handler_path():
    beside = pathlib.Path(belfry_path()).resolve().parent.parent / "host" / "belfry-handler"
    return os.environ.get("BELFRY_HANDLER", str(beside))


def shipped(name):
    """One that comes with Belfry, where it was built."""
    return pathlib.Path(belfry_path()).resolve().parent.parent.parent / "plugins" / name / f"{name}.so"


def build(folder, source, *options, name=None, include=INCLUDE, standard="c11"):
    """SOURCES/source as a plugin in the folder; its path."""
    source = SOURCES / source
    target = folder / f"{name or source.stem}.so"
    compiler, language = ("c++", ["-std=c++17", "-Wno-missing-field-initializers"]) if source.suffix == ".cpp" else (
        "cc", [f"-std={standard}", "-Wpedantic"]
    )
    command = [compiler, *language, *WARNINGS, "-O1", "-fPIC", "-shared", "-fvisibility=hidden", f"-I{include}"]
    subprocess.run([*command, *options, "-o", target, source, "-lpthread"], check=True)
    return target


class Said:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode("utf-8", "replace").splitlines()
        self.err = done.stderr.decode("utf-8", "replace").splitlines()

    def __repr__(self):
        return f"{self.status}: {self.out} {self.err}"


def belfry_plugin(*arguments, runner=(), cwd=None):
    """belfry plugin ..."""
    done = subprocess.run(
        [*runner, belfry_path(), "plugin", *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False, cwd=cwd,
        env={**os.environ, "BELFRY_HANDLER": handler_path()},
    )
    said = Said(done)
    assert not REPORTS.search("\n".join(said.out + said.err)), said
    return said


def run(plugin, *arguments, **options):
    """belfry plugin test, with an option of the plugin for each keyword."""
    given = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    return belfry_plugin("test", plugin, *given, *arguments)
