"""Servers of other languages and C libraries: what is measured is true, what cannot be is told."""

from pathlib import Path

import harness
import judge
import load
import playbook
import pytest
import players
from otlp_receiver import OtlpReceiver
from players import answer

MEASURED = [players.NODE, players.AXUM, players.JAVA, players.MUSL]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    folder = tmp_path / "book"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("runtime", MEASURED, ids=lambda r: r.name)
def test_numbers_are_the_clients(
    watch, book: Path, receiver: OtlpReceiver, runtime: players.Runtime
) -> None:
    """And its clients get what they get of a server that is not watched."""
    plan = runtime.plan(150, seed=31)
    playbook.write(book, plan)
    plain = watch(runtime.server(book)).start(harness.not_at_all, receiver.endpoint)
    expected = load.run(plain.server.address, plan)
    players.wait_until_idle(plain.server)
    status = plain.stop()

    run = watch(runtime.server(book)).start(harness.preloaded, receiver.endpoint)
    outcomes = load.run(run.server.address, plan)
    players.wait_until_idle(run.server)
    assert run.stop() == status
    assert [answer(o) for o in outcomes] == [answer(o) for o in expected]
    assert run.output.read_text() == plain.output.read_text()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
