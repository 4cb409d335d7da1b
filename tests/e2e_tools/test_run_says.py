"""What inferwire run says before it starts a command, in one line: why it does not, or why it will not be watched."""
import os
import pathlib
import signal
import struct
import subprocess
import tempfile

import pytest

from checking import compile_program, needs_root, static_script
from conftest import Installation


# ---- refused: status 2 ------------------------------------------------------------------------------


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


# ---- cannot be watched: started all the same ---------------------------------------------------------


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
    script, program = static_script(tmp_path, line)
    assert_warned(installed.run(script), program, "statically linked")


def test_env_is_seen_through_and_path_searched(installed, tmp_path):
    path = compile_program(tmp_path / "server", "-static")
    done = installed.run("env", "A=1", "server", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert_warned(done, path, "statically linked")


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
