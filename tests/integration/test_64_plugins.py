# SPDX-License-Identifier: Apache-2.0
"""Plugins of every kind: what is refused and in which words, what an old one sees, what becomes of those that misbehave."""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess

import pytest

from plugins import DONE, INCLUDE, LATER, NOT_READ, NOT_SO, REFUSED, ROOT, SOURCES, belfry_plugin, build, handler_path, run

pytestmark = [pytest.mark.release, pytest.mark.no_tsan]

E_MACHINE, E_CLASS = 18, 4
EM_AARCH64 = 183
# A plugin that is refused with a sentence has not been run, if running it would end the process.
UNRUN = "-DCONSTRUCT=_exit(9)"


@pytest.fixture(scope="module")
def old(folder):
    """Built against the header as it was when ABI 1.0 came out."""
    return build(folder, "abi/1.0/plugin.c", name="old", include=SOURCES / "abi" / "1.0")


def refused(file):
    """Why: the one sentence without the path. describe and test must agree."""
    described = belfry_plugin("describe", file)
    assert described.status == REFUSED and described.out == [], described
    sentence = described.err[-1]
    tested = belfry_plugin("test", file)
    assert tested.status == REFUSED and tested.err[-1] == sentence, tested
    beginning = f"belfry: {file.resolve()}: "
    assert sentence.startswith(beginning), described
    return sentence.removeprefix(beginning)


# The header


@pytest.mark.parametrize("compiler", ["gcc -std=c11", "gcc -std=c17", "clang -std=c11", "clang -std=c17",
                                      "g++ -std=c++17", "clang++ -std=c++17"])  # fmt: skip
def test_the_header_compiles_alone(compiler, tmp_path):
    source = tmp_path / "alone"
    source.write_text("#include <belfry/plugin.h>\n")
    language = "c++" if "++" in compiler else "c"
    subprocess.run([*compiler.split(), "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{INCLUDE}",
                    "-fsyntax-only", source], check=True)  # fmt: skip


@pytest.mark.parametrize("field, option", [("int64_t", "BELFRY_STRING"), ("const char *", "BELFRY_INTEGER"),
                                           ("int", "BELFRY_DURATION"), ("int64_t", "BELFRY_BOOLEAN"),
                                           ("struct belfry_map", "BELFRY_LIST"), ("char *", "BELFRY_TEMPLATE")])  # fmt: skip
