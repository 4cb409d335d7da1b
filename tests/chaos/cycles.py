"""One cycle: a server under load while its agent suffers, and what must be true all the same."""

import random
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import harness
import judge
import load
from hostility import SANITIZED, Agents, Scribbler, memory_kb
from otlp_receiver import Histogram, OtlpReceiver
from targets import Target

# calm: nothing happens, all is exact. The others: what happens to the agent, or to the shared words.
KINDS = ("calm", "killed", "stopped", "ended", "agent's words", "server's words")
CALLS = 60
SMALL_RINGS = {"INFERWIRE_RING_BYTES": str(4 * 64 * 1024)}
MOST_KB = {harness.AGENT: 200_000, SANITIZED: 1_000_000}


@dataclass
class Figures:
    cycles: int = 0
    sent: int = 0  # calls that are to be counted
    counted: int = 0
    lost: int = 0  # calls that were told as lost or incomplete
    dropped: int = 0  # records
    kills: int = 0
    stops: int = 0
    words: int = 0
    most_kb: int = 0
    faults: list[str] = field(default_factory=list)


def trouble(kind: str, agents: Agents, r: random.Random) -> None:
    """A moment of it."""
    time.sleep(r.uniform(0.02, 0.4))
    if kind == "killed":
        agents.kill()
        time.sleep(r.choice([0, 0, r.uniform(0, 0.3)]))
        agents.start()
    elif kind == "ended":
        agents.end()
        agents.start()
    elif kind == "stopped":
        agents.pause(r.uniform(0.05, 0.6))
    agents.look()


def quiet_receiver() -> OtlpReceiver:
    """One that says nothing of agents that are killed while they export."""
    receiver = OtlpReceiver()
    receiver.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    return receiver


def total(receiver: OtlpReceiver, name: str) -> int:
    return int(sum(v for v in receiver.totals(name).values()))


def open_calls(receiver: OtlpReceiver, since_ns: int) -> dict[str, float | Histogram]:
    """What the last agent says is under way. One that was killed cannot take its word back."""
    name = judge.PREFIX + "concurrent_requests"
    with receiver.lock:
        series = list(receiver.judge.series.items())
    return {
        str(dict(attributes)): s.value
        for (_, metric, attributes), s in series
        if metric == name and s.time > since_ns and s.value
    }


def check_lines(run: harness.Run, outcomes: list[load.Outcome], kind: str) -> None:
    """That each line of the log that claims to be whole is."""
    by_size = {len(o.call.body): o for o in outcomes if o.call.counted}
    seen: set[int] = set()
    for line in run.calls():
        size = line["request_bytes"]
        # A request that was answered before it was all there may have lost its end.
        if line["incomplete"] or not line["received_ns"] or line["error_type"] == "server_crash":
            continue
        assert size in by_size, f"a call that nobody made: {line}"
        # An agent that is killed may have logged what the next one reads again.
        assert size not in seen or kind == "killed", f"a call twice: {line}"
        seen.add(size)
        if not by_size[size].left:
            judge.check_call(line, by_size[size], "scripted")


def settle(
    kind: str, run: harness.Run, receiver: OtlpReceiver, outcomes: list[load.Outcome], agents: Agents, f: Figures
) -> None:
    """Checks the cycle's numbers and adds them up."""
    sent = sum(o.call.counted for o in outcomes)
    counted = total(receiver, judge.PREFIX + "requests_total")
    dropped = total(receiver, "inferwire.records.dropped")
    lost = total(receiver, "inferwire.calls.lost") + sum(bool(c["incomplete"]) for c in run.calls())
    f.sent += sent
    f.counted += counted
    f.lost += lost
    f.dropped += dropped
    f.kills += agents.kills
    f.stops += agents.stops
    f.most_kb = max(f.most_kb, agents.most_kb)
    assert counted <= sent, f"{counted} calls counted, {sent} made"
    if counted < sent:
        assert agents.kills or dropped or lost, f"{sent - counted} of {sent} calls are missing and not told"
    assert not receiver.violations(), receiver.violations()[:3]
    assert not (under_way := open_calls(receiver, agents.started_ns)), f"still under way: {under_way}"
    assert agents.most_kb < MOST_KB[agents.program], f"the agent took {agents.most_kb} kB"
    assert not agents.faults, agents.faults
    left = [p.name for p in run.directory.iterdir() if p.name not in ("agent.lock", "agent.log")]
    assert not left, f"left in the directory: {left}"
    if kind == "calm":
        assert counted == sent, f"{counted} of {sent} counted, nothing happened"
    if not kind.endswith("words"):
        check_lines(run, outcomes, kind)


def own_agent_kb(run: harness.Run) -> int:
    return memory_kb(int((run.directory / "agent.lock").read_text() or 0))


def serve(target: Target, kind: str, run: harness.Run, plan: list[load.Call], r: random.Random, f: Figures) -> None:
    receiver = quiet_receiver()
    hostile = kind == "server's words"
    agents = Agents(run, SANITIZED if hostile else harness.AGENT, may_end=hostile)
    external = {} if kind == "calm" else {"INFERWIRE_AGENT": "external"}
    small = SMALL_RINGS if kind == "stopped" or r.random() < 0.3 and kind != "calm" else {}
    scribbler = None
    try:
        run.launch(harness.preloaded, receiver.endpoint, **external, **small)
        if external:
            agents.start()
        run.listening()
        busy = load.InBackground(target.carry_out, run.server.address, plan)
        if kind.endswith("words"):
            scribbler = Scribbler(run.directory, kind.split("'")[0], r.randrange(2**32))
        while busy.is_alive():
            trouble(kind, agents, r)
        if scribbler:
            f.words += scribbler.stop()
            scribbler = None
        outcomes = busy.result()
        if kind == "calm":
            agents.most_kb = own_agent_kb(run)
        run.stop()
        agents.finish()
        settle(kind, run, receiver, outcomes, agents, f)
    finally:
        if scribbler:
            scribbler.stop()
        agents.close()
        receiver.close()


def cycle(target: Target, kind: str, seed: int, f: Figures) -> None:
    """Adds to the figures; what was wrong is a line in f.faults."""
    r = random.Random(seed)
    home = Path(tempfile.mkdtemp(prefix="inferwire-chaos-"))
    runs: list[harness.Run] = []
    try:
        if target.behind:
            engine_home = home / "engine"
            engine_home.mkdir()
            runs.append(harness.Run(target.behind(), harness.ring_directory(), engine_home))
            runs[0].start(harness.not_at_all, "http://127.0.0.1:9")
        server, plan = target.prepare(home, CALLS, seed % 1000)
        runs.append(harness.Run(server, harness.ring_directory(), home))
        serve(target, kind, runs[-1], plan, r, f)
        f.cycles += 1
    except Exception as e:
        f.faults.append(f"{target.name}, {kind}, seed {seed}: {type(e).__name__}: {str(e)[:1500]}")
    finally:
        for run in reversed(runs):
            run.close()
        shutil.rmtree(home, ignore_errors=True)
