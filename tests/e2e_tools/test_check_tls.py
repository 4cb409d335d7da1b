"""inferwire check: TLS that no hook reaches."""
import subprocess

import pytest

from checking import PYTHON, check, compile_program, hidden_tls, needs
from conftest import BUILD, HERE


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
