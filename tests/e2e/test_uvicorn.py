"""The two stacks that Python's inference servers run on, with every kind of end that a call can have."""

from pathlib import Path

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


@pytest.mark.parametrize("stack", STACKS, ids="+".join)
def test_plain_text_of_tls(watch, tmp_path: Path, stack: tuple[str, str], receiver: OtlpReceiver) -> None:
    """CPython's ssl on memory BIOs, where the TLS object knows no socket: 100 connections side by side,
    and each call is the one that its client made."""
    run = watch(harness.uvicorn_tls(*stack, tmp_path)).start(harness.preloaded, receiver.endpoint)
    outcomes = load.run(run.server.address, load.scripted_plan(600, seed=21), clients=100)
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
