"""Mixed calls from concurrent clients, and an exact account of what each of them got.

A plan is a list of calls made from a seed: the same seed gives the same bytes. The body of every call
has a length of its own, so that a line of the call log belongs to one call, and nothing has to be
added to the requests that a server could see.
"""

import json
import random
import ssl
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from client import Address, Connection, Reader, Response, now, request

CHAT, COMPLETION, NATIVE = "/v1/chat/completions", "/v1/completions", "/completion"
ENDPOINT = {CHAT: "chat_completion", COMPLETION: "completion", NATIVE: "completion"}


@dataclass(frozen=True)
class Call:
    """What one client sends, and what is to come of it."""

    path: str
    body: bytes
    model: str
    stream: bool
    method: str = "POST"
    connection: str = ""  # the request's header of that name
    chunked: bool = False
    slow: float = 0  # seconds between the parts of the request
    leave_after: int | None = None  # content events; 0: before anything came. None: stays to the end
    reset: bool = False  # leaves with a RST in place of a FIN
    status: int = 200  # of the response
    error: str = ""  # error_type, if it is no success

    @property
    def counted(self) -> bool:
        return self.method == "POST" and self.path in ENDPOINT


@dataclass
class Outcome:
    call: Call
    response: Response
    left: bool = False
    # Receipt of the events with generated content, and the server's own stamps in them.
    content_ns: list[int] = field(default_factory=list)
    content_stamps: list[int] = field(default_factory=list)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    token_source: str = ""
    finish_reason: str | None = None  # of OpenAI's endpoints

    @property
    def error(self) -> str:
        return "client_disconnect" if self.left else self.call.error

    @property
    def streams(self) -> bool:
        """As the response says; where there was none, as the request says."""
        return self.response.streams if self.response.headers else self.call.stream


def generated(event: dict[str, Any]) -> bool:
    """Whether an event of a stream carries something the model said."""
    if event.get("content"):
        return True
    for choice in event.get("choices", []):
        delta = choice.get("delta", {})
        if choice.get("text") or any(delta.get(k) for k in ("content", "reasoning_content", "tool_calls")):
            return True
    return False


