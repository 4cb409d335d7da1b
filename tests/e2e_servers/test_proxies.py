"""A watched proxy in front of a server that is not: each call is measured where the client's request comes in,
and the proxy's own request to the server behind it is none."""

from pathlib import Path

import harness
import judge
import load
import pytest
import proxies
from otlp_receiver import OtlpReceiver
from players import answer, wait_until_idle


@pytest.mark.parametrize("proxy", proxies.PROXIES, ids=lambda p: p.name)
def test_numbers_are_the_clients(
    watch, tmp_path: Path, receiver: OtlpReceiver, proxy: proxies.Proxy
) -> None:
    if missing := proxy.missing():
        pytest.skip(missing)
    engine = harness.uvicorn("uvloop", "httptools", "--timeout-keep-alive", "60")
    watch(engine).start(harness.not_at_all, receiver.endpoint)
    server = proxy.server(tmp_path, engine.address)
    plan = proxy.plan(150, seed=19)
    plain = watch(server).start(harness.not_at_all, receiver.endpoint)
    expected = load.run(server.address, plan)
    wait_until_idle(server)
    status = plain.stop()

    run = watch(server).start(harness.preloaded, receiver.endpoint)
    outcomes = load.run(server.address, plan)
    wait_until_idle(server)
    assert {p.stat().st_mode & 0o077 for p in (run.directory, *run.directory.iterdir())} == {0}, "private"
    assert run.stop() == status
    assert [handed_on(o) for o in outcomes] == [handed_on(o) for o in expected]
    assert run.output.read_text() == plain.output.read_text()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


def handed_on(outcome: load.Outcome) -> object:
    """What a client compares. How a response is framed, and so whether parts of it can be asked for, lighttpd
    decides by how much of it has come in when it begins to answer."""
    compared = answer(outcome)
    if isinstance(compared, tuple):
        for name in ("transfer-encoding", "accept-ranges"):
            compared[1].pop(name, None)
    return compared
