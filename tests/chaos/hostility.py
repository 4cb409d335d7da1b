"""What happens to an agent, and to the words that it shares with a server, while the server serves."""

import mmap
import os
import random
import signal
import struct
import subprocess
import threading
import time
from pathlib import Path

import harness
from rings import HEADER_BYTES, LANE_HEADER_BYTES, SHAPE_AT, TAIL

SANITIZED = harness.BUILD / "chaos" / "inferwire-agent"
ASAN = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99"}  # leaks are looked for by ptrace

# shim/wire.h
CLOCK_AT, UNWATCHED_AT = 68, 72
OPENED_S = 0.5  # in which an agent has found a new ring
HEAD, DROPS, READ = 0, (64, 72, 80), 136


def memory_kb(pid: int) -> int:
    """The most that a process ever had in memory; 0: it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) if lines else 0


class Agents:
    """Agents of a run that are started, stopped and ended by hand, one after the other."""

    def __init__(self, run: harness.Run, program: Path, may_end: bool) -> None:
        # may_end: with its last ring broken there is nothing left to watch.
        self.run, self.program, self.may_end = run, program, may_end
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = self.stops = self.most_kb = 0
        self.started_ns = 0
        self.errors = run.home / "agent.err"
        self.faults: list[str] = []

    def start(self) -> None:
        self.started_ns = time.time_ns()
        with open(self.errors, "ab") as err:
            self.process = subprocess.Popen(
                [str(self.program)], env=self.run.environment | ASAN, stderr=err, stdout=err
            )
        harness.wait_for("the agent has the lock", self.has_lock)

    def has_lock(self) -> bool:
        assert self.process
        assert self.process.poll() is None, f"agent ended: {self.errors.read_text()[-2000:]}"
        return self.run.agent_runs()

    def look(self) -> None:
        """Notes its memory, and if it died by itself."""
        if self.process:
            self.most_kb = max(self.most_kb, memory_kb(self.process.pid))
            if self.process.poll() is not None:
                status = self.process.returncode
                if status or not self.may_end:
                    self.faults.append(f"its status is {status}: {self.errors.read_text()[-3000:]}")
                self.process = None

    def kill(self) -> None:
        self.look()
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.kills += 1

    def end(self) -> None:
        """As an administrator would: it exports what it has."""
        self.look()
        if self.process:
            self.process.terminate()
            if self.process.wait(20) != 0:
                self.faults.append(f"the agent ended with {self.process.returncode}")
            self.process = None
            self.kills += 1

    def pause(self, seconds: float) -> None:
        if self.process:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.process.send_signal(signal.SIGCONT)
            self.stops += 1

    def finish(self) -> None:
        """Waits for its end, which comes after that of its last server."""
        if not self.process:
            return
        self.most_kb = max(self.most_kb, memory_kb(self.process.pid))
        status = self.process.wait(40)
        if status != 0:
            self.faults.append(f"the agent's status is {status}: {self.errors.read_text()[-3000:]}")
        self.process = None

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Scribbler(threading.Thread):
    """Overwrites words of all rings of a directory at random, as the agent's side or the server's side
    could. With the server's side go the records, and now and then the header."""

    def __init__(self, directory: Path, side: str, seed: int) -> None:
        super().__init__()
        self.directory, self.side, self.random = directory, side, random.Random(seed)
        self.maps: dict[str, mmap.mmap] = {}
        self.seen: dict[str, float] = {}
        self.over = threading.Event()
        self.words = 0
        self.start()

    def find(self) -> None:
        for path in self.directory.glob("*.ring"):
            # A ring that is no ring when the agent first looks at it is left alone for good.
            seen = self.seen.setdefault(path.name, time.monotonic())
            if path.name in self.maps or time.monotonic() - seen < OPENED_S:
                continue
            try:
                fd = os.open(path, os.O_RDWR)
            except OSError:
                continue
            self.maps[path.name] = mmap.mmap(fd, 0)
            os.close(fd)

    def value(self, was: int) -> int:
        r = self.random
        kinds = [0, 2**64 - 1, r.getrandbits(64), r.getrandbits(16) * 8, was + 8 * r.randrange(4096)]
        kinds += [was - 8 * r.randrange(4096), r.getrandbits(32), was ^ 1 << r.randrange(64)]
        return r.choice(kinds) % 2**64

    def place(self, m: mmap.mmap) -> int:
        r = self.random
        lanes, lane_bytes = self.shape[m]
        lane = HEADER_BYTES + r.randrange(lanes) * (LANE_HEADER_BYTES + lane_bytes)
        if self.side == "agent":
            return r.choice([lane + TAIL, lane + READ, lane + TAIL, CLOCK_AT & ~7])
        if r.random() < 0.3:
            return r.choice([lane + HEAD, *(lane + d for d in DROPS), UNWATCHED_AT, CLOCK_AT & ~7])
        if r.random() < 0.1:
            return r.randrange(HEADER_BYTES // 8) * 8
        head = struct.unpack_from("<Q", m, lane + HEAD)[0]
        # Records that were just written, most of all: the others were read.
        at = (head - 8 * r.randrange(2048)) % lane_bytes
        return lane + LANE_HEADER_BYTES + at // 8 * 8

    def run(self) -> None:
        self.shape: dict[mmap.mmap, tuple[int, int]] = {}
        while not self.over.wait(0.002):
            self.find()
            for m in self.maps.values():
                if m not in self.shape:
                    self.shape[m] = struct.unpack_from("<II", m, SHAPE_AT)
                for _ in range(self.random.randrange(4)):
                    at = self.place(m)
                    was = struct.unpack_from("<Q", m, at)[0]
                    struct.pack_into("<Q", m, at, self.value(was))
                    self.words += 1

    def stop(self) -> int:
        self.over.set()
        self.join()
        for m in self.maps.values():
            m.close()
        return self.words
