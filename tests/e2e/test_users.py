"""Servers that become another user, or change their root directory, before they accept."""

import json
import os
import pwd
import shutil
import socket
import sys
import time
from pathlib import Path

import client
import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver
from processes import all_private, ids_of_nobody, needs_root, process_server, serve_and_judge

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
NGINX_CONFIGURATION = """
user www-data;
worker_processes 2;
daemon {daemon};
error_log {home}/error.log;
pid {home}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  server {{
    listen 127.0.0.1:{port};
    location = /health {{ return 200 'ok'; }}
    location = /v1/chat/completions {{
      default_type application/json;
      return 200 '{answer}';
    }}
  }}
}}
"""
ANSWER = {
    "object": "chat.completion",
    "model": "tiny-a",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def nginx(home: Path, daemon: bool) -> harness.Server:
    port = harness.free_port()
    home.chmod(0o755)
    configuration = home / "nginx.conf"
    text = NGINX_CONFIGURATION.format(
        home=home, port=port, daemon="on" if daemon else "off", answer=json.dumps(ANSWER)
    )
    configuration.write_text(text)
    return harness.Server("nginx", [NGINX or "nginx", "-c", str(configuration)], port, "nginx", False)


def ask_nginx(run: harness.Run, n: int) -> None:
    for k in range(n):
        connection = client.Connection(run.server.address)
        body = load.sized({"model": "tiny-a", "messages": []}, 100 + k)
        # In one piece: `return` does not wait for a body that is still on its way.
        parts = client.request("POST", load.CHAT, body, {"connection": "close"})
        response = connection.call([b"".join(parts)])
        assert response.status == 200 and response.complete
        connection.close()


@needs_root
@pytest.mark.skipif(not NGINX, reason="nginx is missing: make deps")
@pytest.mark.parametrize("daemon", [False, True], ids=["foreground", "daemon"])
def test_nginx_whose_workers_are_www_data(watch, tmp_path: Path, daemon: bool, receiver: OtlpReceiver) -> None:
    """They get their rings before they drop root: in root's directory, where root's agent reads them, with
    root's settings (nginx clears its workers' environment). Nobody else can look into them."""
    run = watch(nginx(tmp_path, daemon))
    command, variables = harness.preloaded(run.server.command)
    if daemon:
        # The first process ends when the daemon stands.
        run.server.command = ["/bin/sh", "-c", '"$@"; exec sleep 60', "sh", *command]
        variables["INFERWIRE_ONLY"] = "nginx"
    run.start(lambda c: (c, variables), receiver.endpoint)
    ask_nginx(run, 20)

    def workers() -> int:
        proc = [Path("/proc", r.name.split("-")[0]) for r in run.directory.glob("*.ring")]
        users = [p.stat().st_uid for p in proc if p.exists()]
        return users.count(pwd.getpwnam("www-data").pw_uid)

    harness.wait_for("two workers with rings, and an agent", lambda: workers() == 2 and run.agent_runs())
    assert all_private(run.directory)
    master = int((tmp_path / "nginx.pid").read_text())
    os.kill(master, 15)
    run.stop()
    assert sorted(c["request_bytes"] for c in run.calls()) == list(range(100, 120))
    assert all(c["status"] == "success" and c["output_tokens"] == 2 for c in run.calls())
    assert sum(judge.counts(receiver, "requests_total").values()) == 20


@needs_root
@pytest.mark.parametrize("way", harness.WAYS.values(), ids=harness.WAYS)
def test_workers_of_another_user(watch, way: harness.Way, receiver: OtlpReceiver) -> None:
    run = watch(process_server("prefork", "--user", "nobody")).start(way, receiver.endpoint)
    assert all_private(run.directory)
    serve_and_judge(run, receiver)


@needs_root
def test_workers_of_another_user_whose_socket_has_a_high_number(watch, receiver: OtlpReceiver) -> None:
    run = watch(process_server("prefork", "--user", "nobody", "--high")).start(
        harness.preloaded, receiver.endpoint
    )
    assert all_private(run.directory)
    serve_and_judge(run, receiver)


@needs_root
def test_gunicorn_whose_workers_are_nobody(watch, receiver: OtlpReceiver) -> None:
    port = harness.free_port()
    command = [sys.executable, "-m", "gunicorn", "wsgi_app:app", "--chdir", str(harness.SERVERS)]
    # The worker of another user may not be able to read what it would import.
    command += ["--preload", "--user", "nobody", "--workers", "2", "--threads", "8"]
    command += ["--worker-tmp-dir", "/dev/shm"]
    command += ["--worker-class", "gthread", "--bind", f"127.0.0.1:{port}", "--log-level", "critical"]
    run = watch(harness.Server("gunicorn", command, port, "scripted", True))
    run.start(harness.preloaded, receiver.endpoint)
    assert all_private(run.directory)
    # WSGI notices no departure, and chunked requests are the server's business.
    plan = [c for c in load.scripted_plan(100, seed=39) if c.leave_after is None and not c.chunked]
    outcomes = load.run(run.server.address, plan)
    run.settle(load.counted(outcomes))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    workers = {c["pid"] for c in run.calls()}
    assert workers and run.process and run.process.pid not in workers


@needs_root
def test_a_server_that_becomes_another_user_itself(watch, receiver: OtlpReceiver) -> None:
    """The ring was made when it listened; what is mapped stays mapped."""
    run = watch(process_server("threads", "--user", "nobody")).start(harness.preloaded, receiver.endpoint)
    serve_and_judge(run, receiver)


@needs_root
@pytest.mark.parametrize("way", [harness.preloaded, harness.by_command], ids=["preload", "run"])
def test_a_directory_that_the_user_cannot_use(watch, way: harness.Way, receiver: OtlpReceiver) -> None:
    """Root's directory, and a server that became another user before it listened: its rings are in that
    user's own directory, whose agent says so; `inferwire run` waits for this one's last export, too."""
    nobody = pwd.getpwnam("nobody")
    theirs = Path(f"/dev/shm/inferwire-{nobody.pw_uid}")
    server = process_server("threads")
    server.command = ["setpriv", *ids_of_nobody(), *server.command]
    run = watch(server).start(way, receiver.endpoint)
    assert not list(run.directory.glob("*.ring"))
    (ring,) = theirs.glob("*.ring")
    assert ring.stat().st_uid == nobody.pw_uid
    outcomes = load.run(run.server.address, load.scripted_plan(100, seed=37))
    run.end_server()
    if way is harness.preloaded:
        harness.wait_for("their agent ends", lambda: not harness.agent_runs(theirs))
    told = (theirs / "agent.log").read_text()
    assert f"INFERWIRE_DIR={run.directory}" in told and "INFERWIRE_CALL_LOG" in told
    judge.check_metrics(receiver, outcomes, "scripted")
    harness.wait_for("their agent ends", lambda: not harness.agent_runs(theirs))
    shutil.rmtree(theirs)


# Answers one request, whose body is of 100 bytes, and ends.
SHORT = r"""
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    connection = server.accept()[0]
    got = b""
    while len(got.partition(b"\r\n\r\n")[2]) < 100:
        got += connection.recv(65536)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    connection.sendall(head % len(sys.argv[2]) + sys.argv[2].encode())
    connection.close()
"""


def connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=10)
    except ConnectionRefusedError:
        return None


