"""What inferwire run does behind the command: it waits for the last export, also as process 1 of a container."""
import os
import signal
import subprocess
import time

from checking import LISTENER, needs_root
from isolation import needs_container


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


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


@needs_root
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
