"""Conversations between hyper-h2's client and its server, at random, each made of its seed alone.

    python h2_talk.py FIRST STEP      seeds FIRST, FIRST + STEP, ... until nobody reads

A record, little-endian:

    u32 length of what follows      u64 seed      u8 damaged      the requests' direction, the responses'
    of a direction:
      u32 length, bytes on the wire
      u32 count of entries, each: u8 kind (HBERA)  u8 verdict  u8 past  u32 stream  u32 error  u32 length, payload
      u8 how it ends      u8 past      u32 length, text: why hyper-h2 gave up      u32 length, text: why nobody reads further

A head's payload: u32 count of fields, then u32 length of each name and value, then these themselves.
"""

import random
import struct

from h2.config import H2Configuration
from h2.connection import ConnectionState
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamReset,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes
from hpack.struct import HeaderTuple, NeverIndexedHeaderTuple

import h2_frames
import records
from h2_reader import Reader

PREFACE = 24
FILLING = random.Random(1).randbytes(1 << 16)
LONG = FILLING.hex()[:70000].encode()
LONG_SIZES = [100, 200, 500, 1000, 1000, 2000, 5000, 10000, 20000, 40000, 70000]
STATUS = [b"200", b"200", b"204", b"404", b"429", b"503", b"304", b"500"]
PATHS = [b"/", b"/v1/chat/completions", b"/v1/completions", b"/health", b"/metrics?a=b", b"*"]
FIELDS = [
    (b"content-type", b"application/json"),
    (b"content-type", b"text/event-stream"),
    (b"content-type", b"application/grpc"),
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b""),
    (b"server", b"uvicorn"),
    (b"server", b""),
    (b"user-agent", b"OpenAI/Python 3.57.0"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"authorization", b"Bearer sk-0123456789"),
    (b"cookie", b"a=b"),
    (b"cookie", b"c=d; e=f"),
    (b"x-empty", b""),
    (b"x-bytes", b"\x80\xff\xc3\xa9 \x7f"),
    (b"date", b"Tue, 24 Nov 2026 18:29:51 GMT"),
    (b"x-request-id", b"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
]
# Malformed (RFC 9113 8.2.1, 8.2.2, 8.3), or nearly.
ODD_FIELDS = [
    (b"x-nul", b"a\0b"),
    (b"x-cr", b"a\rb"),
    (b"x-lf", b"a\nServer: evil"),
    (b"Content-Type", b"text/x-upper"),
    (b"bad name", b"x"),
    (b"x:y", b"x"),
    (b"", b"no name"),
    (b":path", b"/late"),
    (b":status", b"999"),
    (b":method", b"PUT"),
    (b":unknown", b"x"),
    (b"connection", b"close"),
    (b"transfer-encoding", b"chunked"),
    (b"te", b"gzip"),
    (b"content-length", b"17"),
    (b"x-white", b" a\t"),
    (b"server", b"a\0b"),
    (b"server", b"second"),
]


