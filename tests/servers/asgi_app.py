"""The scripted answers (scripted.py) for any ASGI server to run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import scripted

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Truncated(Exception):
    """Leaves the application with the response half sent: the server breaks the connection off."""


async def carry_out(steps: Iterator[scripted.Step], send: Send) -> None:
    for step in steps:
        match step:
            case scripted.Start(status, content_type, length):
                headers = [(b"content-type", content_type.encode())]
                if length is not None:
                    headers.append((b"content-length", str(length).encode()))
                await send({"type": "http.response.start", "status": status, "headers": headers})
            case scripted.Wait(seconds):
                await asyncio.sleep(seconds)
            case scripted.Part(body):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            case scripted.Break():
                raise Truncated
    await send({"type": "http.response.body", "body": b""})


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


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        body = await read_body(receive)
    except ConnectionError:
        return
    steps = scripted.answer(scope["method"], scope["path"], body)
    run = asyncio.ensure_future(carry_out(steps, send))
    gone = asyncio.ensure_future(until_gone(receive))
    await asyncio.wait({run, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (run, gone):
        task.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    try:
        await run
    except asyncio.CancelledError:
        pass


async def answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
    else:
        await answer(scope, receive, send)
