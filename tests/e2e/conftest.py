"""Fixtures: a receiver, servers that are gone when the test is, and what has to be there at all."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "receivers", HERE.parent / "servers"):
    sys.path.insert(0, str(folder))

import harness  # noqa: E402
import tiny_model  # noqa: E402
from otlp_receiver import OtlpReceiver  # noqa: E402

pytest.register_assert_rewrite("judge")


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
