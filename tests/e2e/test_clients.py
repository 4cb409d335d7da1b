"""Clients as users run them: the call log says what each of them reports of its own calls."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import anthropic
import client
import harness
import openai
import pytest
from otlp_receiver import OtlpReceiver
from test_dialects import server as other_dialects

Told = tuple[Any, ...]  # endpoint, whether it streams, input and output tokens, finish reason
ASKED = [{"role": "user", "content": "write"}]
ENDLESS = {"ignore_eos": True}  # llama.cpp's: the end of text is a token like others to the tiny model


def scripted() -> harness.Server:
    return harness.uvicorn("uvloop", "httptools")


def url(run: harness.Run, path: str = "") -> str:
    return f"http://127.0.0.1:{run.server.address}{path}"


def logged(run: harness.Run, *names: str) -> list[Told]:
    run.stop()
    calls = sorted(run.calls(), key=lambda line: line["arrived_ns"])
    return [tuple(line[name] for name in names) for line in calls]


SAID = ("endpoint_type", "stream", "input_tokens", "output_tokens", "finish_reason", "status", "token_source")
GOOD = ("success", "usage")


# ---- the two libraries


def chat(api: openai.OpenAI) -> Told:
    got = api.chat.completions.create(model="tiny-a", messages=ASKED, max_tokens=9, extra_body=ENDLESS)
    assert got.usage
    usage = got.usage
    return ("chat_completion", False, usage.prompt_tokens, usage.completion_tokens, got.choices[0].finish_reason)


def streamed(endpoint: str, stream: openai.Stream[Any]) -> Told:
    usage, reason = None, None
    with stream:
        for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                reason = choice.finish_reason or reason
    assert usage
    return (endpoint, True, usage.prompt_tokens, usage.completion_tokens, reason)


def chat_stream(api: openai.OpenAI) -> Told:
    stream = api.chat.completions.create(
        model="tiny-a",
        messages=ASKED,
        max_tokens=11,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=ENDLESS,
    )
    return streamed("chat_completion", stream)


def completion(api: openai.OpenAI) -> Told:
    got = api.completions.create(model="tiny-a", prompt="the wire", max_tokens=7, extra_body=ENDLESS)
    assert got.usage
    usage = got.usage
    return ("completion", False, usage.prompt_tokens, usage.completion_tokens, got.choices[0].finish_reason)


def completion_stream(api: openai.OpenAI) -> Told:
    stream = api.completions.create(
        model="tiny-a",
        prompt="of a wire",
        max_tokens=13,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=ENDLESS,
    )
    return streamed("completion", stream)


def response(api: openai.OpenAI) -> Told:
    got = api.responses.create(model="tiny-a", input="the wire", max_output_tokens=8, extra_body=ENDLESS)
    assert got.usage
    return ("response", False, got.usage.input_tokens, got.usage.output_tokens, got.status)


def response_stream(api: openai.OpenAI) -> Told:
    done = None
    with api.responses.create(
        model="tiny-a", input="the wire", max_output_tokens=8, stream=True, extra_body=ENDLESS
    ) as stream:
        for event in stream:
            if event.type in ("response.completed", "response.incomplete"):
                done = event.response
    assert done and done.usage
    return ("response", True, done.usage.input_tokens, done.usage.output_tokens, done.status)


OPENAI = (chat, chat_stream, completion, completion_stream)


@pytest.mark.parametrize("make", [scripted, harness.llama_cpp], ids=["uvicorn", "llama.cpp"])
def test_openai(watch, receiver: OtlpReceiver, make: Callable[[], harness.Server]) -> None:
    run = watch(make()).start(harness.preloaded, receiver.endpoint)
    with openai.OpenAI(api_key="k", base_url=url(run, "/v1"), max_retries=0) as api:
        asks = OPENAI if make is scripted else (*OPENAI, response, response_stream)
        told = [(*ask(api), *GOOD) for ask in asks * 3]
        with pytest.raises(openai.BadRequestError):
            wrong = {"script": {"status": 400}, "response_format": {"type": "nothing"}}
            api.chat.completions.create(model="tiny-a", messages=ASKED, extra_body=wrong)
    got = logged(run, *SAID)
    assert got[:-1] == told
    assert got[-1] == ("chat_completion", False, None, None, None, "error", "none")


# The likeliest tokens: where the first one is half a character, llama.cpp leaves message_start out, which
# the library does not take.
LIKELIEST = {"temperature": 0}


def message(api: anthropic.Anthropic) -> Told:
    got = api.messages.create(model="tiny-a", messages=ASKED, max_tokens=9, extra_body=LIKELIEST)
    read = got.usage.cache_read_input_tokens or 0
    return ("message", False, got.usage.input_tokens + read, got.usage.output_tokens, got.stop_reason)


def message_stream(api: anthropic.Anthropic) -> Told:
    with api.messages.stream(model="tiny-a", messages=ASKED, max_tokens=12, extra_body=LIKELIEST) as stream:
        got = stream.get_final_message()
    read = got.usage.cache_read_input_tokens or 0
    return ("message", True, got.usage.input_tokens + read, got.usage.output_tokens, got.stop_reason)


def test_anthropic(watch, receiver: OtlpReceiver) -> None:
    run = watch(harness.llama_cpp()).start(harness.preloaded, receiver.endpoint)
    with anthropic.Anthropic(api_key="k", base_url=url(run), max_retries=0) as api:
        told = [(*ask(api), *GOOD) for ask in (message, message_stream) * 3]
    assert logged(run, *SAID) == told


# ---- programs

BODY = {"model": "tiny-a", "messages": ASKED, "script": {"events": 6}, "max_tokens": 14} | ENDLESS
STREAM = BODY | {"stream": True, "stream_options": {"include_usage": True}}

FETCH = """
const [url, ...bodies] = process.argv.slice(1);
for (const body of bodies) {
	const answer = await fetch(url, {method: "POST", headers: {"content-type": "application/json"}, body});
	const text = await answer.text();
	const documents = answer.headers.get("content-type").startsWith("text/event-stream")
		? text.split("\\n").filter(l => l.startsWith("data: {")).map(l => JSON.parse(l.slice(6)))
		: [JSON.parse(text)];
	const usage = documents.map(d => d.usage).filter(u => u).at(-1);
	console.log(JSON.stringify([usage.prompt_tokens, usage.completion_tokens]));
}
"""


def usage_of(text: str) -> list[int]:
    lines = [line.removeprefix("data: ") for line in text.splitlines()]
    usages = [json.loads(line).get("usage") for line in lines if line.startswith("{")]
    usage = [u for u in usages if u][-1]
    return [usage["prompt_tokens"], usage["completion_tokens"]]


def by_fetch(at: str, bodies: list[str]) -> list[list[int]]:
    node = ["node", "--input-type=module", "-e", FETCH, "--", at, *bodies]
    told = subprocess.run(node, check=True, capture_output=True, text=True, timeout=30).stdout
    return [json.loads(line) for line in told.splitlines()]


def by_curl(at: str, bodies: list[str]) -> list[list[int]]:
    curl = ["curl", "-sSN", "--fail", "--max-time", "20", "-H", "content-type: application/json", "-d", "@-", at]
    return [usage_of(subprocess.run(curl, input=b, check=True, capture_output=True, text=True).stdout) for b in bodies]


@pytest.mark.parametrize("make", [scripted, harness.llama_cpp], ids=["uvicorn", "llama.cpp"])
def test_programs(watch, receiver: OtlpReceiver, make: Callable[[], harness.Server]) -> None:
    run = watch(make()).start(harness.preloaded, receiver.endpoint)
    at, bodies = url(run, "/v1/chat/completions"), [json.dumps(body) for body in (BODY, STREAM) * 2]
    told = by_curl(at, bodies) + by_fetch(at, bodies)
    expected = [("chat_completion", n % 2 == 1, *usage, "length", *GOOD) for n, usage in enumerate(told)]
    assert len(told) == 8
    assert logged(run, *SAID) == expected


# ---- clients without manners

HOW = ("status", "error_type", "stream", "output_tokens", "incomplete")


def connect(run: harness.Run, receive_bytes: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", run.server.address))
    return sock


def parts(**script: Any) -> bytes:
    body = json.dumps(STREAM | {"script": script, "max_tokens": 1800}).encode()
    return b"".join(client.request("POST", "/v1/chat/completions", body, {"connection": "close"}))


def test_a_slow_reader(watch, receiver: OtlpReceiver) -> None:
    """Much more than the buffers hold: the server's writes are cut short and it waits for the client."""
    run = watch(scripted()).start(harness.preloaded, receiver.endpoint)
    with connect(run, 4096) as sock:
        sock.sendall(parts(events=3000, say="w" * 1000))
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        body = b""
        for _ in range(40):  # for two seconds
            time.sleep(0.05)
            body += answer.read(1000)
        body += answer.read()
    _, output_tokens = usage_of(body.decode())
    assert len(body) > 3_000_000
    assert logged(run, *HOW, "events", "response_bytes") == [
        ("success", None, True, output_tokens, False, 3000, len(body))
    ]


