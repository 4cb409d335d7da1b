"""A scripted inference server, for any ASGI server to run: the request says how it is to be answered.

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

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

ROUTES = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completion",
    "/completion": "native",
}
INPUT_TOKENS = 7
# What a content event is said to hold: who counts events in place of reading the usage is found out.
TOKENS_PER_EVENT = 3


def stamp() -> str:
    return f"{time.monotonic_ns():020d}"


class Truncated(Exception):
    """Leaves the application with the response half sent: the server breaks the connection off."""


class Reply:
    def __init__(self, api: str, request: dict[str, Any], send: Send):
        self.api = api
        self.script: dict[str, Any] = request.get("script", {})
        self.model: str = request.get("model", "scripted")
        self.stream: bool = bool(request.get("stream", False))
        options = request.get("stream_options") or {}
        self.with_usage: bool = self.script.get("usage", options.get("include_usage", not self.stream))
        self.events: int = self.script.get("events", 8)
        self.tokens: int = self.events * TOKENS_PER_EVENT
        self.send = send

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

    async def start(self, status: int, content_type: str) -> None:
        headers = [(b"content-type", content_type.encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def event(self, event: dict[str, Any]) -> None:
        event["stamp_ns"] = stamp()
        body = b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def pause(self, n: int) -> None:
        ms = self.script.get("first_delay_ms", 2) if n == 0 else self.script.get("delay_ms", 0)
        # Even without a delay, so that other connections have their turn and a departure is noticed.
        await asyncio.sleep(ms / 1000)

    async def run_stream(self) -> None:
        await self.start(200, "text/event-stream; charset=utf-8")
        if self.api == "chat" and self.script.get("role", True):
            role = {"role": "assistant", "content": ""}
            await self.event(self.chunk([{"index": 0, "delta": role, "finish_reason": None}]))
        for n in range(self.events):
            await self.pause(n)
            if n == self.script.get("truncate_after"):
                raise Truncated
            if n == self.script.get("error_after"):
                await self.event({"error": {"message": "the engine gave up", "code": "500"}})
                await self.send({"type": "http.response.body", "body": b""})
                return
            await self.event(self.content_event(n))
        for event in self.final_events():
            await self.event(event)
        done = b"data: [DONE]\n\n" if self.api != "native" and self.script.get("done", True) else b""
        await self.send({"type": "http.response.body", "body": done})

    def whole(self) -> dict[str, Any]:
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

    async def run_whole(self) -> None:
        await self.pause(0)
        body = json.dumps(self.whole() | {"stamp_ns": stamp()}, ensure_ascii=False).encode()
        half = len(body) // 2
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self.send({"type": "http.response.body", "body": body[:half], "more_body": True})
        if "truncate_after" in self.script:
            raise Truncated
        await self.send({"type": "http.response.body", "body": body[half:]})


async def respond(send: Send, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


async def read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["path"] == "/health":
        return await respond(send, 200, {"status": "ok"})
    try:
        body = await read_body(receive)
    except ConnectionError:
        return None
    api = ROUTES.get(scope["path"])
    if not api or scope["method"] != "POST":
        return await respond(send, 404, {"error": {"message": "no such path", "code": 404}})
    try:
        request = json.loads(body)
    except ValueError:
        return await respond(send, 400, {"error": {"message": "not JSON", "code": 400}})
    status = request.get("script", {}).get("status", 200)
    if status != 200:
        return await respond(send, status, {"error": {"message": "as asked for", "code": status}})

    reply = Reply(api, request, send)
    run = asyncio.ensure_future(reply.run_stream() if reply.stream else reply.run_whole())
    gone = asyncio.ensure_future(until_gone(receive))
    await asyncio.wait({run, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (run, gone):
        task.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    try:
        await run
    except asyncio.CancelledError:
        pass
    return None


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await answer(scope, receive, send)
