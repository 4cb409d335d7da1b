"""inferwire run: neither the command nor whoever starts it notices it between."""
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time

import pytest

from isolation import needs_container

from conftest import HERE, Installation

PYTHON = sys.executable
COUNTER = [PYTHON, HERE / "counter.py"]
LISTENER = [PYTHON, HERE / "listener.py"]


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# ---- the end of the command -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_exit_status_is_the_commands(installed, status):
    assert installed.run("sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGUSR1"])
def test_death_by_signal_is_death_by_the_same_signal(installed, name):
    number = getattr(signal, name)
    assert installed.run("sh", "-c", f"kill -{number} $$").returncode == -number


def test_output_and_input_are_the_commands(installed):
    done = subprocess.run([installed.inferwire, "run", "cat"], input="in\n", text=True,
                          capture_output=True, timeout=10, env=installed.environment())
    assert (done.stdout, done.stderr) == ("in\n", "")


# ---- signals --------------------------------------------------------------------------------------


def test_signals_reach_the_command_once(installed):
    names = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGALRM"]
    running = installed.start(*COUNTER, 0.6, *names)
    assert running.stdout.readline() == "ready\n"
    for name in names:
        running.send_signal(getattr(signal, name))
    out, err = running.communicate(timeout=10)
    assert (out.split(), err) == (sorted(f"{name}=1" for name in names), "")


def test_the_commands_own_signals_do_not_come_back(installed):
    """A server that signals its whole process group, as launchers do to stop their workers."""
    code = ("import os,signal,time;n=[];signal.signal(signal.SIGUSR1,lambda *_:n.append(1));"
            "os.kill(0,signal.SIGUSR1);time.sleep(0.3);print(len(n))")
    running = subprocess.run([installed.inferwire, "run", PYTHON, "-c", code], text=True,
                             capture_output=True, timeout=10, env=installed.environment(),
                             start_new_session=True)
    assert running.stdout == "1\n"


def test_signal_mask_and_dispositions_are_inherited(installed):
    """Ignored signals (nohup), SIGCHLD among them, and the mask are what they are without us."""
    def prepare():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    def signals_of(command):
        done = subprocess.run(command, text=True, capture_output=True, timeout=10, check=True,
                              env=installed.environment(), preexec_fn=prepare)
        return re.findall(r"^Sig(?:Blk|Ign|Cgt):.*$", done.stdout, re.M)

    command = ["cat", "/proc/self/status"]
    raw = signals_of(command)
    assert len(raw) == 3
    assert signals_of([installed.inferwire, "run", *command]) == raw


def test_descriptors_are_inherited_and_none_added(installed):
    def count(*prefix):
        done = subprocess.run([*prefix, "ls", "/proc/self/fd"], text=True, capture_output=True,
                              timeout=10, env=installed.environment())
        return done.stdout
    assert count(installed.inferwire, "run") == count()


class Terminal:
    """`inferwire run COMMAND` as the foreground job of a terminal."""

    def __init__(self, installed, *command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(installed.inferwire, ["inferwire", "run", *map(str, command)],
                      installed.environment())
        self.text = ""

    def read_until(self, text, seconds=10):
        end = time.monotonic() + seconds
        while text not in self.text:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.text!r}"
            try:
                self.text += os.read(self.fd, 4096).decode()
            except OSError:
                break
        assert text in self.text

    def press(self, key):
        os.write(self.fd, key)


def test_ctrl_c_reaches_the_command_once(installed):
    terminal = Terminal(installed, *COUNTER, 0.5, "SIGINT")
    terminal.read_until("ready")
    terminal.press(b"\x03")
    terminal.read_until("SIGINT=1\r\n")
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 0


