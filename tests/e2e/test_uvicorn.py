"""The two stacks that Python's inference servers run on, with every kind of end that a call can have."""

import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver

# asyncio with h11 is llama-stack's default; uvloop with httptools is what vLLM and SGLang bring.
STACKS = [("asyncio", "h11"), ("uvloop", "httptools")]


@pytest.mark.parametrize("stack", STACKS, ids="+".join)
def test_numbers_are_the_clients(
    watch, way: harness.Way, stack: tuple[str, str], receiver: OtlpReceiver
) -> None:
    run = watch(harness.uvicorn(*stack)).start(way, receiver.endpoint)
    outcomes = load.run(run.server.address, load.scripted_plan(300, seed=2))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


def test_an_answer_of_a_bare_receiver_is_success(watch) -> None:
    """llama-stack's own test collector answers HTTP/1.0 200 without a length or a body."""
    receiver = OtlpReceiver(bare=True)
    run = watch(harness.uvicorn("asyncio", "h11")).start(harness.preloaded, receiver.endpoint)
    outcomes = load.run(run.server.address, load.scripted_plan(40, seed=3))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    receiver.close()
