"""Fixtures: a receiver, servers that are gone when the test is, and what has to be there at all."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import harness
import load
import pytest
import real
import tiny_model
from otlp_receiver import OtlpReceiver


def pytest_sessionstart() -> None:
    missing = [str(p) for p in (harness.LIBRARY, harness.AGENT, harness.COMMAND) if not p.exists()]
    if missing:
        pytest.exit(f"not built: {', '.join(missing)}; run make first", returncode=2)
    tiny_model.ensure(str(harness.MODEL))


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    r = OtlpReceiver()
    yield r
    r.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[[harness.Server], harness.Run]]:
    """Makes a Run of a server, and ends it after the test."""
    runs: list[harness.Run] = []

    def make(server: harness.Server) -> harness.Run:
        home = tmp_path / f"run{len(runs)}"
        home.mkdir()
        runs.append(harness.Run(server, harness.ring_directory(), home))
        return runs[-1]

    yield make
    for run in runs:
        run.close()


@pytest.fixture(params=list(harness.WAYS))
def way(request: pytest.FixtureRequest) -> harness.Way:
    """Each way in which a user has a server watched."""
    return harness.WAYS[request.param]


@dataclass
class Observed:
    """A server that was watched and has ended, as a real Prometheus knows it."""

    prometheus: real.Prometheus
    collector: real.Collector | None
    outcomes: list[load.Outcome]


@pytest.fixture(scope="session", params=["prometheus", "collector"])
def observed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """The two ways into Prometheus. `rate` needs two points: so every kind of call is made twice, with
    exports in between."""
    if not real.built():
        pytest.skip("no Collector, no Prometheus: sh tests/receivers/build.sh")
    home = tmp_path_factory.mktemp(request.param)
    collector = real.Collector(home) if request.param == "collector" else None
    prometheus = real.Prometheus(home, collector)
    run = harness.Run(harness.uvicorn("uvloop", "httptools"), harness.ring_directory(), home)
    try:
        run.start(harness.preloaded, prometheus.endpoint)
        outcomes = []
        for _ in range(2):
            outcomes += load.run(run.server.address, load.scripted_plan(150, seed=5))
            time.sleep(1.5)
        run.stop()
        # Until the last state was scraped, or at once.
        names = load.counted(outcomes)
        total = "sum(llama_stack_inference_requests_total)"
        harness.wait_for("the last export", lambda: prometheus.query(total)[0][1] >= names, 10)
        yield Observed(prometheus, collector, outcomes)
    finally:
        run.close()
        prometheus.close()
        if collector:
            collector.close()
