"""inferwire status: what the agent wrote about itself, if one runs."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from stand_in_agent import hold_lock

STATUS = {
    "agent": {"pid": 4711, "version": "0.1.0", "uptime_seconds": 3725.5},
    "export": {"exported_points": 120, "failed_points": 6, "requests": 11, "retries": 2,
               "last_error": "http://c:4318/v1/metrics: 503"},
    "processes": [{"pid": 4242, "program": "llama-server", "service": "chat", "connections": 17,
                   "records": 12345, "dropped": 3, "calls": 99}],
}


def status(installed, *arguments):
    return subprocess.run([installed.inferwire, "status", *arguments], text=True, timeout=10,
                          capture_output=True, env=installed.environment())


@pytest.fixture
def agent(installed):
    """Holds the lock, as an agent does that wrote STATUS."""
    installed.rings.mkdir(mode=0o700)
    lock = hold_lock(installed.rings)
    (installed.rings / "status.json").write_text(json.dumps(STATUS))
    yield
    os.close(lock)


def test_table(installed, agent):
    done = status(installed)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0.1.0, process 4711, running 1h02m" in done.stdout
    assert "120 points in 11 requests; failed 6, retries 2" in done.stdout
    assert "503" in done.stdout
    assert done.stdout.splitlines()[-2].split() == ["4242", "llama-server", "chat", "17", "12345",
                                                    "3", "99"]


def test_json_is_what_the_agent_wrote(installed, agent):
    assert json.loads(status(installed, "--json").stdout) == STATUS


def test_directory_can_be_named(installed, agent, tmp_path):
    assert status(installed, "--dir", tmp_path).returncode == 1
    assert status(installed, "--dir", installed.rings).returncode == 0


def lines_below(installed, **more):
    """What the table says below its line for a process."""
    process = STATUS["processes"][0] | {"dropped": 0} | more
    (installed.rings / "status.json").write_text(json.dumps(STATUS | {"processes": [process]}))
    lines = status(installed).stdout.splitlines()
    return lines[[i for i, line in enumerate(lines) if line.startswith("    4242")][0] + 1 :]


def test_what_is_read_needs_no_advice(installed, agent):
    assert lines_below(installed) == []
    below = lines_below(installed, http=12, tls=3, encrypted=0, opaque=0, unseen=0, unwatched=0)
    assert below == ["          connections: 12 http, 3 tls"]


@pytest.mark.parametrize("kind, name, advice", [
    ("encrypted", "encrypted", "TLS of a library that cannot be seen"),
    ("opaque", "opaque", "another protocol"),
    ("unseen", "unseen", "raw system calls"),
    ("unseen_io_uring", "unseen (io_uring)", "switch it off"),
    ("unwatched", "unwatched", "1,048,576"),
])
def test_what_is_not_read_has_a_line_of_advice(installed, agent, kind, name, advice):
    below = lines_below(installed, http=1, **{kind: 7})
    assert below[0] == f"          connections: 1 http, 7 {name}"
    assert len(below) == 2 and below[1].startswith(f"          {name}: ") and advice in below[1]


def test_drops_have_a_line_of_advice(installed, agent):
    assert ["INFERWIRE_RING_BYTES" in line for line in lines_below(installed, dropped=1)] == [True]


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"processes": 3, "agent": []}'])
def test_state_that_is_not_there_or_is_nonsense(installed, agent, content):
    path = installed.rings / "status.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    done = status(installed)
    assert done.returncode in (0, 1)
    assert done.returncode == 0 or done.stderr.count("\n") == 1


def test_without_an_agent(installed):
    done = status(installed)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    installed.rings.mkdir()
    (installed.rings / "status.json").write_text(json.dumps(STATUS))  # left by one that ended
    (installed.rings / "agent.lock").touch()
    assert status(installed).returncode == 1


@pytest.fixture
def others():
    """The default directory of a user that nobody is, with an agent of theirs."""
    user, directory = 64123, pathlib.Path("/dev/shm/inferwire-64123")
    directory.mkdir(mode=0o700)
    lock = hold_lock(directory)
    (directory / "status.json").write_text(json.dumps(STATUS))
    for path in (directory, *directory.iterdir()):
        os.chown(path, user, user)
    yield directory
    os.close(lock)
    shutil.rmtree(directory)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_root_is_told_of_other_users(installed, others):
    done = status(installed)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert str(installed.rings) in done.stderr and "of other users: inferwire status --dir /dev/shm/" in done.stderr
    shown = status(installed, "--dir", others)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "process 4711" in shown.stdout and f"rings      {others}" in shown.stdout
    assert "\nothers " not in shown.stdout


@needs_root
def test_other_users_stand_in_the_table(installed, agent, others):
    lines = status(installed).stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("others "))
    assert str(others) in "\n".join(lines[at : lines.index("")])
    assert json.loads(status(installed, "--json").stdout) == STATUS


@needs_root
def test_another_users_directory_is_closed(public, others):
    done = subprocess.run([public.inferwire, "status", "--dir", others], text=True, timeout=10, capture_output=True,
                          env=public.environment(), preexec_fn=lambda: os.setuid(65534))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert str(others) in done.stderr and "another user's" in done.stderr


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_a_status_that_is_no_file_holds_nobody(installed, agent, tmp_path, kind):
    path = installed.rings / "status.json"
    path.unlink()
    (tmp_path / "secret").write_text("secret:words")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "secret")
    else:
        path.mkdir()
    done = status(installed)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert str(path) in done.stderr and "secret:" not in done.stderr


def test_words_of_others_are_no_orders(installed, agent):
    """To the terminal: neither what the agent wrote of a program, nor a file that is none of its."""
    order, name = "\x1b]0;x\x07\x7f\x9b31m", "k\xfcnstlich"
    process = STATUS["processes"][0] | {"program": order, "service": name}
    export = STATUS["export"] | {"last_error": order}
    (installed.rings / "status.json").write_text(json.dumps(STATUS | {"processes": [process], "export": export}))
    shown = status(installed).stdout
    assert not set(shown) & set("\x1b\x07\x7f\x9b") and f" {name} " in shown and "?]0;x???31m" in shown
    columns = [line.index("CONNECTIONS") for line in shown.splitlines() if "CONNECTIONS" in line]
    assert shown.splitlines()[-2][columns[0] + 9 :].split()[0] == "17"
    (installed.rings / "status.json").write_text(order)
    done = status(installed)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "\x1b" not in done.stderr


def test_wrong_usage(installed):
    done = status(installed, "--colour")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
