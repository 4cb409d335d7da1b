"""HTTP/2 clients that hide nothing: many calls side by side on each connection, by hyper's h2.

Stamps are as in client.py: of something sent before the call, of something received after it.
"""

import socket
import ssl

import client
import h2.config
import h2.connection
import h2.events
import h2.exceptions
from client import Response, now
from h2.errors import ErrorCodes
from load import Call, Outcome, account, check, generated, parse, side_by_side


EARLIEST_LEAVE_NS = 50_000_000


class Stream:
    """One call, and what is left to be sent of it."""

    def __init__(self, call: Call):
        self.call = call
        self.response = Response()
        self.unsent = call.body
        self.seen = 0
        self.left = False

    def received(self, data: bytes) -> None:
        r = self.response
        r.body += data
        while r.streams and (end := r.body.find(b"\n\n", self.seen)) >= 0:
            event = r.body[self.seen : end].decode(errors="replace")
            self.seen = end + 2
            lines = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
            if lines:
                r.events.append((r.end_ns, "\n".join(lines)))

    def wants_to_leave(self) -> bool:
        # Whoever leaves before anything came leaves the server time to read what was asked.
        if self.unsent or now() - self.response.sent_ns < EARLIEST_LEAVE_NS:
            return False
        return (
            self.call.leave_after is not None
            and not self.left
            and sum(generated(parse(d)) for _, d in self.response.events) >= self.call.leave_after
        )


class Connection:
    """Carries calls out, `at_once` of them side by side."""

    def __init__(self, address: client.Address, at_once: int):
        assert isinstance(address, int | client.Tls)
        port = address if isinstance(address, int) else address.port
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(address, client.Tls):
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            tls = context.wrap_socket(self.sock)
            assert tls.selected_alpn_protocol() == "h2"
            self.sock = tls
        self.at_once = at_once
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.open: dict[int, Stream] = {}

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.sock.sendall(data)

    def begin(self, call: Call) -> Stream:
        stream = Stream(call)
        id_ = self.h2.get_next_available_stream_id()
        self.open[id_] = stream
        fields = [
            (":method", call.method),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", call.path),
        ]
        if call.body:
            fields += [("content-type", "application/json"), ("content-length", str(len(call.body)))]
        stream.response.send_ns = stream.response.sent_ns = now()
        self.h2.send_headers(id_, fields, end_stream=not call.body)
        self.flush()
        return stream

    def send_bodies(self) -> None:
        for id_, stream in list(self.open.items()):
            while stream.unsent and id_ in self.open:
                room = min(self.h2.local_flow_control_window(id_), self.h2.max_outbound_frame_size)
                if not room:
                    break
                part, stream.unsent = stream.unsent[:room], stream.unsent[room:]
                stream.response.sent_ns = now()
                self.h2.send_data(id_, part, end_stream=not stream.unsent)
                self.flush()

    def leave(self) -> None:
        for id_, stream in list(self.open.items()):
            if stream.wants_to_leave():
                stream.left = True
                stream.response.end_ns = now()
                self.h2.reset_stream(id_, ErrorCodes.CANCEL)
                del self.open[id_]
        self.flush()

    def receive(self) -> None:
        self.sock.settimeout(EARLIEST_LEAVE_NS / 1e9)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return
        finally:
            self.sock.settimeout(60)
        assert data, "the server closed the connection"
        at = now()
        for event in self.h2.receive_data(data):
            stream = self.open.get(getattr(event, "stream_id", 0) or 0)
            if isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if not stream:
                continue
            stream.response.end_ns = at
            if isinstance(event, h2.events.ResponseReceived):
                headers = {k.decode(): v.decode() for k, v in event.headers or []}
                stream.response.status = int(headers.pop(":status"))
                stream.response.headers = headers
            elif isinstance(event, h2.events.DataReceived):
                stream.received(event.data or b"")
            elif isinstance(event, h2.events.StreamEnded):
                stream.response.complete = True
                del self.open[event.stream_id]
            elif isinstance(event, h2.events.StreamReset):
                del self.open[event.stream_id]
        self.flush()

    def carry(self, calls: list[tuple[int, Call]]) -> list[tuple[int, Stream]]:
        """Carries them out; each with its number."""
        begun: list[tuple[int, Stream]] = []
        waiting = list(reversed(calls))
        while waiting or self.open:
            while waiting and len(self.open) < self.at_once:
                n, call = waiting.pop()
                begun.append((n, self.begin(call)))
            self.send_bodies()
            self.leave()
            if self.open:
                self.receive()
        self.sock.close()
        return begun

    def run(self, calls: list[tuple[int, Call]], outcomes: list[Outcome | None]) -> None:
        for n, stream in self.carry(calls):
            outcomes[n] = account(stream.call, stream.response, stream.left)


def run(
    address: client.Address, plan: list[Call], connections: int = 4, at_once: int = 8
) -> list[Outcome]:
    """Carries the plan out and returns the outcomes in its order."""
    outcomes: list[Outcome | None] = [None] * len(plan)

    def one(first: int) -> None:
        Connection(address, at_once).run(list(enumerate(plan))[first::connections], outcomes)

    side_by_side(connections, one)
    done = [o for o in outcomes if o]
    check(done)
    return done
