"""Python's HTTP runtimes, each with the scripted answers, as they are started in production."""

import sys
from pathlib import Path

import client
import harness
import load

PYTHON = sys.executable
SERVERS = harness.SERVERS

# What `plain` starts, with the modules that each needs.
PLAIN = {
    "uvicorn/workers/asyncio/h11": ("uvicorn", "h11"),
    "uvicorn/workers/uvloop/httptools": ("uvicorn", "uvloop", "httptools"),
    "gunicorn/uvicorn": ("gunicorn", "uvicorn_worker"),
    "gunicorn/sync": ("gunicorn",),
    "gunicorn/gthread": ("gunicorn",),
    "gunicorn/gevent": ("gunicorn", "gevent"),
    "gunicorn/asgi": ("gunicorn",),
    "hypercorn": ("hypercorn",),
    "granian": ("granian",),
    "waitress": ("waitress",),
    "uvicorn/unix": ("uvicorn", "uvloop"),
    "aiohttp_server": ("aiohttp",),
    "tornado_server": ("tornado",),
    "http_server": (),
}
# What `tls` starts, and the shim reads. granian's is another library.
TLS = (
    "uvicorn/workers/uvloop/httptools",
    "gunicorn/gthread",
    "gunicorn/gevent",
    "hypercorn",
    "aiohttp_server",
    "tornado_server",
    "http_server",
)
# They neither read nor write while they wait for the answer: they find out that a client left when they write.
BLIND = ("gunicorn/sync", "gunicorn/gthread", "gunicorn/gevent", "waitress", "http_server")
# They send no head before there is some of the body: what breaks off before that has none.
HOLD_THE_HEAD = ("gunicorn/asgi", "waitress")


def plan(name: str, n: int, seed: int) -> list[load.Call]:
    """What this runtime can carry out."""
    calls = load.scripted_plan(n, seed, leaves_early=name not in BLIND)
    return [c for c in calls if name not in HOLD_THE_HEAD or c.error != "truncated"]


# Its gevent worker, once in some twenty ends, bare as well, waits out the whole time that is meant for open
# requests although none is open (gunicorn 27.0.1).
GEVENT_ENDS = ("--graceful-timeout", "5")


def on_port(name: str, command: list[str], port: int, tls: bool = False) -> harness.Server:
    address = client.Tls(port) if tls else port
    return harness.Server(name, command, address, "scripted", is_scripted=True)


def uvicorn_workers(loop: str, http: str, *more: str) -> harness.Server:
    """Spawned workers, which get the bound socket handed over."""
    return harness.uvicorn(loop, http, "--workers", "2", *more)


def gunicorn(worker: str, app: str, *more: str) -> harness.Server:
    """Workers forked from a parent that listens."""
    port = harness.free_port()
    command = [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--chdir", str(SERVERS)]
    command += ["--worker-class", worker, "--workers", "2", "--log-level", "critical", *more, app]
    return on_port(f"gunicorn-{worker}", command, port, "--keyfile" in more)


def hypercorn(*more: str, app: str = "asgi_app:app") -> harness.Server:
    port = harness.free_port()
    command = [PYTHON, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "--log-level", "CRITICAL", *more]
    return on_port("hypercorn", [*command, f"{SERVERS}/{app}"], port, "--keyfile" in more)


def granian(*more: str) -> harness.Server:
    """Rust's hyper, with the application in Python."""
    port = harness.free_port()
    command = [PYTHON, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--working-dir", str(SERVERS), "--no-log", "--workers", "2", *more, "asgi_app:app"]
    return on_port("granian", command, port, "--ssl-keyfile" in more)


def waitress() -> harness.Server:
    port = harness.free_port()
    command = ["env", f"PYTHONPATH={SERVERS}", PYTHON, "-m", "waitress", "--listen", f"127.0.0.1:{port}"]
    command += ["--threads", "8", "--send-bytes", "1"]
    return on_port("waitress", [*command, "wsgi_app:app"], port)


def on_a_socket(server: harness.Server, option: str) -> harness.Server:
    """In place of a port."""
    path = f"/tmp/inferwire-{server.address}.sock"
    at = server.command.index("--port")
    server.command[at : at + 2] = [option, path]
    server.address = path
    return server


def program(file: str, *key_and_certificate: str) -> harness.Server:
    port = harness.free_port()
    command = [PYTHON, str(SERVERS / file), str(port), *key_and_certificate]
    return on_port(file.removesuffix(".py"), command, port, bool(key_and_certificate))


def tls_options(key: str, certificate: str) -> list[str]:
    return ["--keyfile", key, "--certfile", certificate]


def plain(name: str) -> harness.Server:
    match name.split("/"):
        case ["uvicorn", "workers", loop, http]:
            return uvicorn_workers(loop, http)
        case ["gunicorn", "uvicorn"]:
            return gunicorn("uvicorn_worker.UvicornWorker", "asgi_app:app")
        case ["gunicorn", "sync"]:
            return gunicorn("sync", "wsgi_app:app")
        case ["gunicorn", "gthread"]:
            return gunicorn("gthread", "wsgi_app:app", "--threads", "8")
        case ["gunicorn", "gevent"]:
            return gunicorn("gevent", "wsgi_app:app", *GEVENT_ENDS)
        case ["gunicorn", "asgi"]:
            return gunicorn("asgi", "asgi_app:app")
        case ["hypercorn"]:
            return hypercorn()
        case ["granian"]:
            return granian()
        case ["waitress"]:
            return waitress()
        case ["uvicorn", "unix"]:
            return on_a_socket(harness.uvicorn("uvloop", "httptools"), "--uds")
        case [module]:
            return program(f"{module}.py")
    raise ValueError(name)


def tls(name: str, folder: Path) -> harness.Server:
    key, certificate = harness.certificate(folder)
    match name.split("/"):
        case ["uvicorn", "workers", loop, http]:
            server = uvicorn_workers(loop, http, "--ssl-keyfile", key, "--ssl-certfile", certificate)
            assert isinstance(server.address, int)
            server.address = client.Tls(server.address)
            return server
        case ["gunicorn", "gthread"]:
            return gunicorn("gthread", "wsgi_app:app", "--threads", "8", *tls_options(key, certificate))
        case ["gunicorn", "gevent"]:
            return gunicorn("gevent", "wsgi_app:app", *GEVENT_ENDS, *tls_options(key, certificate))
        case ["granian"]:
            return granian("--ssl-keyfile", key, "--ssl-certificate", certificate)
        case ["hypercorn"]:
            return hypercorn(*tls_options(key, certificate))
        case [module]:
            return program(f"{module}.py", key, certificate)
    raise ValueError(name)
