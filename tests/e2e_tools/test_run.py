"""inferwire run: neither the command nor whoever starts it notices it between."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from checking import PYTHON
from conftest import HERE

COUNTER = [PYTHON, HERE / "counter.py"]


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
