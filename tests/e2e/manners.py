"""Ways in which a client may talk that the plans of load.py leave out."""

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

import load
from client import TLS_CONTEXT, Address, Connection, Reader, Response, Tls, now, request

SCRIPT = {"events": 6, "first_delay_ms": 5, "delay_ms": 1}


def call(length: int, stream: bool, path: str = load.CHAT) -> load.Call:
    fields = {"model": "tiny-a", "stream": stream, "script": SCRIPT}
    if stream:
        fields["stream_options"] = {"include_usage": True}
    return load.Call(path, load.sized(fields, length), "tiny-a", stream)


def head_and_body(c: load.Call, **headers: str) -> list[bytes]:
    return request(c.method, c.path, c.body, {"content-type": "application/json", **headers})


def continued(address: Address) -> list[load.Outcome]:
    """Expect: 100-continue, and the body only when the server asks for it (RFC 9110 10.1.1)."""
    c = call(5001, stream=True)
    head, body = head_and_body(c, expect="100-continue")
    connection = Connection(address)
    response = connection.send([head])
    assert connection.sock
    reader = Reader(connection.sock, response)
    while response.status != 100:
        assert reader.receive(), "no 100"
    response.sent_ns = now()
    connection.sock.sendall(body)
    connection.finish(reader)
    connection.close()
    return [load.account(c, response, left=False)]


def old(address: Address) -> list[load.Outcome]:
    """HTTP/1.0, where the end of the connection may be that of the answer."""
    c = call(5007, stream=True)
    connection = Connection(address)
    response = connection.send([b"".join(head_and_body(c)).replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)])
    assert connection.sock
    connection.finish(Reader(connection.sock, response))
    connection.close()
    return [load.account(c, response, left=False)]


class Halves:
    """A TLS connection whose halves are closed one by one (RFC 8446 6.1): Python's own sockets of TLS close
    both at once."""

    def __init__(self, address: Tls) -> None:
        self.sock = socket.create_connection(("127.0.0.1", address.port), 60)
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = TLS_CONTEXT.wrap_bio(self.coming, self.going)
        self.until_done(self.tls.do_handshake)

    def flush(self) -> None:
        if self.going.pending:  # or it would be a broken pipe behind the FIN
            self.sock.sendall(self.going.read())

    def until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                if not (data := self.sock.recv(65536)):
                    raise ConnectionResetError from None
                self.coming.write(data)

    def recv(self, n: int) -> bytes:
        try:
            return self.until_done(lambda: self.tls.read(n))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def sendall(self, data: bytes) -> None:
        self.tls.write(data)
        self.flush()

    def shutdown(self, with_fin: bool) -> None:
        """Its close_notify, and where that is not all, its FIN."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()
        if with_fin:
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()


def half_closed(address: Address) -> list[load.Outcome]:
    """A client that says at once that it sends no more. A server may take that for its departure."""
    outcomes = []
    for n, with_fin in enumerate([True, False] if isinstance(address, Tls) else [True]):
        c = call(5011 + n, stream=True)
        sock = Halves(address) if isinstance(address, Tls) else Connection(address).open()
        response = Response(send_ns=now(), sent_ns=now())
        sock.sendall(b"".join(head_and_body(c)))
        shut_ns = now()
        sock.shutdown(with_fin if isinstance(sock, Halves) else socket.SHUT_WR)
        reader = Reader(sock, response)
        while not response.complete and reader.receive():
            pass
        sock.close()
        if not response.complete:
            response.end_ns = shut_ns
        outcomes.append(load.account(c, response, left=not response.complete))
    return outcomes


def pipelined(address: Address) -> list[load.Outcome]:
    """Three requests in one piece."""
    calls = [call(5021, False), call(5023, True), call(5027, False, load.COMPLETION)]
    connection = Connection(address)
    sent = connection.send([b"".join(b"".join(head_and_body(c)) for c in calls)])
    assert connection.sock
    outcomes: list[load.Outcome] = []
    rest = b""
    for c in calls:
        response = Response(send_ns=sent.send_ns, sent_ns=sent.sent_ns, end_ns=now())
        reader = Reader(connection.sock, response)
        reader.raw = rest
        while reader.step():
            pass
        response.complete = reader.state == "done"
        while not response.complete and reader.receive():
            pass
        response.wire = rest + response.wire
        rest = reader.raw
        response.wire = response.wire[: len(response.wire) - len(rest)]
        assert response.complete, "not answered"
        outcomes.append(load.account(c, response, left=False))
    connection.close()
    return outcomes


def all_of_them(address: Address, pipelines: bool) -> list[load.Outcome]:
    """pipelines: whether the server goes on after a first answer."""
    ways = [continued, old, *([pipelined] if pipelines else [])]
    if isinstance(address, int | Tls):
        ways.append(half_closed)
    return [o for way in ways for o in way(address)]