def test_a_field_of_another_type_is_no_option(field, option, tmp_path):
    source = tmp_path / "field.c"
    source.write_text(f"""#include <belfry/plugin.h>
struct conf {{ {field} field; }};
extern const struct belfry_option options[];
const struct belfry_option options[] = {{ BELFRY_OPTION(struct conf, field, {option}, .help = "h"), BELFRY_END }};
""")
    done = subprocess.run(["cc", "-std=c11", f"-I{INCLUDE}", "-fsyntax-only", source], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode != 0 and f"the field field does not have the C type of {option}" in done.stderr


# The file


def test_what_is_no_shared_object(folder, zoo):
    text = folder / "text.so"
    text.write_text("#!/bin/sh\n")
    assert refused(text) == "is no ELF file; a plugin is a shared object, as cc -shared makes it"
    text.write_text("")
    assert refused(text) == "is empty; a plugin is a shared object, as cc -shared makes it"
    text.write_bytes(b"\x7fELF")
    assert refused(text) == "is cut short: it ends within its head"
    assert refused(folder) == "is a folder; a plugin is a file, the shared object in it"
    os.mkfifo(folder / "fifo")
    assert refused(folder / "fifo") == "is no regular file; a plugin is a shared object, as cc -shared makes it"
    program = folder / "program"
    shutil.copy("/bin/true", program)
    assert refused(program) == "is a program, not a shared object; link it with -shared"
    object_file = folder / "object.o"
    subprocess.run(["cc", "-c", f"-I{INCLUDE}", "-o", object_file, SOURCES / "abi.c"], check=True)
    assert refused(object_file) == "is no shared object; link it with -shared"
    nothing = belfry_plugin("describe", folder / "nothing.so")
    assert nothing.status == NOT_READ and nothing.err == [f"belfry: {folder}/nothing.so: No such file or directory"]


def test_another_machine(folder, zoo):
    other = folder / "other.so"
    content = bytearray(zoo.read_bytes())
    struct.pack_into("<H", content, E_MACHINE, EM_AARCH64)
    other.write_bytes(content)
    assert refused(other) == "is built for AArch64; this machine wants x86-64"
    content = bytearray(zoo.read_bytes())
    content[E_CLASS] = 1
    other.write_bytes(content)
    assert refused(other) == "is built for x86-64 in another word size; this machine wants x86-64"


def test_truncated_anywhere(folder, zoo):
    """Nobody dies of it: not even the loader, which would."""
    content = zoo.read_bytes()
    cut = folder / "cut.so"
    for n in [*range(1, 200, 40), *range(200, len(content), 1531), len(content) - 1]:
        cut.write_bytes(content[:n])
        said = belfry_plugin("describe", cut)
        assert said.status == REFUSED and re.search("is cut short: |is no ELF file", said.err[0]), (n, said)


def test_no_plugin(folder):
    library = folder / "library.so"
    shutil.copy("/lib/x86_64-linux-gnu/libm.so.6", library)
    assert refused(library) == "has no symbol belfry_plugin; a plugin ends with BELFRY_PLUGIN(...)"
    source = folder / "function.c"
    source.write_text("int belfry_plugin(void); int belfry_plugin(void) { return 1; }")
    function = folder / "function.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", function, source], check=True)
    assert refused(function) == (
        "has a symbol belfry_plugin that is no struct belfry_plugin; let BELFRY_PLUGIN(...) make it"
    )


def test_a_library_that_is_missing(folder):
    source = folder / "undefined.c"
    source.write_text((SOURCES / "abi.c").read_text() + "\nextern int nowhere(void); int (*const f)(void) = nowhere;\n")
    undefined = folder / "undefined.so"
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{INCLUDE}", "-o", undefined, source], check=True)
    assert refused(undefined) == "cannot be loaded: undefined symbol: nowhere"


def test_who_may_write_it(tmp_path):
    place = tmp_path / "place"
    place.mkdir(mode=0o755)
    plugin = build(place, "abi.c")
    armed = build(place, "abi.c", UNRUN, name="armed")
    could = "who could run there what they like: chmod go-w"
    assert belfry_plugin("describe", plugin).status == DONE
    for mode in (0o775, 0o757, 0o777, 0o1777):
        place.chmod(mode)
        assert refused(plugin) == f"its folder {place} may be written by its group or by others, {could}"
        assert refused(armed) == refused(plugin)
    place.chmod(0o755)
    for mode in (0o664, 0o646):
        plugin.chmod(mode)
        assert refused(plugin) == f"it may be written by its group or by others, {could}"
    plugin.chmod(0o755)
    tmp_path.chmod(0o777)  # who can rename the folder can put another there
    assert refused(plugin) == f"its folder {tmp_path} may be written by its group or by others, {could}"
    tmp_path.chmod(0o1777)
    assert belfry_plugin("describe", plugin).status == DONE


def test_a_link_is_judged_by_where_it_leads(tmp_path):
    place, open_place = tmp_path / "place", tmp_path / "open"
    place.mkdir(mode=0o755)
    open_place.mkdir()
    plugin = build(open_place, "abi.c")
    (place / "link.so").symlink_to(plugin)
    open_place.chmod(0o777)
    assert refused(place / "link.so").startswith(f"its folder {open_place} may be written")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_whose_it_is(tmp_path):
    tmp_path.chmod(0o755)
    plugin = build(tmp_path, "abi.c")
    os.chown(plugin, 12345, 0)
    assert refused(plugin) == "it belongs to user 12345; it must belong to root or to user 0, who runs Belfry"
    os.chown(plugin, 0, 0)
    os.chown(tmp_path, 12345, 0)
    assert refused(plugin).startswith(f"its folder {tmp_path} belongs to user 12345; it must belong to root or")


