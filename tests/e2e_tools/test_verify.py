"""inferwire verify: says ok only if everything is, and where it is broken if it is not.

The agent here is a stand-in that exports figures it was told; that the real agent's figures pass is
part of the tests of the whole.
"""
import http.server
import os
import re
import subprocess
import threading

import pytest


def verify(installed, *arguments, **more):
    env = installed.environment(**more)
    del env["INFERWIRE_DIR"]
    installed.rings.mkdir(mode=0o700, exist_ok=True)
    return subprocess.run([installed.inferwire, "verify", *arguments], text=True,
                          capture_output=True, timeout=20,
                          env=env | {"INFERWIRE_DIR": str(installed.rings)})


def verdicts(done):
    """{check: verdict}"""
    return {name: verdict
            for verdict, name in re.findall(r"^(ok|FAIL|-) +(\w+)", done.stdout, re.M)}


def assert_fails_at(done, name, *words):
    assert done.returncode == 1
    checks = verdicts(done)
    names = list(checks)
    at = names.index(name)
    assert [checks[n] for n in names] == ["ok"] * at + ["FAIL"] + ["-"] * (len(names) - at - 1), \
        done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("FAIL"))
    for word in words:
        assert word in line


def test_all_is_well(installed):
    done = verify(installed, STAND_IN_VERIFY="truth")
    assert done.returncode == 0, done.stdout
    assert set(verdicts(done).values()) == {"ok"}
    assert len(verdicts(done)) == 11
    assert list(installed.rings.iterdir()) == []
    assert done.stderr == ""


def test_the_users_environment_does_not_matter(installed):
    done = verify(installed, STAND_IN_VERIFY="truth", OTEL_SDK_DISABLED="true",
                  INFERWIRE_ENABLED="0", INFERWIRE_AGENT="external", INFERWIRE_ONLY="nothing",
                  http_proxy="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("lie, name, word", [
    ("requests", "numbers", "requests_total"), ("concurrent", "numbers", "concurrent_requests"),
    ("first", "numbers", "time_to_first_token"), ("rate", "numbers", "tokens_per_second"),
    ("missing", "numbers", "tokens_per_second"), ("path", "export", "/v1/metrics"),
    ("type", "export", "Content-Type"), ("garbage", "export", "not an OTLP"),
    ("idle", "start", "does not run"), ("keep", "end", "1 rings"), ("stay", "end", "still runs"),
])
def test_what_is_wrong_is_named(installed, lie, name, word):
    assert_fails_at(verify(installed, STAND_IN_VERIFY=lie), name, word)


def test_missing_parts(installed):
    installed.agent.unlink()
    assert_fails_at(verify(installed), "agent", "inferwire-agent")
    installed.library.unlink()
    assert_fails_at(verify(installed), "library", "libinferwire.so")


def test_library_that_does_not_load(installed, tmp_path):
    """An ELF file by its header, and no more."""
    cut = tmp_path / "libinferwire.so"
    cut.write_bytes(installed.library.read_bytes()[:200])
    done = verify(installed, INFERWIRE_LIBRARY=cut)
    assert done.returncode == 1 and "FAIL" in done.stdout


def test_directory_that_cannot_be_made(installed):
    done = subprocess.run([installed.inferwire, "verify"], text=True, capture_output=True, timeout=20,
                          env=installed.environment(INFERWIRE_DIR="/proc"))
    assert_fails_at(done, "directory", "INFERWIRE_DIR")


class Endpoint(http.server.BaseHTTPRequestHandler):
    status = 200
    seen = []

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.seen.append((self.path, self.headers["Content-Type"], self.rfile.read(length),
                          self.headers["X-Key"]))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("status", [200, 404])
def test_endpoint_is_tried(installed, status):
    Endpoint.status, Endpoint.seen = status, []
    with http.server.HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = verify(installed, STAND_IN_VERIFY="truth", OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20b",
                      OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}/base")
        server.shutdown()
    assert Endpoint.seen == [("/base/v1/metrics", "application/x-protobuf", b"", "a b")]
    if status == 200:
        assert done.returncode == 0, done.stdout
    else:
        assert_fails_at(done, "endpoint", "404")


def test_endpoint_that_is_not_there(installed):
    done = verify(installed, STAND_IN_VERIFY="truth",
                  OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert_fails_at(done, "endpoint", "http://127.0.0.1:9/v1/metrics")


def test_wrong_usage(installed):
    done = verify(installed, "--fast")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_help_ends_with_examples(installed):
    for command in ([], ["run"], ["verify"], ["status"]):
        done = subprocess.run([installed.inferwire, *command, "--help"], text=True,
                              capture_output=True, env=os.environ, check=True)
        assert "\nEXAMPLES\n" in done.stdout
        assert max(map(len, done.stdout.splitlines())) < 100
