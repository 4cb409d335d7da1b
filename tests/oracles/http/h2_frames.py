"""Frames on their way from one endpoint to the other: what a sender may do and hyper-h2 does not (padded and split
blocks of fields, frames of unknown types), and damage."""

import struct

HEADERS, PRIORITY, PUSH_PROMISE, CONTINUATION = 1, 2, 5, 9
END_HEADERS, PADDED, WITH_PRIORITY = 4, 8, 0x20
TYPES = list(range(11)) + [0x10, 77]
LENGTHS = {2: 5, 3: 4, 6: 8, 7: 8, 8: 4}
SMALLEST_MAX = 16384


def frame(kind, flags, stream, payload):
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 255, kind, flags, stream & 0xFFFFFFFF) + payload


def frames_of(data):
    at, frames = 0, []
    while at < len(data):
        high, low, kind, flags, stream = struct.unpack_from(">HBBBL", data, at)
        end = at + 9 + (high << 8) + low
        frames.append([kind, flags, stream, data[at + 9 : end]])
        at = end
    return frames


class Dresser:
    def __init__(self, rng, damage):
        self.rng = rng
        self.damage = damage * 0.2  # of a frame
        self.style = rng.choice([0, 0.1, 0.5])  # how often a frame is dressed

    def dress(self, data):
        rng, out = self.rng, []
        for kind, flags, stream, payload in frames_of(data):
            if kind in (HEADERS, PUSH_PROMISE) and rng.random() < self.style:
                out += self._block(kind, flags, stream, payload)
            else:
                out.append([kind, flags, stream, payload])
            # Between the frames of a block no other one may stand (RFC 9113 6.10).
            if kind != CONTINUATION and flags & END_HEADERS and rng.random() < self.style * 0.2:
                out.append([rng.choice([0x0B, 0x10, 77, 255]), rng.randrange(256), stream, rng.randbytes(rng.randrange(30))])
        if self.damage:
            return self._damaged(out)
        return b"".join(frame(*f) for f in out)

    def _block(self, kind, flags, stream, payload):
        """The block as HEADERS or PUSH_PROMISE and CONTINUATIONs, some of them empty."""
        rng = self.rng
        start = 4 if kind == PUSH_PROMISE else 5 if flags & WITH_PRIORITY else 0
        cuts = sorted(rng.randrange(start, len(payload) + 1) for _ in range(rng.choice([0, 0, 1, 1, 2, 5])))
        first, *more = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)])]
        last = flags & END_HEADERS
        if more:
            flags &= ~END_HEADERS
        if rng.random() < 0.4 and len(first) < SMALLEST_MAX - 256:
            # hyperframe takes no padding that leaves the frame no other byte.
            pad = rng.randrange(256) if first else 0
            first = bytes([pad]) + first + bytes(pad)
            flags |= PADDED
        frames = [[CONTINUATION, 0, stream, piece] for piece in more]
        if frames:
            frames[-1][1] = last
        return [[kind, flags, stream, first], *frames]

    def _damaged(self, frames):
        rng, out = self.rng, []
        for f in frames:
            if rng.random() >= self.damage:
                out.append(frame(*f))
                continue
            out += self._damage(f)
            if len(out) > 1 and rng.random() < 0.1:
                out[-1], out[-2] = out[-2], out[-1]
        return b"".join(out)

    def _damage(self, f):
        rng = self.rng
        kind, flags, stream, payload = f
        how = rng.randrange(10)
        if how == 0:
            return []
        if how == 1:
            return [frame(*f)] * 2
        if how == 2:
            return [frame(kind, flags ^ (1 << rng.randrange(8)), stream, payload)]
        if how == 3:
            other = rng.choice([0, 1, 2, 3, stream + 1, stream + 2, max(stream - 2, 0), rng.randrange(1 << 32)])
            return [frame(kind, flags, other, payload)]
        if how == 4:
            return [frame(rng.choice(TYPES), flags, stream, payload)]
        if how == 5:
            return [frame(kind, flags, stream, payload[: rng.randrange(len(payload) + 1)])]
        if how == 6:
            return [frame(kind, flags, stream, payload + rng.randbytes(rng.randrange(1, 9)))]
        if how == 7 and rng.random() < 0.1:
            itself = struct.pack(">LB", stream or 1, 0)
            return [frame(*f), frame(PRIORITY, 0, stream or 1, itself)]
        if how == 7:
            other = rng.choice(TYPES)
            size = LENGTHS.get(other, rng.randrange(20)) if rng.random() < 0.8 else rng.randrange(20)
            return [frame(*f), frame(other, rng.randrange(256), rng.choice([0, stream, 1]), rng.randbytes(size))]
        if how == 8 and kind in (HEADERS, PUSH_PROMISE) and len(payload) < 256:
            pad = max(0, len(payload) - rng.randrange(8))
            return [frame(kind, flags | PADDED, stream, bytes([pad]) + payload)]
        raw = bytearray(frame(*f))
        if how == 8 and payload:
            raw[9 + rng.randrange(len(payload))] = rng.randrange(256)
        else:
            raw[rng.choice([1, 2, 2, rng.randrange(len(raw))])] ^= 1 << rng.randrange(8)
        return [bytes(raw)]
