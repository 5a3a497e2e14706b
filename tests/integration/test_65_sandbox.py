# SPDX-License-Identifier: Apache-2.0
"""What a plugin's process cannot do, whatever the plugin tries; and what it can."""

import contextlib
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from clients import PATIENCE
from handler import Handler
from plugins import DONE, NOT_SO, REFUSED, build, handler_path, run

pytestmark = [pytest.mark.release, pytest.mark.no_tsan]

FORBIDDEN, DENIED = "Operation not permitted", "Permission denied"


@pytest.fixture(scope="module")
def starter(folder):
    """The same, but it says that it starts programs."""
    return build(folder, "zoo.c", "-DNEEDS=BELFRY_NEED_EXEC", name="starter")


def doing(action, **options):
    """Options as the daemon would fill them in."""
    return {"do": action, "in": "handle", **options}


def has_landlock():
    """The kernel's word, not ours."""
    code = "import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1))"
    return int(subprocess.check_output([sys.executable, "-c", code])) > 0


needs_landlock = pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")


@pytest.mark.parametrize("action", ["fork", "exec", "ptrace", "bpf", "mount", "unshare", "setsid", "outlive", "signal_parent",
                                    "signal_by_descriptor"])  # fmt: skip
def test_what_is_forbidden(zoo, action):
    said = run(zoo, do=action)
    assert said.status == NOT_SO and said.out == [f"reject: {action}: {FORBIDDEN}"], said


@pytest.mark.parametrize("number", [1, 0, -1])
def test_no_signal_to_others(zoo, number):
    assert run(zoo, do="kill", number=number).out == [f"reject: kill: {FORBIDDEN}"]


@pytest.mark.parametrize("action", ["local_socket", "raw_socket"])
def test_only_ip(zoo, action):
    assert run(zoo, do=action).out == [f"reject: {action}: {DENIED}"]


def test_threads_work(zoo):
    assert run(zoo, do="thread").out == ["done"]


@needs_landlock
@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/shadow", "/proc/1/environ", "/proc/self/environ", "/etc/ssl/private",
                                  "/var/lib", "/dev/mem", "{secret}"])  # fmt: skip
def test_files_that_are_none_of_its_business(zoo, tmp_path, path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    said = run(zoo, do="open", text=path.format(secret=secret))
    assert said.out in ([f"reject: open: {DENIED}"], ["reject: open: No such file or directory"]), said


@needs_landlock
def test_it_writes_nothing(zoo, tmp_path):
    tmp_path.chmod(0o777)
    for path in (tmp_path / "new", zoo.parent / "new", zoo):
        assert run(zoo, do="open", text=path, number=1).out == [f"reject: open: {DENIED}"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", ["/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt", "/etc/localtime", "/dev/null",
                                  "/lib/x86_64-linux-gnu/libc.so.6", "{plugin}"])  # fmt: skip
def test_files_that_it_needs(zoo, path):
    path = pathlib.Path(path.format(plugin=zoo))
    if path.exists():
        assert run(zoo, do="open", text=path).out == ["done"]


def test_it_is_born_with_nothing(zoo):
    """Whatever the daemon had open and in its environment."""
    with open("/etc/hosts", encoding="utf-8") as some_file:
        descriptor = os.dup2(some_file.fileno(), 77, inheritable=True)
        try:
            with Handler(zoo, doing("inventory"), environment={"CRONOFY_SECRET": "x"}) as handler:
                outcome = handler.deliver()
        finally:
            os.close(descriptor)
    assert outcome["reason"] == "inventory: descriptors 0 1 2 3; 0 variables; no new privileges: 1; dumpable: 0"


def test_descriptors_are_bounded(zoo):
    with Handler(zoo, doing("files"), descriptors=20) as handler:
        assert handler.deliver()["reason"] == "files: 16"


@pytest.mark.only_release
@pytest.mark.parametrize("action", ["leak", "threads"])
def test_memory_is_bounded(zoo, action):
    with Handler(zoo, doing(action, number=64), memory_bytes=64 << 20) as handler:
        assert handler.deliver()["reason"] == f"{action}: bounded"


@pytest.mark.only_release
def test_who_does_not_look_dies_of_it(zoo):
    said = run(zoo, do="leak_and_crash")
    assert said.status == NOT_SO and said.err[-1] == "belfry: it crashed (SIGSEGV) in handle()"
    said = run(zoo, do="much")
    assert said.out == ["reject: much: Cannot allocate memory"]


@pytest.mark.only_release
def test_memory_that_was_freed_twice(zoo):
    said = run(zoo, do="double_free")
    assert said.status == NOT_SO and said.err[-1] == "belfry: it crashed (SIGABRT) in handle()"


# Starting programs


def test_starting_programs_is_granted_or_not(starter, zoo):
    said = run(starter, do="run", text="exit 3")
    assert said.status == REFUSED
    assert said.err == [f"belfry: {starter}: starts other programs, which an administrator has to grant: allow: [exec]"]
    assert run(starter, "--allow", "exec", do="run", text="exit 3").out == ["done: run: 3"]
    assert run(zoo, do="run", text="exit 3").out == [f"reject: run: {FORBIDDEN}"]


def test_programs_cannot_do_what_the_plugin_cannot(starter):
    for action in ("mount", "ptrace", "bpf", "unshare", "namespace", "setsid", "outlive", "signal_by_descriptor"):
        assert run(starter, "--allow", "exec", do=action).out == [f"reject: {action}: {FORBIDDEN}"]
    for command in ("mount -t tmpfs none /mnt", "unshare -U true", "setsid -w true", "kill -CONT 1", f"kill -CONT {os.getpid()}"):
        said = run(starter, "--allow", "exec", do="run", text=f"{command} 2>/dev/null")
        assert said.status == DONE and said.out[0] != "done: run: 0", (command, said)