def parse(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def account(call: Call, response: Response, left: bool) -> Outcome:
    """Reads what the client got, as a client would."""
    o = Outcome(call, response, left)
    documents = (
        [(t, parse(d)) for t, d in response.events] if response.streams else [(0, parse(response.body))]
    )
    for received_ns, document in documents:
        usage, timings = document.get("usage"), document.get("timings")
        # LiteLLM's completion streams carry zeros on every chunk unless they are asked for a usage.
        if usage and (usage["prompt_tokens"] or usage["completion_tokens"]):
            o.token_source, o.output_tokens = "usage", usage["completion_tokens"]
            o.input_tokens = usage["prompt_tokens"]
            o.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        elif timings and o.token_source != "usage":
            o.token_source, o.output_tokens = "engine", timings["predicted_n"]
        elif document.get("stop") and "tokens_predicted" in document:
            o.token_source, o.output_tokens = "engine", document["tokens_predicted"]
        for choice in document.get("choices", []):
            o.finish_reason = choice.get("finish_reason") or o.finish_reason
        if response.streams and generated(document):
            o.content_ns.append(received_ns)
            if "stamp_ns" in document:
                o.content_stamps.append(int(document["stamp_ns"]))
    if o.output_tokens is None and response.streams:
        o.token_source, o.output_tokens = "events", len(o.content_ns)
    return o


def make(connection: Connection, call: Call) -> Outcome:
    headers = {"content-type": "application/json"} if call.body else {}
    if call.connection:
        headers["connection"] = call.connection
    parts = request(call.method, call.path, call.body, headers, call.chunked)
    if call.leave_after is None:
        response = connection.call(parts, call.slow)
        if call.connection == "close":  # not every server says that it does
            connection.close()
        return account(call, response, False)

    response = connection.send(parts, call.slow)
    assert connection.sock
    reader = Reader(connection.sock, response)
    left = True
    if call.leave_after == 0:
        connection.sock.settimeout(0.05)
        try:
            reader.receive()
        except TimeoutError:
            pass
    while sum(generated(parse(d)) for _, d in response.events) < call.leave_after:
        if not reader.receive():
            break
    # A server that was done before the client could leave has not been left.
    connection.sock.setblocking(False)
    try:
        while not response.complete and reader.receive():
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    left = not response.complete
    if left:
        response.end_ns = now()
    connection.close(reset=call.reset)
    return account(call, response, left)


class InBackground(threading.Thread):
    """Work that is under way; `result` waits for what it gives, or fails as it failed."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        super().__init__()
        self.work, self.arguments = work, arguments
        self.given: Any = None
        self.failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.given = self.work(*self.arguments)
        except BaseException as e:  # told by the thread that asks for the result
            self.failure = e

    def result(self) -> Any:
        self.join()
        if self.failure:
            raise self.failure
        return self.given


def side_by_side(count: int, work: Callable[[int], None]) -> None:
    """work(0), work(1), ... at the same time; fails when all have ended, as the first that failed."""
    threads = [InBackground(work, n) for n in range(count)]
    for t in threads:
        t.join()
    for t in threads:
        t.result()


def counted(outcomes: list[Outcome]) -> int:
    return sum(o.call.counted for o in outcomes)


def run(address: Address, plan: list[Call], clients: int = 8) -> list[Outcome]:
    """Carries the plan out and returns the outcomes in its order."""
    outcomes: list[Outcome | None] = [None] * len(plan)

    def client(first: int) -> None:
        connection = Connection(address)
        try:
            for n in range(first, len(plan), clients):
                outcomes[n] = make(connection, plan[n])
        finally:
            connection.close()

    side_by_side(clients, client)
    done = [o for o in outcomes if o]
    check(done)
    return done


def check(outcomes: list[Outcome]) -> None:
    """That the clients got what the plan says: else the account would be of something else."""
    for o in outcomes:
        r, c = o.response, o.call
        where = f"{c.method} {c.path} {c.body[:160]!r} {c.connection} {c.chunked} {c.slow}: {r.status} {r.body[-200:]!r}"
        if o.left:
            assert not r.headers or r.status == 200, where
        else:
            assert r.status == c.status, where
            assert r.complete == (c.error != "truncated"), where


def sized(fields: dict[str, Any], length: int) -> bytes:
    """The JSON of a request, filled up to a length with a field that no server reads."""
    body = json.dumps(fields | {"user": ""}).encode()
    assert len(body) <= length, f"{len(body)} bytes do not fit into {length}"
    return body[:-2] + b"x" * (length - len(body)) + b'"}'


def lengths(r: random.Random, seed: int) -> Iterator[int]:
    """Lengths of bodies: none twice, none one less than another, none that another seed has. One in eight
    does not fit into one read of the server."""
    n = 2 * (seed % 32)
    while True:
        n += 64
        yield (100_000 if r.random() < 0.125 else 1000) + n


def manners(r: random.Random) -> dict[str, Any]:
    """How a request is sent; nothing of it changes what comes of the call."""
    how: dict[str, Any] = {"connection": "close" if r.random() < 0.2 else ""}
    if r.random() < 0.1:
        how["slow"] = 0.02
    if r.random() < 0.1:
        how["chunked"] = True
    return how


def llama_cpp_plan(n: int, seed: int) -> list[Call]:
    """What llama.cpp can be asked for: real tokens, no scripts. The model has one name there."""
    r = random.Random(seed)
    length = lengths(r, seed)
    plan: list[Call] = []
    while len(plan) < n:
        path = r.choices([CHAT, COMPLETION, NATIVE], [6, 3, 2])[0]
        kind = r.choices(
            ["whole", "stream", "stop", "leave", "bad", "unknown", "get"], [30, 45, 4, 7, 7, 4, 3]
        )[0]
        fields: dict[str, Any] = {"model": "tiny.gguf", "seed": r.randrange(1000), "cache_prompt": False}
        said = " ".join(r.choices(["the", "wire", "byte", "of", "a"], k=r.randrange(1, 30)))
        fields |= {"messages": [{"role": "user", "content": said}]} if path == CHAT else {"prompt": said}
        fields["n_predict" if path == NATIVE else "max_tokens"] = r.randrange(24, 80)
        how = manners(r)
        # It serves its one model whatever is asked for. Its native streams name it at their end only.
        if kind == "whole" or kind == "stream" and path != NATIVE:
            fields["model"] = r.choice(["tiny.gguf", "tiny.gguf", "gpt-4o"])
        if kind == "whole":
            plan.append(Call(path, sized(fields, next(length)), "tiny.gguf", False, **how))
        elif kind == "stop":
            fields["logit_bias"] = {"2": 200} if path != NATIVE else [[2, 200]]
            plan.append(Call(path, sized(fields, next(length)), "tiny.gguf", False, **how))
        elif kind == "stream":
            # The end of text is a token like others to this model; a first one would be no content.
            fields |= {"stream": True, "ignore_eos": True}
            if r.random() < 0.5:
                fields["stream_options"] = {"include_usage": True}
            plan.append(Call(path, sized(fields, next(length)), "tiny.gguf", True, **how))
        elif kind == "leave":
            # Enough that the departure is noticed long before the end: a second of work and more.
            fields |= {"stream": True, "max_tokens": 1800, "n_predict": 1800, "ignore_eos": True}
            body = sized(fields, next(length))
            plan.append(
                Call(path, body, "tiny.gguf", True, leave_after=r.randrange(1, 6), reset=r.random() < 0.5)
            )
        elif kind == "bad":
            body = sized(fields, next(length))[:-1]
            plan.append(Call(path, body, "tiny.gguf", False, status=400, error="validation_error", **how))
        elif kind == "unknown":
            plan.append(Call("/v1/chat/nothing", sized(fields, next(length)), "", False, status=404))
        else:
            plan.append(Call(r.choice(["/health", "/v1/models"]), b"", "", False, method="GET"))
    return plan


ERRORS = {
    400: "validation_error",
    401: "authentication_error",
    404: "not_found",
    408: "timeout",
    418: "client_error",
    422: "validation_error",
    429: "rate_limited",
    500: "provider_error",
    503: "unavailable",
}


def scripted_plan(n: int, seed: int, leaves_early: bool = True) -> list[Call]:
    """What the scripted server can be asked for: every kind of end that a call can have.

    leaves_early: also with clients that leave before there is anything to read. A server that neither
    reads nor writes meanwhile answers them all the same, and nobody can tell that they left.
    """
    r = random.Random(seed)
    length = lengths(r, seed)
    plan: list[Call] = []
    kinds = ["whole", "stream", "status", "error", "cut", "leave", "leave early", "bad", "unknown", "get"]
    while len(plan) < n:
        path = r.choices([CHAT, COMPLETION, NATIVE], [6, 3, 2])[0]
        kind = r.choices(kinds, [25, 40, 9, 4, 4, 6, 3 * leaves_early, 4, 3, 2])[0]
        model = r.choice(["tiny-a", "tiny-b"])
        script: dict[str, Any] = {"events": r.randrange(3, 40), "first_delay_ms": r.randrange(1, 12)}
        stream = kind in ("stream", "error", "leave") or kind == "cut" and r.random() < 0.7
        fields: dict[str, Any] = {"model": model, "stream": stream, "script": script, "prompt": "say it"}
        how: dict[str, Any] = manners(r)
        if stream:
            script["role"] = r.random() < 0.7
            script["usage"] = r.random() < 0.6
            script["done"] = r.random() < 0.7
            script["delay_ms"] = r.choice([0, 0, 1])
            script["kind"] = (
                r.choice(["content", "content", "reasoning", "tool"]) if path == CHAT else "content"
            )
        if kind == "status":
            status, error = r.choice(list(ERRORS.items()))
            fields["stream"] = r.random() < 0.5
            script["status"] = status
            how |= {"status": status, "error": error}
        elif kind == "error":
            script["error_after"] = r.randrange(0, 3)
            how["error"] = "provider_error"
        elif kind == "cut":
            script["truncate_after"] = r.randrange(0, 3)
            how["error"] = "truncated"
        elif kind == "leave":
            script |= {"events": 1500, "delay_ms": 2}
            how = {"leave_after": r.randrange(1, 6), "reset": r.random() < 0.5}
        elif kind == "leave early":
            script["first_delay_ms"] = 2000
            how = {"leave_after": 0, "reset": r.random() < 0.5}
        elif kind == "bad":
            how |= {"status": 400, "error": "validation_error"}
        elif kind == "unknown":
            path, how["status"] = "/v1/chat/nothing", 404
        elif kind == "get":
            plan.append(Call("/health", b"", "", False, method="GET"))
            continue
        body = sized(fields, next(length))
        plan.append(Call(path, body[:-1] if kind == "bad" else body, model, bool(fields["stream"]), **how))
    return plan


def normalised(outcome: Outcome) -> tuple[int, dict[str, str], bytes]:
    """A response without what differs from one time to the next: what a client may compare."""
    headers = {k: v for k, v in outcome.response.headers.items() if k not in ("date", "content-length")}
    body = outcome.response.body
    for pattern, by in (
        (rb'"stamp_ns": "\d{20}"', b'"stamp_ns": ""'),
        (rb'"created":\d+', b'"created":0'),
        (rb'"id":"[^"]*"', b'"id":""'),
        (rb'"timings":\{[^}]*\}', b'"timings":{}'),
        (rb'"id_slot":-?\d+', b'"id_slot":0'),
    ):
        body = re.sub(pattern, by, body)
    return outcome.response.status, headers, body


def verbatim(outcome: Outcome) -> bytes:
    """All that the client got, byte for byte, but the server's date and the scripted stamps. A departure
    comes when it comes: of those, nothing."""
    if outcome.left:
        return b""
    wire = re.sub(rb'"stamp_ns": "\d{20}"', b'"stamp_ns": ""', outcome.response.wire)
    return re.sub(rb"(?im)^date: [^\r]*\r\n", b"", wire)