class End:
    """One of the two: its connection, and what it may still say on which stream."""

    def __init__(self, rng, client):
        strict = rng.random() < 0.6
        self.rng = rng
        self.client = client
        self.connection = Reader(
            H2Configuration(
                client_side=client,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=strict,
                normalize_inbound_headers=False,
            )
        )
        self.odd = 0 if strict and rng.random() < 0.8 else rng.choice([0, 0.02, 0.1])
        self.to_answer = []  # streams without a response's head
        self.sending = []  # streams whose body goes on
        self.bodiless = set()  # streams that a HEAD opened
        self.to_credit = []
        self.table = 4096  # that it asks for
        self.lazy = rng.choice([0, 0, 0.5, 1])
        self.mute = False
        self.wire = bytearray()  # what it has said and the other one has not heard
        self.heard = bytearray()
        self._shuffle_codings()

    def _shuffle_codings(self):
        encode, rng = self.connection.encoder.encode, self.rng

        def encode_some_way(headers, huffman=True):
            return encode(headers, huffman=rng.random() < 0.7)

        self.connection.encoder.encode = encode_some_way

    # ---- what it says

    def fields(self, pseudo, long=True):
        rng = self.rng
        chosen = rng.choices(FIELDS, k=rng.randrange(6))
        while long and rng.random() < 0.012:
            chosen += [(b"x-long", LONG[: rng.choice(LONG_SIZES)])] * rng.choice([1, 1, 1, 2])
        if rng.random() < 0.1:
            chosen.append((b"x-" + b"%d" % rng.randrange(1000), b"%d" % rng.randrange(1 << 30)))
        fields = pseudo + chosen
        while rng.random() < self.odd:
            fields.insert(rng.randrange(len(fields) + 1), rng.choice(ODD_FIELDS))
        # hyper-h2 cannot send a block of no fields.
        if rng.random() < self.odd and len(fields) > 1:
            fields.pop(rng.randrange(len(fields)))
        return [NeverIndexedHeaderTuple(*f) if rng.random() < 0.1 else HeaderTuple(*f) for f in fields]

    def request(self):
        rng, connection = self.rng, self.connection
        stream = connection.get_next_available_stream_id() + (2 * rng.randrange(3) if rng.random() < 0.1 else 0)
        method = rng.choice([b"POST", b"POST", b"GET", b"HEAD", b"DELETE", b"PATCH", b"BREW"])
        fields = self.fields(
            [(b":method", method), (b":scheme", b"https"), (b":authority", b"a"), (b":path", rng.choice(PATHS))]
        )
        priority = {}
        # hyper-h2 forgets that priority, and a promised stream, take room in a frame.
        if rng.random() < 0.2 and len(fields) < 12 and all(len(value) < 1000 for _, value in fields):
            priority = {
                "priority_weight": rng.randrange(1, 257),
                "priority_depends_on": 0,
                "priority_exclusive": rng.random() < 0.5,
            }
        whole = rng.random() < 0.3
        connection.send_headers(stream, fields, end_stream=whole, **priority)
        if not whole:
            self.sending.append(stream)

    def answer(self):
        rng = self.rng
        stream = rng.choice(self.to_answer)
        if rng.random() < 0.15:
            status = rng.choice([b"100", b"102", b"103"])
            self.connection.send_headers(stream, self.fields([(b":status", status)]))
            return
        self.to_answer.remove(stream)
        status = rng.choice(STATUS)
        # Of these hyper-h2 takes no body.
        bodiless = stream in self.bodiless or status in (b"204", b"304")
        whole = rng.random() < (0.97 if bodiless else 0.15)
        self.connection.send_headers(stream, self.fields([(b":status", status)]), end_stream=whole)
        if not whole:
            self.sending.append(stream)

    def data(self):
        rng, connection = self.rng, self.connection
        stream = rng.choice(self.sending)
        if rng.random() < 0.1:
            connection.send_headers(stream, self.fields([(b"grpc-status", b"0")]), end_stream=True)
            self.sending.remove(stream)
            return
        pad = rng.randrange(256) if rng.random() < 0.25 else None
        room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
        room -= 0 if pad is None else pad + 1
        if room < 0:
            return
        size = min(room, rng.choice([0, 1, 10, 100, 100, 1000, 17000 if rng.random() < 0.1 else 50]))
        at = rng.randrange(1 << 15)
        last = rng.random() < 0.25
        connection.send_data(stream, FILLING[at : at + size], end_stream=last, pad_length=pad)
        if last:
            self.sending.remove(stream)

    def push(self):
        rng, connection = self.rng, self.connection
        if not connection.remote_settings.enable_push:
            return
        pushed = connection.get_next_available_stream_id()
        pseudo = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/pushed")]
        stream = rng.choice([s for s in self.to_answer + self.sending if s % 2])
        connection.push_stream(stream, pushed, self.fields(pseudo, long=False))
        self.to_answer.append(pushed)

    def reset(self):
        stream = self.rng.choice(self.to_answer + self.sending)
        self.connection.reset_stream(stream, self.rng.choice([0, 2, 7, 8, 11, 0xFFFFFFFF]))
        self.forget(stream)

    def settings(self):
        rng = self.rng
        chosen = {}
        if rng.random() < 0.7:
            chosen[SettingCodes.HEADER_TABLE_SIZE] = rng.choice([0, 1, 50, 200, 4096, 8192, 65536])
            if rng.random() < 0.02:
                chosen[SettingCodes.HEADER_TABLE_SIZE] = 100000
            # The same twice makes hpack's encoder forget to tell the change before it.
            if chosen[SettingCodes.HEADER_TABLE_SIZE] == self.table:
                del chosen[SettingCodes.HEADER_TABLE_SIZE]
            self.table = chosen.get(SettingCodes.HEADER_TABLE_SIZE, self.table)
        if rng.random() < 0.3:
            chosen[SettingCodes.INITIAL_WINDOW_SIZE] = rng.choice([0, 10, 1000, 65535, 1 << 20])
        if rng.random() < 0.2:
            chosen[SettingCodes.MAX_FRAME_SIZE] = rng.choice([16384, 16385, 40000, (1 << 24) - 1])
        if rng.random() < 0.2:
            chosen[SettingCodes.MAX_HEADER_LIST_SIZE] = rng.choice([1000, 65536, 1 << 20, 1 << 20])
        if self.client and rng.random() < 0.1:
            chosen[SettingCodes.ENABLE_PUSH] = rng.randrange(2)
        self.connection.update_settings(chosen)

    def small(self):
        rng, connection = self.rng, self.connection
        kind = rng.randrange(4)
        if kind == 0:
            connection.ping(rng.randbytes(8))
        elif kind == 1 and self.client:
            connection.prioritize(rng.randrange(1, 200), weight=rng.randrange(1, 257), depends_on=0)
        elif kind == 2 and not self.client:
            connection.advertise_alternative_service(b'h2=":443"', origin=b"a")
        else:
            connection.increment_flow_control_window(1 + rng.randrange(100000))

    def speak(self):
        """One thing that it may say now; a hyper-h2 that refuses it has ended the connection for itself."""
        rng = self.rng
        begin = [self.request] * 4 if self.client else []
        answer = [self.answer] * 4 if self.to_answer else []
        data = [self.data] * 8 if self.sending else []
        push = [self.push] if not self.client and any(s % 2 for s in self.to_answer + self.sending) else []
        reset = [self.reset] if self.to_answer + self.sending and rng.random() < 0.3 else []
        settings = [self.settings] if rng.random() < 0.4 else []
        say = rng.choice(begin + answer + data + push + reset + settings + [self.small])
        try:
            if rng.random() < 0.004:
                code, more = rng.choice([0, 1, 11]), rng.choice([None, b"", b"debug"])
                self.connection.close_connection(code, more)
                self.mute = True
            else:
                say()
        except H2Error:
            self.mute = self.connection.state_machine.state is ConnectionState.CLOSED

    # ---- what it hears

    def forget(self, stream):
        for streams in (self.to_answer, self.sending):
            if stream in streams:
                streams.remove(stream)

    def hear(self, data):
        self.heard += data
        self.connection.hear(data)
        for event in self.connection.news:
            if isinstance(event, RequestReceived):
                self.to_answer.append(event.stream_id)
                if (b":method", b"HEAD") in event.headers:
                    self.bodiless.add(event.stream_id)
            elif isinstance(event, DataReceived) and event.flow_controlled_length:
                self.to_credit.append((event.flow_controlled_length, event.stream_id))
            elif isinstance(event, StreamReset):
                self.forget(event.stream_id)
            elif isinstance(event, ConnectionTerminated):
                self.mute = True
        self.connection.news.clear()
        self.mute = self.mute or bool(self.connection.refusal)
        self.credit()

    def credit(self):
        if self.mute or self.rng.random() < self.lazy:
            return
        for length, stream in self.to_credit:
            try:
                self.connection.acknowledge_received_data(length, stream)
            except H2Error:
                pass
        self.to_credit.clear()


