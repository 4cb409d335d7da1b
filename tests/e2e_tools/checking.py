"""What `inferwire check` says, as JSON and as people read it; and programs to ask it about, or to run."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys

import pytest

from conftest import HERE


PYTHON = sys.executable
LISTENER = [PYTHON, HERE / "listener.py"]
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}")


def run_check(installed, *arguments, user=None, **more):
    return subprocess.run([installed.inferwire, "check", *map(str, arguments)], text=True,
                          capture_output=True, timeout=30, env=installed.environment(**more),
                          preexec_fn=user and (lambda: os.setuid(user)))


def check(installed, *command, status=0, user=None, **more):
    """What it says as JSON, once it has said the same to people."""
    done = run_check(installed, "--json", "--", *command, user=user, **more)
    assert (done.returncode, done.stderr) == (status, ""), done
    facts = json.loads(done.stdout)
    assert facts["observable"] == (status == 0) and (facts["reason"] is None) == (status == 0)
    told = run_check(installed, "--", *command, user=user, **more)
    assert (told.returncode, told.stderr) == (status, ""), told
    assert facts["program"] in told.stdout and "\nverdict    " in told.stdout
    for word in [facts["obstacle"], *facts["warnings"]]:
        assert word is None or word in told.stdout
    return facts


def compile_program(path, *flags, code="int main(void) { return 9; }", compiler="gcc"):
    subprocess.run([compiler, "-x", "c", "-", "-x", "none", "-o", path, *map(str, flags)],
                   input=code, text=True, capture_output=True, timeout=60, check=True)
    return path


def static_script(folder, line):
    """A script, and the static program that its first line names in the place of {0}."""
    program, script = compile_program(folder / "interpreter", "-static"), folder / "script"
    script.write_text(f"#!{line.format(program)}\n")
    script.chmod(0o755)
    return script, program


def alter(source, path, **fields):
    """A copy of an ELF file with other bytes at the offsets of these fields of its header."""
    places = {"class_": (4, "B"), "machine": (18, "H"), "shoff": (40, "Q"), "phnum": (56, "H"),
              "shentsize": (58, "H"), "shnum": (60, "H"), "shstrndx": (62, "H")}
    data = bytearray(pathlib.Path(source).read_bytes())
    for name, value in fields.items():
        at, form = places[name]
        struct.pack_into("<" + form, data, at, value)
    path.write_bytes(data)
    path.chmod(0o755)
    return path


SERVER = """
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
	char c;
	int fd = accept(socket(AF_INET, SOCK_STREAM, 0), NULL, NULL);
	if (recv(fd, &c, 1, 0) == 1 && send(fd, &c, 1, 0) == 1)
		close(fd);
}
"""


def refused(installed, *command, reason, word, **more):
    facts = check(installed, *command, status=1, **more)
    assert facts["reason"] == reason and word in facts["obstacle"], facts
    return facts


def hidden_tls(facts):
    return {t["implementation"]: t["file"] for t in facts["tls"]["unreadable"]}


READS = "#include <unistd.h>\nint deep(void) { char c; return (int)read(0, &c, 1); }"


def check_pid(installed, pid, status=0, **more):
    done = run_check(installed, "--json", "--pid", pid, **more)
    assert (done.returncode, done.stderr) == (status, ""), done
    facts = json.loads(done.stdout)
    assert facts["observable"] == (status == 0) and facts["pid"] == pid
    told = run_check(installed, "--pid", pid, **more)
    assert told.returncode == status and facts["why"] in told.stdout
    return facts


def preloaded(installed, **more):
    return {"LD_PRELOAD": installed.library, "INFERWIRE_ENABLED": 1,
            "INFERWIRE_AGENT": "external"} | more
