"""Becomes a command behind a seccomp filter such as container engines put there: what reaches beyond a
container (ptrace, bpf, mount, keyrings, io_uring, other processes' memory) fails with EPERM.

    python filtered.py COMMAND [ARGUMENT...]
"""

import ctypes
import os
import platform
import struct
import sys

# linux/audit.h and the tables of system calls of the two architectures.
MACHINES = {
    "x86_64": (0xC000003E, [101, 165, 166, 248, 249, 250, 272, 298, 308, 310, 311, 321, 323, 425, 426, 427]),
    "aarch64": (0xC00000B7, [117, 39, 40, 217, 218, 219, 97, 241, 268, 270, 271, 280, 282, 425, 426, 427]),
}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
ALLOW, EPERM = 0x7FFF0000, 0x00050001
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def program() -> bytes:
    machine, forbidden = MACHINES[platform.machine()]
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, machine), (RETURN, 0, 0, EPERM), (LOAD, 0, 0, 0)]
    for number in forbidden:
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, EPERM)]
    return b"".join(struct.pack("HBBI", *s) for s in [*steps, (RETURN, 0, 0, ALLOW)])


libc = ctypes.CDLL(None, use_errno=True)
steps = program()
room = ctypes.create_string_buffer(steps, len(steps))
filter_ = struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(room))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_):
    sys.exit(f"filtered.py: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
