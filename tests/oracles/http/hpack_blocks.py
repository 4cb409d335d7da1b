"""Blocks of fields by hpack's encoder, and what its decoder reads in them, each connection made of its seed alone.

    python hpack_blocks.py FIRST STEP      seeds FIRST, FIRST + STEP, ... until nobody reads

A record, little-endian: u32 length of what follows, u64 seed, u32 count of blocks, each:

    u32 length, the block      u8 how it reads (READ ...)      u32 length, its fields as in h2_talk.py
"""

import random
import struct

from hpack.exceptions import HPACKError
from hpack.hpack import Encoder

import records
from h2_reader import PAST_FIELD, PAST_TABLE, TABLE_MOST, LenientDecoder, pack_fields

READ, BROKEN, HUGE_TABLE, HUGE_FIELD = range(4)
BLOCKS = 24

NAMES = [
    b"content-type", b"content-encoding", b"content-length", b"server", b"user-agent", b"accept", b"authorization",
    b"cookie", b"date", b"etag", b"vary", b"via", b"x-request-id", b"x-ratelimit-limit", b"openai-model", b"traceparent",
]
VALUES = [
    b"", b"0", b"1", b"17", b"application/json", b"text/event-stream", b"text/plain; charset=utf-8", b"gzip", b"br",
    b"uvicorn", b"llama.cpp", b"Bearer sk-0123456789abcdef", b"*/*", b"gzip, deflate, br, zstd", b"a=b; c=d",
    b"Tue, 24 Nov 2026 18:29:51 GMT", b'W/"0815"', b"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", b"\x80\xff\xfe", b"\0",
    b"a\r\nb", b" padded ", b"~" * 40, b"\x01\x02\x03", b"0" * 127, b"z" * 128,
]  # fmt: skip
METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b""]
PATHS = [b"/", b"/index.html", b"/v1/chat/completions", b"/v1/models", b"", b"*"]
STATUS = [b"200", b"204", b"206", b"304", b"400", b"404", b"500", b"429", b"503", b"103", b"99", b"20x"]
SIZES = [0, 1, 33, 64, 100, 200, 500, 1000, 4096, 4096, 10000, TABLE_MOST]


class MixedEncoder(Encoder):
    """Each literal with or without Huffman; what is not to be indexed sometimes may be, later (RFC 7541 6.2.2)."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng

    def add(self, to_add, sensitive, huffman=False):
        encoded = super().add(to_add, sensitive, self.rng.random() < 0.4)
        if encoded[0] & 0xF0 == 0x10 and self.rng.random() < 0.5:
            return bytes([encoded[0] & 0x0F]) + encoded[1:]
        return encoded


def fields_of(rng, own):
    choice, chance = rng.choice, rng.random
    if chance() < 0.5:
        fields = [(b":method", choice(METHODS)), (b":scheme", b"http"), (b":authority", b"a"), (b":path", choice(PATHS))]
    else:
        fields = [(b":status", choice(STATUS))]
    for _ in range(rng.randrange(8)):
        if chance() < 0.5:
            fields.append(choice(own))
        else:
            fields.append((choice(NAMES), choice(VALUES), chance() < 0.2))
    if chance() < 0.02:
        fields.append((rng.randbytes(rng.randrange(20)), rng.randbytes(rng.choice([5, 50, 300]))))
    if chance() < 0.02:
        rng.shuffle(fields)
    return fields


def damage(rng, block):
    block = bytearray(block)
    how = rng.randrange(5)
    at = rng.randrange(len(block)) if block else 0
    if how == 0 and block:
        block[at] = rng.randrange(256)
    elif how == 1 and block:
        block[at] ^= 1 << rng.randrange(8)
    elif how == 2:
        del block[at : at + rng.randrange(1, 4)]
    elif how == 3:
        block[at:at] = rng.randbytes(rng.randrange(1, 5))
    else:
        block[at:at] = rng.choice([b"\x3f", b"\x7f", b"\xff", b"\x0f", b"\x1f"]) + rng.choice(
            [b"\x80", b"\xff", b"\x80\x80\x80", b"\xff\xff\xff\xff", b""]
        )
    return bytes(block)


def blocks_of(rng):
    encoder, decoder = MixedEncoder(rng), LenientDecoder()
    decoder.max_allowed_table_size = 1 << 20
    decoder.max_header_list_size = 1 << 40
    own = [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(6)]
    own += [(b"x-%d" % rng.randrange(100), b"%d" % rng.randrange(1 << 40)) for _ in range(3)]
    # What the encoder was given is what is to be read, if nothing is damaged.
    damaged = rng.choice([0, 0, 0, 0.03, 0.3])
    for _ in range(BLOCKS):
        while rng.random() < 0.08:
            size = rng.choice(SIZES)
            # One that comes twice makes hpack's encoder forget to tell the one before it.
            if size != encoder.header_table_size:
                encoder.header_table_size = size
        if rng.random() < 0.0005:
            encoder.header_table_size = TABLE_MOST + 1 + rng.randrange(1000)
        fields = fields_of(rng, own)
        block = encoder.encode(fields)
        if not damaged and encoder.header_table_size <= TABLE_MOST:
            yield block, READ, pack_fields([field[:2] for field in fields])
            continue
        if rng.random() < damaged:
            block = damage(rng, block)
        try:
            fields = pack_fields(decoder.decode(block))
        except HPACKError:
            yield block, BROKEN, b""
            return
        if decoder.past:
            yield block, {PAST_TABLE: HUGE_TABLE, PAST_FIELD: HUGE_FIELD}[decoder.past], fields
            return
        yield block, READ, fields


def record_of(seed):
    parts = []
    for block, how, fields in blocks_of(random.Random(seed)):
        parts += [struct.pack("<I", len(block)), block, struct.pack("<BI", how, len(fields)), fields]
    return struct.pack("<I", len(parts) // 4) + b"".join(parts)


if __name__ == "__main__":
    records.write_for_ever(record_of)
