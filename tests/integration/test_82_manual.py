# SPDX-License-Identifier: Apache-2.0
"""Pages of the manual, completion for shells, and the schema for editors: written from the tables while Belfry is built."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest
import yaml

from clients import PATIENCE
from gateway import EX_CONFIG, belfry_path, belfryd_path

# They are not built there.
pytestmark = pytest.mark.no_tsan

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANUAL = pathlib.Path(belfry_path()).resolve().parent.parent / "manual"
PAGES = ["belfry.1", "belfry-plugin.3", "belfry.yaml.5", "belfryd.8"]
SAMPLE = ROOT / "etc" / "belfry.yaml"


def run(*command, **options):
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE, check=False, **options
    )


# Pages


@pytest.fixture(scope="module")
def manpath(tmp_path_factory):
    """Where mandoc finds the pages that others refer to."""
    folder = tmp_path_factory.mktemp("man")
    for page in PAGES:
        section = folder / f"man{page[-1]}"
        section.mkdir()
        shutil.copy(MANUAL / page, section)
    assert run("makewhatis", folder).returncode == 0
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_clean(page, manpath):
    """For mandoc, and for groff as lintian asks it."""
    linted = run("mandoc", "-T", "lint", "-W", "style", MANUAL / page, env={**os.environ, "MANPATH": str(manpath)})
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")
    formatted = run(
        "man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MANUAL / page,
        env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80"},
    )  # fmt: skip
    assert (formatted.returncode, formatted.stderr) == (0, "")


def shown(page):
    """As people see it, without the means by which terminals make it bold; blanks and line ends are one blank."""
    text = run("mandoc", "-T", "utf8", "-O", "width=200", MANUAL / page).stdout
    return " ".join(re.sub(".\b", "", text).split())


def help_of_belfry():
    return json.loads(run(belfry_path(), "help", "--json").stdout)


def test_every_command_is_in_its_page():
    text, known = shown("belfry.1"), help_of_belfry()
    for command in known["commands"]:
        options = "[OPTION ...]" if command["options"] else ""
        assert " ".join(f"belfry {command['name']} {options} {command['operands']}".split()) in text
        assert " ".join(command["description"].split()) in text
        assert " ".join(command["examples"].split()) in text
        for option in [*command["options"], *known["options"]]:
            argument = f" {option['argument']}" if option["argument"] else ""
            assert f"--{option['name']}{argument} {' '.join(option['help'].split())}" in text


def test_every_option_of_the_daemon_is_in_its_page():
    options = re.findall(r"--\w+", run(belfryd_path(), "--help").stdout)
    assert len(set(options)) >= 3
    assert [option for option in options if option not in shown("belfryd.8")] == []


def test_every_declaration_of_the_header_is_in_its_page():
    header = (ROOT / "include" / "belfry" / "plugin.h").read_text(encoding="utf-8")
    text = shown("belfry-plugin.3")
    structs = re.findall(r"^(?:struct|union|enum) belfry_\w+ (?=\{)", header, re.MULTILINE)
    functions = re.findall(r"\(\*\w+\)\(", header)
    macros = re.findall(r"\bBELFRY_[A-Z]+(?:_[A-Z]+)*\b", re.sub(r"^#if.*?^#endif", "", header, flags=re.M | re.S))
    assert len(structs) > 15 and len(functions) > 12 and len(macros) > 20
    assert [name for name in {*structs, *functions, *macros} if name.strip() not in text] == []
    for comment in re.findall(r"^\t/\* (.+?) \*/$", header, re.MULTILINE):
        assert comment in text


# The configuration, and its schema


class Loader(yaml.SafeLoader):
    """YAML as Belfry and editors read it: only true and false are booleans."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def read(text):
    return yaml.load(text, Loader)


def uncommented(text):
    """etc/belfry.yaml with every option that it tells of: those behind "#" and a word."""
    return re.sub(r"^( *)#(?=[\w\"*-])", r"\1", text, flags=re.MULTILINE)


def keys(value, path=""):
    """Every key by its path, as the page has it; secrets and plugins' options are others' affair."""
    if isinstance(value, list):
        return {key for entry in value for key in keys(entry, f"{path}[]")}
    if not isinstance(value, dict) or path.endswith(".options") or value.keys() <= {"file", "env", "credential"}:
        return set()
    has_names = path in ("sources", "handlers", "interactions")
    below = [(f"{path}.{'NAME' if has_names else key}".strip("."), each) for key, each in value.items()]
    found = set() if has_names else {place for place, _ in below}
    return found.union(*(keys(each, place) for place, each in below))


@pytest.fixture(scope="module")
def schema():
    loaded = json.loads((MANUAL / "belfry.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema.Draft202012Validator(loaded)


def complaints(schema, text):
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(read(text))]


def documented():
    """What the documentation shows, by where it stands."""
    texts = {"etc/belfry.yaml": SAMPLE.read_text(encoding="utf-8")}
    texts["etc/belfry.yaml, all of it"] = uncommented(texts["etc/belfry.yaml"])
    for path in [path for folder in ("core", "include", "plugins") for path in (ROOT / folder).rglob("*.md")]:
        for i, block in enumerate(re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)):
            texts[f"{path.relative_to(ROOT)}, {i + 1}"] = block.replace("@NAME@", "demo")
    heredoc = re.compile(r"<<-?'?(?:END|EOF)'?\n(\s*(?:sources|listen):\n.*?)\n\s*(?:END|EOF)\n", re.DOTALL)
    for path in (ROOT / "README.md", ROOT / "packaging" / "quickstart.sh"):
        shown_there = heredoc.search(path.read_text(encoding="utf-8"))[1].replace("\t", "")
        texts[path.name] = re.sub(r"\$\w+", "http://a", re.sub(r"\$\w+(?=/)", "/a", shown_there))
    return texts


