"""Servers of other languages and libraries, which play the answers of one plan (playbook.py)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import harness
import load
from client import Tls

BUILT = harness.BUILD / "servers"


@dataclass(frozen=True)
class Runtime:
    name: str
    command: Callable[[str, str], list[str]]  # of a port and a folder of answers
    # Whether it finds out that its client left before it has written anything.
    sees_departures: bool = True

    def server(self, book: Path) -> harness.Server:
        port = harness.free_port()
        return harness.Server(self.name, self.command(str(port), str(book)), port, "scripted", True)

    def plan(self, n: int, seed: int) -> list[load.Call]:
        return plain_departures(load.scripted_plan(n, seed, leaves_early=self.sees_departures))


def plain_departures(plan: list[load.Call]) -> list[load.Call]:
    """Without clients of whom nobody can say whether they left before or after the head came."""
    return [c for c in plan if c.leave_after != 0 or not c.stream]


def answer(outcome: load.Outcome) -> object:
    """What a client compares. Of a response that it left before its end, that there was one."""
    return outcome.response.status if outcome.left else load.normalised(outcome)


def connections(port: int) -> list[str]:
    """Those that a server on this port has open: established, or left by the client (CLOSE_WAIT)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [r[2] for r in rows if int(r[1].split(":")[1], 16) == port and r[3] in ("01", "08")]


def wait_until_idle(server: harness.Server) -> None:
    """Until it has found out that its clients left."""
    address = server.address
    port = address.port if isinstance(address, Tls) else address
    assert isinstance(port, int)
    harness.wait_for(f"{server.name} closes its connections", lambda: not connections(port))


NODE = Runtime("node", lambda port, book: ["node", str(harness.SERVERS / "play.js"), port, book])
AXUM = Runtime("axum", lambda port, book: [str(BUILT / "play-axum"), port, book])
JAVA = Runtime(
    "java", lambda port, book: ["java", str(harness.SERVERS / "Play.java"), port, book], sees_departures=False
)
MUSL = Runtime("musl", lambda port, book: [str(BUILT / "play-musl"), port, book], sees_departures=False)
