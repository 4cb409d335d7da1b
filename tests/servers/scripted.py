"""What a scripted inference server answers, for an adapter of any interface to carry out: the request says
how it is to be answered.

It speaks OpenAI's chat and completions and llama.cpp's native completion. A request's `script` may say

    events            how many content events (8)
    first_delay_ms    before the first content event (2)
    delay_ms          before each further one (0)
    say               what its events say, before their number (various)
    kind              content, reasoning or tool: what the deltas of a chat carry (content)
    role              whether a chat's stream begins with a role chunk without content (true)
    usage             whether usage is reported (true; on streams stream_options.include_usage too)
    done              whether the stream ends with [DONE] (true)
    status            the HTTP status; an error's object is the body (200)
    error_after       N: an error event in place of the content event N, then a proper end
    truncate_after    N: the body breaks off in place of the content event N

Every event carries `stamp_ns`, CLOCK_MONOTONIC just before the event was handed to the server, in 20
digits: whoever reads it at the other end, or in between, must have it later.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ROUTES = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completion",
    "/completion": "native",
}
INPUT_TOKENS = 7
# What a content event is said to hold: who counts events in place of reading the usage is found out.
TOKENS_PER_EVENT = 3


@dataclass(frozen=True)
class Start:
    """The head; the first step of every answer, and only there."""

    status: int
    content_type: str
    length: int | None  # of the body; None: a stream, whose length nobody knows yet


@dataclass(frozen=True)
class Wait:
    """Also of 0 seconds: other connections have their turn, and a departure is noticed."""

    seconds: float


@dataclass(frozen=True)
class Part:
    """Bytes of the body, to be written now, by themselves."""

    body: bytes


@dataclass(frozen=True)
class Break:
    """The connection is to end here, in the middle of the body. The last step."""


Step = Start | Wait | Part | Break


def stamp() -> str:
    return f"{time.monotonic_ns():020d}"


class Reply:
    """The steps of an answer to a request that is to be answered with 200."""

    def __init__(self, api: str, request: dict[str, Any]):
        self.api = api
        self.script: dict[str, Any] = request.get("script", {})
        self.model: str = request.get("model", "scripted")
        self.stream: bool = bool(request.get("stream", False))
        options = request.get("stream_options") or {}
        self.with_usage: bool = self.script.get("usage", options.get("include_usage", not self.stream))
        self.events: int = self.script.get("events", 8)
        self.tokens: int = self.events * TOKENS_PER_EVENT

    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": self.tokens,
            "total_tokens": INPUT_TOKENS + self.tokens,
            "prompt_tokens_details": {"cached_tokens": 3},
        }

    def word(self, n: int) -> str:
        # An event with a newline, a quote or a character of four bytes in it now and then.
        various = (" tok", ' "q"', "\n", " \U0001f600", " z\u00fcrich")[n % 5]
        return self.script.get("say", various) + str(n)

    def delta(self, n: int) -> dict[str, Any]:
        kind = self.script.get("kind", "content")
        if kind == "reasoning":
            return {"reasoning_content": self.word(n)}
        if kind == "tool":
            return {"tool_calls": [{"index": 0, "function": {"arguments": self.word(n)}}]}
        return {"content": self.word(n)}

    def chunk(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.api == "chat" else "text_completion"
        return {"id": "scripted-1", "object": kind, "model": self.model, "choices": choices, **more}

    def content_event(self, n: int) -> dict[str, Any]:
        if self.api == "native":
            return {"index": 0, "content": self.word(n), "tokens": [n], "stop": False}
        if self.api == "chat":
            return self.chunk([{"index": 0, "delta": self.delta(n), "finish_reason": None}])
        return self.chunk([{"index": 0, "text": self.word(n), "finish_reason": None}])

    def final_events(self) -> list[dict[str, Any]]:
        if self.api == "native":
            final = {"index": 0, "content": "", "stop": True, "model": self.model, "stop_type": "limit"}
            if self.with_usage:
                final |= {"tokens_predicted": self.tokens, "tokens_evaluated": INPUT_TOKENS}
            return [final]
        end: dict[str, Any] = {"delta": {}} if self.api == "chat" else {"text": ""}
        events = [self.chunk([{"index": 0, **end, "finish_reason": "length"}])]
        if self.with_usage:
            events.append(self.chunk([], usage=self.usage()))
        return events

    @staticmethod
    def event(event: dict[str, Any]) -> Part:
        event["stamp_ns"] = stamp()
        return Part(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")

    def pause(self, n: int) -> Wait:
        ms = self.script.get("first_delay_ms", 2) if n == 0 else self.script.get("delay_ms", 0)
        return Wait(ms / 1000)

    def streamed(self) -> Iterator[Step]:
        yield Start(200, "text/event-stream; charset=utf-8", None)
        if self.api == "chat" and self.script.get("role", True):
            role = {"role": "assistant", "content": ""}
            yield self.event(self.chunk([{"index": 0, "delta": role, "finish_reason": None}]))
        for n in range(self.events):
            yield self.pause(n)
            if n == self.script.get("truncate_after"):
                yield Break()
                return
            if n == self.script.get("error_after"):
                yield self.event({"error": {"message": "the engine gave up", "code": "500"}})
                return
            yield self.event(self.content_event(n))
        for event in self.final_events():
            yield self.event(event)
        if self.api != "native" and self.script.get("done", True):
            yield Part(b"data: [DONE]\n\n")

    def document(self) -> dict[str, Any]:
        text = "".join(self.word(n) for n in range(self.events))
        if self.api == "native":
            whole: dict[str, Any] = {"content": text, "stop": True, "model": self.model}
            return whole | ({"tokens_predicted": self.tokens} if self.with_usage else {})
        if self.api == "chat":
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "length",
            }
            kind = "chat.completion"
        else:
            choice = {"index": 0, "text": text, "finish_reason": "length"}
            kind = "text_completion"
        whole = {"id": "scripted-1", "object": kind, "model": self.model, "choices": [choice]}
        return whole | ({"usage": self.usage()} if self.with_usage else {})

    def whole(self) -> Iterator[Step]:
        yield self.pause(0)
        body = json.dumps(self.document() | {"stamp_ns": stamp()}, ensure_ascii=False).encode()
        half = len(body) // 2
        yield Start(200, "application/json", len(body))
        yield Part(body[:half])
        if "truncate_after" in self.script:
            yield Break()
        else:
            yield Part(body[half:])


def short(status: int, body: dict[str, Any]) -> Iterator[Step]:
    data = json.dumps(body).encode()
    yield Start(status, "application/json", len(data))
    yield Part(data)


def answer(method: str, path: str, body: bytes) -> Iterator[Step]:
    """The steps of the answer to one request, made as they are asked for."""
    if path == "/health":
        return short(200, {"status": "ok"})
    api = ROUTES.get(path)
    if not api or method != "POST":
        return short(404, {"error": {"message": "no such path", "code": 404}})
    try:
        request = json.loads(body)
    except ValueError:
        return short(400, {"error": {"message": "not JSON", "code": 400}})
    status = request.get("script", {}).get("status", 200)
    if status != 200:
        return short(status, {"error": {"message": "as asked for", "code": status}})
    reply = Reply(api, request)
    return reply.streamed() if reply.stream else reply.whole()
