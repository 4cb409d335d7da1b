"""A PID namespace of one's own, as a container has it, where this machine can make one."""
import subprocess

import pytest

CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def _works():
    try:
        return subprocess.run([*CONTAINER, "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


needs_container = pytest.mark.skipif(
    not _works(), reason="unshare --pid --mount-proc: wants root, and / to be a mount point")