# The ABI: read before anything of the plugin runs


ABI = "and this Belfry has 1.1"
HEADER = "this Belfry's <belfry/plugin.h>"


@pytest.mark.parametrize("options, sentence", [
    (["-DMAJOR=2"], f"is built for ABI 2.1, {ABI}: build it against {HEADER}"),
    (["-DMAJOR=0", "-DMINOR=9"], f"is built for ABI 0.9, {ABI}: build it against {HEADER}"),
    (["-DMINOR=2"], f"is built for ABI 1.2, {ABI}: it needs a newer Belfry, or to be built against this one's "
                    "<belfry/plugin.h>"),
    (["-DSIZE=80"], "says that its structs have 80 and 88 bytes, which is less than the 88 and 88 of ABI 1.1: let "
                    "BELFRY_PLUGIN(...) fill in the first fields"),
    (["-DOPTION_SIZE=8"], "says that its structs have 88 and 8 bytes, which is less than the 88 and 88 of ABI 1.1: let "
                          "BELFRY_PLUGIN(...) fill in the first fields"),
    (["-DSIZE=1000"], "says that its struct belfry_plugin has 1000 bytes, but it has 88"),
])  # fmt: skip
def test_another_abi(folder, options, sentence):
    assert refused(build(folder, "abi.c", *options, UNRUN, name="other_abi")) == sentence


OPTION = '{{ .name = "a", .type = BELFRY_STRING, .help = "h", {} }}'


@pytest.mark.parametrize("define, sentence", [
    ("HANDLE=0", "has no .handle, which is what a plugin is for"),
    ("NAME=0", "has no name that is one: .name is 1 to 64 of a-z 0-9 _ -"),
    ('NAME="A B"', "has no name that is one: .name is 1 to 64 of a-z 0-9 _ -"),
    ("NEEDS=6", "needs something that this Belfry does not know: .needs is 0x6"),
    ("CONF_SIZE=70000", "says that its options' struct has 70000 bytes; at most 65536"),
    ("CONF_SIZE=4", 'its option "text" lies outside of its struct: .conf_size is less than that'),
    ("OPTION=" + OPTION.format(".offset = 9"), 'its option "a" lies outside of its struct: .conf_size is less than that'),
    ("OPTION=" + OPTION.format(".offset = 4"), 'its option "a" lies where no field of its type can be'),
    ("OPTION=" + OPTION.format(".offset = (size_t)-8"),
     'its option "a" lies outside of its struct: .conf_size is less than that'),
    ("OPTION=" + OPTION.format('.name = "A"'), "its option 1 has a name that is none: 1 to 64 of a-z 0-9 _"),
    ("OPTION=" + OPTION.format(".type = 77"), 'its option "a" has a type that this Belfry does not know'),
    ("OPTION=" + OPTION.format(".entry = BELFRY_STRING"),
     'its option "a" has an .entry that it cannot have: lists and maps have strings, secrets, urls or templates'),
    ("OPTION=" + OPTION.format(".type = BELFRY_ENUM"), 'its option "a" must have .names if it is an enum, and only then'),
    ("OPTION=" + OPTION.format('.type = BELFRY_SECRET, .fallback = "x"'),
     'its option "a" has a .fallback, which secrets, lists, maps and what is required cannot have'),
    ("OPTION=" + OPTION.format(".least = 2, .most = 1"), 'its option "a" has a .least above its .most'),
    ("OPTION=" + OPTION.format(".help = 0"), 'its option "a" has no .help, which is one line'),
    ("OPTION=" + OPTION.format("") + ", " + OPTION.format(""), 'its option "a" stands twice in the table'),
])  # fmt: skip
def test_what_a_plugin_says_wrongly_about_itself(folder, define, sentence):
    plugin = build(folder, "abi.c", "-Wno-override-init", f"-D{define}", name="wrong")
    assert refused(plugin) == sentence


