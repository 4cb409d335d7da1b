"""Servers that hand each request on to an engine behind them and write what comes back anew: llama-stack, LiteLLM."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import client
import harness
import load
import pytest
from load import CHAT, COMPLETION, Call

# Its ids begin with the name that the provider has there. 0.7.3 does not look at whether it is vLLM.
LLAMA_STACK = """
version: 2
distro_name: tiny
apis: [inference, responses, vector_io, tool_runtime, files]
providers:
  inference:
  - provider_id: near
    provider_type: remote::vllm
    config: {{base_url: "http://127.0.0.1:{engine}/v1", max_tokens: 64}}
  - provider_id: vectors
    provider_type: remote::vllm
    config: {{base_url: "http://127.0.0.1:{embedder}/v1"}}
  responses:
  - provider_id: builtin
    provider_type: inline::builtin
    config:
      persistence:
        agent_state: {{namespace: agents, backend: kv_default}}
        responses: {{table_name: responses, backend: sql_default}}
  vector_io: []
  tool_runtime: []
  files:
  - provider_id: localfs
    provider_type: inline::localfs
    config:
      storage_dir: {home}/files
      metadata_store: {{table_name: files, backend: sql_default}}
server:
  host: 127.0.0.1
  workers: {workers}
"""


@dataclass(kw_only=True)
class Stack(harness.Server):
    health: str
    environment: dict[str, str]

    def ready(self) -> bool:
        try:
            return client.get(self.address, self.health).status == 200
        except OSError:
            return False


def installed(name: str) -> Path:
    """The folder of its commands."""
    if not (harness.BUILD / "servers" / name / "installed").exists():
        pytest.skip(f"no {name}: sh tests/servers/install_stacks.sh {name}")
    return harness.BUILD / "servers" / name / "bin"


def llama_stack(home: Path, engine: int, embedder: int, workers: int = 1) -> Stack:
    command = installed("llama-stack") / "llama"
    home.mkdir()
    config = home / "config.yaml"
    config.write_text(LLAMA_STACK.format(home=home, engine=engine, embedder=embedder, workers=workers))
    port = harness.free_port()
    environment = {"HOME": str(home), "SQLITE_STORE_DIR": str(home), "NO_PROXY": "127.0.0.1"}
    # Its other form draws each failed request's traceback in colours, for half a minute.
    environment["LLAMA_STACK_LOG_FORMAT"] = "json"
    run = [str(command), "stack", "run", str(config), "--port", str(port)]
    return Stack("llama-stack", run, port, "near", False, health="/v1/health", environment=environment)


# llama.cpp says Keep-Alive and closes after a stream: a request that goes out meanwhile would be answered by 500.
LITELLM = """
model_list:
- model_name: tiny
  litellm_params:
    model: openai/tiny.gguf
    api_base: "http://127.0.0.1:{engine}/v1"
    api_key: k
    extra_headers: {{connection: close}}
- model_name: vectors
  litellm_params: {{model: openai/tiny.gguf, api_base: "http://127.0.0.1:{embedder}/v1", api_key: k}}
- model_name: gone
  litellm_params: {{model: openai/tiny.gguf, api_base: "http://127.0.0.1:9/v1", api_key: k}}
litellm_settings: {{num_retries: 0}}
"""


def litellm(home: Path, engine: int, embedder: int) -> Stack:
    command = installed("litellm") / "litellm"
    home.mkdir()
    config = home / "config.yaml"
    config.write_text(LITELLM.format(engine=engine, embedder=embedder))
    port = harness.free_port()
    environment = {"HOME": str(home), "NO_PROXY": "127.0.0.1"}
    # It would ask the network for prices, and for what is new.
    environment |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
    run = [str(command), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    return Stack(
        "litellm", run, port, "litellm", False, health="/health/liveliness", environment=environment
    )


def plan(
    n: int, seed: int, model: str, refuse: Callable[[dict[str, Any], str], None], lists: list[str]
) -> list[Call]:
    """Calls of every kind; `refuse` makes of one what is answered with 400, `lists` are paths that are no calls."""
    r = random.Random(seed)
    length = load.lengths(r, seed)
    calls: list[Call] = []
    while len(calls) < n:
        path = r.choice([CHAT, CHAT, COMPLETION])
        kind = r.choices(["whole", "stream", "leave", "bad", "wrong", "get"], [30, 45, 6, 5, 5, 4])[0]
        fields = {"model": model, "seed": r.randrange(1000), "max_tokens": r.randrange(8, 60), "ignore_eos": True}
        said = " ".join(r.choices(["the", "wire", "byte", "of", "a"], k=r.randrange(1, 30)))
        fields |= {"messages": [{"role": "user", "content": said}]} if path == CHAT else {"prompt": said}
        fields |= {"stream": kind in ("stream", "leave"), "cache_prompt": False}
        how = load.manners(r)
        if kind == "stream" and r.random() < 0.5:
            fields["stream_options"] = {"include_usage": True}
        elif kind == "leave":
            fields["max_tokens"] = 600
            how = {"leave_after": r.randrange(1, 6), "reset": r.random() < 0.5}
        elif kind == "bad":
            how |= {"status": 400, "error": "validation_error"}
        elif kind == "wrong":
            refuse(fields, path)
            how |= {"status": 400, "error": "validation_error"}
        elif kind == "get":
            calls.append(Call(r.choice(lists), b"", "", False, method="GET"))
            continue
        body = load.sized(fields, next(length))
        body = body[:-1] if kind == "bad" else body
        calls.append(Call(path, body, fields["model"], fields["stream"], **how))
    return calls
