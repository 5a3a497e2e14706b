# SPDX-License-Identifier: Apache-2.0
"""What a configuration says of handlers: read, checked against the plugins themselves, told to their processes; and
which interactions lead to which handlers."""

import functools
import json
import os
import pathlib
import re
import shutil
import struct

import pytest

import plugins
from gateway import EX_CONFIG, SECRET, TAG_KEY, TOKEN_SECRET, Gateway, belfryd_path, callback
from handling import is_settled, obedient, rows, told, wait_until
from test_70_tls import make_certificate

HOOK = "https://hooks.example.com/services/canary-hook"
PASSWORD = "canary-password-0123456789"

# A sanitizer's shadow is large.
LIMITS = {"memory": "64GiB", "processes": 65536}


@functools.cache
def options():
    return plugins.build(obedient().parent, "options.c")


def configure(handlers, interactions=None, **changes):
    """A gateway, not started; its plugins are in a folder of its own. Handlers are for everything unless something is
    said."""
    gateway = Gateway(changes)
    folder = gateway.folder / "plugins"
    folder.mkdir(mode=0o755)
    for plugin in (obedient(), options()):
        shutil.copy(plugin, folder)
        (folder / plugin.name).chmod(0o755)
    gateway.config["plugins"] = {"folder": str(folder), "program": plugins.handler_path()}
    gateway.config["handlers"] = {name: {"limits": LIMITS, **handler} for name, handler in handlers.items()}
    gateway.config["interactions"] = {"*": list(handlers)} if interactions is None else interactions
    return gateway


def with_options(gateway, **options):
    """The one handler, which has the plugin `options`; with the option that it must have."""
    gateway.config["handlers"]["it"]["options"] = {"hook": gateway.secret_file("hook", HOOK), **options}
    return gateway


def check(gateway):
    """What is complained of, the place without the file: "12:5: plugin: ..."; the daemon says the same."""
    gateway.write_config()
    done = gateway.belfry("check", expect_exit=EX_CONFIG)
    told = [line.split("belfry.yaml:")[1] for line in done.stderr.decode().splitlines() if "warning:" not in line]
    said = gateway.start_refused()
    assert all(line in said for line in told)
    return told


def place(gateway, value):
    """Where the value, or the key, first stands in the file: "12:5"."""
    pattern = re.compile(r"(?<!\w)" + re.escape(json.dumps(value)))
    for number, line in enumerate(gateway.config_path.read_text().splitlines(), 1):
        if found := pattern.search(line):
            return f"{number}:{found.start() + 1}"
    raise AssertionError(f"{value} is not in the file")


# Plugins that are none


def spoil(path, fault):
    """Makes another plugin of it, or none."""
    elf = bytearray(path.read_bytes())
    path.unlink()
    if fault == "empty":
        path.touch(0o755)
    elif fault == "no ELF":
        path.write_text("hello")
    elif fault == "truncated":
        path.write_bytes(elf[:2000])
    elif fault == "another machine":
        struct.pack_into("<H", elf, 18, 0x16 if elf[18] != 0x16 else 0x3E)
        path.write_bytes(elf)
    elif fault == "a folder":
        path.mkdir()
    elif fault == "a pipe":
        os.mkfifo(path, 0o755)


@pytest.mark.parametrize("fault", ["empty", "no ELF", "truncated", "another machine", "a folder", "a pipe"])
def test_what_is_no_plugin_is_refused(fault):
    gateway = configure({"it": {"plugin": "obedient"}})
    path = gateway.folder / "plugins" / "obedient.so"
    spoil(path, fault)
    (told,) = check(gateway)
    assert re.fullmatch(rf"{place(gateway, 'obedient')}: plugin: {path}:? .+", told), told


def test_a_plugin_that_is_not_there():
    written = {"it": "obediant", "other": "/nowhere/x.so", "third": "email"}
    gateway = configure({name: {"plugin": plugin} for name, plugin in written.items()})
    told = check(gateway)
    folder = gateway.folder / "plugins"
    assert told == [
        f"{place(gateway, 'obediant')}: plugin: \"obediant\" is not in {folder}; did you mean \"obedient\"?",
        f"{place(gateway, '/nowhere/x.so')}: plugin: /nowhere/x.so: No such file or directory",
        f"{place(gateway, 'email')}: plugin: \"email\" is not in {folder}; there are: obedient, options",
    ]


