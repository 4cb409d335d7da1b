"""inferwire check: what it says of real programs is what the shim will meet in them."""
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

from checking import (LISTENER, NOBODY, PYTHON, SERVER, alter, check, check_pid, compile_program,
                      needs, needs_root, preloaded, refused, run_check, static_script)
from conftest import BUILD, HERE


SYSTEM_PYTHON = "/usr/bin/python3"


# ---- what can be observed -------------------------------------------------------------------------


def test_hooks_are_those_that_the_program_imports(installed, tmp_path):
    path = compile_program(tmp_path / "server", code=SERVER)
    facts = check(installed, path)
    assert facts["command"] == facts["program"] == str(path)
    assert facts["hooks"] == ["accept", "close", "recv", "send"]
    assert (facts["machine"], facts["bits"], facts["libc"]) == (os.uname().machine.replace("_", "-"), 64,
                                                                "glibc")
    assert facts["libraries_missing"] == [] and not facts["loads_more"]
    assert [pathlib.Path(p).name for p in facts["libraries"]][0] == "libc.so.6"
    assert facts["tls"] == {"readable": None, "unreadable": []} and facts["warnings"] == []


def test_glibc_version_is_the_newest_that_it_needs(installed, tmp_path):
    path = compile_program(tmp_path / "server", code=SERVER)
    wanted = subprocess.run(["readelf", "-VW", path], text=True, capture_output=True).stdout
    versions = {tuple(map(int, w[6:].split("."))) for w in wanted.split()
                if w.startswith("GLIBC_") and w[6:7].isdigit()}
    assert check(installed, path)["glibc_needed"] == ".".join(map(str, max(versions)))


OWN_RECV = "\nssize_t recv(int fd, void *to, size_t n, int flags) { return read(fd, to, n) + flags; }"


@pytest.mark.parametrize("more", ["", OWN_RECV])
def test_bindings_are_told_as_the_loader_makes_them(installed, tmp_path, more):
    """Against the loader itself: what it bound to the shim."""
    path = compile_program(tmp_path / "server", "-Wl,-z,now", "-rdynamic", code=SERVER + more)
    done = subprocess.run([path], text=True, capture_output=True, timeout=30, stdin=subprocess.DEVNULL,
                          env={"LD_PRELOAD": str(installed.library), "LD_DEBUG": "bindings"})
    bound = {line.rsplit("`", 1)[1].split("'")[0] for line in done.stderr.splitlines()
             if f"binding file {path}" in line and f"to {installed.library}" in line}
    assert bound == set(check(installed, path)["hooks"]) and ("recv" in bound) == (not more)


def test_program_that_serves_nothing(installed):
    facts = check(installed, "true")
    assert "accept" not in facts["hooks"]
    assert [w for w in facts["warnings"] if "serves nothing" in w]


def test_shell(installed):
    facts = check(installed, "bash", "-c", "exec server")
    assert [w for w in facts["warnings"] if "shell" in w]


@pytest.mark.skipif(not os.path.exists(SYSTEM_PYTHON), reason="needs Debian's python3")
def test_python(installed):
    facts = check(installed, SYSTEM_PYTHON, "-m", "http.server")
    assert {"accept4", "recv", "send", "SSL_read_ex", "SSL_write_ex"} <= set(facts["hooks"])
    assert "libssl.so" in facts["tls"]["readable"] and facts["tls"]["unreadable"] == []
    assert facts["python"]["module"] == "http.server" and facts["python"]["path"].endswith("/http")
    assert facts["loads_more"] and facts["warnings"] == []


def test_python_of_the_virtual_environment(installed):
    facts = check(installed, BUILD / "venv/bin/uvicorn", "app:app")
    assert facts["script"].endswith("bin/uvicorn") and "python" in facts["program"]
    assert facts["python"]["module"] == "uvicorn"
    assert facts["python"]["path"].endswith("site-packages/uvicorn")
    assert {"accept4", "SSL_read_ex"} <= set(facts["hooks"])
    assert facts["tls"]["unreadable"] == []


@pytest.mark.parametrize("options", [["-m", "uvicorn"], ["-um", "uvicorn"], ["-muvicorn"],
                                     ["-W", "ignore", "-X", "dev", "-B", "-m", "uvicorn"]])
def test_options_of_python_before_its_module(installed, options):
    assert check(installed, PYTHON, *options, "app:app")["python"]["module"] == "uvicorn"


@pytest.mark.parametrize("options", [["-c", "import uvicorn"], ["-"], ["--version"], ["-m"], [],
                                     ["-m", "no_such_module"], ["-m", "../../etc"], ["none.py"]])
def test_python_without_a_module_to_be_found(installed, options):
    facts = check(installed, PYTHON, *options)
    assert facts["python"] is None or facts["python"]["path"] is None


def test_env_and_scripts_are_followed(installed, tmp_path):
    server = compile_program(tmp_path / "server", code=SERVER)
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(f"#!{server} -x\n")
    second.write_text(f"#!/usr/bin/env -S A=1 {first}\n")
    for script in (first, second):
        script.chmod(0o755)
    facts = check(installed, "env", "B=2", "-u", "C", second)
    assert facts["program"] == str(server) and facts["script"] == str(first)
    assert facts["hooks"] == ["accept", "close", "recv", "send"]


def test_text_without_an_interpreter_is_the_shells(installed, tmp_path):
    script = tmp_path / "script"
    script.write_text("exec server\n")
    script.chmod(0o755)
    facts = check(installed, script)
    assert facts["program"] == "/bin/sh" and facts["script"] == str(script)


