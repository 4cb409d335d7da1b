"""An agent that exports nothing: it holds the lock and removes the rings of dead processes.

STAND_IN_REFUSES    --check-config says this and fails
STAND_IN_EXPORT_S   seconds that the export of a dead process takes (0.3)
STAND_IN_LOG        a line for each start
STAND_IN_VERIFY     export what `inferwire verify` expects of its own server's calls; a lie's name:
                    with that wrong; "idle": do not run at all; "stay": do not end; "keep": leave the ring
"""
import fcntl
import os
import pathlib
import struct
import sys
import time

import stand_in_export


def hold_lock(directory):
    """The lock of an open file description, as the agent takes it."""
    fd = os.open(directory / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    # struct flock: short type, short whence, (4) off_t start, off_t len, pid_t pid, (4)
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hh4xqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    return fd


def is_dead(ring):
    pid = ring.name.split("-")[0]
    try:
        return pathlib.Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def main():
    if "--check-config" in sys.argv:
        refusal = os.environ.get("STAND_IN_REFUSES")
        if refusal:
            sys.exit(refusal)
        return
    verify = os.environ.get("STAND_IN_VERIFY")
    if verify == "idle":
        return
    directory = pathlib.Path(os.environ["INFERWIRE_DIR"])
    try:
        lock = hold_lock(directory)
    except OSError:
        return
    with open(os.environ["STAND_IN_LOG"], "a", encoding="ascii") as log:
        print("start", os.getpid(), os.environ.get("LD_PRELOAD"), file=log)
    while rings := list(directory.glob("*.ring")):
        dead = [ring for ring in rings if is_dead(ring)]
        if dead:
            time.sleep(float(os.environ.get("STAND_IN_EXPORT_S", "0.3")))
        if dead and verify:
            for _ in range(2):  # cumulative: said twice is not twice as much
                stand_in_export.post(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], verify)
        if dead and verify == "keep":
            return
        for ring in dead:
            ring.unlink()
        time.sleep(0.02)
    while verify == "stay" and directory.exists():
        time.sleep(0.02)
    os.close(lock)


if __name__ == "__main__":
    main()