def test_ctrl_c_kills_what_does_not_catch_it(installed):
    terminal = Terminal(installed, "sh", "-c", "echo ready; exec sleep 20")
    terminal.read_until("ready")
    terminal.press(b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == -signal.SIGINT


def test_ctrl_z_stops_the_job_and_fg_continues_it(installed):
    """The shell's side of job control: it must see its job stopped, with the command."""
    shell = subprocess.run(["bash", "--version"], capture_output=True, check=False)
    if shell.returncode:
        pytest.skip("no bash")
    pid, fd = pty.fork()
    if pid == 0:
        env = installed.environment(PS1="$ ", HISTFILE="/dev/null")
        os.execvpe("bash", ["bash", "--norc", "-i"], env)
    terminal = Terminal.__new__(Terminal)
    terminal.pid, terminal.fd, terminal.text = pid, fd, ""
    terminal.press(f"{installed.inferwire} run sh -c 'echo rea''dy; sleep 3; echo do''ne'\n".encode())
    terminal.read_until("ready\r\n")
    terminal.press(b"\x1a")
    terminal.read_until("Stopped")
    time.sleep(3.2)
    terminal.press(b"echo still; fg\n")
    terminal.read_until("still\r\n")
    assert "done\r\n" not in terminal.text
    terminal.read_until("done\r\n")
    terminal.press(b"exit\n")
    os.waitpid(pid, 0)


# ---- the environment ------------------------------------------------------------------------------


def environment_of(installed, *options, **more):
    done = installed.run(*options, "env", **more)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def test_library_is_appended(installed):
    env = environment_of(installed)
    assert env["LD_PRELOAD"] == str(installed.library)
    assert env["INFERWIRE_ENABLED"] == "1"
    libc = "libc.so.6"
    assert environment_of(installed, LD_PRELOAD=libc)["LD_PRELOAD"] == f"{libc}:{installed.library}"


@pytest.mark.parametrize("form", ["{0}", "libc.so.6:{0}", "{0} libc.so.6", "libc.so.6 {0}:"])
def test_library_is_not_added_twice(installed, form):
    value = form.format(installed.library)
    assert environment_of(installed, LD_PRELOAD=value)["LD_PRELOAD"] == value


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"INFERWIRE_ENABLED": "0"}])
def test_switched_off_changes_nothing(installed, off):
    env = environment_of(installed, STAND_IN_REFUSES="never asked", **off)
    assert "LD_PRELOAD" not in env
    assert env.get("INFERWIRE_ENABLED") == off.get("INFERWIRE_ENABLED")


def test_options_win_over_the_environment(installed, tmp_path):
    env = environment_of(
        installed, "--service-name=chat", "--endpoint", "http://c:4318", "--interval", "2s",
        "--provider=p", "--only=*", "--call-log=calls.jsonl", "--dir", tmp_path / "d", "--",
        OTEL_SERVICE_NAME="x", OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://other/",
        OTEL_METRIC_EXPORT_INTERVAL="1", INFERWIRE_DIR="/nowhere")
    assert env["OTEL_SERVICE_NAME"] == "chat"
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://c:4318"
    assert "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" not in env
    assert env["OTEL_METRIC_EXPORT_INTERVAL"] == "2000"
    assert env["INFERWIRE_PROVIDER"] == "p"
    assert env["INFERWIRE_ONLY"] == "*"
    assert env["INFERWIRE_CALL_LOG"] == os.path.join(os.getcwd(), "calls.jsonl")
    assert env["INFERWIRE_DIR"] == str(tmp_path / "d")


def test_relative_paths_are_made_absolute(installed):
    env = environment_of(installed, INFERWIRE_DIR="rings", INFERWIRE_CALL_LOG="calls.jsonl")
    assert env["INFERWIRE_DIR"] == os.path.join(os.getcwd(), "rings")
    assert env["INFERWIRE_CALL_LOG"] == os.path.join(os.getcwd(), "calls.jsonl")


