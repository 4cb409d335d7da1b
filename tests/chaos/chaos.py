"""Everything that can go wrong beside a server, at random and under load: agents and servers are killed
and stopped, rings fill, shared words are overwritten. No client may see it, and no number may be made up.

    python chaos.py [--seconds N] [--seed N] [--only NAME]

It takes about that long. The seed is told, but the machine's own timing takes part in every run.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("e2e", "e2e_servers", "receivers", "servers")]

import crash_cycles
import harness
from cycles import KINDS, Figures, cycle
import targets

PROGRAMS = harness.BUILD / "chaos"
# Shares of the whole time.
WRITERS, WORDS, CRASHES = 0.2, 0.03, 0.15
WRITER_CYCLES, CRASH_CYCLES = 10_000, 1_000
ROW = "{:34} {:>6} {:>7} {:>8} {:>6} {:>8} {:>6} {:>6} {:>7} {:>7}"


def say(text: str) -> None:
    print(text, flush=True)


class Account:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.rows: list[str] = []

    def add(self, name: str, f: Figures) -> None:
        bad = bool(f.faults)
        self.failed += bad
        self.passed += not bad
        say(f"{'FAIL' if bad else 'ok  '} {name}")
        for fault in f.faults:
            say(f"     {fault}")
        numbers = [f.cycles, f.sent, f.counted, f.lost, f.dropped, f.kills, f.stops, f.words]
        self.rows.append(ROW.format(name, *numbers, f"{f.most_kb / 1024:.0f} MB"))

    def skip(self, name: str, why: str) -> None:
        self.skipped += 1
        say(f"skip {name}: {why}")


def program(account: Account, name: str, arguments: list[str], seconds: float, env: dict[str, str]) -> None:
    f = Figures()
    command = [str(PROGRAMS / arguments[0]), *arguments[1:]]
    try:
        done = subprocess.run(
            command, env=harness.clean_environment() | env, capture_output=True, text=True, timeout=seconds + 60
        )
        if done.returncode != 0:
            f.faults.append(f"status {done.returncode}: {done.stdout[-500:]} {done.stderr[-3000:]}")
        told = dict(word.split("=") for word in done.stdout.split() if "=" in word)
        f.cycles = int(told.get("cycles", told.get("rings", 1)))
        f.kills, f.dropped = int(told.get("cycles", 0)), int(told.get("dropped", 0))
        f.words = int(told.get("words", 0))
        say(f"     {name}: {done.stdout.strip()}")
    except subprocess.TimeoutExpired:
        f.faults.append(f"it hangs: no end {seconds + 60:.0f} s after its start")
    account.add(name, f)


def killed_writers(account: Account, seconds: float, seed: int) -> None:
    directory = harness.ring_directory()
    arguments = ["killed_writers", str(WRITER_CYCLES), str(int(seconds) + 1), str(seed)]
    program(account, "killed writers", arguments, seconds, {"INFERWIRE_DIR": str(directory)})
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def crashes(account: Account, seconds: float, seed: int) -> None:
    for name, kills in (("crashing server", False), ("crashing server and agent", True)):
        f = Figures()
        try:
            crash_cycles.run(f, CRASH_CYCLES // 2, seconds / 2, seed + kills, kills)
        except Exception as e:
            f.faults.append(f"{type(e).__name__}: {str(e)[:1500]}")
        account.add(name, f)


def runtimes(account: Account, until: float, r: random.Random, only: str) -> None:
    """Rounds of all of them, each time with another kind of trouble, as long as there is time."""
    found = [t for t in targets.every() if only in t.name]
    for t in found:
        if t.missing:
            account.skip(t.name, t.missing)
    here = [t for t in found if not t.missing]
    r.shuffle(here)
    figures = {t.name: Figures() for t in here}
    kinds = {t.name: r.sample(KINDS, len(KINDS)) for t in here}
    for n in range(1000):
        for t in here:
            if time.monotonic() < until:
                cycle(t, kinds[t.name][n % len(KINDS)], r.randrange(2**32), figures[t.name])
    for t in here:
        if figures[t.name].cycles or figures[t.name].faults:
            account.add(t.name, figures[t.name])
        else:
            account.skip(t.name, "there was no time left for it")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--only", default=None, help="the runtimes with this in their name, and nothing else")
    options = parser.parse_args()
    say(f"chaos: {options.seconds} s, seed {options.seed}")
    until = time.monotonic() + options.seconds
    account, r = Account(), random.Random(options.seed)
    if options.only is None:
        killed_writers(account, options.seconds * WRITERS, options.seed)
        for side in ("server", "agent"):
            seconds = options.seconds * WORDS
            arguments = ["hostile_words", side, str(int(seconds) + 1), str(options.seed)]
            program(account, f"hostile words, the {side}'s end", arguments, seconds, {})
        crashes(account, options.seconds * CRASHES, options.seed)
    runtimes(account, until, r, options.only or "")
    say("\n" + ROW.format("", "cycles", "calls", "counted", "lost", "dropped", "kills", "stops", "words", "memory"))
    say("\n".join(account.rows) + "\n")
    say(f"{account.passed} passed, {account.failed} failed, {account.skipped} skipped")
    return account.failed > 0


if __name__ == "__main__":
    sys.exit(main())
