"""What the processes of a server do besides serving: they fork, change their user, close descriptors, exec.
The clients see no difference, the numbers are theirs, and what could not be watched is told."""

import json
import os
import pwd
import resource
import shutil
import signal

import subprocess
import sys
import time
from pathlib import Path

import client
import harness
import judge
import load
import pytest
from otlp_receiver import OtlpReceiver

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def process_server(life: str, *more: str) -> harness.Server:
    port = harness.free_port()
    command = [sys.executable, str(harness.SERVERS / "process_server.py"), "--port", str(port)]
    return harness.Server(life, [*command, "--life", life, *more], port, "scripted", is_scripted=True)


def all_private(directory: Path) -> bool:
    """The directory and what is in it: of this user, and open to no other."""
    for entry in [directory, *directory.iterdir()]:
        try:
            found = entry.lstat()
        except FileNotFoundError:  # it has its last name by now
            continue
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return False
    return True


def serve_and_judge(run: harness.Run, receiver: OtlpReceiver, n: int = 200, seed: int = 31) -> None:
    outcomes = load.run(run.server.address, load.scripted_plan(n, seed))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


# ---- users ------------------------------------------------------------------------------------------

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
    ids = ["--reuid", str(nobody.pw_uid), "--regid", str(nobody.pw_gid), "--clear-groups"]
    server.command = ["setpriv", *ids, *server.command]
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


@needs_root
def test_workers_in_a_root_directory_of_their_own(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """Neither /proc nor /dev/shm is there when they accept."""
    prison = tmp_path / "prison"
    prison.mkdir()
    prison.chmod(0o755)
    server = process_server("prefork", "--chroot", str(prison), "--user", "nobody")
    serve_and_judge(watch(server).start(harness.preloaded, receiver.endpoint), receiver)
    assert not list(prison.iterdir())


# ---- descriptors and forks --------------------------------------------------------------------------


def test_a_daemon(watch, receiver: OtlpReceiver) -> None:
    """Two forks, a session of its own, / as its directory, and every descriptor closed but one."""
    server = process_server("daemon")
    server.command = ["/bin/sh", "-c", '"$@"; exec sleep 60', "sh", *server.command]
    run = watch(server).start(harness.preloaded, receiver.endpoint, INFERWIRE_ONLY="process_server.py")
    outcomes = load.run(run.server.address, load.scripted_plan(200, seed=32))
    for daemon in {c["pid"] for c in run.calls()}:
        os.kill(daemon, signal.SIGTERM)
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")


@pytest.mark.parametrize("life", ["fork", "inetd"])
def test_a_child_for_each_connection(watch, life: str, receiver: OtlpReceiver) -> None:
    """The parent accepts, the child serves: the call is the child's, and counted once."""
    run = watch(process_server(life)).start(harness.preloaded, receiver.endpoint)
    parent = run.process.pid
    outcomes = load.run(run.server.address, load.scripted_plan(100, seed=33))
    run.stop()
    judge.check_all(receiver, run.calls(), outcomes, "scripted")
    assert parent not in {c["pid"] for c in run.calls()}
    assert not list(run.directory.glob("*.ring"))


def test_a_request_that_parent_and_child_share(watch, receiver: OtlpReceiver) -> None:
    """The parent read from it, the child answers: nobody sees the whole. So no call is counted, and above all
    none as failed."""
    run = watch(process_server("late-fork")).start(harness.preloaded, receiver.endpoint)
    plan = [c for c in load.scripted_plan(60, seed=34) if not c.error and c.counted]
    load.run(run.server.address, plan)
    run.stop()
    assert run.calls() == []
    assert not any(judge.counts(receiver, "requests_total").values())
    assert not any(judge.counts(receiver, "concurrent_requests").values())
    assert 0 < sum(receiver.totals("inferwire.calls.lost").values()) <= 60
    assert receiver.violations() == []


# ---- sandboxes --------------------------------------------------------------------------------------


def compiled(home: Path, source: Path, *flags: str) -> str:
    program = home / source.stem
    subprocess.run(["cc", "-O2", "-o", str(program), str(source), *flags], check=True)
    return str(program)


def serve_sandboxed(watch, home: Path, kind: str, endpoint: str) -> harness.Run:
    program = compiled(home, harness.SERVERS / "sandboxed_server.c")
    port = harness.free_port()
    server = harness.Server("sandboxed", [program, str(port), kind], port, "scripted", is_scripted=True)
    run = watch(server).start(harness.preloaded, endpoint)
    for n in range(20):
        connection = client.Connection(port)
        body = load.sized({"model": "tiny-a", "messages": []}, 100 + n)
        response = connection.call(client.request("POST", load.CHAT, body))
        assert response.status == 200 and response.complete
        connection.close()
    assert run.process and run.process.poll() is None
    return run


@pytest.mark.parametrize("kind", ["process", "worker-prctl", "worker-seccomp"])
def test_a_seccomp_filter_that_kills(watch, tmp_path: Path, kind: str, receiver: OtlpReceiver) -> None:
    """Once it is in force the shim makes no system call; and the ring was made before."""
    run = serve_sandboxed(watch, tmp_path, kind, receiver.endpoint)
    harness.wait_for("the calls", lambda: sum(judge.counts(receiver, "requests_total").values()) >= 20)
    run.stop()
    assert sorted(c["request_bytes"] for c in run.calls()) == list(range(100, 120))
    assert all(c["status"] == "success" for c in run.calls())


def test_the_strict_mode_of_seccomp(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """It takes the clock away: there the shim records nothing, and a call that it cannot see is none."""
    run = serve_sandboxed(watch, tmp_path, "strict", receiver.endpoint)
    harness.wait_for("an agent", run.agent_runs)
    run.stop()
    assert run.calls() == []
    assert not any(judge.counts(receiver, "requests_total").values())


# ---- children that are not servers --------------------------------------------------------------------

# A server with one long stream, which starts programs all the while: by vfork with every descriptor closed,
# by posix_spawn, and by fork with a function of its own in between.
STARTER = """
import os, socket, subprocess, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))

def stream(connection):
    connection.recv(65536)
    head = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\nconnection: close\\r\\n\\r\\n"
    connection.sendall(head)
    for n in range(2000):
        event = b'data: {"object":"chat.completion.chunk","model":"tiny-a","choices":[{"index":0,"delta":'
        connection.sendall(event + b'{"content":"%d"},"finish_reason":null}]}\\n\\n' % n)
        while not finished.is_set() and n == 1000:
            finished.wait()
    connection.sendall(b"data: [DONE]\\n\\n")
    connection.close()

def health(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
    connection.close()

def start_programs():
    for n in range(int(sys.argv[3])):
        if sys.argv[2] == "vfork":
            subprocess.run(["/bin/true"], close_fds=True, check=True)
        elif sys.argv[2] == "spawn":
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        elif sys.argv[2] == "fork":
            subprocess.run(["/bin/true"], close_fds=True, preexec_fn=os.getpid, check=True)
        else:
            pid = os.fork()
            if not pid:
                os.closerange(3, 65536)
                os._exit(0)
            os.waitpid(pid, 0)
    finished.set()

finished = threading.Event()
while True:
    connection, _ = server.accept()
    if connection.recv(5, socket.MSG_PEEK) == b"GET /":
        health(connection)
        continue
    threading.Thread(target=start_programs).start()
    threading.Thread(target=stream, args=(connection,)).start()
"""


@pytest.mark.parametrize(("kind", "n"), [("vfork", 1000), ("spawn", 1000), ("fork", 200), ("close", 1000)])
def test_a_stream_while_programs_are_started(watch, kind: str, n: int, receiver: OtlpReceiver) -> None:
    """The children write nothing, close nothing of ours, and have no ring."""
    port = harness.free_port()
    command = [sys.executable, "-c", STARTER, str(port), kind, str(n)]
    run = watch(harness.Server("starter", command, port, "scripted", True))
    run.start(harness.preloaded, receiver.endpoint)
    plan = [load.Call(load.CHAT, load.sized({"model": "tiny-a", "stream": True}, 5000), "tiny-a", True)]
    # The body goes with the head, in one piece: the server reads once.
    connection = client.Connection(port)
    parts = client.request("POST", plan[0].path, plan[0].body)
    response = connection.send([b"".join(parts)])
    assert connection.sock
    connection.finish(client.Reader(connection.sock, response))
    assert len(response.events) == 2001
    harness.wait_for("the status", lambda: (run.directory / "status.json").exists())
    assert len(list(run.directory.glob("*.ring"))) == 1
    run.stop()
    (call,) = run.calls()
    assert (call["status"], call["events"], call["incomplete"]) == ("success", 2000, False)
    assert sum(receiver.totals("inferwire.records.dropped").values()) == 0


def descriptors(pid: int) -> list[str]:
    links = [os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir()]
    return sorted(link.partition(":[")[0] for link in links)


@pytest.mark.parametrize("way", [harness.preloaded, harness.not_at_all], ids=["watched", "raw"])
@pytest.mark.parametrize("closed", [False, True], ids=["with stdio", "without stdio"])
def test_descriptors_of_the_server(watch, way: harness.Way, closed: bool, receiver: OtlpReceiver) -> None:
    """None more than its own, and where it has closed 0, 1 and 2, they are free."""
    server = process_server("threads", *(["--close-stdio"] if closed else []))
    run = watch(server).start(way, receiver.endpoint)
    assert run.process
    pid, own = run.process.pid, ["socket"]
    if not closed:
        own = ["/dev/null", str(run.output), str(run.output), "socket"]
    # It may be closing the connection by which it was found ready.
    harness.wait_for(f"{own}, not {descriptors(pid)}", lambda: descriptors(pid) == own, 5)
    run.end_server()
    if run.agent_runs():
        run.end_agent()


def test_a_storm_of_forks_signals_and_cancellations(tmp_path: Path) -> None:
    """In the middle of hooks: no hang, no crash, no byte out of order, and no ring of a child."""
    program = compiled(tmp_path, harness.ROOT / "tests" / "shim" / "storm.c", "-pthread")
    directory = harness.ring_directory()
    _, variables = harness.preloaded([])
    environment = harness.clean_environment() | variables | {"INFERWIRE_AGENT": "external"}
    try:
        for more in ({}, {"INFERWIRE_DIR": str(directory)}):
            run = environment | more if more else harness.clean_environment()
            assert subprocess.run([program, "4"], env=run, timeout=60).returncode == 0, more
        assert len(list(directory.glob("*.ring"))) == 1
        # What it recorded in between can be read to its end.
        agent = [str(harness.AGENT), "--started-by-shim"]
        run = environment | {"INFERWIRE_DIR": str(directory), "OTEL_METRICS_EXPORTER": "none"}
        subprocess.run(agent, env=run, timeout=60, check=True)
        told = (directory / "agent.log").read_text()
        assert " ended: " in told and "broken" not in told
    finally:
        shutil.rmtree(directory)


# ---- limits -----------------------------------------------------------------------------------------


# As many descriptors as the administrator allows: a million by the kernel's own default.
MANY = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def limited(server: harness.Server, *limits: str) -> harness.Server:
    server.command = ["prlimit", *limits, "--", *server.command]
    return server


@pytest.mark.parametrize(
    "limit",
    ["--nofile=64", f"--nofile={MANY}", f"--fsize={4 * 2**20}", f"--as={2**31}"],
    ids=["64 descriptors", "as many as are allowed", "files of 4 MiB", "2 GiB of addresses"],
)
def test_a_limit_that_leaves_room(watch, limit: str, receiver: OtlpReceiver) -> None:
    """A file beyond RLIMIT_FSIZE would be a SIGXFSZ in the server: the ring is smaller."""
    run = watch(limited(process_server("threads"), limit)).start(harness.preloaded, receiver.endpoint)
    serve_and_judge(run, receiver)


@pytest.mark.parametrize("limit", ["--fsize=65536", "--as=450000000"], ids=["files of 64 KiB", "few addresses"])
def test_a_limit_that_leaves_none(watch, limit: str, receiver: OtlpReceiver) -> None:
    """No ring, and a server that does not notice."""
    run = watch(limited(process_server("threads"), limit)).start(harness.preloaded, receiver.endpoint)
    load.run(run.server.address, load.scripted_plan(60, seed=35))
    assert not list(run.directory.glob("*.ring"))
    run.end_server()


def test_descriptors_that_are_used_up_when_it_listens(watch, receiver: OtlpReceiver) -> None:
    """The ring waits for the next accept that leaves some free."""
    server = process_server("threads")
    server.command = [sys.executable, "-c", EXHAUSTED, str(server.address)]
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    for n in range(3):
        body = load.sized({"model": "tiny-a", "messages": []}, 100 + n)
        parts = client.request("POST", load.CHAT, body, {"connection": "close"})
        assert client.Connection(run.server.address).call([b"".join(parts)]).status == 200
    harness.wait_for("an agent", run.agent_runs)
    run.stop()
    # The first connections came while there was none.
    assert [c["request_bytes"] for c in run.calls()] == [101, 102]


# Has no descriptor left but those for what it accepts; after the health check and one call it closes some.
EXHAUSTED = """
import json, os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
spare = [os.dup(0) for _ in range(64 - 1 - len(os.listdir("/proc/self/fd")) + 1)]
server.listen()
body = json.dumps({"object": "chat.completion", "model": "tiny-a", "choices": []}).encode()
head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n"
for n in range(1000):
    if n:
        os.close(spare.pop())
    if n == 2:
        while len(spare) > 20:
            os.close(spare.pop())
    connection, _ = server.accept()
    connection.recv(65536)
    connection.sendall(head % len(body) + body)
    connection.close()
"""


@needs_root
def test_locked_memory(watch, receiver: OtlpReceiver) -> None:
    """mlockall(MCL_FUTURE) fills in every later mapping: not the tables of a million descriptors."""
    run = watch(process_server("threads", "--lock-memory")).start(harness.preloaded, receiver.endpoint)
    assert run.process
    raw = watch(process_server("threads", "--lock-memory")).start(harness.not_at_all, receiver.endpoint)
    assert raw.process
    assert resident(run.process.pid) - resident(raw.process.pid) < 24 * 2**20
    raw.end_server()
    serve_and_judge(run, receiver, n=60)


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_children_without_a_ring_are_told(watch, receiver: OtlpReceiver) -> None:
    """They may write no file. What they accept is counted in their parent's ring."""
    run = watch(process_server("prefork", "--no-files")).start(harness.preloaded, receiver.endpoint)
    for _ in range(10):
        assert client.get(run.server.address, "/health").status == 200
    harness.wait_for("the count", lambda: told(run)["unwatched"] >= 10)
    run.stop()


def test_children_that_cannot_record_what_they_took_over(watch, receiver: OtlpReceiver) -> None:
    run = watch(process_server("fork", "--no-files")).start(harness.preloaded, receiver.endpoint)
    load.run(run.server.address, load.scripted_plan(60, seed=38))
    run.stop()
    assert run.calls() == []


def told(run: harness.Run) -> dict[str, int]:
    """What the agent says of the first process."""
    assert run.process
    try:
        status = json.loads((run.directory / "status.json").read_text())
    except FileNotFoundError:
        return {"unwatched": 0}
    return next((p for p in status["processes"] if p["pid"] == run.process.pid), {"unwatched": 0})


def test_a_file_limit_does_not_kill(watch, tmp_path: Path, receiver: OtlpReceiver) -> None:
    """SIGXFSZ, which Python ignores, ends a program in C."""
    program, port = compiled(tmp_path, harness.SERVERS / "forgetful_server.c"), harness.free_port()
    server = limited(harness.Server("C", [program, str(port)], port, "scripted", True), "--fsize=65536")
    run = watch(server).start(harness.preloaded, receiver.endpoint)
    assert not list(run.directory.glob("*.ring"))
    assert client.get(port, "/health").status == 200
    run.end_server()


# ---- exec -------------------------------------------------------------------------------------------


def chat(stream: bool, size: int, **script: int) -> load.Call:
    body = load.sized({"model": "tiny-a", "stream": stream, "script": script}, size)
    return load.Call(load.CHAT, body, "tiny-a", stream)


def begun(run: harness.Run, call: load.Call | None) -> client.Connection:
    """A connection that the server accepts without a word; then the call is sent, if there is one."""
    connection = client.Connection(run.server.address)
    connection.open()
    time.sleep(0.5)
    if call:
        connection.send([b"".join(client.request("POST", call.path, call.body))])
    return connection


def test_a_server_that_starts_itself_anew(watch, receiver: OtlpReceiver) -> None:
    """The listening socket and two connections go over exec; a stream does not, for it is close-on-exec."""
    run = watch(process_server("reexec")).start(harness.preloaded, receiver.endpoint)
    assert run.process
    before = load.run(run.server.address, [chat(False, 1000 + n) for n in range(8)], clients=1)
    cut = client.Connection(run.server.address)
    call = chat(True, 2000, events=2000, delay_ms=20)
    response = cut.send([b"".join(client.request("POST", call.path, call.body))])
    assert cut.sock
    reader = client.Reader(cut.sock, response)
    while len(response.events) < 3:
        assert reader.receive()
    silent, asked = begun(run, None), begun(run, chat(False, 3000))
    time.sleep(0.2)
    run.process.send_signal(signal.SIGUSR2)
    cut.finish(reader)
    assert not response.complete
    # The program that it became answers the request that was read before.
    assert asked.sock and asked.finish(client.Reader(asked.sock, client.Response())).status == 200
    # And one on a connection that it never accepted.
    assert silent.call([b"".join(client.request("POST", load.CHAT, chat(False, 3001).body))]).status == 200
    after = load.run(run.server.address, [chat(False, 1100 + n) for n in range(8)], clients=1)
    for connection in (silent, asked):
        connection.close()
    run.stop()
    good = {c["request_bytes"] for c in run.calls() if c["status"] == "success"}
    assert good == {len(o.call.body) for o in [*before, *after]}
    # The stream's descriptor has another connection by the time anybody looks, or none: lost, or broken off.
    failed = [c["request_bytes"] for c in run.calls() if c["error_type"]]
    assert failed in ([], [2000])
    assert sum(receiver.totals("inferwire.calls.lost").values()) == 2 - len(failed)
    assert not any(judge.counts(receiver, "concurrent_requests").values())


# Becomes another program, which serves nothing, in the middle of an answer; the connection stays open.
LEAVER = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    request = connection.recv(65536)
    if request.startswith(b"GET"):
        connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n")
        connection.close()
        continue
    connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 100\\r\\n\\r\\n{")
    connection.set_inheritable(True)
    os.execv("/bin/sleep", ["sleep", "60"])
"""


def test_a_server_that_becomes_something_else(watch, receiver: OtlpReceiver) -> None:
    """Its call is under way for nobody any more: it is given up while the process lives."""
    port = harness.free_port()
    command = [sys.executable, "-c", LEAVER, str(port)]
    run = watch(harness.Server("leaver", command, port, "scripted", True))
    run.start(harness.preloaded, receiver.endpoint)
    connection = client.Connection(port)
    call = chat(False, 1000)
    connection.send([b"".join(client.request("POST", call.path, call.body))])
    harness.wait_for("it is lost", lambda: sum(receiver.totals("inferwire.calls.lost").values()) == 1)
    assert run.process and run.process.poll() is None
    assert not any(judge.counts(receiver, "concurrent_requests").values())
    connection.close()
    run.stop()
    assert run.calls() == []