NOBODY = 65534


def as_counted():
    """Root's processes are not counted: somebody whose are, and how many tasks they have."""
    is_root = os.geteuid() == 0
    uid = NOBODY if is_root else os.geteuid()
    n = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError):
            n += len(list((process / "task").iterdir())) if process.stat().st_uid == uid else 0
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if is_root else [], n


def test_a_fork_bomb_is_bounded_and_gone_with_its_handler(starter):
    with tempfile.TemporaryDirectory() as place:  # pytest's own are for their owner alone
        os.chmod(place, 0o755)
        plugin = shutil.copy(starter, place)
        runner, n_before = as_counted()
        options = doing("bomb", number=n_before + 2000)
        with Handler(plugin, options, runner=runner, allow=["exec"], processes=n_before + 40) as handler:
            assert handler.answer["type"] == "ready", handler.answer
            assert handler.deliver()["reason"] == "bomb: bounded"
            pids = children_of(handler.process.pid)
            assert len(pids) > 2
            os.killpg(handler.process.pid, signal.SIGKILL)
            handler.process.wait(PATIENCE)
            for pid in pids:
                wait_for_end(pid)


def children_of(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_end(pid):
    """Killed, if not yet waited for by whoever has adopted it."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        descriptor = os.pidfd_open(pid)
        try:
            assert select.select([descriptor], [], [], PATIENCE)[0]
        finally:
            os.close(descriptor)


# With and without the daemon


def test_it_dies_with_whoever_started_it(zoo):
    """Also when it hangs, so that it does not see the end of the socket."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from handler import Handler\n"
        "h = Handler(sys.argv[2], {'do': 'hang', 'in': 'handle'}).__enter__(); h.send(__import__('handler').DELIVER)\n"
        "print(h.process.pid, flush=True); sys.stdin.read(); __import__('os')._exit(0)"
    )
    here = str(pathlib.Path(__file__).parent)
    parent = subprocess.Popen([sys.executable, "-c", script, here, zoo], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env={**os.environ, "BELFRY_HANDLER": handler_path()})  # fmt: skip
    pid = int(parent.stdout.readline())
    descriptor = os.pidfd_open(pid)
    parent.communicate(timeout=PATIENCE)
    wait_for_end(pid)
    os.close(descriptor)


def test_the_end_of_the_socket_is_its_end(zoo):
    with Handler(zoo, doing("thread")) as handler:
        assert handler.answer["type"] == "ready"
        handler.socket.shutdown(2)
        assert handler.end() == (1, "")


def test_stop_is_obeyed(zoo):
    with Handler(zoo, {**doing("print", number=1, text="goodbye"), "in": "destroy"}) as handler:
        assert handler.deliver() == {"type": "outcome", "outcome": "done", "payload": b""}
        handler.send({"type": "stop"})
        assert handler.end() == (0, "goodbye\n")


@pytest.mark.parametrize("order, words", [
    ({"type": "nonsense"}, "there is no such type"),
    ({"type": "reply", "error": 0}, "a reply to nothing"),
    ({"type": "deliver"}, "a key is missing"),
])  # fmt: skip
def test_a_daemon_that_talks_nonsense_is_not_served(zoo, order, words):
    with Handler(zoo, doing("thread")) as handler:
        handler.send(order)
        assert handler.receive() is None
        assert handler.end() == (1, f"belfry-handler: {words}\n")


def test_questions_are_answered_in_between(zoo):
    with Handler(zoo, doing("state")) as handler:
        question = handler.deliver()
        replies = []
        while question["type"] == "ask":
            replies.append((question["what"], len(question["payload"])))
            handler.send({"type": "reply", "error": 0}, b"value" if question["what"] == "get_state" else b"")
            question = handler.receive()
        assert replies == [("set_state", 16384), ("get_state", 0), ("delete_state", 0), ("delete_state", 0)]
        assert question["reason"] == "state: 1 1 0 0 (5) 0 0"
        assert handler.deliver(deadline_ms=0)["type"] == "ask"


def test_configurations_that_are_refused(zoo):
    for change, words in (
        ({"options": {}}, 'option "do": is required'),
        ({"options": {"do": "thread", "more": 1}},
         "there is an option that the plugin does not have: describe it again"),
        ({"options": {"do": 7}}, 'option "do": wants text without NUL'),
        ({"options": {"do": "thread", "number": "7"}}, 'option "number": wants a whole number'),
        ({"options": {"do": "thread", "in": "nowhere"}}, 'option "in": wants one of its words'),
        ({"options": {"do": "thread"}, "when": ".a |"}, 'syntax error, unexpected $end in ".a |"'),
        ({"options": {"do": "thread"}, "allow": ["everything"]}, "allow: there is nothing of that name"),
        ({"options": {"do": "thread"}, "plugin": "/nowhere.so"}, "/nowhere.so: No such file or directory"),
    ):  # fmt: skip
        with Handler(change.pop("plugin", zoo), change.pop("options"), **change) as handler:
            assert handler.answer["type"] == "refused" and words in handler.answer["message"], handler.answer
            assert handler.end()[0] == 1


@pytest.mark.only_release
def test_a_process_is_small(zoo):
    """What one costs that has served, jq and curl included, beside another."""
    with Handler(zoo, doing("thread"), when="true") as other, Handler(zoo, doing("thread"), when="true") as handler:
        assert other.deliver()["outcome"] == handler.deliver()["outcome"] == "done"
        rollup = pathlib.Path(f"/proc/{handler.process.pid}/smaps_rollup").read_text()
        private_kib = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
        assert private_kib <= 6 * 1024, rollup
