"""inferwire check: what it says of real programs is what the shim will meet in them."""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import pytest

from conftest import BUILD, HERE, Installation

PYTHON = sys.executable
LISTENER = [PYTHON, HERE / "listener.py"]
SYSTEM_PYTHON = "/usr/bin/python3"
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


# ---- what can be observed -------------------------------------------------------------------------

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


def refused(installed, *command, reason, word, **more):
    facts = check(installed, *command, status=1, **more)
    assert facts["reason"] == reason and word in facts["obstacle"], facts
    return facts


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
    path = compile_program(tmp_path / "interpreter", "-static")
    script = tmp_path / "script"
    script.write_text(f"#!{line.format(path)}\n")
    script.chmod(0o755)
    facts = refused(installed, script, reason="static", word="static")
    assert (facts["command"], facts["program"]) == (str(script), str(path))


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


@pytest.fixture
def public():
    """An installation that other users can reach: pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Installation(pathlib.Path(folder))


@needs_root
def test_file_capabilities(public):
    path = compile_program(public.prefix / "server", code=SERVER)
    # What setcap(8) writes for cap_net_bind_service+ep: struct vfs_cap_data, revision 2, effective.
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    check(public, path)
    refused(public, path, reason="secure-execution", word="file capabilities", user=NOBODY)


# ---- TLS that no hook reaches ---------------------------------------------------------------------


def hidden_tls(facts):
    return {t["implementation"]: t["file"] for t in facts["tls"]["unreadable"]}


def node_says(what):
    return subprocess.run(["node", "-p", what], text=True, capture_output=True, timeout=30).stdout.strip()


@needs("node")
def test_node(installed):
    """As it comes from its makers it has an OpenSSL of its own, as distributions build it a shared one."""
    facts = check(installed, "node", "server.js")
    assert {"accept4", "read", "writev"} <= set(facts["hooks"])
    told = installed.run("node", "--version")
    assert told.returncode == 0
    if node_says("process.config.variables.node_shared_openssl") == "true":
        assert hidden_tls(facts) == {} and "libssl.so" in facts["tls"]["readable"]
        assert told.stderr == ""
    else:
        assert list(hidden_tls(facts)) == ["OpenSSL"] and facts["tls"]["readable"] is None
        assert [w for w in facts["warnings"] if "OpenSSL" in w and "not read" in w]
        assert len(told.stderr.splitlines()) == 1 and "except its TLS" in told.stderr


READS = "#include <unistd.h>\nint deep(void) { char c; return (int)read(0, &c, 1); }"
TLS_SERVER = "#include <openssl/ssl.h>\nint main(void) { return SSL_read(SSL_new(0), 0, 0); }"


@needs("java")
def test_tls_of_java(installed):
    facts = check(installed, "java", "Server")
    assert "libjli.so" in hidden_tls(facts)["Java"] and facts["libraries_missing"] == []


@needs("nginx")
def test_tls_of_nginx(installed):
    facts = check(installed, "nginx")
    assert "libssl.so" in facts["tls"]["readable"] and hidden_tls(facts) == {}
    assert {"accept4", "SSL_read", "SSL_write", "writev"} <= set(facts["hooks"])


def test_program_that_exports_its_own_openssl_is_told_by_run(installed, tmp_path):
    code = "int SSL_write(void) { return 9; }\nint main(void) { return SSL_write(); }"
    path = compile_program(tmp_path / "server", "-rdynamic", code=code)
    done = installed.run(path)
    assert done.returncode == 9 and done.stderr.count("\n") == 1
    assert f"{path} will be watched, except its TLS" in done.stderr


@pytest.mark.parametrize("flags", [[], ["-s"], ["-Wl,--gc-sections", "-s"]])
def test_openssl_that_is_linked_statically(installed, tmp_path, flags):
    libraries = ["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", "-ldl", "-lpthread"]
    path = compile_program(tmp_path / "server", *flags, *libraries, code=TLS_SERVER)
    assert hidden_tls(check(installed, path)) == {"OpenSSL": str(path)}


def test_openssl_that_is_shared(installed, tmp_path):
    path = compile_program(tmp_path / "server", "-lssl", "-lcrypto", code=TLS_SERVER)
    facts = check(installed, path)
    assert hidden_tls(facts) == {} and "libssl.so" in facts["tls"]["readable"]
    assert "SSL_read" in facts["hooks"]


@pytest.mark.parametrize("before", [0, 2**20 - 17, 2**20 - 15, 2**20 - 14, 2**20 - 13, 2**20 - 1, 2**20, 2**22 - 5])
@pytest.mark.parametrize("text,name", [("x/ssl/ssl_lib.cc", "BoringSSL"), ("x/ssl/ssl_lib.c:1", "OpenSSL"),
                                       ("a/rustls-0.2", "rustls"), ("a/tokio-rustls-0.2", None)])
def test_text_that_tells_is_found_wherever_it_lies(installed, tmp_path, before, text, name):
    """Sections are read in pieces of a megabyte."""
    code = f'__asm__(".section said,\\"a\\"\\n.fill {before},1,46\\n.ascii \\"{text}\\"\\n.text");'
    path = compile_program(tmp_path / "server", code=code + "int main(void) { return 9; }")
    assert list(hidden_tls(check(installed, path))) == [name] * (name is not None)


@pytest.mark.parametrize("command", [["bin/granian"], ["bin/python", "-m", "granian"]])
def test_rustls_in_an_extension_of_python(installed, command):
    facts = check(installed, BUILD / "venv" / command[0], *command[1:], "app:app")
    assert facts["python"]["module"] == "granian"
    assert "granian/_granian" in hidden_tls(facts)["rustls"]


def test_boringssl_in_an_extension_that_a_script_imports(installed):
    facts = check(installed, PYTHON, HERE.parent / "servers/llama_server.py")
    assert "xllamacpp" in hidden_tls(facts)["BoringSSL"]


@pytest.mark.parametrize("library,name", [("gnutls", "GnuTLS")])
def test_tls_that_is_shared_and_of_another_kind(installed, tmp_path, library, name):
    own = compile_program(tmp_path / f"lib{library}.so.30", "-shared", "-fPIC",
                          f"-Wl,-soname,lib{library}.so.30", code="int tls(void) { return 1; }")
    path = compile_program(tmp_path / "server", own, f"-Wl,-rpath,{tmp_path}",
                           code="int tls(void);\nint main(void) { return tls(); }")
    assert hidden_tls(check(installed, path)) == {name: str(own)}


def test_extension_may_want_what_another_loads(installed, tmp_path):
    site = tmp_path / "site"
    (site / "served/deep").mkdir(parents=True)
    gone = compile_program(tmp_path / "libgone.so", "-shared", "-fPIC", code=READS)
    compile_program(site / "served/deep/_x.so", "-shared", "-fPIC", f"-L{tmp_path}", "-Wl,--no-as-needed",
                    "-lgone", code="#include <unistd.h>\nlong x(int f) { char c; return readlink(\"a\", &c, 1) + dup2(f, 99); }")
    gone.unlink()
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "served").symlink_to(site / "served")
    for folder in (site, linked):
        facts = check(installed, PYTHON, "-m", "served", PYTHONPATH=f"/nowhere:{folder}")
        assert facts["python"]["path"] == str(folder / "served")
        assert [p for p in facts["libraries"] if p.endswith("served/deep/_x.so")]
        assert facts["libraries_missing"] == [] and facts["warnings"] == []


# ---- the search for libraries ---------------------------------------------------------------------

@pytest.mark.parametrize("flags,environment", [
    (["-Wl,-rpath,{0}/libs"], False),
    (["-Wl,-rpath,{0}/libs", "-Wl,--disable-new-dtags"], False),
    (["-Wl,-rpath,$ORIGIN/libs"], False),
    (["-Wl,-rpath,/nowhere:${{ORIGIN}}/libs"], False),
    ([], True),
])
def test_library_is_found_where_the_loader_finds_it(installed, tmp_path, flags, environment):
    (tmp_path / "libs").mkdir()
    deep = compile_program(tmp_path / "libs/libdeep.so", "-shared", "-fPIC", code=READS)
    path = compile_program(tmp_path / "server", f"-L{tmp_path}/libs", "-ldeep",
                           *(f.format(tmp_path) for f in flags),
                           code="int deep(void);\nint main(void) { return deep(); }")
    more = {"LD_LIBRARY_PATH": f"/nowhere:{tmp_path}/libs"} if environment else {}
    env = {k: v for k, v in os.environ.items() if not k.startswith("LD_")} | more
    loader = subprocess.run(["ldd", path], text=True, capture_output=True, env=env).stdout
    facts = check(installed, path, **more)
    assert str(deep) in loader and str(deep) in facts["libraries"]
    assert "read" in facts["hooks"]


def test_library_that_is_missing(installed, tmp_path):
    gone = compile_program(tmp_path / "libgone.so", "-shared", "-fPIC", code=READS)
    also = compile_program(tmp_path / "libalso.so", "-shared", "-fPIC", "-Wl,--no-as-needed",
                           f"-L{tmp_path}", "-lgone", code="int also(void) { return 1; }")
    path = compile_program(tmp_path / "server", f"-L{tmp_path}", "-Wl,--no-as-needed", "-lgone", also,
                           code="int deep(void);\nint main(void) { return deep(); }")
    gone.unlink()
    facts = check(installed, path)
    assert facts["libraries_missing"] == ["libgone.so"]
    assert [w for w in facts["warnings"] if "libgone.so is not found" in w]


def test_library_of_another_machine_is_passed_by(installed, tmp_path):
    for folder in ("wrong", "right"):
        (tmp_path / folder).mkdir()
    right = compile_program(tmp_path / "right/libdeep.so", "-shared", "-fPIC", code=READS)
    path = compile_program(tmp_path / "server", f"-L{tmp_path}/right", "-ldeep",
                           f"-Wl,-rpath,{tmp_path}/wrong:{tmp_path}/right",
                           code="int deep(void);\nint main(void) { return deep(); }")
    alter(right, tmp_path / "wrong/libdeep.so", machine=8)
    assert str(right) in check(installed, path)["libraries"]


def test_libraries_that_need_each_other(installed, tmp_path):
    one, two = tmp_path / "libone.so", tmp_path / "libtwo.so"
    compile_program(two, "-shared", "-fPIC", "-Wl,-soname,libtwo.so", code="int two(void) { return 2; }")
    compile_program(one, "-shared", "-fPIC", "-Wl,-soname,libone.so", "-Wl,--no-as-needed", two,
                    code=READS)
    compile_program(two, "-shared", "-fPIC", "-Wl,-soname,libtwo.so", "-Wl,--no-as-needed", one,
                    code="int two(void) { return 2; }")
    path = compile_program(tmp_path / "server", "-Wl,--no-as-needed", one, two,
                           f"-Wl,-rpath,{tmp_path}")
    found = check(installed, path)["libraries"]
    assert found.count(str(one)) == found.count(str(two)) == 1


# ---- what is no program ---------------------------------------------------------------------------


def test_command_that_is_not_there(installed, tmp_path):
    done = run_check(installed, "--", "no-such-command")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "inferwire check: no-such-command: command not found\n"
    for path in (tmp_path, "/etc/passwd", "/dev/zero"):
        done = run_check(installed, "--json", path)
        assert (done.returncode, done.stdout) == (2, "") and "cannot be executed" in done.stderr


def test_fifo_and_device_hold_nobody(installed, tmp_path):
    fifo = tmp_path / "libdeep.so"
    library = compile_program(fifo, "-shared", "-fPIC", code=READS)
    path = compile_program(tmp_path / "server", f"-L{tmp_path}", "-ldeep", f"-Wl,-rpath,{tmp_path}",
                           code="int deep(void);\nint main(void) { return deep(); }")
    library.unlink()
    os.mkfifo(fifo)
    assert check(installed, path)["libraries_missing"] == ["libdeep.so"]
    fifo.unlink()
    fifo.symlink_to("/dev/zero")
    assert check(installed, path)["libraries_missing"] == ["libdeep.so"]
    os.mkfifo(tmp_path / "fifo", 0o777)
    assert run_check(installed, tmp_path / "fifo").returncode == 2


def test_cut_program(installed, tmp_path):
    whole = pathlib.Path("/usr/bin/true").read_bytes()
    path = tmp_path / "server"
    for length in [0, 1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 200, *range(1000, len(whole), 4999)]:
        path.write_bytes(whole[:length])
        path.chmod(0o755)
        done = run_check(installed, "--json", path)
        assert done.returncode in (0, 1) and done.stderr == "", length
        assert json.loads(done.stdout)["program"]
    path.write_bytes(whole[:40])
    refused(installed, path, reason="damaged", word="damaged")


@pytest.mark.parametrize("fields", [{"shnum": 0xffff}, {"shnum": 0}, {"phnum": 0xffff}, {"shoff": 2**63},
                                    {"shoff": 0}, {"shentsize": 0}, {"shstrndx": 0xffff},
                                    {"shoff": 64, "shnum": 0}])
def test_counts_that_cannot_be(installed, tmp_path, fields):
    path = alter("/usr/bin/true", tmp_path / "server", **fields)
    done = run_check(installed, "--json", path)
    assert done.returncode in (0, 1) and done.stderr == ""
    json.loads(done.stdout)


def test_damaged_programs(installed, tmp_path):
    chance = random.Random(7)
    whole = compile_program(tmp_path / "whole", code=SERVER).read_bytes()
    path = tmp_path / "server"
    for _ in range(80):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 4, 40, 400])):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)])
        path.write_bytes(data)
        path.chmod(0o755)
        done = run_check(installed, "--json", path)
        assert done.returncode in (0, 1) and done.stderr == ""
        json.loads(done.stdout)


def test_names_that_are_no_utf8(installed, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe"
    shutil.copy("/usr/bin/true", path)
    done = subprocess.run([installed.inferwire, "check", "--json", path], capture_output=True,
                          timeout=30, env=installed.environment())
    assert json.loads(done.stdout)["program"].endswith("/??")


# ---- running processes ----------------------------------------------------------------------------


def check_pid(installed, pid, status=0, **more):
    done = run_check(installed, "--json", "--pid", pid, **more)
    assert (done.returncode, done.stderr) == (status, ""), done
    facts = json.loads(done.stdout)
    assert facts["observable"] == (status == 0) and facts["pid"] == pid
    told = run_check(installed, "--pid", pid, **more)
    assert told.returncode == status and facts["why"] in told.stdout
    return facts


@pytest.fixture
def running(installed):
    """Starts a process that says "ready", and ends it after the test."""
    started = []

    def start(*command, **environment):
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True,
                                   env=installed.environment(**environment))
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.communicate()


def preloaded(installed, **more):
    return {"LD_PRELOAD": installed.library, "INFERWIRE_ENABLED": 1,
            "INFERWIRE_AGENT": "external"} | more


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
