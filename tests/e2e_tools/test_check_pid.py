"""inferwire check --pid: whether a running process is observed, and if not, why."""
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from checking import (LISTENER, NOBODY, PYTHON, check_pid, compile_program, hidden_tls, needs_root,
                      preloaded, run_check)


def test_server_that_is_observed(installed, running):
    pid = running(*LISTENER, 30, **preloaded(installed))
    facts = check_pid(installed, pid)
    assert facts["state"] == "active" and facts["shim"] == str(installed.library)
    assert [pathlib.Path(facts["ring"]).name] == installed.ring_files()
    assert facts["ring_directory"] == str(installed.rings)
    assert not facts["agent"] and "no agent" in facts["why"]
    assert "accept4" in facts["hooks"]


def test_server_that_is_observed_and_its_agent(installed):
    server = installed.start(*LISTENER, 30)
    try:
        assert server.stdout.readline() == "ready\n"
        child = subprocess.run(["pgrep", "-f", "-P", str(server.pid), "listener.py"], text=True,
                               capture_output=True).stdout.split()
        end = time.monotonic() + 10
        while "an agent reads its ring" not in run_check(installed, "--pid", child[0]).stdout:
            assert time.monotonic() < end
            time.sleep(0.1)
        facts = check_pid(installed, int(child[0]))
        assert facts["agent"] and facts["state"] == "active"
    finally:
        server.terminate()
        server.communicate(timeout=20)


def test_server_that_is_not_observed(installed, running):
    pid = running(*LISTENER, 30)
    facts = check_pid(installed, pid)
    assert (facts["state"], facts["shim"], facts["ring"]) == ("absent", None, None)
    assert facts["listens"] and "inferwire run" in facts["why"]


@pytest.mark.parametrize("settings,word", [
    ({"INFERWIRE_ENABLED": ""}, "INFERWIRE_ENABLED is not set"),
    ({"INFERWIRE_ENABLED": "yes"}, "INFERWIRE_ENABLED is 'yes'"),
    ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED"),
    ({"INFERWIRE_ONLY": "vllm*,x"}, "INFERWIRE_ONLY=vllm*,x"),
])
def test_shim_that_is_switched_off(installed, running, settings, word):
    facts = check_pid(installed, running(*LISTENER, 30, **preloaded(installed, **settings)))
    assert facts["state"] == "inert" and word in facts["why"]
    assert installed.ring_files() == []


@pytest.mark.parametrize("only", ["listener.py", "a,list*", "*", "?istener*", "l*s*er.p*", "*.py"])
def test_pattern_that_selects(installed, running, tmp_path, only):
    """Of a process that has no ring yet, which would tell it."""
    script = tmp_path / "listener.py"
    script.write_text(IDLE[2])
    facts = check_pid(installed, running(PYTHON, script, **preloaded(installed, INFERWIRE_ONLY=only)))
    assert facts["state"] == "waiting", facts["why"]


IDLE = [PYTHON, "-c", "import time; print('ready', flush=True); time.sleep(30)"]


def test_process_that_has_not_listened(installed, running):
    facts = check_pid(installed, running(*IDLE, **preloaded(installed)))
    assert (facts["state"], facts["listens"]) == ("waiting", False)


REPLACED = f"""
import os, socket
server = socket.create_server(("127.0.0.1", 0))
server.set_inheritable(True)
os.execv({PYTHON!r}, {IDLE!r})
"""


def test_socket_that_another_program_made_listen(installed, running):
    facts = check_pid(installed, running(PYTHON, "-c", REPLACED, **preloaded(installed)))
    assert (facts["state"], facts["listens"], facts["ring"]) == ("waiting", True, None)
    assert "first accept" in facts["why"]


def test_ring_directory_that_is_refused(installed, running):
    installed.rings.mkdir(mode=0o755)
    facts = check_pid(installed, running(*LISTENER, 30, **preloaded(installed)), status=1)
    assert facts["state"] == "failed" and "open to other users" in facts["why"]


@needs_root
def test_ring_directory_of_another_user(installed, running):
    installed.rings.mkdir(mode=0o700)
    os.chown(installed.rings, NOBODY, NOBODY)
    facts = check_pid(installed, running(*LISTENER, 30, **preloaded(installed)), status=1)
    assert facts["state"] == "failed" and "belongs to another user" in facts["why"]


