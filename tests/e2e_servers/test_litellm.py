"""LiteLLM's proxy in front of llama.cpp: OpenAI's and Anthropic's APIs, the latter translated from the former."""

import re
from pathlib import Path
from typing import Any

import anthropic
import harness
import judge
import load
import openai
import pytest
import stacks
from load import Call
from otlp_receiver import OtlpReceiver
from players import wait_until_idle
from test_clients import url


def no_such_model(fields: dict[str, Any], path: str) -> None:
    fields["model"] = "nothing"


def plan(n: int, seed: int) -> list[Call]:
    return stacks.plan(n, seed, "tiny", no_such_model, ["/v1/models", "/health/readiness"])


@pytest.mark.parametrize("way", ["preload", "run"])
def test_numbers_are_the_clients(watch, tmp_path: Path, engine, receiver: OtlpReceiver, way: str) -> None:
    server = stacks.litellm(tmp_path / "proxy", engine.address, 9)
    run = watch(server).start(harness.WAYS[way], receiver.endpoint, **server.environment)
    outcomes = load.run(server.address, plan(150, seed=37))
    wait_until_idle(server)
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "litellm")


def normalised(outcome: load.Outcome) -> object:
    status, headers, body = load.normalised(outcome)
    differs = re.compile("x-litellm-(call-id|.*duration-ms)|llm_provider-(date|content-length)")
    return status, {k: v for k, v in headers.items() if not differs.fullmatch(k)}, body


def test_same_bytes(watch, tmp_path: Path, engine, receiver: OtlpReceiver) -> None:
    def responses(name: str, way: harness.Way) -> tuple[list[object], int]:
        server = stacks.litellm(tmp_path / name, engine.address, 9)
        run = watch(server).start(way, receiver.endpoint, **server.environment)
        calls = [c for c in plan(60, seed=39) if c.leave_after is None and c.method == "POST"]
        found = [normalised(o) for o in load.run(server.address, calls, clients=1)]
        return found, run.stop()

    assert responses("watched", harness.preloaded) == responses("plain", harness.not_at_all)


SAID = [{"role": "user", "content": "write"}]


def test_each_endpoint_for_its_own_client(watch, tmp_path: Path, engine, receiver: OtlpReceiver) -> None:
    embedder = harness.llama_cpp("--embeddings")
    watch(embedder).start(harness.not_at_all, receiver.endpoint)
    server = stacks.litellm(tmp_path / "proxy", engine.address, embedder.address)
    run = watch(server).start(harness.preloaded, receiver.endpoint, **server.environment)
    told = []
    with anthropic.Anthropic(api_key="k", base_url=url(run), max_retries=0) as api:
        for _ in range(3):
            got = api.messages.create(model="tiny", messages=SAID, max_tokens=17)
            told.append(("message", False, "tiny", *of_message(got.usage), got.stop_reason))
            with api.messages.stream(model="tiny", messages=SAID, max_tokens=19) as stream:
                got = stream.get_final_message()
            told.append(("message", True, "tiny", *of_message(got.usage), got.stop_reason))
    with openai.OpenAI(api_key="k", base_url=url(run, "/v1"), max_retries=0) as api:
        for _ in range(3):
            response = api.responses.create(model="tiny", input="the wire", max_output_tokens=17)
            usage = response.usage
            told.append(("response", False, "tiny", usage.input_tokens, usage.output_tokens, response.status))
            with api.responses.create(model="tiny", input="a wire", max_output_tokens=19, stream=True) as events:
                response = [event for event in events][-1].response
            usage = response.usage
            told.append(("response", True, "tiny", usage.input_tokens, usage.output_tokens, response.status))
            usage = api.embeddings.create(model="vectors", input="the wire").usage
            told.append(("embedding", False, "vectors", usage.prompt_tokens, None, None))
        good = len(told)
        with pytest.raises(openai.BadRequestError):
            api.chat.completions.create(model="nothing", messages=SAID, stream=True)
        with pytest.raises(openai.InternalServerError):  # nobody listens there
            api.chat.completions.create(model="gone", messages=SAID)
    run.stop()
    calls = sorted(run.calls(), key=lambda line: line["arrived_ns"])
    names = ("endpoint_type", "stream", "model", "input_tokens", "output_tokens", "finish_reason")
    assert [tuple(c[name] for name in names) for c in calls[:good]] == told
    assert {(c["status"], c["provider"]) for c in calls[:good]} == {("success", "litellm")}
    assert {c["first_token_ns"] is not None for c in calls[:good] if c["stream"]} == {True}
    names = ("endpoint_type", "stream", "provider", "model", "error_type")
    assert [tuple(c[name] for name in names) for c in calls[good:]] == [
        ("chat_completion", False, "litellm", "nothing", "validation_error"),
        ("chat_completion", False, "litellm", "gone", "provider_error"),
    ]
    judge.check_histograms(receiver, calls)
    assert not any(judge.counts(receiver, "concurrent_requests").values())


def of_message(usage) -> tuple[int, int]:
    return usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens
