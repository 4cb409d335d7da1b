"""Which engine serves, where neither the command line nor INFERWIRE_PROVIDER says it."""

import subprocess
import sys
from pathlib import Path

import harness
import load
import pytest
from otlp_receiver import OtlpReceiver

LOADS = """
import ctypes, os, runpy, sys
ctypes.CDLL(sys.argv[1])
sys.argv = sys.argv[2:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A library where the engine's own package has it."""
    source = tmp_path / "empty.c"
    source.write_text("int empty;\nint answer(void) { return empty; }\n")
    at = tmp_path / "site-packages" / "vllm" / "_C.abi3.so"
    at.parent.mkdir(parents=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(at), str(source)], check=True)
    return at


@pytest.mark.parametrize("loaded", [True, False])
def test_by_what_is_loaded(watch, module: Path, loaded: bool, receiver: OtlpReceiver) -> None:
    port = harness.free_port()
    script = [str(harness.SERVERS / "http_server.py"), str(port)]
    library = [str(module)] if loaded else ["libc.so.6"]
    command = [sys.executable, "-c", LOADS, *library, *script]
    run = watch(harness.Server("script", command, port, "", is_scripted=False))
    run.start(harness.preloaded, receiver.endpoint)
    load.run(run.server.address, load.scripted_plan(10, seed=3))
    run.stop()
    assert {call["provider"] for call in run.calls()} == {"vllm" if loaded else "unknown"}