@pytest.mark.parametrize("fault", ["group", "others", "folder", "link", "owner"])
def test_a_plugin_that_others_could_change_is_refused(fault):
    gateway = configure({"it": {"plugin": "obedient"}})
    folder = gateway.folder / "plugins"
    path = folder / "obedient.so"
    words = "chmod go-w"
    if fault == "group":
        path.chmod(0o775)
    elif fault == "others":
        path.chmod(0o757)
    elif fault == "folder":
        folder.chmod(0o777)
    elif fault == "link":
        path.rename(gateway.folder / "elsewhere.so")
        path.symlink_to("../elsewhere.so")
        words = "leads out of the folder"
    elif os.geteuid() != 0:
        pytest.skip("only root may give files away")
    else:
        os.chown(path, 65534, 65534)
        words = "belongs to user 65534"
    (told,) = check(gateway)
    assert told.startswith(f"{place(gateway, 'obedient')}: plugin: ") and words in told, told


def test_a_program_that_is_not_there():
    gateway = configure({"it": {"plugin": "obedient"}, "other": {"plugin": "obedient"}})
    gateway.config["plugins"]["program"] = "/nowhere/belfry-handler"
    (told,) = check(gateway)
    where = place(gateway, "/nowhere/belfry-handler")
    assert told == f"{where}: program: /nowhere/belfry-handler cannot be run: No such file or directory"


# Options


def test_options_arrive_as_they_were_written():
    gateway = configure({"it": {"plugin": "options"}})
    with_options(
        gateway, string="two\nlines", secret=gateway.secret_file("password", PASSWORD), url="https://x.example/?a=b",
        integer=-5, duration="90s", size="1MiB", choice="fast", boolean=False, list=["a", "b"],
        map={"z": "{{ .event.summary }}", "a": "{{ $interaction }}{{ $subtype }}"},
        keys={"k": gateway.secret_file("password", PASSWORD)}, text="{{ .event.n + 1 }}",
    )  # fmt: skip
    with gateway:
        assert gateway.post(callback("conferencing_failing", "profile_missing", n=1)).status == 200
        wait_until(lambda: is_settled(gateway))
        assert rows(gateway, "SELECT reason FROM attempts") == [
            (
                f"conferencing_failing/profile_missing string=two\nlines secret={len(PASSWORD)} hook={len(HOOK)} "
                "url=https://x.example/?a=b integer=-5 duration=90000 size=1048576 choice=fast boolean=0 list=a,b, "
                f"z=Board meeting a=conferencing_failingprofile_missing k={len(PASSWORD)} text=2",
            )
        ]


def test_defaults_arrive():
    with with_options(configure({"it": {"plugin": "options"}})) as gateway:
        assert gateway.post(callback("change")).status == 200
        wait_until(lambda: is_settled(gateway))
        assert rows(gateway, "SELECT reason FROM attempts") == [
            (
                f"change/ string=hello secret=0 hook={len(HOOK)} url=none integer=-1 duration=10000 size=65536 "
                "choice=slow boolean=1 list= text=Board meeting",
            )
        ]


def test_wrong_options_are_refused_where_they_stand():
    gateway = configure({"it": {"plugin": "options"}})
    with_options(
        gateway, strin="x", integer=11, size="8MiB", choice="medium", list=[], url="ftp://x/",
        text="{{ .event.summary", map={"a": "{{ nonsense }}"},
    )  # fmt: skip
    gateway.config["handlers"]["it"]["when"] = ".event |"
    gateway.config["interactions"] = {"*": [{"handler": "it", "when": "time(.event.start) < now + 3600"}]}
    told = check(gateway)
    wanted = [
        ("strin", 'unknown key "strin"; did you mean "string"?'),
        (11, 'integer: "11" is more than 10; write a whole number, for example -1'),
        ("8MiB", 'size: "8MiB" is out of range; write a size from 1KiB to 1MiB, for example 64KiB'),
        ("medium", 'choice: "medium" is not known; write fast or slow'),
        ([], "list: found 0 entries; write a list of 1 to 3 entries, for example [text]"),
        ("ftp://x/", 'url: "ftp://x/" is neither http nor https; write a URL, for example https://api.example.com'),
        ("{{ .event.summary", r"text: .*}} is missing.*"),
        ("{{ nonsense }}", r"map: .*nonsense/0 is not defined.*"),
        (".event |", r"when: .*syntax error.*"),
    ]
    assert len(told) == len(wanted), told
    for value, words in wanted:
        where = f"{place(gateway, value)}: "
        (line,) = [line for line in told if line.startswith(where)]
        assert line == where + words or re.fullmatch(words, line.removeprefix(where)), line


