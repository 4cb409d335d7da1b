"""How far the time to first token that is told lies from the one that the server stamped itself.

usage: first_token.py BUILD_DIR [CALLS]
"""

import json
import os
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from bars import Bars  # noqa: E402
import watched  # noqa: E402

ROOT = os.path.join(os.path.dirname(__file__), "../../..")
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
CALLS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
BODY = b'{"model":"m","stream":true,"prompt":"x"}'
REQUEST = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


def stamped_and_told(folder: str) -> tuple[list[list[int]], list[dict[str, int]]]:
    program = f"{folder}/stamping_server"
    source = os.path.join(os.path.dirname(__file__), "stamping_server.c")
    subprocess.run(["cc", "-O2", f"-I{ROOT}", "-o", program, source], check=True)
    port, log = watched.free_port(), f"{folder}/calls.jsonl"
    with watched.temporary_rings() as rings, watched.sink() as receiver:
        env = watched.shim_env(BUILD, rings, receiver) | {"INFERWIRE_CALL_LOG": log}
        with open(f"{folder}/stamps", "w") as out:
            server = subprocess.Popen([program, str(port), str(CALLS)], env=os.environ | env, stdout=out)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert server.poll() is None
        watched.ask(port, REQUEST, b"0\r\n\r\n", CALLS)
        server.wait(30)
        agent = watched.agent_of(rings)
        while os.path.exists(f"/proc/{agent}"):
            os.sched_yield()
    with open(f"{folder}/stamps") as stamps, open(log) as lines:
        return [[int(n) for n in line.split()] for line in stamps], [json.loads(line) for line in lines]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        stamps, calls = stamped_and_told(folder)
    assert len(stamps) == len(calls) == CALLS, (len(stamps), len(calls))
    errors = sorted(
        abs((call["first_token_ns"] - call["received_ns"]) - (first - received)) / 1000
        for (received, first), call in zip(stamps, calls)
    )
    p99 = errors[len(errors) * 99 // 100]
    value = f"p50 {errors[len(errors) // 2]:.2f}, p99 {p99:.2f}, most {errors[-1]:.1f} us, {CALLS} calls"
    Bars(BUILD).at_most("time to first token, error", p99, 100, 20, value)


if __name__ == "__main__":
    main()