def converse(seed):
    rng = random.Random(seed)
    damaged = rng.random() < 0.5
    client, server = End(rng, True), End(rng, False)
    if rng.random() < 0.05:
        settings = client.connection.initiate_upgrade_connection()
        server.connection.initiate_upgrade_connection(settings)
        server.to_answer.append(1)
    else:
        client.connection.initiate_connection()
        server.connection.initiate_connection()
    dresser = h2_frames.Dresser(rng, rng.choice([0.05, 0.3, 0.8]) if damaged else 0)
    steps = rng.choice([5, 15, 30, 60])
    for step in range(steps + 8):
        for end, other in ((client, server), (server, client)):
            for _ in range(rng.randrange(4) if step < steps else 0):
                if not end.mute:
                    end.speak()
            said = end.connection.data_to_send()
            if said:
                preface = PREFACE if said.startswith(b"PRI") else 0
                end.wire += said[:preface] + dresser.dress(said[preface:])
                if preface and damaged and rng.random() < 0.02:
                    end.wire[rng.randrange(preface)] ^= 1 << rng.randrange(8)
            n = len(end.wire)
            if step < steps and n and rng.random() < 0.2:
                n = rng.randrange(n)
            if n:
                other.hear(bytes(end.wire[:n]))
                del end.wire[:n]
    return damaged, server, client


def pack_direction(end):
    connection = end.connection
    how = connection.end()
    parts = [struct.pack("<I", len(end.heard)), end.heard, struct.pack("<I", len(connection.entries))]
    for kind, verdict, past, stream, error, payload in connection.entries:
        parts += [struct.pack("<BBBIII", ord(kind), verdict, past, stream, error, len(payload)), payload]
    parts.append(struct.pack("<BB", how, connection.decoder.past))
    for text in (connection.refusal, connection.stopped):
        parts += [struct.pack("<I", len(text.encode())), text.encode()]
    return b"".join(parts)


def record_of(seed):
    damaged, server, client = converse(seed)
    return struct.pack("<B", damaged) + pack_direction(server) + pack_direction(client)


if __name__ == "__main__":
    records.write_for_ever(record_of)