def test_what_must_be_said_is_asked_for():
    gateway = configure({"it": {"plugin": "options"}})
    (told,) = check(gateway)
    assert told.endswith(
        '"hook" is missing (where to post); write for example hook: {file: /etc/belfry/secrets/name}'
    ), told


def test_secrets_are_shown_nowhere():
    gateway = configure({"it": {"plugin": "options"}})
    with_options(gateway, keys={"k": gateway.secret_file("password", PASSWORD)}, integer=11)
    check(gateway)  # each of these looks for canaries
    del gateway.config["handlers"]["it"]["options"]["integer"]
    with gateway:
        gateway.belfry("check")
        gateway.belfry("--json", "check")
        gateway.deliver(callback())
        wait_until(lambda: is_settled(gateway))
        assert PASSWORD.encode() not in gateway.journal.read_bytes()
        for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
            for pid in (task / "children").read_text().split():
                process = pathlib.Path("/proc") / pid
                gateway.check_no_secret("ps", (process / "cmdline").read_bytes())


def test_a_plugin_that_starts_programs_must_be_allowed_to():
    """Told by the description; tests of the host show that it is true."""
    gateway = configure({"it": {"plugin": "obedient"}})
    script = gateway.folder / "describes"
    script.write_text(
        "#!/bin/sh\necho '"
        '{"abi":"1.0","name":"exec","version":"1","summary":"x","needs":["exec"],"options":[]}'
        "'\n"
    )
    script.chmod(0o700)
    gateway.config["plugins"]["program"] = str(script)
    (told,) = check(gateway)
    assert told.endswith("plugin: obedient starts other programs, which it may not; write allow: [exec]")
    gateway.config["handlers"]["it"]["allow"] = ["exec"]
    gateway.write_config()
    gateway.belfry("check")


# One description a file


def test_a_thousand_handlers_describe_their_plugin_once():
    gateway = configure({f"h{i}": {"plugin": "obedient", "when": ".event"} for i in range(1000)})
    script = gateway.folder / "counts"
    script.write_text(f'#!/bin/sh\necho "$1" >> {gateway.folder}/runs\nexec {plugins.handler_path()} "$@"\n')
    script.chmod(0o700)
    gateway.config["plugins"]["program"] = str(script)
    gateway.write_config()
    assert b"1000 handlers" in gateway.belfry("check").stdout
    gateway.belfry("callback-uri")  # who has nothing to do with plugins does not ask them
    assert (gateway.folder / "runs").read_text().split() == ["--describe", "--check"]