def test_ring_directory_that_is_relative(installed, running):
    installed.rings.mkdir(mode=0o755)
    where = os.path.relpath(installed.rings)
    facts = check_pid(installed, running(*LISTENER, 30, **preloaded(installed, INFERWIRE_DIR=where)), status=1)
    assert facts["state"] == "failed" and "open to other users" in facts["why"]
    installed.rings.chmod(0o700)
    facts = check_pid(installed, running(*LISTENER, 30, **preloaded(installed, INFERWIRE_DIR=where)))
    assert facts["state"] == "active" and facts["ring_directory"] == str(installed.rings)


def test_ring_that_was_removed(installed, running):
    pid = running(*LISTENER, 30, **preloaded(installed))
    for ring in installed.rings.glob("*.ring"):
        ring.unlink()
    facts = check_pid(installed, pid, status=1)
    assert facts["state"] == "failed" and "removed" in facts["why"]


def test_library_that_was_replaced_is_still_the_library(installed, running):
    pid = running(*LISTENER, 30, **preloaded(installed))
    fresh = installed.library.with_suffix(".new")
    shutil.copy(installed.library, fresh)
    fresh.rename(installed.library)
    facts = check_pid(installed, pid)
    assert (facts["state"], facts["shim"]) == ("active", str(installed.library))


def test_running_static_program(installed, running, tmp_path):
    code = '#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts("ready"); fflush(stdout); sleep(30); }'
    path = compile_program(tmp_path / "server", "-static", code=code)
    facts = check_pid(installed, running(path, **preloaded(installed)), status=1)
    assert (facts["state"], facts["reason"]) == ("absent", "static")


def test_preload_that_the_loader_did_not_take(installed, running):
    pid = running(*IDLE, LD_PRELOAD="/nowhere/libinferwire.so", INFERWIRE_ENABLED=1)
    facts = check_pid(installed, pid)
    assert facts["state"] == "absent" and "/nowhere/libinferwire.so" in facts["why"]


def test_running_extension_with_its_own_tls(installed, running):
    code = "import granian.server, time; print('ready', flush=True); time.sleep(30)"
    facts = check_pid(installed, running(PYTHON, "-c", code, **preloaded(installed)))
    assert "granian/_granian" in hidden_tls(facts)["rustls"]


RING = """
#include <linux/io_uring.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	struct io_uring_params p = {0};
	puts(syscall(SYS_io_uring_setup, 4, &p) < 0 ? "none" : "ready");
	fflush(stdout);
	sleep(30);
}
"""


def test_io_uring(installed, tmp_path):
    path = compile_program(tmp_path / "server", code=RING)
    process = subprocess.Popen([path], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            pytest.skip("this kernel gives no io_uring")
        facts = check_pid(installed, process.pid)
        assert [w for w in facts["warnings"] if "io_uring" in w]
    finally:
        process.kill()
        process.communicate()


@needs_root
def test_process_in_secure_execution(public):
    code = '#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts("ready"); fflush(stdout); sleep(30); }'
    path = compile_program(public.prefix / "server", code=code)
    path.chmod(0o4755)
    process = subprocess.Popen([path], stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.setuid(NOBODY),
                               env=public.environment(**preloaded(public)))
    try:
        assert process.stdout.readline() == "ready\n"
        facts = check_pid(public, process.pid, status=1)
        assert (facts["state"], facts["reason"]) == ("absent", "secure-execution")
    finally:
        process.kill()
        process.communicate()


@needs_root
def test_process_of_another_user(public):
    process = subprocess.Popen(["sleep", "30"])
    try:
        done = run_check(public, "--pid", process.pid, user=NOBODY)
        assert (done.returncode, done.stdout) == (2, "")
        assert "as its user or as root" in done.stderr and done.stderr.count("\n") == 1
    finally:
        process.kill()
        process.wait()


def test_process_that_is_none(installed):
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    done = run_check(installed, "--pid", ended.pid)
    assert done.returncode == 2 and "has ended" in done.stderr
    ended.wait()
    done = run_check(installed, "--json", "--pid", ended.pid)
    assert (done.returncode, done.stdout) == (2, "") and "does not exist" in done.stderr
