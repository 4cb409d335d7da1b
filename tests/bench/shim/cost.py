"""What the shim costs a call, a thread beside another, and an exec.

A stub stands behind the shim in place of libc (stub.c), so that nothing but the shim is measured.
Instructions are callgrind's, exact. Times are of paired runs, one after the other, again and again; what
is judged is the median of the pairs' ratios, at the worse end of its 95 % interval.

LTTng-UST is the peer: an event of one sequence field of the same bytes, in a snapshot session (its ring
is overwritten and nobody reads it, the cheapest that it has), by a session daemon of our own.

usage: cost.py BUILD_DIR [ROUNDS]
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from collections.abc import Iterator

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from bars import Bars  # noqa: E402

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 15
HERE = "tests/bench/shim"
SHIM = f"{BUILD}/libinferwire.so"
BATCHES, CALLS = 400, 1000  # of 250 bytes: a batch is a seventh of a lane
RING = 8 << 20


class Bench:
    def __init__(self, work: str) -> None:
        self.work = work
        self.programs = f"{BUILD}/bench/shim"
        os.makedirs(self.programs, exist_ok=True)
        for name in ("stub", "forwarder", "empty"):
            self.compile(f"{name}.so", f"{HERE}/{name}.c", "-fPIC", "-shared")
        for name in ("calls", "spsc"):
            self.compile(name, f"{HERE}/{name}.c", "-pthread")
        self.stub = f"{self.programs}/stub.so"

    def compile(self, name: str, source: str, *flags: str) -> None:
        compiler = os.environ.get("CC", "gcc").split()
        out = f"{self.programs}/{name}"
        subprocess.run([*compiler, "-O2", "-D_GNU_SOURCE", "-I.", "-o", out, source, *flags], check=True)

    def env(self, preload: str, ring_bytes: int = RING, **more: str) -> dict[str, str]:
        rings = f"{self.work}/rings"
        shutil.rmtree(rings, ignore_errors=True)
        ours = {"INFERWIRE_ENABLED": "1", "INFERWIRE_AGENT": "external", "INFERWIRE_DIR": rings}
        return os.environ | ours | {"INFERWIRE_RING_BYTES": str(ring_bytes), "LD_PRELOAD": preload} | more

    def calls(self, first: str, fd: int, size: int, *more: int, **env: str) -> float:
        """Nanoseconds of a call, with `first` preloaded before the stub."""
        command = [f"{self.programs}/calls", str(fd), str(size), str(BATCHES), str(CALLS), *map(str, more)]
        done = subprocess.run(command, env=self.env(f"{first} {self.stub}", **env), check=True, capture_output=True)
        return float(done.stdout)

    def instructions(self, first: str, fd: int, size: int) -> int:
        """Of one call: those of 10 batches less those of none."""
        counts = []
        for batches in (0, 10):
            out = f"{self.work}/callgrind"
            command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
            # Emptying the ring between batches would count as well.
            command += [f"{self.programs}/calls", str(fd), str(size), str(batches and 1), str(batches * 1000)]
            env = self.env(f"{first} {self.stub}", 256 << 20)
            subprocess.run(command, env=env, check=True, capture_output=True)
            with open(out) as f:
                counts.append(int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M)[1]))
        return round((counts[1] - counts[0]) / 10000)


def instructions(bench: Bench, bars: Bars) -> None:
    forwarder = bench.instructions(f"{bench.programs}/forwarder.so", 1, 250)
    unwatched = bench.instructions(SHIM, 1, 250) - forwarder
    bars.at_most("shim: unwatched call, instructions over an empty forwarder", unwatched, 8, 5, f"+{unwatched}")
    for size in (64, 250, 1024, 4096):
        captured = bench.instructions(SHIM, 900, size) - forwarder
        bars.tell(f"shim: captured call of {size} B, instructions over an empty forwarder", f"+{captured}")


@contextmanager
def lttng_session(bench: Bench) -> Iterator[str | None]:
    """The program that emits its events; None where LTTng is missing."""
    if not shutil.which("lttng-sessiond") or subprocess.run(["pkg-config", "--exists", "lttng-ust"]).returncode:
        yield None
        return
    bench.compile("lttng_events", f"{HERE}/lttng_events.c", "-llttng-ust", "-ldl")
    env = os.environ | {"LTTNG_HOME": bench.work, "LTTNG_UST_HOME": bench.work}
    env |= {"LTTNG_RUNDIR": f"{bench.work}/lttng", "LTTNG_SESSION_CONFIG_XSD_PATH": "/usr/share/xml/lttng"}
    daemon = subprocess.Popen(["lttng-sessiond", "--no-kernel"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def lttng(*words: str) -> None:
        subprocess.run(["lttng", *words], env=env, check=True, capture_output=True, timeout=30)

    try:
        for _ in range(100):
            if subprocess.run(["lttng", "--no-sessiond", "list"], env=env, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        lttng("--no-sessiond", "create", "--snapshot", "bench", f"--output={bench.work}/trace")
        lttng("enable-event", "-u", "bench:sent")
        lttng("start")
        yield f"{bench.programs}/lttng_events"
        lttng("destroy", "bench")
    finally:
        daemon.terminate()
        daemon.wait()


def run_ns(command: list[str]) -> float:
    return float(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)


def against_lttng(bench: Bench, bars: Bars) -> None:
    forwarder_so = f"{bench.programs}/forwarder.so"
    with lttng_session(bench) as events:
        if not events:
            bars.tell("shim: captured call against an LTTng-UST event", "not measured: sh tools/deps.sh bench")
            return
        ours, theirs, unwatched = [], [], []
        for _ in range(ROUNDS):
            forwarder = bench.calls(forwarder_so, 900, 250)
            unwatched.append(bench.calls(SHIM, 1, 250) / forwarder)
            ours.append(bench.calls(SHIM, 900, 250) - forwarder)
            theirs.append(run_ns([events, "250", str(BATCHES), str(CALLS)]))
        bars.ratio("shim: unwatched call, time over an empty forwarder's", unwatched, 1.5, 1.25)
        bars.ratio("shim: captured call of 250 B over an LTTng-UST event", [a / b for a, b in zip(ours, theirs)], 0.5, 0.33)
        bars.tell("shim: captured call of 250 B", f"{statistics.median(ours):.1f} ns; an LTTng-UST event {statistics.median(theirs):.1f} ns")


def with_agent(bench: Bench, bars: Bars) -> None:
    """A batch, and when the agent has read it, the next: more than it can read would be dropped."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        env = os.environ | {"INFERWIRE_DIR": f"{bench.work}/rings", "OTEL_METRICS_EXPORTER": "none"}
        shutil.rmtree(f"{bench.work}/rings", ignore_errors=True)
        os.mkdir(f"{bench.work}/rings", 0o700)
        bench_env = {"BENCH_AGENT": "1"}
        command = [f"{bench.programs}/calls", "900", "250", str(BATCHES // 4), str(CALLS)]
        process_env = os.environ | {"LD_PRELOAD": f"{SHIM} {bench.stub}", "INFERWIRE_ENABLED": "1"}
        process_env |= {"INFERWIRE_AGENT": "external", "INFERWIRE_DIR": f"{bench.work}/rings"} | bench_env
        agent = subprocess.Popen([f"{BUILD}/inferwire-agent"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            done = subprocess.run(command, env=process_env, check=True, capture_output=True, timeout=120)
            ours.append(float(done.stdout))
        finally:
            agent.terminate()
            agent.wait()
        try:
            theirs.append(run_ns([f"{bench.programs}/spsc", "250", str(BATCHES // 4), str(CALLS)]))
        except subprocess.CalledProcessError:
            ours.pop()  # the machine had no second processor for it just then
    if len(theirs) < 3:
        bars.tell("shim: captured call, the agent reading", "not measured: no second processor to be had")
        return
    ratios = [a / b for a, b in zip(ours, theirs)]
    bars.ratio("shim: captured call of 250 B, the agent reading, over a minimal SPSC ring's", ratios, 1.25, 1.0)
    bars.tell("shim: captured call of 250 B, the agent reading", f"{statistics.median(ours):.1f} ns; SPSC {statistics.median(theirs):.1f} ns")


def lanes(bench: Bench, bars: Bars) -> None:
    """Two threads at once: each on a lane of its own against one alone, and both on one lane."""
    own, one = [], []
    for _ in range(ROUNDS):
        try:
            alone = bench.calls(SHIM, 900, 250)
            own.append(bench.calls(SHIM, 900, 250, 1) / alone)
            one.append(bench.calls(SHIM, 900, 250, 4, INFERWIRE_RING_BYTES=str(4 * RING)) / alone)
        except subprocess.CalledProcessError:
            continue  # the machine had no second processor for it just then
    if len(one) < 3:
        bars.tell("shim: two threads at once", "not measured: no second processor to be had")
        return
    bars.ratio("shim: a call of two threads at once over one thread's, own lanes", own[: len(one)], 1.5, 1.1)
    bars.tell("shim: the same, both on one lane", f"{statistics.median(one):.1f}")


def exec_ms(preload: str, count: int = 20) -> float:
    env = {"PATH": os.environ["PATH"], "LD_PRELOAD": preload}
    start = time.perf_counter()
    for _ in range(count):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], env), 0)
    return (time.perf_counter() - start) / count * 1000


def execs(bench: Bench, bars: Bars) -> None:
    empty = f"{bench.programs}/empty.so"
    ratios, shim_ms = [], []
    for n in range(4 * ROUNDS):
        first, second = (SHIM, empty) if n % 2 else (empty, SHIM)
        cost = {first: exec_ms(first), second: exec_ms(second)}
        shim_ms.append(cost[SHIM])
        ratios.append(cost[SHIM] / cost[empty])
    bars.ratio("shim: exec with the inert shim over an empty preload's", ratios, 1.15, 1.05)
    bars.tell("shim: exec of /bin/true with the inert shim", f"{statistics.median(shim_ms):.2f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        bench, bars = Bench(work), Bars(BUILD)
        instructions(bench, bars)
        against_lttng(bench, bars)
        with_agent(bench, bars)
        lanes(bench, bars)
        execs(bench, bars)


if __name__ == "__main__":
    main()
