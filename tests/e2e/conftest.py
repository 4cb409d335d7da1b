"""Where the modules of the end-to-end tests are, and their fixtures."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("e2e", "receivers", "servers")]
pytest.register_assert_rewrite("judge", "harness", "load", "manners", "twins", "fixtures")

from fixtures import *  # noqa: F403
