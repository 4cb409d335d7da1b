"""The server's clients get the same bytes whether it is watched or not, and so do its users' eyes."""

from collections.abc import Callable

import harness
import load
import pytest
from otlp_receiver import OtlpReceiver

SERVERS: dict[str, Callable[[], harness.Server]] = {
    "llama.cpp": harness.llama_cpp,
    "asyncio+h11": lambda: harness.uvicorn("asyncio", "h11"),
    "uvloop+httptools": lambda: harness.uvicorn("uvloop", "httptools"),
}


def responses(run: harness.Run) -> list[object]:
    """What the clients got. A departure comes when it comes: of those, that there was a response."""
    if run.server.is_scripted:
        plan, clients = load.scripted_plan(300, seed=4), 8
    else:
        # One after the other: in a batch, floating-point sums depend on who else is in it.
        plan = [c for c in load.llama_cpp_plan(80, seed=4) if c.leave_after is None]
        clients = 1
    outcomes = load.run(run.server.address, plan, clients)
    return [o.response.status if o.left else load.normalised(o) for o in outcomes]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("agent", ["agent", "full-ring"])
def test_same_bytes(watch, server: str, agent: str, receiver: OtlpReceiver) -> None:
    more = {} if agent == "agent" else {"INFERWIRE_AGENT": "external", "INFERWIRE_RING_BYTES": "262144"}
    without = watch(SERVERS[server]()).start(harness.not_at_all, receiver.endpoint)
    expected = responses(without)
    status = without.stop()

    watched = watch(SERVERS[server]()).start(harness.preloaded, receiver.endpoint, **more)
    assert list(watched.directory.glob("*.ring")), "the server was not watched"
    assert responses(watched) == expected
    assert watched.stop() == status
    assert not without.directory.exists() or not list(without.directory.iterdir())
    assert own_lines(watched) == own_lines(without)


def own_lines(run: harness.Run) -> list[str]:
    """What the server wrote to its output, save llama.cpp's log with its times."""
    return [] if not run.server.is_scripted else run.output.read_text().splitlines()
