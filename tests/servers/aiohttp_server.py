"""The scripted answers (scripted.py) by aiohttp.

    python aiohttp_server.py PORT [KEY CERTIFICATE]
"""

import asyncio
import ssl
import sys

import scripted
from aiohttp import web


async def answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    body = await request.read()
    for step in scripted.answer(request.method, request.path, body):
        match step:
            case scripted.Start(status, content_type, length):
                response.set_status(status)
                response.headers["Content-Type"] = content_type
                response.content_length = length
                await response.prepare(request)
            case scripted.Wait(seconds):
                await asyncio.sleep(seconds)
            case scripted.Part(part):
                await response.write(part)
            case scripted.Break():
                assert request.transport
                request.transport.close()
    return response


def main() -> None:
    context = None
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[3], sys.argv[2])
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    # Answers to clients that left are not waited for at its end.
    more = {"print": None, "access_log": None, "shutdown_timeout": 0.1}
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), ssl_context=context, **more)


if __name__ == "__main__":
    main()