def resident_bytes(gateway):
    with gateway:
        pages = pathlib.Path(f"/proc/{gateway.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


@pytest.mark.only_release
def test_a_thousand_idle_handlers_cost_little():
    """8 MiB together; no process runs for them."""
    handlers = {f"h{i}": {"plugin": "obedient", "when": ".event.summary"} for i in range(1000)}
    with_them = resident_bytes(configure(handlers, {"conferencing_failing": list(handlers)}))
    assert with_them - resident_bytes(configure({})) < 8 << 20


# The sample


def uncommented(text):
    """All options that the sample shows, switched on."""
    return re.sub(r"^( *)#(?=[a-z-])", r"\1", text, flags=re.MULTILINE)


def test_the_sample_is_right_for_the_plugins_that_it_names():
    sample = (plugins.ROOT / "etc" / "belfry.yaml").read_text(encoding="utf-8")
    gateway = configure({})
    for name in ("secrets", "tls"):
        (gateway.folder / name).mkdir(mode=0o700)
    for name, content in (("cronofy", SECRET), ("tags", TAG_KEY), ("slack-url", HOOK), ("alice", TOKEN_SECRET)):
        gateway.secret_file(f"secrets/{name}", content)
    gateway.secret_file("jwks.json", TOKEN_SECRET)
    tls = make_certificate(gateway.folder)
    built = pathlib.Path(belfryd_path()).resolve().parent.parent / "plugins"
    shutil.copy(built / "slack" / "slack.so", gateway.folder / "plugins")
    places = {
        "/etc/belfry/tls/cert.pem": tls["certificate"],
        "/etc/belfry/tls/key.pem": tls["key"],
        "/etc/belfry": str(gateway.folder),
        "/usr/lib/belfry": str(gateway.folder),
        "/usr/libexec/belfry/belfry-handler": plugins.handler_path(),
    }
    text = uncommented(sample)
    for place, here in places.items():
        text = text.replace(place, here)
    gateway.config_path.write_text(text, encoding="utf-8")
    gateway.config_path.chmod(0o600)
    shown = gateway.belfry("check").stdout.decode()
    assert "1 handler" in shown and "  conferencing_assigned: team-slack\n" in shown, shown


# Routes


def owed(gateway, *bodies):
    """What is owed to whom for each of the bodies: [("a", 0), ...] by interaction and handler."""
    for body in bodies:
        assert gateway.post(body).status == 200
    wait_until(lambda: is_settled(gateway))
    found = rows(gateway, "SELECT sequence, handler, interaction FROM deliveries ORDER BY 1, 3, 2")
    return [[(handler, n) for sequence, handler, n in found if sequence == i + 1] for i in range(len(bodies))]


def several(*interactions):
    """A callback with these interactions: "type" or "type/subtype"."""
    body = json.loads(callback())
    split = [interaction.partition("/") for interaction in interactions]
    body["notification"]["interactions"] = [
        {"type": kind, "subtype": subtype} if subtype else {"type": kind} for kind, _, subtype in split
    ]
    return json.dumps(body).encode()


def test_interactions_lead_to_handlers():
    interactions = {
        "conferencing_failing": [{"handler": "a", "subtypes": ["profile_missing"]}, "b"],
        "conferencing_*": ["c", "b"],
        "unknown": ["d"],
        "belfry_dead_letter": ["e"],
    }
    with configure({name: {"plugin": "obedient"} for name in "abcde"}, interactions) as gateway:
        assert owed(
            gateway,
            callback("conferencing_failing", "profile_missing"),
            callback("conferencing_failing", "missing_meeting_url"),
            callback("conferencing_assigned"),
            callback("conferencing"),
            several("conferencing_assigned", "change", "conferencing_failing/profile_missing"),
            b'{"event":{},"participants":[]}',  # Real-Time Scheduling: no notification
            b'{"notification":{"type":7}}',
            b'{"notification":{"type":"belfry_dead_letter"}}',  # which only we may say
            b"no JSON",
            b"null",
        ) == [
            [("a", 0), ("b", 0), ("c", 0)],
            [("b", 0), ("c", 0)],
            [("b", 0), ("c", 0)],
            [],
            [("b", 0), ("c", 0), ("a", 2), ("b", 2), ("c", 2)],
            [("d", 0)],
            [("d", 0)],
            [],
            [("e", 0)],
            [("e", 0)],
        ]


def test_dead_letters_of_some_handlers():
    """The subtype of what is our own is the handler that it is about."""
    teller = {"handler": "teller", "subtypes": ["second"]}
    interactions = {"a": ["first"], "b": ["second"], "belfry_dead_letter": [teller]}
    with configure({name: {"plugin": "obedient"} for name in ("first", "second", "teller")}, interactions) as gateway:
        for interaction in ("a", "b"):
            gateway.deliver(told("reject", interaction=interaction))
        wait_until(lambda: is_settled(gateway))
        ((body,),) = rows(gateway, "SELECT body FROM events JOIN deliveries USING (sequence) WHERE handler = 'teller'")
        assert json.loads(body)["belfry"]["handler"] == "second"


def test_a_star_is_for_all_that_providers_say():
    with configure({"it": {"plugin": "obedient"}}) as gateway:
        assert owed(gateway, callback("change"), callback("new_thing", "x"), b"{}", b"[") == [
            [("it", 0)], [("it", 0)], [("it", 0)], [],
        ]  # fmt: skip


def test_conditions_decide():
    """`when` of the handler, and of those interactions that lead to it."""
    interactions = {
        "change": [{"handler": "it", "when": ".event.a"}, {"handler": "it", "subtypes": ["urgent"]}],
        "other": [{"handler": "it", "when": "$tags.user == null # always"}],
    }
    handlers = {"it": {"plugin": "options", "when": '.event.summary | test("Board")'}}
    with with_options(configure(handlers, interactions)) as gateway:
        for body in (
            callback("change", a=1),
            callback("change", a=False),
            callback("change"),
            callback("change", "urgent"),
            callback("change", "urgent", summary="Lunch"),
            callback("other"),
            callback("other", summary="Lunch"),
        ):
            gateway.deliver(body)
        wait_until(lambda: is_settled(gateway))
        found = rows(gateway, "SELECT sequence, reason FROM attempts ORDER BY sequence")
        assert [sequence for sequence, reason in found if "string=hello" in reason] == [1, 4, 6]
        assert [sequence for sequence, _ in found] == list(range(1, 8))


def test_a_condition_that_fails_is_a_dead_letter():
    handlers = {"it": {"plugin": "obedient", "when": ".event.summary | test(7)"}}
    with configure(handlers) as gateway:
        gateway.deliver(callback())
        wait_until(lambda: is_settled(gateway))
        ((state, reason),) = rows(gateway, "SELECT state, reason FROM deliveries JOIN attempts USING (sequence)")
        assert state == 3 and reason.startswith(".event.summary | test(7) fails: "), reason


# On the command line


def test_check_shows_who_handles_what():
    interactions = {
        "conferencing_failing": [{"handler": "b", "subtypes": ["x", "y"], "when": ".event"}, "a"],
        "change": [],
    }
    gateway = configure({"a": {"plugin": "obedient"}, "b": {"plugin": "obedient", "workers": 2}}, interactions)
    gateway.write_config()
    shown = gateway.belfry("check").stdout.decode()
    assert "2 handlers" in shown.splitlines()[0]
    path = gateway.folder / "plugins" / "obedient.so"
    assert shown.splitlines()[1:] == [
        "handlers:",
        f"  a: {path}, version 1.0",
        f"  b: {path}, version 1.0",
        "interactions:",
        "  conferencing_failing: b (x or y, when .event), a",
        "  change: nobody",
    ]
    shown = json.loads(gateway.belfry("--json", "check").stdout)
    assert shown["handlers"][1] == {
        "name": "b", "plugin": "obedient", "file": str(path), "version": "1.0", "workers": 2,
    }  # fmt: skip
    assert shown["interactions"] == {
        "conferencing_failing": [
            {"handler": "b", "subtypes": ["x", "y"], "when": ".event"},
            {"handler": "a", "subtypes": [], "when": None},
        ],
        "change": [],
    }


def test_explain_says_who_would_handle_it():
    interactions = {"change": ["b", "a"], "other": ["b"], "belfry_dead_letter": ["a"]}
    gateway = configure({"a": {"plugin": "obedient"}, "b": {"plugin": "obedient"}}, interactions)
    gateway.write_config()
    for body, line in (
        (callback("change"), "handlers: b, a"),
        (several("other", "change"), "handlers: b (interaction 1), b (interaction 2), a (interaction 2)"),
        (b"no JSON", "handlers: a"),
        (callback("nothing"), None),
    ):
        shown = gateway.belfry("explain", "-", input=body, expect_exit=1).stdout.decode()
        assert [each for each in shown.splitlines() if each.startswith("handlers")] == ([line] if line else [])
    shown = json.loads(gateway.belfry("--json", "explain", "-", input=callback("change"), expect_exit=1).stdout)
    assert shown["handlers"] == [{"handler": "b", "interaction": 1}, {"handler": "a", "interaction": 1}]
