"""The scripted answers (scripted.py) for any WSGI server to run (PEP 3333)."""

import http
import time
from collections.abc import Callable, Iterator
from typing import Any

import scripted


class Truncated(Exception):
    """Leaves the application with the response half sent: the server breaks the connection off."""


def status_line(status: int) -> str:
    return f"{status} {http.HTTPStatus(status).phrase}"


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    body = environ["wsgi.input"].read()
    for step in scripted.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], body):
        match step:
            case scripted.Start(status, content_type, length):
                headers = [("Content-Type", content_type)]
                if length is not None:
                    headers.append(("Content-Length", str(length)))
                start_response(status_line(status), headers)
                if length is None:
                    yield b""  # gunicorn sends the head then, as other interfaces' servers do by themselves
            case scripted.Wait(seconds):
                time.sleep(seconds)
            case scripted.Part(part):
                yield part
            case scripted.Break():
                raise Truncated