def test_a_word_that_is_not_1_is_said(installed):
    done = installed.run("sh", "-c", "echo ${LD_PRELOAD-none}", INFERWIRE_ENABLED="true")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "none\n", 1)
    assert "INFERWIRE_ENABLED=true" in done.stderr


def test_exec_is_the_same_process(installed):
    running = installed.start("--exec", "sh", "-c", "echo $$; exit 3")
    out, _ = running.communicate(timeout=10)
    assert (int(out), running.returncode) == (running.pid, 3)


# ---- refused before anything is started: one line, status 2 ---------------------------------------


def assert_refused(done, *words):
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("arguments, word", [
    ([], "no command"), (["--"], "no command"), (["--frob", "true"], "--frob"),
    (["--interval"], "--interval"), (["--interval", "soon", "true"], "soon"),
    (["--interval", "0", "true"], "'0'"), (["--interval", "-1s", "true"], "-1s"),
    (["--interval", "99999999m", "true"], "99999999m"), (["--endpoint=", "true"], "--endpoint"),
])
def test_wrong_usage(installed, arguments, word):
    assert_refused(installed.run(*arguments), word)


def test_missing_command(installed, tmp_path):
    assert_refused(installed.run("no-such-server"), "no-such-server", "not found")
    assert_refused(installed.run("/no/such/server"), "/no/such/server")
    assert_refused(installed.run(tmp_path), "Permission denied")


def test_configuration_the_agent_refuses(installed):
    done = installed.run("echo", "started", STAND_IN_REFUSES="the endpoint is wrong")
    assert_refused(done, "the endpoint is wrong")


