"""Recorded exchanges with hosted services and Ollama (corpora/README.md), in the order of their file.

INFERWIRE_CORPORA says where the folder is.
"""

import base64
import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = (ROOT / os.environ.get("INFERWIRE_CORPORA", "../shared/corpora") / "openllmetry.jsonl.gz").absolute()


@dataclass(frozen=True)
class Recording:
    name: str
    method: str
    target: str
    request: bytes
    status: int
    content_type: str
    coding: str
    response: bytes  # as it was sent: coded

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def plain(self) -> bytes:
        assert self.coding in ("", "gzip"), self.coding
        return gzip.decompress(self.response) if self.coding else self.response


def read() -> list[Recording]:
    with gzip.open(FILE) as lines:
        return [one(json.loads(line)) for line in lines]


def one(o: dict) -> Recording:
    return Recording(
        o["id"],
        o["method"].upper(),
        o["path"],
        base64.b64decode(o["request"]),
        o["status"],
        o["headers"].get("content-type", ""),
        o["headers"].get("content-encoding", ""),
        base64.b64decode(o["response"]),
    )
