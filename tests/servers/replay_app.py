"""Answers as recorded (recordings.py), for any ASGI server to run: `x=N` in the query says which recording.

A body is cut at random places, the same ones in each run; every piece is a write of its own.
"""

import asyncio
import random
from collections.abc import Iterator
from urllib.parse import parse_qs

import recordings
from asgi_app import Receive, Scope, Send, answer_lifespan, read_body

BOOK = recordings.read()
PIECE_BYTES = 700


def pieces(n: int, body: bytes) -> Iterator[bytes]:
    dice = random.Random(n)
    while body:
        # A body of many kilobytes in pieces of bytes would take seconds.
        size = dice.randint(1, max(PIECE_BYTES, len(body) // 20))
        yield body[:size]
        body = body[size:]


async def answer(n: int, send: Send) -> None:
    recording = BOOK[n]
    fields = {"content-type": recording.content_type, "content-encoding": recording.coding}
    # Documents have a length, every other one.
    if n % 2 and "stream" not in recording.content_type:
        fields["content-length"] = str(len(recording.response))
    headers = [(k.encode(), v.encode()) for k, v in fields.items() if v]
    await send({"type": "http.response.start", "status": recording.status, "headers": headers})
    for piece in pieces(n, recording.response):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    await read_body(receive)
    asked = parse_qs(scope["query_string"].decode()).get("x")
    if asked:
        await answer(int(asked[0]), send)
    else:  # /health
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