def test_configuration_is_refused_also_where_sigchld_is_ignored(installed):
    done = subprocess.run([installed.inferwire, "run", "echo", "started"], text=True, timeout=30,
                          capture_output=True, env=installed.environment(STAND_IN_REFUSES="no"),
                          preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert_refused(done, "no")


def test_directory_that_the_library_would_not_take(installed):
    assert_refused(installed.run("true", INFERWIRE_DIR="/" + "d" * 255), "INFERWIRE_DIR")


def test_external_agent_is_not_asked_about_our_environment(installed):
    done = installed.run("echo", "started", STAND_IN_REFUSES="no", INFERWIRE_AGENT="external")
    assert done.stdout == "started\n"


def test_missing_parts(installed):
    installed.agent.unlink()
    assert_refused(installed.run("true"), "inferwire-agent")
    assert installed.run("true", INFERWIRE_AGENT="external").returncode == 0
    installed.library.unlink()
    assert_refused(installed.run("true"), "libinferwire.so", "INFERWIRE_LIBRARY")


def test_library_that_cannot_be_preloaded(installed, tmp_path):
    assert_refused(installed.run("true", INFERWIRE_LIBRARY=__file__), "not a shared object")
    spaced = tmp_path / "a b.so"
    spaced.write_bytes(installed.library.read_bytes())
    assert_refused(installed.run("true", INFERWIRE_LIBRARY=spaced), "space")
    other = bytearray(installed.library.read_bytes())
    other[18:20] = (183 if other[18] == 62 else 62).to_bytes(2, "little")  # e_machine
    foreign = tmp_path / "foreign.so"
    foreign.write_bytes(other)
    assert_refused(installed.run("true", INFERWIRE_LIBRARY=foreign), "is for")


# ---- cannot be watched: one line, and started all the same -----------------------------------------


def compile_program(path, *flags, code="int main(void) { return 9; }"):
    done = subprocess.run(["gcc", "-x", "c", "-", "-o", path, *flags], input=code, text=True,
                          capture_output=True, timeout=60)
    if done.returncode:
        pytest.skip(done.stderr)
    return path


GO = ('__attribute__((section(".go.buildinfo"))) const char go[16] = "go";'
      "int main(void) { return 9; }")


def assert_warned(done, path, word):
    assert done.returncode == 9, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert str(path) in done.stderr and word in done.stderr


@pytest.mark.parametrize("flags", [["-static"], ["-static-pie"]])
def test_static_program(installed, tmp_path, flags):
    path = compile_program(tmp_path / "server", *flags)
    assert_warned(installed.run(path), path, "statically linked")


def test_go_program(installed, tmp_path):
    path = compile_program(tmp_path / "server", code=GO)
    assert_warned(installed.run(path), path, "Go")


def test_ordinary_program_is_no_reason_for_words(installed, tmp_path):
    path = compile_program(tmp_path / "server")
    done = installed.run(path)
    assert (done.returncode, done.stderr) == (9, "")


@pytest.mark.parametrize("line", ["{0}", "/usr/bin/env -S A=1 {0} -x", "/usr/bin/env {0}"])
def test_interpreter_of_a_script_is_what_counts(installed, tmp_path, line):
    path = compile_program(tmp_path / "interpreter", "-static")
    script = tmp_path / "script"
    script.write_text(f"#!{line.format(path)}\n")
    script.chmod(0o755)
    assert_warned(installed.run(script), path, "statically linked")


def test_env_is_seen_through_and_path_searched(installed, tmp_path):
    path = compile_program(tmp_path / "server", "-static")
    done = installed.run("env", "A=1", "server", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert_warned(done, path, "statically linked")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_setuid_and_setgid_programs(installed, tmp_path):
    path = compile_program(tmp_path / "server")
    os.chown(path, 65534, 65534)
    path.chmod(0o4755)
    assert_warned(installed.run(path), path, "setuid")
    path.chmod(0o2755)
    assert_warned(installed.run(path), path, "setgid")
    os.chown(path, 0, 0)
    path.chmod(0o6755)
    assert installed.run(path).stderr == ""  # nothing changes for root


@needs_root
def test_program_with_file_capabilities():
    """Only where they would add something, which they do not for root."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        os.chmod(folder, 0o777)
        there = Installation(pathlib.Path(folder))
        path = compile_program(there.prefix / "server")
        # struct vfs_cap_data, revision 2 with the effective bit: CAP_NET_BIND_SERVICE permitted
        os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
        assert there.run(path).stderr == ""
        done = subprocess.run([there.inferwire, "run", path], text=True, capture_output=True,
                              timeout=30, preexec_fn=lambda: os.setuid(65534),
                              env=there.environment(INFERWIRE_AGENT="external"))
        assert_warned(done, path, "capabilities")


# ---- agent and rings ------------------------------------------------------------------------------


def test_waits_for_the_last_export(installed):
    done = installed.run(*LISTENER, 0.1, STAND_IN_EXPORT_S=0.8)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(installed.agent_starts()) == 1
    assert installed.ring_files() == []


def test_does_not_wait_without_rings(installed):
    started = time.monotonic()
    installed.run("true")
    assert time.monotonic() - started < 1
    assert installed.agent_starts() == []


def test_wait_is_bounded(installed):
    started = time.monotonic()
    done = installed.run(*LISTENER, 0.1, INFERWIRE_AGENT="external",
                         OTEL_METRIC_EXPORT_TIMEOUT=700)
    took = time.monotonic() - started
    assert done.returncode == 0
    assert 0.8 <= took < 3
    assert len(installed.ring_files()) == 1
    assert done.stderr.count("\n") == 1 and "700 ms" in done.stderr


def test_second_signal_cuts_the_wait_short(installed):
    running = installed.start(*LISTENER, 20, INFERWIRE_AGENT="external")
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert running.poll() is None  # the server has ended, its ring is not exported
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=5) == 5
    assert running.communicate() == ("", "")


def test_agent_that_dies_is_replaced(installed):
    """The one that the library started, and then ours."""
    running = installed.start(*LISTENER, 20)
    assert running.stdout.readline() == "ready\n"
    for n in (1, 2):
        wait_until(lambda: len(installed.agent_starts()) == n)
        os.kill(installed.agent_starts()[-1], signal.SIGKILL)
    wait_until(lambda: len(installed.agent_starts()) == 3)
    assert "None" in installed.agent_log.read_text()  # it does not preload what the server does
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=10) == 5
    assert installed.ring_files() == []
    running.communicate()


def start_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


def wait_for_ring_of(installed, pid, ticks):
    """Seconds that a command which makes no ring waits for one of that process and start time."""
    installed.run(*LISTENER, 0, INFERWIRE_AGENT="external", OTEL_METRIC_EXPORT_TIMEOUT=1)
    ring = installed.rings / installed.ring_files()[0]
    ring.rename(installed.rings / f"{pid}-{ticks}-0.ring")
    started = time.monotonic()
    installed.run("true", INFERWIRE_AGENT="external", OTEL_METRIC_EXPORT_TIMEOUT=600)
    return time.monotonic() - started


def test_ring_of_a_living_process_is_not_waited_for(installed):
    assert wait_for_ring_of(installed, os.getpid(), start_ticks(os.getpid())) < 0.5


def test_ring_of_a_reused_process_id_is_one_of_the_dead(installed):
    assert wait_for_ring_of(installed, os.getpid(), start_ticks(os.getpid()) - 1) >= 0.6


def test_ring_of_a_zombie_is_one_of_the_dead(installed):
    zombie = subprocess.Popen(["true"])
    wait_until(lambda: os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT))
    assert wait_for_ring_of(installed, zombie.pid, start_ticks(zombie.pid)) >= 0.6
    zombie.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_ring_of_another_pid_namespace_is_not_ours_to_judge(installed):
    run_as_process_1(installed, *LISTENER, 0, INFERWIRE_AGENT="external",
                     OTEL_METRIC_EXPORT_TIMEOUT=1)
    assert len(installed.ring_files()) == 1
    started = time.monotonic()
    installed.run("true", INFERWIRE_AGENT="external")
    assert time.monotonic() - started < 1


def test_agent_is_started_for_what_dead_servers_left(installed):
    done = installed.run(*LISTENER, 0.1, INFERWIRE_AGENT="external", OTEL_METRIC_EXPORT_TIMEOUT=50)
    assert done.returncode == 0 and len(installed.ring_files()) == 1
    assert installed.run("true").returncode == 0
    assert installed.ring_files() == []


# ---- process 1 of a container ---------------------------------------------------------------------


def as_process_1(installed, *command, **more):
    return ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", installed.inferwire, "run",
            *map(str, command)], installed.environment(**more)


def run_as_process_1(installed, *command, **more):
    line, env = as_process_1(installed, *command, **more)
    return subprocess.run(line, text=True, capture_output=True, timeout=30, env=env)


@needs_container
def test_process_1_passes_the_status_on(installed):
    assert run_as_process_1(installed, "sh", "-c", "exit 7").returncode == 7
    assert run_as_process_1(installed, "sh", "-c", "kill -9 $$").returncode == 128 + 9


@needs_container
def test_process_1_reaps_orphans(installed):
    code = ('(sleep 0.1 & exec true); sleep 0.5; cat /proc/[0-9]*/stat | grep -c " Z " ; '
            'cat /proc/1/comm')
    assert run_as_process_1(installed, "sh", "-c", code).stdout == "0\ninferwire\n"


@needs_container
def test_process_1_passes_signals_on_and_waits_for_the_export(installed):
    line, env = as_process_1(installed, *LISTENER, 20, STAND_IN_EXPORT_S=0.5)
    running = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=env)
    assert running.stdout.readline() == "ready\n"
    wait_until(lambda: len(installed.agent_starts()) == 1)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(running.pid)], text=True,
                              capture_output=True).stdout.split()
    os.kill(int(children[0]), signal.SIGTERM)
    assert running.wait(timeout=10) == 5
    assert installed.ring_files() == []
    running.communicate()
