"""Fills every descriptor below a number, and becomes the server: what it opens then lies above.

    python high_descriptors.py NUMBER COMMAND...
"""

import os
import resource
import sys

ROOM = 4000  # above it


def main() -> None:
    number = int(sys.argv[1])
    wanted = number + ROOM
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    null = os.open("/dev/null", os.O_RDONLY)
    for n in range(null, number):
        os.dup2(null, n)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
