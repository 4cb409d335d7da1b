"""llama.cpp's own server and a model, watched in each way in: the numbers are what the clients got."""

import harness
import judge
import load
from otlp_receiver import OtlpReceiver


def test_numbers_are_the_clients(watch, way: harness.Way, receiver: OtlpReceiver) -> None:
    run = watch(harness.llama_cpp()).start(way, receiver.endpoint)
    outcomes = load.run(run.server.address, load.llama_cpp_plan(300, seed=1))
    run.settle(load.counted(outcomes))
    assert run.stop() in (0, -15)
    judge.check_all(receiver, run.calls(), outcomes, "llama.cpp")
