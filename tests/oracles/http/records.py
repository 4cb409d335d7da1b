"""Inputs for tests/oracles/records.h, which says how a maker is started and what it writes."""

import itertools
import struct
import sys
from collections.abc import Callable


def write_for_ever(record_of: Callable[[int], bytes]) -> None:
    """The records of this maker's seeds, until nobody reads; record_of(seed) is what comes behind the seed."""
    first, step = int(sys.argv[1]), int(sys.argv[2])
    try:
        for seed in itertools.count(first, step):
            seed %= 1 << 64
            record = struct.pack("<Q", seed) + record_of(seed)
            sys.stdout.buffer.write(struct.pack("<I", len(record)) + record)
    except BrokenPipeError:
        sys.stderr.close()
