"""What cannot be measured: its clients get what they get without us, no call is made up, and it is told."""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import client
import harness
import judge
import load
import playbook
import players
import pytest
import runtimes
from otlp_receiver import OtlpReceiver
from players import answer, wait_until_idle


def node_tls(home: Path) -> harness.Server:
    port = harness.free_port()
    command = ["node", str(harness.SERVERS / "play.js"), str(port), str(home), *harness.certificate(home)]
    return harness.Server("node", command, client.Tls(port), "scripted", True)


def granian_tls(home: Path) -> harness.Server:
    key, certificate = harness.certificate(home)
    return runtimes.granian("--ssl-keyfile", key, "--ssl-certificate", certificate)


class Opened:
    """Counts the connections that the test's clients open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.count = 0
        original = client.Connection.open

        def counted(connection: client.Connection) -> Any:
            before = connection.sock
            sock = original(connection)
            self.count += sock is not before
            return sock

        monkeypatch.setattr(client.Connection, "open", counted)


@pytest.mark.parametrize("server", [node_tls, granian_tls])
def test_tls_of_the_servers_own(
    watch, tmp_path: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, server
) -> None:
    """node's OpenSSL is part of it, granian's TLS is rustls."""
    if server is node_tls and not shutil.which("node"):
        pytest.skip("node is missing: sh tools/deps.sh servers")
    plan = players.NODE.plan(60, seed=23)
    playbook.write(tmp_path, plan)
    plain = watch(server(tmp_path)).start(harness.not_at_all, receiver.endpoint)
    expected = load.run(plain.server.address, plan)
    wait_until_idle(plain.server)
    status = plain.stop()

    opened = Opened(monkeypatch)
    run = watch(server(tmp_path)).start(harness.preloaded, receiver.endpoint)
    outcomes = load.run(run.server.address, plan)
    wait_until_idle(run.server)
    assert run.stop() == status
    assert [answer(o) for o in outcomes] == [answer(o) for o in expected]
    assert judge.connections(receiver) == {
        "kind=encrypted reason=tls_without_plain_text": opened.count
    }, "each was told, as what it is"
    assert run.calls() == []
    assert judge.counts(receiver, "requests_total") == {}


@pytest.mark.parametrize("program, word", [("play-static", "statically linked"), ("play-go", "Go program")])
def test_a_program_without_a_libc_to_preload(
    watch, tmp_path: Path, receiver: OtlpReceiver, program: str, word: str
) -> None:
    """The shim is not in it: that is told before, when it starts, and while it runs."""
    plan = load.scripted_plan(40, seed=24, leaves_early=False)
    playbook.write(tmp_path, plan)

    def server() -> harness.Server:
        port = harness.free_port()
        command = [str(players.BUILT / program), str(port), str(tmp_path)]
        return harness.Server(program, command, port, "scripted", True)

    def check(*arguments: str) -> str:
        done = subprocess.run([str(harness.COMMAND), "check", *arguments], capture_output=True, text=True)
        assert done.returncode == 1, done
        return done.stdout

    plain = watch(server()).start(harness.not_at_all, receiver.endpoint)
    expected = load.run(plain.server.address, plan)
    assert plain.stop() == -signal.SIGTERM

    assert word in check("--", *plain.server.command)
    run = watch(server()).start(harness.by_command, receiver.endpoint)
    outcomes = load.run(run.server.address, plan)
    assert run.process
    (child,) = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read_text().split()
    assert "not observed" in check("--pid", child) and word in check("--pid", child)
    assert run.stop() == -signal.SIGTERM
    assert [answer(o) for o in outcomes] == [answer(o) for o in expected]
    (warning,) = [line for line in run.output.read_text().splitlines() if "inferwire" in line]
    assert "will not be watched" in warning and word in warning
    assert receiver.bodies == [] and run.calls() == []
