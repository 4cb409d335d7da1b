"""What a tiny reply costs a node server: bare, watched, and under OpenTelemetry JS.

usage: node_replies.py BUILD_DIR [ROUNDS]
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from bars import Bars, quartile  # noqa: E402
import watched  # noqa: E402

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
LOAD = watched.Load(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", b'{"object":"list","data":[]}', 8, 150)


def install() -> str:
    """The server and its packages, as the lock file has them, under BUILD; its folder."""
    folder = f"{BUILD}/bench/node"
    os.makedirs(folder, exist_ok=True)
    fresh = False
    for name in ("package.json", "package-lock.json", "server.js"):
        source, copy = f"tests/bench/server/node/{name}", f"{folder}/{name}"
        with open(source, "rb") as f:
            text = f.read()
        if not os.path.exists(copy) or open(copy, "rb").read() != text:
            shutil.copy(source, copy)
            fresh |= name != "server.js"
    if fresh or not os.path.exists(f"{folder}/installed"):
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, cwd=folder, check=True)
        open(f"{folder}/installed", "w").close()
    return folder


def main() -> None:
    folder, bars, servers = install(), Bars(BUILD), {}
    with watched.temporary_rings() as rings, watched.sink() as receiver:
        envs = {"bare": {}, "twin": {}, "watched": watched.shim_env(BUILD, rings, receiver)}
        envs["otel"] = watched.otlp_env(receiver) | {"BENCH_OTEL": "1"}
        try:
            for name, env in envs.items():
                port = watched.free_port()
                servers[name] = watched.start(["node", f"{folder}/server.js"], port, env | {"PORT": str(port)})
            watched.agent_of(rings)
            cost = watched.costs(servers, LOAD, ROUNDS)
        finally:
            for server in servers.values():
                server.stop()
    ours = watched.ratio(cost, "watched", "bare")
    share = watched.share_of_loss(ours, watched.ratio(cost, "otel", "bare"))
    bars.at_most("node, tiny replies: loss over OpenTelemetry JS's", share.high, 1 / 10, 1 / 25, str(share))
    bars.tell("node, tiny replies: CPU of a reply, watched over bare", str(ours))
    bars.tell("node, tiny replies: the same, bare over bare", str(watched.ratio(cost, "twin", "bare")))
    micros = ", ".join(f"{n} {quartile(c):.1f}" for n, c in cost.items())
    bars.tell("node, tiny replies: CPU us of a reply", micros)


if __name__ == "__main__":
    main()
