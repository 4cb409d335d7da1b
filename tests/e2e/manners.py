"""Ways in which a client may talk that the plans of load.py leave out."""

import socket

import load
from client import Address, Connection, Reader, Response, now, request

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


def half_closed(address: Address) -> list[load.Outcome]:
    """A client that says at once that it sends no more. A server may take that for its departure."""
    c = call(5011, stream=True)
    connection = Connection(address)
    response = connection.send([b"".join(head_and_body(c))])
    assert connection.sock
    shut_ns = now()
    connection.sock.shutdown(socket.SHUT_WR)
    connection.finish(Reader(connection.sock, response))
    connection.close()
    if not response.complete:
        response.end_ns = shut_ns
    return [load.account(c, response, left=not response.complete)]


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
    if isinstance(address, int):  # over TLS there is no half of a connection to close
        ways.append(half_closed)
    return [o for way in ways for o in way(address)]
