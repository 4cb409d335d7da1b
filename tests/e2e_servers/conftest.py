"""Where the modules of the end-to-end tests are, and their fixtures."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("e2e", "receivers", "servers")]
pytest.register_assert_rewrite("judge", "harness", "load", "fixtures")

import harness
from fixtures import *  # noqa: F403


@pytest.fixture
def engine(watch, receiver) -> harness.Server:
    """What a gateway asks; nobody watches it."""
    server = harness.llama_cpp()
    watch(server).start(harness.not_at_all, receiver.endpoint)
    return server
