"""A server that is watched and one that is not, side by side."""

import client
import harness
import judge
import load
import manners
from otlp_receiver import OtlpReceiver


def talk(address: client.Address, plan: list[load.Call], pipelines: bool) -> list[load.Outcome]:
    return load.run(address, plan) + manners.all_of_them(address, pipelines)


def check(
    watch,
    server: harness.Server,
    twin: harness.Server,
    plan: list[load.Call],
    receiver: OtlpReceiver,
    pipelines: bool = True,
    way: harness.Way = harness.preloaded,
) -> harness.Run:
    """That the clients of both get the same bytes, and that the numbers are what the clients got."""
    without = watch(twin).launch(harness.not_at_all, receiver.endpoint)
    run = watch(server).launch(way, receiver.endpoint)
    expected = talk(without.listening().server.address, plan, pipelines)
    outcomes = talk(run.listening().server.address, plan, pipelines)
    assert [load.verbatim(o) for o in outcomes] == [load.verbatim(o) for o in expected]
    run.settle(load.counted(outcomes))
    assert run.stop() == without.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    kind = "tls" if isinstance(server.address, client.Tls) else "http"
    assert list(judge.connections(receiver)) == [f"kind={kind}"], "each was read"
    return run
