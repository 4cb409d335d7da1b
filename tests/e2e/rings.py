"""The rings of a directory, looked at from outside (shim/wire.h)."""

import struct
from collections.abc import Iterator
from pathlib import Path

import harness

HEADER_BYTES, LANE_HEADER_BYTES = 8192, 256
SHAPE_AT, TAIL = 16, 128  # of the header; of a lane


def lanes(ring: bytes) -> Iterator[tuple[int, int]]:
    """Head and tail of each lane."""
    count, lane_bytes = struct.unpack_from("<II", ring, SHAPE_AT)
    for n in range(count):
        at = HEADER_BYTES + n * (LANE_HEADER_BYTES + lane_bytes)
        yield struct.unpack_from("<Q", ring, at)[0], struct.unpack_from("<Q", ring, at + TAIL)[0]


def are_read(directory: Path) -> bool:
    return all(head == tail for at in directory.glob("*.ring") for head, tail in lanes(at.read_bytes()))


def wait_until_read(directory: Path) -> None:
    """By an agent that was away: what comes next has all the room."""
    harness.wait_for("the agent has read what was there", lambda: are_read(directory), 30)