def test_all_that_is_documented_is_found():
    assert len(documented()) >= 9


@pytest.mark.parametrize("place", documented())
def test_what_is_documented_is_valid(schema, place):
    assert complaints(schema, documented()[place]) == []


BASE = "sources: {cronofy: {secrets: [{env: SECRET}]}}\n"

# Each is refused by the schema and by belfry check.
WRONG = [
    "logs: {level: debug}",
    "log: {level: loud}",
    "log: [level]",
    "limits: {connections: 9}",
    "limits: {connections: 1000001}",
    "limits: {connections: many}",
    "limits: {queue: 16}",
    "limits: {idle_timeout: 1 minute}",
    "subscribers: {anonymous: no}",
    "subscribers: {origins: app.example.com}",
    "subscribers: {origins: [app.example.com]}",
    "subscribers: {path: subscribe}",
    "subscribers: {tokens: {jwks_url: file:///etc/passwd}}",
    "subscribers: {tokens: {keys: [{file: relative}]}}",
    "subscribers: {tokens: {keys: [{file: /a, env: B}]}}",
    "subscribers: {tokens: {keys: [{path: /a}]}}",
    "listen: []",
    "listen: [{tls: {certificate: /a, key: /b}}]",
    "listen: [{address: 127.0.0.1}]",
    'listen: [{address: "127.0.0.1:0", serves: [everything]}]',
    "reactors: 0",
    "reactors: few",
    "handlers: {It: {plugin: slack}}",
    "handlers: {it: {}}",
    "handlers: {it: {plugin: slack, allow: [everything]}}",
    "handlers: {it: {plugin: slack, breaker: {failures: never}}}",
    "interactions: {a*b: []}",
    "interactions: {change: [{subtypes: [a]}]}",
    "interactions: {change: it}",
    "journal: {sqlite: {path: journal.db}}",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_refused(schema, tmp_path, text):
    path = tmp_path / "belfry.yaml"
    path.write_text(BASE + text + "\n", encoding="utf-8")
    path.chmod(0o600)
    checked = run(belfry_path(), "--config", path, "check", env={**os.environ, "SECRET": "canary-0123456789"})
    assert checked.returncode == EX_CONFIG, checked
    assert complaints(schema, BASE + text) != []
    assert complaints(schema, BASE) == []


def test_every_option_is_described():
    """In the page, and in the schema with the same words as in complaints."""
    text = shown("belfry.yaml.5")
    known = keys(read(uncommented(SAMPLE.read_text(encoding="utf-8"))))
    assert len(known) > 60

    assert [key for key in sorted(known) if not re.search(rf" {re.escape(key)} [A-Z]", text)] == []


# Completion

COMPLETE = """
source "$1" && shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_belfry
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(folder, *words):
    """What bash would offer for the last word."""
    done = run("bash", "-uc", COMPLETE, "bash", MANUAL / "belfry.bash", "belfry", *words, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_bash_completes(tmp_path):
    (tmp_path / "event.json").touch()
    known = help_of_belfry()
    commands = {command["name"]: command for command in known["commands"]}
    everywhere = {f"--{option['name']}" for option in known["options"]}
    assert complete(tmp_path, "") == set(commands)
    assert complete(tmp_path, "li") == {"listen"}
    assert complete(tmp_path, "help", "up") == {"upsert"}
    for name, command in commands.items():
        assert complete(tmp_path, name, "--") == {f"--{option['name']}" for option in command["options"]} | everywhere
    assert complete(tmp_path, "--config", "ev") == {"event.json"}
    assert complete(tmp_path, "--config", "=", "ev") == {"event.json"}
    assert complete(tmp_path, "--config", "x", "lis") == {"listen"}
    assert complete(tmp_path, "--config", "=", "x", "lis") == {"listen"}
    assert complete(tmp_path, "send", "--file", "=") == {"event.json"}
    assert complete(tmp_path, "send", "--tag", "e") == set()
    assert complete(tmp_path, "send", "conferencing_a") == {"conferencing_assigned"}
    assert complete(tmp_path, "send", "--tag", "a=b", "conferencing_a") == {"conferencing_assigned"}
    assert complete(tmp_path, "plugin", "") == {"new", "describe", "test"}
    assert complete(tmp_path, "plugin", "test", "e") == {"event.json"}
    assert complete(tmp_path, "explain", "e") == {"event.json"}
    assert complete(tmp_path, "check", "e") == {"event.json"}
    assert complete(tmp_path, "token", "e") == set()


def test_fish_completes(tmp_path):
    (tmp_path / "event.json").touch()

    def offered(line):
        script = f"source {MANUAL / 'belfry.fish'}; complete -C '{line}'"
        done = run("fish", "--no-config", "-c", script, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        return {word.split("\t")[0] for word in done.stdout.splitlines()}

    assert offered("belfry li") == {"listen"}
    assert "--bad-signature" in offered("belfry send --b")
    assert "conferencing_assigned" in offered("belfry send conf")
    assert offered("belfry send --file ev") == {"event.json"}
    assert offered("belfry check ev") == {"event.json"}
    assert offered("belfry token ev") == set()


def test_zsh_reads_its_completion():
    """It is a function that defines itself at its first use."""
    script = f"autoload -U compinit && compinit -D -u && source {MANUAL / '_belfry'} 2>/dev/null; whence -w _belfry"
    assert run("zsh", "-f", "-n", MANUAL / "_belfry").stderr == ""
    assert run("zsh", "-f", "-c", script).stdout == "_belfry: function\n"