def half_closed(run: harness.Run, request: bytes) -> client.Response:
    """A FIN behind the request. Whether that is a departure is the server's to say."""
    r = client.Response()
    with connect(run) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        reader = client.Reader(sock, r)
        while not r.complete and reader.receive():
            pass
    return r


@pytest.mark.parametrize("make", [scripted, harness.llama_cpp], ids=["uvicorn", "llama.cpp"])
def test_a_half_closed_connection_that_is_given_up(watch, receiver: OtlpReceiver, make) -> None:
    run = watch(make()).start(harness.preloaded, receiver.endpoint)
    assert not half_closed(run, parts(events=500, delay_ms=10)).complete
    assert logged(run, *HOW[:3]) == [("error", "client_disconnect", True)]


def test_a_half_closed_connection_that_is_answered(watch, receiver: OtlpReceiver) -> None:
    run = watch(other_dialects()).start(harness.preloaded, receiver.endpoint)
    body = json.dumps({"model": "claude", "messages": ASKED, "stream": True, "max_tokens": 3}).encode()
    r = half_closed(run, b"".join(client.request("POST", "/v1/messages", body)))
    assert r.complete
    # This server dies of the signal at once, maybe between its last write and what the shim tells of it.
    harness.wait_for("the call is logged", run.calls)
    assert logged(run, *HOW) == [("success", None, True, 3, False)]


def test_a_reset_within_the_stream(watch, receiver: OtlpReceiver) -> None:
    run = watch(scripted()).start(harness.preloaded, receiver.endpoint)
    connection = client.Connection(run.server.address)
    for _ in range(5):
        body = json.dumps(STREAM | {"script": {"events": 500, "delay_ms": 10}}).encode()
        r = connection.send(client.request("POST", "/v1/chat/completions", body))
        assert connection.sock
        reader = client.Reader(connection.sock, r)
        while len(r.events) < 3:
            assert reader.receive()
        connection.close(reset=True)
    got = logged(run, "status", "error_type", "stream", "http_status")
    assert got == [("error", "client_disconnect", True, 200)] * 5