def test_a_plugin_of_the_first_abi_runs(old):
    frozen = (SOURCES / "abi" / "1.0" / "belfry" / "plugin.h").read_text()
    assert "#define BELFRY_ABI_MINOR 0\n" in frozen
    described = belfry_plugin("--json", "describe", old)
    assert described.status == DONE and json.loads(described.out[0])["abi"] == "1.0"
    said = run(old, "--tag", "user=42", "conferencing_assigned", integer="-5", list="[a, b]",
               map="{x: '{{ $interaction }}', y: 'y'}")  # fmt: skip
    assert said.status == LATER, said
    assert said.out == [
        "log info: create: host of 96 bytes, url https://example.com",
        "log info: conf: s - -5 2000 1024 green 1",
        "log debug: list: a",
        "log debug: list: b",
        "log debug: map: x=conferencing_assigned",
        "log debug: map: y=y",
        said.out[6],
        "log info: uri: https://gateway.example.com/callbacks/test?user=4%202",
        "log info: field: conferencing_assigned",
        said.out[9],
    ]
    assert re.fullmatch(r"log info: delivery: conferencing_assigned \S+ test \S+ 1 tags, attempt 1 of 12", said.out[6])
    assert re.fullmatch(r"retry, not before 1500 ms from now: \S.*", said.out[9])


def test_what_came_with_a_minor_is_there(folder):
    """A plugin that was built against the header as it was then."""
    plugin = build(folder, "abi/1.1/plugin.c", name="minor", include=SOURCES / "abi" / "1.1")
    assert run(plugin, "conferencing_assigned").out[-1] == "done: trace: none"


# What it says about itself


def test_describe(old):
    said = belfry_plugin("describe", old)
    assert said.status == DONE and said.out[0] == "abi-1_0 1: is of the first ABI"
    assert "  integer (integer; default -3, from -5 to 5)" in said.out
    assert "  map (map of template)" in said.out
    table = belfry_plugin("describe", "--markdown", old).out
    assert table[:2] == ["| option | type | | what it is |", "|---|---|---|---|"]
    assert "| `duration` | duration | default 2s | a time |" in table
    assert len(table) == 2 + 11


def test_a_constructor_that_never_ends(folder):
    plugin = build(folder, "abi.c", "-DCONSTRUCT=for (;;) pause()", name="endless")
    for word in ("describe", "test"):
        said = belfry_plugin(word, plugin, *(["--timeout", "1s"] if word == "describe" else []))
        assert said.status == REFUSED and "did not end within" in said.err[-1], said


@pytest.mark.parametrize("code, words", [("abort()", "was ended by SIGABRT"), ("*(volatile int *)8 = 1", "was ended by SIGSEGV"),
                                         ("_exit(0)", "it ended the process while it was loaded"),
                                         ("_exit(7)", "ended with exit status 7")])  # fmt: skip
def test_a_constructor_that_ends_everything(folder, code, words):
    plugin = build(folder, "abi.c", "-Wno-array-bounds", f"-DCONSTRUCT={code}", name="ending")
    said = belfry_plugin("describe", plugin)
    assert said.status == REFUSED and words in said.err[-1], said


def test_what_a_constructor_prints_is_not_believed(folder):
    lie = r"{\"abi\":\"1.0\",\"name\":\"a lie\"}"
    plugin = build(folder, "abi.c", "-include", "stdio.h", f'-DCONSTRUCT=printf("{lie}"), fflush(NULL)', name="lying")
    said = belfry_plugin("describe", plugin)
    assert said.status == DONE and said.out[0].startswith("wrong 1: "), said


# Misbehaving


@pytest.mark.parametrize("action, sentence", [
    ("crash", "it crashed (SIGSEGV)"),
    ("abort", "it crashed (SIGABRT)"),
    ("divide", "it crashed (SIGFPE)"),
    ("overflow", "it crashed (SIGSEGV)"),
    ("exit", "it ended the process (exit status 0)"),
    ("close", "it closed its connection to Belfry, or was killed,"),
    ("close_all", "it closed its connection to Belfry, or was killed,"),
    ("garbage", "it broke the protocol (the head is too large)"),
])  # fmt: skip
@pytest.mark.parametrize("place", ["create", "handle", "destroy"])
def test_ends_that_nobody_wanted(zoo, action, sentence, place):
    if place == "destroy" and action in ("exit", "close", "close_all"):
        return  # it is at its end anyway
    where = "while it was loaded, or in create()" if place == "create" else f"in {place}()"
    said = run(zoo, **{"do": action, "in": place})
    assert said.status == NOT_SO and said.err[-1] == f"belfry: {sentence} {where}", said