@needs("musl-gcc")
def test_musl(installed, tmp_path):
    path = compile_program(tmp_path / "server", code=SERVER, compiler="musl-gcc")
    facts = check(installed, path)
    assert (facts["libc"], facts["glibc_needed"], facts["libraries_missing"]) == ("musl", None, [])
    assert facts["hooks"] == ["accept", "close", "recv", "send"]
    assert "ld-musl" in facts["loader"]


def test_program_without_a_libc(installed, tmp_path):
    path = compile_program(tmp_path / "server", "-nostdlib", "-pie", "-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2",
                           code="void _start(void) { for (;;); }")
    assert check(installed, path)["libc"] == "none"


# ---- what cannot ----------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [["-static"], ["-static-pie"]])
def test_static(installed, tmp_path, flags):
    path = compile_program(tmp_path / "server", *flags, code=SERVER)
    facts = refused(installed, path, reason="static", word="statically linked")
    assert (facts["libc"], facts["hooks"]) == ("none", [])


def find_go():
    built = BUILD / "receivers/go/bin/go"
    return shutil.which("go") or (str(built) if built.exists() else None)


@pytest.mark.skipif(not find_go(), reason="needs go")
@pytest.mark.parametrize("flags", [[], ["-ldflags=-s -w"], ["-buildmode=pie"]])
def test_go(installed, tmp_path, flags):
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n")
    subprocess.run([find_go(), "build", *flags, "-o", tmp_path / "server", tmp_path / "main.go"],
                   check=True, capture_output=True, timeout=240, cwd=tmp_path,
                   env=os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off"})
    refused(installed, tmp_path / "server", reason="go", word="Go program")


@pytest.mark.parametrize("fields,word", [({"machine": 183}, "64-bit program for arm64"),
                                         ({"machine": 3, "class_": 1}, "32-bit program for x86 "),
                                         ({"machine": 0xfade}, "another machine")])
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="alters programs of x86-64")
def test_another_architecture(installed, tmp_path, fields, word):
    path = alter("/usr/bin/true", tmp_path / "server", **fields)
    refused(installed, path, reason="architecture", word=word)


@needs("aarch64-linux-gnu-gcc")
@pytest.mark.skipif(os.uname().machine == "aarch64", reason="this machine's own")
def test_program_for_arm64(installed, tmp_path):
    path = compile_program(tmp_path / "server", code=SERVER, compiler="aarch64-linux-gnu-gcc")
    facts = refused(installed, path, reason="architecture", word="arm64")
    assert facts["machine"] == "arm64"


@pytest.mark.parametrize("line", ["{0}", "/usr/bin/env {0}", "/usr/bin/env -S A=1 {0} -x"])
def test_interpreter_of_a_script_decides(installed, tmp_path, line):
    script, program = static_script(tmp_path, line)
    facts = refused(installed, script, reason="static", word="static")
    assert (facts["command"], facts["program"]) == (str(script), str(program))


@pytest.mark.parametrize("line", ["/nowhere/python", "/usr/bin/env no-such-program", "/etc/passwd"])
def test_interpreter_that_is_not_there(installed, tmp_path, line):
    script = tmp_path / "script"
    script.write_text(f"#!{line}\n")
    script.chmod(0o755)
    refused(installed, script, reason="interpreter", word=line.split()[-1])


def test_interpreters_in_a_circle(installed, tmp_path):
    script = tmp_path / "script"
    script.write_text(f"#!{script}\n")
    script.chmod(0o755)
    refused(installed, script, reason="interpreter", word="more than the kernel follows")


@needs_root
@pytest.mark.parametrize("mode,word", [(0o4755, "setuid"), (0o2755, "setgid")])
def test_setuid_and_setgid(installed, tmp_path, mode, word):
    path = compile_program(tmp_path / "server", code=SERVER)
    os.chown(path, NOBODY, NOBODY)
    path.chmod(mode)
    refused(installed, path, reason="secure-execution", word=word)
    os.chown(path, 0, 0)
    path.chmod(mode)
    check(installed, path)  # nothing changes for root


@needs_root
def test_file_capabilities(public):
    path = compile_program(public.prefix / "server", code=SERVER)
    # What setcap(8) writes for cap_net_bind_service+ep: struct vfs_cap_data, revision 2, effective.
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    check(public, path)
    refused(public, path, reason="secure-execution", word="file capabilities", user=NOBODY)


# ---- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--"], ["--colour", "true"], ["--pid"], ["--pid", "x"], ["--pid", "-1"],
                                       ["--pid", "0"], ["--pid", "1x"], ["--pid", "99999999999"],
                                       ["--pid", "1", "true"]])
def test_wrong_usage(installed, arguments):
    done = run_check(installed, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_help(installed):
    done = run_check(installed, "--help")
    assert done.returncode == 0 and "--pid" in done.stdout and done.stderr == ""


def test_library_that_is_missing_from_the_installation(installed):
    installed.library.unlink()
    done = run_check(installed, "true")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_every_key_is_in_the_manual(installed, running):
    manual = (HERE.parents[1] / "tools/inferwire.1").read_text()
    facts = check_pid(installed, running(*LISTENER, 30, **preloaded(installed)))
    facts |= check(installed, PYTHON, "-m", "granian")
    keys = {*facts, *facts["tls"], *facts["tls"]["unreadable"][0], *facts["python"]}
    assert [k for k in sorted(keys) if f"\n.It Li {k}\n" not in manual] == []
