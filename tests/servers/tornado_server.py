"""The scripted answers (scripted.py) by tornado.

    python tornado_server.py PORT [KEY CERTIFICATE]
"""

import asyncio
import logging
import ssl
import sys

import scripted
import tornado.iostream
import tornado.web


class Handler(tornado.web.RequestHandler):
    async def answer(self) -> None:
        for step in scripted.answer(self.request.method or "", self.request.path, self.request.body):
            match step:
                case scripted.Start(status, content_type, length):
                    self.set_status(status)
                    self.set_header("Content-Type", content_type)
                    if length is not None:
                        self.set_header("Content-Length", str(length))
                    await self.flush()
                case scripted.Wait(seconds):
                    await asyncio.sleep(seconds)
                case scripted.Part(part):
                    self.write(part)
                    await self.flush()
                case scripted.Break():
                    self.detach().close()
                    return

    async def prepare(self) -> None:
        try:
            await self.answer()
            self.finish()
        except (tornado.iostream.StreamClosedError, RuntimeError):
            self._finished = True  # the client left, or was left


async def serve() -> None:
    context = None
    if len(sys.argv) > 2:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[3], sys.argv[2])
    app = tornado.web.Application([(r"/.*", Handler)])
    app.listen(int(sys.argv[1]), "127.0.0.1", ssl_options=context)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable()
    asyncio.run(serve())