@pytest.mark.parametrize("action, place", [("hang", "create"), ("spin", "create"), ("hang", "handle"), ("spin", "handle"),
                                           ("half", "handle"), ("hang", "destroy"), ("spin", "destroy")])  # fmt: skip
def test_what_never_ends_is_killed(zoo, action, place):
    where = "while it was loaded, or in create()" if place == "create" else f"in {place}()"
    said = run(zoo, "--timeout", "1s", **{"do": action, "in": place})
    assert said.status == NOT_SO and said.err[-1] == f"belfry: it took too long, and was killed, {where}", said


def test_a_forged_outcome_is_one_too_many(zoo):
    said = run(zoo, do="forge")
    assert said.status == NOT_SO and "it broke the protocol (an outcome of nothing)" in said.err[-1], said


def test_output_goes_to_stderr(zoo):
    said = run(zoo, do="print", number=3, text="hello")
    assert said.status == DONE and said.out == ["done"] and said.err == ["hello"] * 3


def test_long_lines_are_cut_and_harmless(zoo, tmp_path):
    said = run(zoo, do="log", number=1, text="é" * 3000)
    assert said.out == [f"log info: {'é' * 1999} ... (cut)", "done"], said
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"event": {"summary": "a\n\tb\x7f\u202ec"}}))
    said = run(zoo, event, do="field", text="/event/summary")
    assert said.out == [r"done: field: a\u{a}\u{9}b\u{7f}\u{202e}c (9)"], said
    said = run(zoo, do="reason", number=5000)
    assert said.out == [f"done: {'é' * 500}"], said


def test_create_can_fail(zoo):
    said = run(zoo, **{"do": "fail", "in": "create"})
    assert said.status == REFUSED
    assert said.err == ["belfry: the plugin's create() failed: Transport endpoint is not connected"]


def test_what_is_no_outcome(zoo):
    said = run(zoo, do="outcome", number=7)
    assert said.status == NOT_SO and said.out == ["reject: handle() returned 7, which is no outcome"]
    assert run(zoo, do="outcome", number=1).status == LATER


def test_exceptions(folder):
    throwing = build(folder, "throwing.cpp")
    said = run(throwing)
    assert said.status == DONE and said.out == ["done: conferencing_assigned, Board meeting"]
    said = run(throwing, throws="true")
    assert said.status == NOT_SO and said.err[-1] == "belfry: it crashed (SIGABRT) in handle()", said
    assert "nobody catches this" in "\n".join(said.err)


def test_functions_of_the_same_name(folder):
    """A plugin that brings its own copy of a library which the host uses."""
    plugin = build(folder, "zoo.c", "-DNAMESAKES", name="namesakes")
    assert run(plugin, "--when", "true", do="field", text="/event").out[0].startswith("done: field: {")
    assert run(plugin, do="http", text="http://127.0.0.1:1/").out[0] == "log error: http: EACCES"


def test_only_log_outside_of_handle(zoo):
    said = run(zoo, **{"do": "field", "in": "create", "text": "/a"})
    assert said.status == DONE and said.out == ["log error: field() can only be called within handle()", "done"]


def test_state_has_bounds(zoo):
    assert run(zoo, do="state").out == ["done: state: 1 1 0 0 (16384) 0 0"]


