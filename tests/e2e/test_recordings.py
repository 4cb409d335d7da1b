"""Recorded exchanges with hosted services and Ollama, answered by real servers again: the call log says
what the whole documents say."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import client
import client_http2
import harness
import pytest
import recordings
import runtimes
from load import Call
from otlp_receiver import OtlpReceiver
from recordings import Recording

pytestmark = pytest.mark.skipif(not recordings.FILE.exists(), reason=f"no {recordings.FILE}")

# By the ends of the paths that are recorded.
ENDPOINTS = {
    "/chat/completions": "chat_completion",
    "/completions": "completion",
    "/v1/responses": "response",
    "/v1/messages": "message",
    "/embeddings": "embedding",
    "/embed": "embedding",
    "/rerank": "rerank",
    "/api/chat": "chat_completion",
    "/api/generate": "completion",
    "/v1/generate": "completion",
}
ERRORS = {400: "validation_error", 401: "authentication_error", 404: "not_found"}

Document = dict[str, Any]

# ---- the truth


def endpoint(recording: Recording) -> str | None:
    ends = (type_ for end, type_ in ENDPOINTS.items() if recording.path.endswith(end))
    return next(ends, None) if recording.method == "POST" else None


def streams(recording: Recording) -> bool:
    return recording.content_type.startswith(("text/event-stream", "application/x-ndjson"))


def documents(recording: Recording) -> list[Document]:
    text = recording.plain.decode()
    if recording.content_type.startswith("application/x-ndjson"):
        return [json.loads(line) for line in text.splitlines() if line]
    if streams(recording):
        # Every event of these services has one line of data.
        data = (line[5:].strip() for line in text.split("\n") if line.startswith("data:"))
        return [json.loads(d) for d in data if d != "[DONE]"]
    return [json.loads(text)]


def says_something(o: Document) -> bool:
    """Whether an event carries what a model generated: text, reasoning, a refusal, a tool call."""
    type_ = o.get("type", "")
    for choice in o.get("choices", []):
        delta = choice.get("delta") or {}
        said = (delta.get(k) for k in ("content", "refusal", "reasoning", "reasoning_content", "tool_calls", "function_call"))
        if choice.get("text") or any(said):
            return True
    if type_ == "content_block_delta":
        return any(o["delta"].get(k) for k in ("text", "thinking", "partial_json"))
    if type_ == "content_block_start":
        return "tool_use" in o["content_block"]["type"]
    if o.get("value"):  # Writer's completions
        return True
    if type_.startswith("response."):
        return type_.endswith(".delta") and bool(o.get("delta"))
    message = o.get("message")
    if isinstance(message, dict) and any(message.get(k) for k in ("content", "thinking", "tool_calls")):
        return True
    return isinstance(o.get("response"), str) and bool(o["response"])


def inside(o: Document, *path: str) -> Any:
    value: Any = o
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def finish_reasons(o: Document) -> list[Any]:
    """Of one document, in its order."""
    response = o["response"] if isinstance(o.get("response"), dict) else o
    reasons = [choice.get("finish_reason") for choice in o.get("choices", [])]
    reasons += [generation.get("finish_reason") for generation in o.get("generations", [])][:1]
    reasons += [o.get("stop_reason"), inside(o, "delta", "stop_reason"), o.get("done_reason")]
    if response.get("status") == "completed":
        reasons.append("completed")
    reasons.append(inside(response, "incomplete_details", "reason"))
    return [r for r in reasons if r]


USAGES = (("usage",), ("response", "usage"), ("message", "usage"), ("x_groq", "usage"), ("meta", "billed_units"))


@dataclass
class Truth:
    usage: Document = field(default_factory=dict)  # each number as it was told last
    engine: Document = field(default_factory=dict)
    events: int = 0
    finish_reason: str | None = None
    failed: bool = False

    def learn(self, o: Document) -> None:
        for path in USAGES:
            usage = inside(o, *path) or {}
            self.usage |= {k: v for k, v in usage.items() if v is not None}
        self.engine |= {k: o[k] for k in ("eval_count", "prompt_eval_count") if k in o}
        self.events += says_something(o)
        self.failed |= bool(o.get("error"))
        for reason in finish_reasons(o):
            self.finish_reason = reason

    def usage_of(self, *names: str) -> int | None:
        return next((int(self.usage[name]) for name in names if name in self.usage), None)

    def tokens(self) -> Document:
        """Input, output, and of the input what was cached."""
        told = {
            "output_tokens": self.usage_of("completion_tokens", "output_tokens"),
            "input_tokens": self.usage_of("prompt_tokens", "input_tokens"),
            "cached_tokens": None,
        }
        if "cache_read_input_tokens" in self.usage:  # Messages counts them apart
            told["cached_tokens"] = self.usage["cache_read_input_tokens"]
            told["input_tokens"] += told["cached_tokens"] + self.usage["cache_creation_input_tokens"]
        for details in ("prompt_tokens_details", "input_tokens_details"):
            if "cached_tokens" in self.usage.get(details, {}):
                told["cached_tokens"] = self.usage[details]["cached_tokens"]
        if self.engine:
            assert not self.usage
            told["output_tokens"] = self.engine["eval_count"]
            told["input_tokens"] = self.engine.get("prompt_eval_count")
        told["token_source"] = "engine" if self.engine else "usage" if self.usage else "none"
        return told


def tokens(truth: Truth, type_: str | None, streamed: bool) -> Document:
    told = truth.tokens()
    if type_ in ("embedding", "rerank"):  # Nothing is generated, also if the server counts that as 0.
        told["input_tokens"] = truth.usage_of("prompt_tokens", "input_tokens", "total_tokens") or told["input_tokens"]
        return told | {"output_tokens": None, "token_source": "none"}
    if told["output_tokens"] is None:
        counted = streamed and truth.events > 0
        told["token_source"] = "events" if counted else "none"
        told["output_tokens"] = truth.events if counted else None
    return told


def expected(recording: Recording) -> Document:
    truth = Truth()
    for document in documents(recording):
        if isinstance(document, dict):
            truth.learn(document)
    error = ERRORS[recording.status] if recording.status >= 400 else "provider_error" if truth.failed else None
    streamed = streams(recording)
    told = {
        "method": "POST",
        "path": recording.path,
        "http_status": recording.status,
        "endpoint_type": endpoint(recording),
        "stream": streamed,
        "status": "error" if error else "success",
        "error_type": error,
        "finish_reason": truth.finish_reason,
        "events": truth.events if streamed else 0,
        "response_bytes": len(recording.response),
        "incomplete": False,
    }
    model = json.loads(recording.request).get("model")
    if model and recording.status < 300:
        told["model"] = model
    return told | tokens(truth, told["endpoint_type"], streamed)


# ---- the replay


def calls(book: list[Recording]) -> list[Call]:
    """The recorded requests. A request's length is told apart by the spaces behind its JSON: so a line of
    the call log belongs to one call."""
    taken: set[int] = set()
    made = []
    for n, r in enumerate(book):
        body = r.request
        while body and len(body) in taken:
            body += b" "
        taken.add(len(body))
        target = f"{r.target}{'&' if '?' in r.target else '?'}x={n}"
        made.append(Call(target, body, "", False, method=r.method))
    return made


def over_http1(address: client.Address, asked: list[Call]) -> list[client.Response]:
    connection = client.Connection(address)
    headers = {"content-type": "application/json"}
    answers = [connection.call(client.request(c.method, c.path, c.body, headers)) for c in asked]
    connection.close()
    return answers


def over_http2(address: client.Address, asked: list[Call]) -> list[client.Response]:
    """Eight side by side on one connection."""
    carried = client_http2.Connection(address, 8).carry(list(enumerate(asked)))
    return [stream.response for _, stream in sorted(carried, key=lambda c: c[0])]


def check_moments(line: Document, got: client.Response) -> None:
    """In their order, and between what the client stamped on the same clock."""
    moments = [got.send_ns, line["arrived_ns"], line["received_ns"]]
    if line["stream"] and line["events"]:
        moments += [line["first_token_ns"], line["last_token_ns"]]
    moments += [line["ended_ns"], got.end_ns]
    assert moments == sorted(moments), line


@pytest.mark.parametrize("http2", [False, True], ids=["uvicorn-http1", "hypercorn-http2"])
def test_the_log_says_what_was_recorded(watch, receiver: OtlpReceiver, http2: bool) -> None:
    book = recordings.read()
    app = "replay_app:app"
    server = runtimes.hypercorn(app=app) if http2 else harness.uvicorn("uvloop", "httptools", app=app)
    where = {"INFERWIRE_CORPORA": str(recordings.FILE.parent)}
    run = watch(server).start(harness.preloaded, receiver.endpoint, **where)
    asked = calls(book)
    answers = (over_http2 if http2 else over_http1)(run.server.address, asked)
    run.stop()
    for recording, got in zip(book, answers, strict=True):
        assert (got.status, got.body) == (recording.status, recording.response), recording.name
    logged = {line["request_bytes"]: line for line in run.calls()}
    counted = {len(c.body): (r, got) for c, r, got in zip(asked, book, answers) if endpoint(r)}
    assert len(run.calls()) == len(logged)
    assert sorted(logged) == sorted(counted)
    wrong = {}
    for size, (recording, got) in counted.items():
        line = logged[size]
        check_moments(line, got)
        if told := {k: (line[k], v) for k, v in expected(recording).items() if line[k] != v}:
            wrong[recording.name] = told
    print(*wrong.items(), sep="\n")
    assert not wrong, f"{len(wrong)} of {len(counted)}: (logged, recorded)"
    assert Counter(line["token_source"] for line in logged.values()) > Counter(usage=500, events=100, engine=20)
