"""An HTTP/1.1 client that hides nothing: every byte it gets is kept, every moment is stamped.

Stamps are CLOCK_MONOTONIC nanoseconds, the clock that the shim stamps with. A stamp of something sent is
taken before the call, of something received after it: what the server did lies in between.
"""

import socket
import ssl
import struct
import time
from dataclasses import dataclass, field



@dataclass(frozen=True)
class Tls:
    """A port of 127.0.0.1 where TLS is spoken."""

    port: int


Address = int | str | Tls  # a port of 127.0.0.1, or the path of a unix socket

now = time.monotonic_ns


@dataclass
class Response:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wire: bytes = b""  # all of it as it came: heads, chunk sizes, body
    complete: bool = False  # to its last byte, as its framing says
    closes: bool = False  # no further request on this connection
    send_ns: int = 0  # before the first byte of the request was sent
    sent_ns: int = 0  # before the last part of the request was sent
    # After the last byte was received, or the end of the connection seen; or before the client left.
    end_ns: int = 0
    # Each SSE event that was received whole: its data, and when its last byte was received.
    events: list[tuple[int, str]] = field(default_factory=list)

    @property
    def streams(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")


class Reader:
    """Pulls one response out of a socket."""

    def __init__(self, sock: socket.socket, response: Response):
        self.sock = sock
        self.r = response
        self.raw = b""
        self.seen = 0  # of the body: where the search for events goes on
        self.left: int | None = None  # bytes of the body, or of the chunk, that are still to come
        self.state = "head"

    def receive(self) -> bool:
        """Takes what comes next. False at the end of the connection."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        self.r.end_ns = now()
        self.raw += data
        self.r.wire += data
        if not data and self.state == "until close":
            self.state = "done"
        while self.step():
            pass
        self.r.complete = self.state == "done"
        return bool(data)

    def line(self) -> bytes | None:
        head, found, rest = self.raw.partition(b"\r\n")
        if not found:
            return None
        self.raw = rest
        return head

    def head(self) -> bool:
        head, found, rest = self.raw.partition(b"\r\n\r\n")
        if not found:
            return False
        self.raw = rest
        status, *fields = head.decode("latin-1").split("\r\n")
        self.r.status = int(status.split(" ")[1])
        if self.r.status == 100:
            return True
        self.r.headers = {k.strip().lower(): v.strip() for k, v in (f.split(":", 1) for f in fields)}
        self.r.closes = self.r.headers.get("connection", "").lower() == "close"
        if self.r.headers.get("transfer-encoding", "").lower() == "chunked":
            self.state = "chunk size"
        elif "content-length" in self.r.headers:
            self.left = int(self.r.headers["content-length"])
            self.state = "length" if self.left else "done"
        else:
            self.state = "until close"
        return True

    def take(self, n: int) -> None:
        self.r.body += self.raw[:n]
        self.raw = self.raw[n:]
        if self.r.streams:
            self.find_events()

    def find_events(self) -> None:
        while (end := self.r.body.find(b"\n\n", self.seen)) >= 0:
            event = self.r.body[self.seen : end].decode(errors="replace")
            self.seen = end + 2
            data = "\n".join(
                line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")
            )
            if data:
                self.r.events.append((self.r.end_ns, data))

    def step(self) -> bool:
        if self.state == "head":
            return self.head()
        if self.state == "chunk size":
            if (line := self.line()) is None:
                return False
            self.left = int(line.split(b";")[0], 16)
            self.state = "chunk" if self.left else "trailer"
            return True
        if self.state in ("chunk", "length") and self.left is not None:
            n = min(self.left, len(self.raw))
            self.take(n)
            self.left -= n
            if self.left:
                return False
            self.state = "chunk end" if self.state == "chunk" else "done"
            return True
        if self.state == "chunk end":
            if self.line() is None:
                return False
            self.state = "chunk size"
            return True
        if self.state == "trailer":
            if (line := self.line()) is None:
                return False
            self.state = "trailer" if line else "done"
            return True
        if self.state == "until close" and self.raw:
            self.take(len(self.raw))
        return False


# The servers' certificates are made for the test.
TLS_CONTEXT = ssl.create_default_context()
TLS_CONTEXT.check_hostname = False
TLS_CONTEXT.verify_mode = ssl.CERT_NONE


class Connection:
    """Connects when there is something to send, and again when the server or a departure closed."""

    def __init__(self, address: Address, timeout: float = 60):
        self.address = address
        self.timeout = timeout
        self.sock: socket.socket | None = None

    def open(self) -> socket.socket:
        if self.sock and self.closed_by_server():
            self.close()
        if not self.sock:
            if isinstance(self.address, int | Tls):
                port = self.address if isinstance(self.address, int) else self.address.port
                self.sock = socket.create_connection(("127.0.0.1", port), self.timeout)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if isinstance(self.address, Tls):
                    self.sock = TLS_CONTEXT.wrap_socket(self.sock)
            else:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(self.timeout)
                self.sock.connect(self.address)
        return self.sock

    def closed_by_server(self) -> bool:
        assert self.sock
        try:
            self.sock.setblocking(False)
            # Nothing is ever due between two calls, so over TLS, where there is no peeking, nothing is lost.
            tls = isinstance(self.sock, ssl.SSLSocket)
            return (self.sock.recv(1) if tls else self.sock.recv(1, socket.MSG_PEEK)) == b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(self.timeout)

    def close(self, reset: bool = False) -> None:
        if self.sock:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
            self.sock = None

    def send(self, parts: list[bytes], pause: float = 0, tries: int = 3) -> Response:
        sock = self.open()
        response = Response(send_ns=now())
        for n, part in enumerate(parts):
            if n and pause:
                time.sleep(pause)
            response.sent_ns = now()
            try:
                sock.sendall(part)
            except (ssl.SSLEOFError, ConnectionError):
                # llama-server closes a TLS connection now and then, watched or not, and only a write
                # finds out. A request that was not whole and got no answer is no call.
                if not tries or not isinstance(self.address, Tls):
                    raise
                self.close()
                return self.send(parts, pause, tries - 1)
        return response

    def finish(self, reader: Reader) -> Response:
        r = reader.r
        while not r.complete and reader.receive():
            pass
        # llama.cpp closes after every stream, although its head says Keep-Alive.
        if r.closes or not r.complete or (r.streams and r.headers.get("server") == "llama.cpp"):
            self.close()
        return r

    def call(self, parts: list[bytes], pause: float = 0) -> Response:
        response = self.send(parts, pause)
        assert self.sock
        return self.finish(Reader(self.sock, response))


def request(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, chunked: bool = False
) -> list[bytes]:
    """The head and the body, as the parts they are to be sent in."""
    lines = [f"{method} {path} HTTP/1.1", "host: test"]
    lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
    parts = [body] if body else []
    if chunked:
        lines.append("transfer-encoding: chunked")
        half = len(body) // 3
        parts = [b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:half], body[half:])]
        parts.append(b"0\r\n\r\n")
    elif body:
        lines.append(f"content-length: {len(body)}")
    return ["\r\n".join(lines + ["", ""]).encode(), *parts]


def get(address: Address, path: str) -> Response:
    connection = Connection(address)
    try:
        return connection.call(request("GET", path, headers={"connection": "close"}))
    finally:
        connection.close()