class SlowReceiver(OtlpReceiver):
    def take(self, *what) -> int:
        time.sleep(0.5)
        return super().take(*what)


@needs_root
def test_the_last_export_of_a_short_life_as_another_user(watch) -> None:
    """`inferwire run` waits for it also where it had no time to look around while the server lived."""
    nobody = pwd.getpwnam("nobody")
    port = harness.free_port()
    program = [sys.executable, "-S", "-c", SHORT, str(port), json.dumps(ANSWER)]
    run = watch(harness.Server("short", ["setpriv", *ids_of_nobody(), *program], port, "scripted", True))
    receiver = SlowReceiver()
    run.launch(harness.by_command, receiver.endpoint)
    body = load.sized({"model": "tiny-a", "messages": []}, 100)
    connection = harness.wait_for("it listens", lambda: connected(port))
    connection.sendall(b"".join(client.request("POST", load.CHAT, body)))
    assert run.process and run.process.wait(30) == 0
    connection.close()
    assert sum(judge.counts(receiver, "requests_total").values()) == 1
    receiver.close()
    shutil.rmtree(f"/dev/shm/inferwire-{nobody.pw_uid}")


@needs_root
def test_workers_in_a_root_directory_of_their_own(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """Neither /proc nor /dev/shm is there when they accept."""
    prison = tmp_path / "prison"
    prison.mkdir()
    prison.chmod(0o755)
    server = process_server("prefork", "--chroot", str(prison), "--user", "nobody")
    serve_and_judge(watch(server).start(harness.preloaded, receiver.endpoint), receiver)
    assert not list(prison.iterdir())
