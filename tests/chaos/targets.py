"""The servers that chaos is let loose on: every runtime of the end-to-end tests that is there."""

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import client
import client_http2
import harness
import load
import playbook
import players
import proxies
import runtimes

Prepared = tuple[harness.Server, list[load.Call]]


@dataclass(frozen=True)
class Target:
    name: str
    # A server and a plan that it can carry out, of so many calls; the folder is the server's own.
    prepare: Callable[[Path, int, int], Prepared]
    carry_out: Callable[[client.Address, list[load.Call]], list[load.Outcome]] = load.run
    missing: str = ""  # why it cannot be started here
    # Started before it and not watched: what a proxy hands the calls on to.
    behind: Callable[[], harness.Server] | None = None


def without(*modules: str) -> str:
    absent = [m for m in modules if importlib.util.find_spec(m) is None]
    return f"not installed: {' '.join(absent)}" if absent else ""


def plain(name: str) -> Target:
    def prepare(_: Path, n: int, seed: int) -> Prepared:
        return runtimes.plain(name), runtimes.plan(name, n, seed)

    return Target(name, prepare, missing=without(*runtimes.PLAIN[name]))


def tls(name: str) -> Target:
    def prepare(home: Path, n: int, seed: int) -> Prepared:
        return runtimes.tls(name, home), runtimes.plan(name, n, seed)

    return Target(f"{name}/tls", prepare, missing=without(*runtimes.PLAIN[name]))


def one_process(loop: str, http: str) -> Target:
    def prepare(_: Path, n: int, seed: int) -> Prepared:
        return harness.uvicorn(loop, http), load.scripted_plan(n, seed)

    return Target(f"uvicorn/{loop}/{http}", prepare, missing=without("uvicorn", http))


def http2(encrypted: bool) -> Target:
    def prepare(home: Path, n: int, seed: int) -> Prepared:
        server = runtimes.tls("hypercorn", home) if encrypted else runtimes.plain("hypercorn")
        # It closes the whole connection when an application breaks off, whatever else goes over it.
        return server, [c for c in load.scripted_plan(n, seed) if c.error != "truncated"]

    name = "hypercorn/h2/tls" if encrypted else "hypercorn/h2"
    return Target(name, prepare, client_http2.run, missing=without("hypercorn", "h2"))


def player(runtime: players.Runtime) -> Target:
    def prepare(home: Path, n: int, seed: int) -> Prepared:
        book = home / "book"
        book.mkdir()
        plan = runtime.plan(n, seed)
        playbook.write(book, plan)
        return runtime.server(book), plan

    program = runtime.command("0", "-")[0]
    missing = "" if shutil.which(program) else f"not installed: {Path(program).name}"
    return Target(runtime.name, prepare, missing=missing)


def every() -> list[Target]:
    pairs = [("asyncio", "h11"), ("uvloop", "httptools")]
    found = [one_process(loop, http) for loop, http in pairs]
    found += [plain(name) for name in runtimes.PLAIN] + [tls(name) for name in runtimes.TLS]
    found += [http2(encrypted) for encrypted in (False, True)]
    found += [player(r) for r in (players.NODE, players.AXUM, players.JAVA, players.MUSL)]
    return found + [proxy(p) for p in proxies.PROXIES]


def proxy(of: proxies.Proxy) -> Target:
    upstream: list[harness.Server] = []

    def behind() -> harness.Server:
        upstream[:] = [harness.uvicorn("uvloop", "httptools")]
        return upstream[0]

    def prepare(home: Path, n: int, seed: int) -> Prepared:
        to = upstream[0].address
        assert isinstance(to, int)
        # What breaks off upstream is another answer in front of it.
        plan = [c for c in load.scripted_plan(n, seed) if c.error != "truncated"]
        return of.server(home, to), plan

    return Target(of.name, prepare, missing=of.missing(), behind=behind)
