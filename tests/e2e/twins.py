"""A server that is watched and one that is not, side by side."""

import client
import harness
import judge
import load
from otlp_receiver import OtlpReceiver


def check(
    watch, server: harness.Server, twin: harness.Server, plan: list[load.Call], receiver: OtlpReceiver
) -> harness.Run:
    """That the clients of both get the same bytes, and that the numbers are what the clients got."""
    without = watch(twin).launch(harness.not_at_all, receiver.endpoint)
    run = watch(server).launch(harness.preloaded, receiver.endpoint)
    expected = [load.verbatim(o) for o in load.run(without.listening().server.address, plan)]
    outcomes = load.run(run.listening().server.address, plan)
    assert [load.verbatim(o) for o in outcomes] == expected
    assert run.stop() == without.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    kind = "tls" if isinstance(server.address, client.Tls) else "http"
    assert list(judge.connections(receiver)) == [f"kind={kind}"], "each was read"
    return run
