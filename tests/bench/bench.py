# SPDX-License-Identifier: Apache-2.0
"""Belfry beside its yardstick: the same load, in turns, many times; medians of what the server's process costs.

    bench.py [--repetitions N] [--rounds N] [--seconds S] [--smoke] [--plot FILE] [ROW...]

Both are started, and then take turns: a round of S seconds of one, a round of the other. Where there are two cores, the
server has the first one and the load the second. --smoke only shows that all of it works: few subscribers, no time, no
verdict.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("BUILD", "build-bench"))
SECRET = "CRN_bench-" + secrets.token_hex(20)


def pinned(core, *command):
    """Keeps the command on this core, if there is more than one."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(cores[core]), *command] if len(cores) > 1 else list(command)


class Server:
    def __init__(self, process, port, sender_port=None, token="", journal=None):
        self.process, self.port, self.sender_port, self.token = process, port, sender_port or port, token
        self.journal = journal

    @contextlib.contextmanager
    def load(self, **parameters):
        """A load that is ready; it dies of what is lost, twice, out of order or refused."""
        given = {"port": self.port, "sender_port": self.sender_port, "pid": self.process.pid, "secret": SECRET,
                 "token": self.token, **parameters}
        words = [f"{name}={value}" for name, value in given.items()]
        with subprocess.Popen(pinned(-1, BUILD / "tests/bench/bench_load", *words), text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            load = Load(process)
            assert load.read() == "ready"
            yield load
            process.stdin.close()
            if process.wait(60) != 0:
                raise SystemExit("the load failed")


class Load:
    def __init__(self, process):
        self.process = process

    def read(self):
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit("the load failed")
        return line

    def round(self):
        """What it measured."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.read())


def make_certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        check=True, stderr=subprocess.DEVNULL)
    return {"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")}


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="belfry-bench-", dir=os.environ.get("BENCH_FOLDER", "/var/tmp")) as folder:
        yield pathlib.Path(folder)


def handler(folder, kind):
    """A handler that does nothing for every callback, or one that crashes at every callback."""
    plugin = folder / "trivial.so"
    here = pathlib.Path(__file__).resolve().parent
    flags = ["-DCRASH"] if kind == "crashing" else []
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", *flags, f"-I{here.parent.parent / 'include'}", "-o", plugin,
                    here / "trivial.c"], check=True)
    return {
        "plugins": {"program": str((BUILD / "core/host/belfry-handler").resolve())},
        "handlers": {"trivial": {"plugin": str(plugin), "workers": 4}},
        "interactions": {"*": ["trivial"]},
    }


@contextlib.contextmanager
def belfry(tls=False, handles=None):
    """The daemon with signatures, journal, tokens and filters all on. One with a handler may use all cores, as its
    processes do."""
    with scratch() as folder:
        for name, content in (("secret", SECRET), ("token", secrets.token_hex(32))):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(content)
        listeners = [{"address": "127.0.0.1:0"}]
        if tls:
            listeners.append({"address": "127.0.0.1:0", "tls": make_certificate(folder)})
        config = folder / "belfry.yaml"
        config.write_text(json.dumps({
            "listen": listeners,
            "sources": {"cronofy": {"secrets": [{"file": str(folder / "secret")}]}},
            "subscribers": {"tokens": {"keys": [{"file": str(folder / "token")}]}, "ping": "5m"},
            "journal": {"sqlite": {"path": str(folder / "journal.db")}},
            "limits": {"connections": 16000, "connections_per_address": 16000, "pending": 16000,
                       "header_timeout": "1m", "idle_timeout": "1h"},  # who waits for its turn is silent
            **(handler(folder, handles) if handles else {}),
        }))
        token = subprocess.run([BUILD / "core/cli/belfry", "--config", config, "token", "--expires", "1h"],
                               stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        command = [BUILD / "core/belfryd", "--config", config]
        process = subprocess.Popen(command if handles else pinned(0, *command), stderr=subprocess.PIPE)
        said = b""
        while b" ready" not in said:
            line = process.stderr.readline()
            if not line:
                raise SystemExit(said.decode())
            said += line
        reader = subprocess.Popen(pinned(-1, "cat"), stdin=process.stderr, stdout=subprocess.DEVNULL)
        ports = [int(port) for port in re.findall(rb"listening address=\"?127\.0\.0\.1:(\d+)", said)]
        try:
            yield Server(process, ports[-1], ports[0], token, folder / "journal.db")
        finally:
            process.terminate()
            process.wait(60)
            process.stderr.close()
            reader.wait(60)


@contextlib.contextmanager
def yardstick(mode, tls=False):
    with scratch() as folder:
        words = [f"mode={mode}", f"secret={SECRET}", f"journal={folder / 'journal'}"]
        if tls:
            words += [f"{name}={path}" for name, path in make_certificate(folder).items()]
        process = subprocess.Popen(pinned(0, BUILD / "tests/bench/bench_yardstick", *words),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port, sender_port = map(int, process.stdout.readline().split()[1:])
        try:
            yield Server(process, port, sender_port)
        finally:
            process.stdin.close()
            process.wait(60)


def per_million_deliveries(result):
    return result["cpu_s"] / result["deliveries"] * 1e6


def per_callback_us(result):
    return result["cpu_s"] / result["callbacks"] * 1e6


def memory_kib(result):
    return result["memory_per_subscriber"] / 1024


def answer_p99_ms(result):
    return result["answer_us"]["p99"] / 1e3


def delivery_p99_ms(result):
    return result["delivery_us"]["p99"] / 1e3


def at_the_same_time(ours, theirs):
    """What a sync takes is measured at the same time and on the same core: on a busy one it is another thing."""
    with concurrent.futures.ThreadPoolExecutor() as threads:
        probe = threads.submit(theirs.round)
        return ours.round(), probe.result()


def fill(server, scale):
    """A server that has run for a while: its memory of recent events is full, and its log of changes goes round in a file
    that grows no more (a sync takes longer while it does)."""
    with server.load(**scale({"subscribers": 0, "in_flight": 64, "warm_up": 0, "seconds": 0.7})) as load:
        load.round()


class Row:
    """One line of the table: Belfry's load and a figure of it; against which server, and what is different in its load;
    what is to be reached: a ratio, or so much more (`plus`; without `against`: than one sync takes), or a limit. `once`:
    there is one round in each start. `starts`: how often
    both are started; where the goal is close, very often."""

    def __init__(self, title, figure, unit, load, against=None, ratio=None, plus=None, most=None, tls=False,
                 handles=None, once=False, starts=4):
        self.title, self.figure, self.unit, self.load = title, figure, unit, load
        self.against, self.ratio, self.plus, self.most, self.tls = against, ratio, plus, most, tls
        self.handles, self.once, self.starts = handles, once, starts

    def measure(self, scale, rounds):
        """What the loads measured, of Belfry and of the yardstick if there is one; for each round."""
        rounds = 1 if self.once else rounds
        with contextlib.ExitStack() as stack:
            def ready(start, load):
                server = stack.enter_context(start)
                if load.get("spin"):
                    fill(server, scale)
                return stack.enter_context(server.load(**scale(load), tls=int(self.tls)))

            ours = ready(belfry(self.tls, self.handles), self.load)
            if self.against:
                start, load = self.against
                theirs = ready(start(), {**self.load, **load})
                return [(ours.round(), theirs.round()) for _ in range(rounds)]
            if self.plus is None:
                return [(ours.round(), None) for _ in range(rounds)]
            theirs = ready(yardstick("journal"), {**self.load, "subscribers": 0, "in_flight": 1, "rate": 100})
            return [at_the_same_time(ours, theirs) for _ in range(rounds)]

    def figures(self, pairs):
        return [(self.figure(ours), self.figure(theirs) if theirs else None) for ours, theirs in pairs]

    def verdict(self, pairs):
        """The table's line, and whether the figure is reached."""
        figures = self.figures(pairs)
        ours = statistics.median(pair[0] for pair in figures)
        if self.most is not None:
            return f"{ours:.2f} {self.unit} | – | – | ≤ {self.most:g} {self.unit}", ours <= self.most
        theirs = statistics.median(pair[1] for pair in figures)
        if self.plus is not None:
            more = statistics.median(pair[0] - pair[1] for pair in figures)
            goal = f"≤ {self.plus:g} {self.unit} more"
            return f"{ours:.2f} {self.unit} | {theirs:.2f} {self.unit} | {more:+.2f} | {goal}", more <= self.plus
        ratio = statistics.median(pair[0] / pair[1] for pair in figures)
        return f"{ours:.2f} {self.unit} | {theirs:.2f} {self.unit} | {ratio:.2f}× | ≤ {self.ratio:.2f}×", ratio <= self.ratio


def fan_out(subscribers, in_flight, mode, ratio, starts, tls=False):
    title = f"fan-out to {subscribers:,}, {in_flight} in flight" + (", TLS" if tls else "")
    return Row(title, per_million_deliveries, "s", {"subscribers": subscribers, "in_flight": in_flight, "spin": 1},
               (lambda: yardstick(mode, tls), {}), ratio=ratio, tls=tls, starts=starts)


class DeliveryRow:
    """What one handler gets through, claimed and settled durably, while callbacks come in."""

    title = "deliveries through one trivial handler with 4 workers, while callbacks come in"
    starts = 2

    def measure(self, scale, _rounds):
        with belfry(handles="trivial") as server:
            with server.load(**scale({"subscribers": 0, "in_flight": 64, "seconds": 1})) as load:
                load.round()
            with contextlib.closing(sqlite3.connect(f"file:{server.journal}?mode=ro", uri=True, timeout=60)) as journal:
                while journal.execute("SELECT 1 FROM deliveries WHERE state < 2 LIMIT 1").fetchone():
                    time.sleep(0.05)
                n, first_ms, last_ms = journal.execute(
                    "SELECT count(*), min(started_ms), max(started_ms + duration_ms) FROM attempts").fetchone()
                assert n == journal.execute("SELECT count(*) FROM events").fetchone()[0], "each is handled, once"
        return [n / max(last_ms - first_ms, 1) * 1e3]

    def verdict(self, rates):
        rate = statistics.median(rates)
        return f"{rate:,.0f} a second | – | – | ≥ 5,000 a second", rate >= 5000


ROWS = {
    "fanout-1000": fan_out(1000, 1, "send", 1.10, starts=32),
    "fanout-10000": fan_out(10000, 1, "send", 1.15, starts=6),
    "burst-1000": fan_out(1000, 16, "coalesce", 1.15, starts=4),
    "burst-10000": fan_out(10000, 16, "coalesce", 1.25, starts=3),
    "filters": Row("a callback that 1 of 10,000 filters matches; yardstick: Belfry with that one subscriber",
                   per_callback_us, "µs", {"subscribers": 10000, "in_flight": 16, "own_filters": 1, "spin": 1},
                   (belfry, {"subscribers": 1}), ratio=1.2),
    "answer": Row("answer while 100 a second go to 10,000, p99; yardstick: a sync at the same time", answer_p99_ms, "ms",
                  {"subscribers": 10000, "in_flight": 64, "rate": 100, "seconds": 3}, plus=5),
    "ingest-64": Row("durable callback, 64 connections", per_callback_us, "µs", {"subscribers": 0, "in_flight": 64, "spin": 1},
                     (lambda: yardstick("journal"), {}), ratio=3, starts=16),
    # 65 µs: 0.7 of what the yardstick took where this was set. On a virtual disk a sync costs four times as much in one hour
    # as in another, so that a ratio says more about the disk than about Belfry.
    "ingest-1": Row("durable callback, 1 connection", per_callback_us, "µs", {"subscribers": 0, "in_flight": 1, "spin": 1},
                    (lambda: yardstick("journal"), {}), plus=65),
    "memory": Row("idle subscriber, of 10,000", memory_kib, "KiB",
                  {"subscribers": 10000, "in_flight": 0, "seconds": 0, "warm_up": 0}, most=6.5, once=True),
    "last-write": Row("received by the last of 1,000, 50 a second, p99; yardstick: bare send() loop, without a sync",
                      delivery_p99_ms, "ms", {"subscribers": 1000, "in_flight": 64, "rate": 50, "seconds": 3},
                      (lambda: yardstick("send"), {}), plus=5),
    "crashing": Row("the same beside a handler that crashes at each callback; yardstick: beside one that does nothing",
                    delivery_p99_ms, "ms", {"subscribers": 1000, "in_flight": 64, "rate": 50, "seconds": 3},
                    (lambda: belfry(handles="trivial"), {}), plus=5, handles="crashing", once=True),
    "deliveries": DeliveryRow(),
    "fanout-tls": fan_out(1000, 1, "send", 1.2, tls=True, starts=16),
    "memory-tls": Row("idle subscriber with TLS, of 1,000", memory_kib, "KiB",
                      {"subscribers": 1000, "in_flight": 0, "seconds": 0, "warm_up": 0}, most=64, tls=True, once=True),
}


def measure_again(row, repetitions, rounds, scale):
    """With servers that are started anew: where in memory things lie makes a difference, too."""
    return [measured for _ in range(repetitions * row.starts) for measured in row.measure(scale, rounds)]


def run_table(names, given, scale):
    print("| what | Belfry | yardstick | ratio | to reach | |\n|---|---|---|---|---|---|", flush=True)
    reached = True
    for name in names:
        line, is_reached = ROWS[name].verdict(measure_again(ROWS[name], given.repetitions, given.rounds, scale))
        reached = reached and is_reached
        print(f"| {ROWS[name].title} | {line} | {'yes' if is_reached else '**no**'} |", flush=True)
    return reached


def smoke(names):
    """Every row once, small: the load itself dies of what is wrong."""
    for name in names:
        ROWS[name].measure(
            lambda load: {**load, "subscribers": min(load["subscribers"], 20), "seconds": 0.1, "warm_up": 0}, 2)
        print(f"{name}: works", flush=True)


PLOT = """set terminal svg size 720,400 font "sans-serif,13" background rgb "white"
set output "{svg}"
set logscale x
set xlabel "subscribers"
set ylabel "CPU seconds per million deliveries"
set yrange [0:*]
set key top right
set grid ytics lc rgb "#dddddd"
plot "{data}" using 1:2 with linespoints lw 2 pt 7 lc rgb "#b3541e" title "Belfry", \\
     "{data}" using 1:3 with linespoints lw 2 pt 6 lc rgb "#888888" title "bare send() loop"
"""


def plot(path, rounds, scale, sizes):
    """Cost against the number of subscribers, one callback at a time."""
    lines = []
    for n in sizes:
        row = fan_out(n, 1, "send", 1, starts=1)
        pairs = row.figures(measure_again(row, 1, rounds, scale))
        lines.append(f"{n} {statistics.median(p[0] for p in pairs)} {statistics.median(p[1] for p in pairs)}")
    with tempfile.NamedTemporaryFile("w", suffix=".dat") as data:
        data.write("\n".join(lines) + "\n")
        data.flush()
        subprocess.run(["gnuplot"], input=PLOT.format(svg=path, data=data.name).encode(), check=True)
    print("\nsubscribers, Belfry, yardstick (CPU seconds per million deliveries):", *lines, sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repetitions", type=int, default=1, help="more starts of each")
    parser.add_argument("--rounds", type=int, default=2, help="of each, in each start")
    parser.add_argument("--seconds", type=float, default=0.7, help="of a round")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=" ".join(ROWS))
    given = parser.parse_args()
    unknown = [name for name in given.rows if name not in ROWS]
    if unknown:
        parser.error(f"no such row: {unknown[0]}")

    names = given.rows or list(ROWS)
    if given.smoke:
        smoke(names)
        return

    def scale(load):
        return {"seconds": given.seconds, **load}

    reached = run_table(names, given, scale)
    if given.plot:
        plot(given.plot, 3 * given.rounds, scale, (1, 10, 100, 300, 1000, 3000, 10000))
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
