"""llama-stack, as `llama stack run` serves it, in front of llama.cpp: it speaks OpenAI's API to its clients and to
the engine, ends no stream with [DONE], and names its providers in the ids of the models."""

from pathlib import Path
from typing import Any

import harness
import judge
import load
import openai
import pytest
import stacks
from load import CHAT, Call
from otlp_receiver import OtlpReceiver
from players import wait_until_idle
from test_clients import url

MODEL = "near/tiny.gguf"


def no_prompt(fields: dict[str, Any], path: str) -> None:
    fields["messages" if path == CHAT else "prompt"] = 5


def plan(n: int, seed: int) -> list[Call]:
    # Of the lists one is of answers.
    return stacks.plan(n, seed, MODEL, no_prompt, ["/v1/models", CHAT, "/v1/providers"])


@pytest.mark.parametrize("way, workers", [("preload", 1), ("run", 2)])
def test_numbers_are_the_clients(
    watch, tmp_path: Path, engine, receiver: OtlpReceiver, way: str, workers: int
) -> None:
    """Workers are spawned: nothing in their own arguments says whose they are."""
    server = stacks.llama_stack(tmp_path / "stack", engine.address, 9, workers)
    run = watch(server).start(harness.WAYS[way], receiver.endpoint, **server.environment)
    outcomes = load.run(server.address, plan(150, seed=31))
    wait_until_idle(server)
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "near")


def test_same_bytes(watch, tmp_path: Path, engine, receiver: OtlpReceiver) -> None:
    def responses(name: str, way: harness.Way) -> tuple[list[object], int]:
        server = stacks.llama_stack(tmp_path / name, engine.address, 9)
        run = watch(server).start(way, receiver.endpoint, **server.environment)
        calls = [c for c in plan(60, seed=33) if c.leave_after is None and c.path != "/v1/models"]
        found = [load.normalised(o) for o in load.run(server.address, calls, clients=1) if o.call.method == "POST"]
        return found, run.stop()

    assert responses("watched", harness.preloaded) == responses("plain", harness.not_at_all)


def streamed(chunks) -> tuple[int, int]:
    usage = [chunk.usage for chunk in chunks if chunk.usage]
    return usage[-1].prompt_tokens, usage[-1].completion_tokens


def test_each_endpoint_for_its_own_client(watch, tmp_path: Path, engine, receiver: OtlpReceiver) -> None:
    embedder = harness.llama_cpp("--embeddings")
    watch(embedder).start(harness.not_at_all, receiver.endpoint)
    server = stacks.llama_stack(tmp_path / "stack", engine.address, embedder.address)
    run = watch(server).start(harness.preloaded, receiver.endpoint, **server.environment)
    told = []
    said = [{"role": "user", "content": "write"}]
    with_usage = {"stream": True, "stream_options": {"include_usage": True}}
    with openai.OpenAI(api_key="k", base_url=url(run, "/v1"), max_retries=0) as api:
        for _ in range(3):
            usage = api.chat.completions.create(model=MODEL, messages=said, max_tokens=9).usage
            told.append(("chat_completion", False, MODEL, usage.prompt_tokens, usage.completion_tokens))
            with api.chat.completions.create(model=MODEL, messages=said, max_tokens=11, **with_usage) as chunks:
                told.append(("chat_completion", True, MODEL, *streamed(chunks)))
            usage = api.completions.create(model=MODEL, prompt="the wire", max_tokens=7).usage
            told.append(("completion", False, MODEL, usage.prompt_tokens, usage.completion_tokens))
            with api.completions.create(model=MODEL, prompt="of a wire", max_tokens=13, **with_usage) as chunks:
                told.append(("completion", True, MODEL, *streamed(chunks)))
            response = api.responses.create(model=MODEL, input="the wire", max_output_tokens=17)
            told.append(("response", False, MODEL, response.usage.input_tokens, response.usage.output_tokens))
            assert api.responses.retrieve(response.id).output_text == response.output_text  # no call
            with api.responses.create(model=MODEL, input="a wire", max_output_tokens=19, stream=True) as events:
                usage = [event for event in events][-1].response.usage
                told.append(("response", True, MODEL, usage.input_tokens, usage.output_tokens))
            vector = api.embeddings.create(model="vectors/tiny.gguf", input="the wire")
            told.append(("embedding", False, "vectors/tiny.gguf", vector.usage.prompt_tokens, None))
        good = len(told)
        with pytest.raises(openai.NotFoundError):
            api.chat.completions.create(model="nowhere/tiny", messages=said, **with_usage)
        with pytest.raises(openai.BadRequestError):
            api.responses.create(model=MODEL, input="the wire", max_output_tokens=1)
        with pytest.raises(openai.InternalServerError):  # 501: this engine has no vectors
            api.embeddings.create(model=MODEL, input="the wire")
    run.stop()
    calls = sorted(run.calls(), key=lambda line: line["arrived_ns"])
    names = ("endpoint_type", "stream", "model", "input_tokens", "output_tokens")
    assert [tuple(c[name] for name in names) for c in calls[:good]] == told
    assert {(c["status"], c["provider"] + "/tiny.gguf" == c["model"]) for c in calls[:good]} == {("success", True)}
    assert {c["first_token_ns"] is not None for c in calls[:good] if c["stream"]} == {True}
    names = ("endpoint_type", "stream", "provider", "http_status", "error_type")
    assert [tuple(c[name] for name in names) for c in calls[good:]] == [
        ("chat_completion", False, "nowhere", 404, "not_found"),
        ("response", False, "near", 400, "validation_error"),
        ("embedding", False, "near", 501, "provider_error"),
    ]
    judge.check_histograms(receiver, calls)
    assert not any(judge.counts(receiver, "concurrent_requests").values())


def test_each_counts_its_own(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """A request that passes two watched servers is one call in each, and neither counts what it asks for."""
    behind = harness.llama_cpp()
    below = watch(behind).start(harness.preloaded, receiver.endpoint, OTEL_SERVICE_NAME="engine")
    server = stacks.llama_stack(tmp_path / "stack", behind.address, 9)
    above = watch(server).start(
        harness.preloaded, receiver.endpoint, OTEL_SERVICE_NAME="stack", **server.environment
    )
    calls = [c for c in plan(60, seed=35) if c.leave_after is None]
    outcomes = load.run(server.address, calls)
    above.stop()
    below.stop()
    judge.check_call_log(above.calls(), outcomes, "near")
    passed = sorted(o.output_tokens for o in outcomes if o.call.counted and not o.error)
    assert sorted(c["output_tokens"] for c in below.calls()) == passed
    assert {(c["provider"], c["model"]) for c in below.calls()} == {("llama.cpp", "tiny.gguf")}
    counted = receiver.totals(judge.PREFIX + "requests_total")
    by = {p: sum(n for labels, n in counted.items() if dict(labels)["provider"] == p) for p in ("near", "llama.cpp")}
    assert by == {"near": len(above.calls()), "llama.cpp": len(passed)}