@pytest.mark.parametrize("pointer, found", [
    ("/event/summary", "Böard (6)"), ("/event", '{"summary":"Böard","n":3,"list":[1,{"a/b":null}],"t~":true} (60)'),
    ("/event/n", "3 (1)"), ("/event/list/1/a~1b", "null (4)"), ("/event/t~0", "true (4)"), ("/event/list/2", "nothing (0)"),
    ("/event/list/00", "nothing (0)"), ("/event/list/-", "nothing (0)"), ("/event/n/x", "nothing (0)"),
    ("event", "nothing (0)"), ("/event/t~2", "nothing (0)"),
])  # fmt: skip
def test_fields(zoo, tmp_path, pointer, found):
    event = tmp_path / "event.json"
    body = {"event": {"summary": "Böard", "n": 3, "list": [1, {"a/b": None}], "t~": True}}
    event.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    assert run(zoo, event, do="field", text=json.dumps(pointer)).out == [f"done: field: {found}"]


# Conditions and templates


def test_conditions(zoo):
    assert run(zoo, "--when", "false", do="crash").out == ["skipped"]
    assert run(zoo, "--when", '$tags.user == "42"', "--tag", "user=42", do="outcome", number=0).out == ["done"]
    said = run(zoo, "--when", ".event.summary.x", do="crash")
    assert said.status == NOT_SO
    assert said.out == ['reject: .event.summary.x fails: Cannot index string with string "x"'], said
    said = run(zoo, "--when", ".a |", do="crash")
    assert said.status == REFUSED and 'syntax error, unexpected $end in ".a |"' in said.err[-1], said


def test_a_template_that_fails_is_a_clear_outcome(old):
    said = run(old, text='"{{ .event.sumary }}"')
    assert said.status == NOT_SO
    assert said.out[-1].startswith("reject: {{ .event.sumary }} is null: if it may be missing")
    said = run(old, text='"{{ .event.summary | }}"')
    assert said.status == REFUSED and "syntax error" in said.err[-1], said


# Writing one


def installed(tmp_path):
    """Header, pkg-config file and programs, as an installation has them; the environment to use them."""
    build_folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(handler_path()))))
    subprocess.run(["cmake", "--install", build_folder, "--prefix", tmp_path], check=True, capture_output=True)
    packages = next(tmp_path.rglob("belfry.pc")).parent
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    program = next(tmp_path.rglob("belfry-handler"))
    return {**os.environ, "PKG_CONFIG_PATH": str(packages), "PATH": path, "BELFRY_HANDLER": str(program)}


def test_a_new_plugin_builds_with_what_is_installed(tmp_path):
    tmp_path.chmod(0o755)
    environment = installed(tmp_path / "root")
    work = tmp_path / "work"
    work.mkdir(mode=0o755)

    def belfry(*arguments):
        return subprocess.run(["belfry", "plugin", *arguments], cwd=work, env=environment, capture_output=True, text=True,
                              check=False)  # fmt: skip

    said = belfry("new", "demo")
    assert said.returncode == 0, said
    assert sorted(path.name for path in (work / "demo").iterdir()) == ["Makefile", "README.md", "demo.c", "event.json"]
    made = subprocess.run(["make", "CFLAGS=-O2 -Wall -Wextra -Wpedantic -Werror", "-C", "demo", "test"], cwd=work,
                          env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert made.returncode == 0, made
    assert "log info: demo: Board meeting (conferencing_assigned)\ndone: said so\n" in made.stdout
    plugin_folder = subprocess.check_output(["pkg-config", "--variable=plugindir", "belfry"], env=environment, text=True)
    subprocess.run(["make", "-C", "demo", "install"], cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert (pathlib.Path(plugin_folder.strip()) / "demo.so").resolve().is_relative_to(tmp_path / "root")
    again = belfry("new", "demo")
    assert again.returncode == NOT_READ and "demo: File exists" in again.stderr
    assert belfry("new", "../demo").returncode == 2
    assert "@NAME@" not in "".join(path.read_text() for path in (work / "demo").iterdir() if path.suffix != ".so")


def test_the_frozen_header_is_the_header_until_the_minor_changes():
    """What plugins were built against is never edited: a change of the header comes with a new minor and a new folder."""
    now = (ROOT / "include" / "belfry" / "plugin.h").read_text()
    minor = re.search(r"^#define BELFRY_ABI_MINOR (\d+)$", now, re.MULTILINE)[1]
    assert (SOURCES / "abi" / f"1.{minor}" / "belfry" / "plugin.h").exists()
