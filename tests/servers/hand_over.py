"""Accepts connections and gives each to one of two worker processes, which serve them: they never listen,
nor accept.

    python hand_over.py PORT [begun]     begun: the parent reads the beginning of the request before
"""

import contextlib
import io
import socket
import subprocess
import sys
import threading
from typing import Any, BinaryIO

import http_server

BEGINNING = 4096


class Begun(io.RawIOBase):
    """What is read from a connection, after what somebody else has read of it."""

    def __init__(self, begin: bytes, rest: BinaryIO):
        self.begin = begin
        self.rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        data = self.begin or self.rest.read1(len(room))
        n = min(len(data), len(room))
        room[:n], self.begin = data[:n], data[n:]
        return n


def serve(connection: socket.socket, begin: bytes) -> None:
    class Handler(http_server.Handler):
        def setup(self) -> None:
            super().setup()
            self.rfile = io.BufferedReader(Begun(begin, self.rfile))

    with contextlib.suppress(OSError), connection:
        Handler(connection, ("", 0), None)
        connection.shutdown(socket.SHUT_WR)


def worker(control: socket.socket, begun: bool) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, BEGINNING, 1)
        if not message:
            return
        connection = socket.socket(fileno=descriptors[0])
        begin = message if begun else b""
        threading.Thread(target=serve, args=(connection, begin), daemon=True).start()


def main() -> None:
    begun = sys.argv[2:] == ["begun"]
    if sys.argv[1] == "worker":
        return worker(socket.socket(fileno=0), begun)
    controls = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        subprocess.Popen([sys.executable, sys.argv[0], "worker", *sys.argv[2:]], stdin=theirs)
        theirs.close()
        controls.append(ours)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
    n = 0
    while True:
        connection, _ = listener.accept()
        with connection:
            message = connection.recv(BEGINNING) if begun else b"-"
            if message:
                socket.send_fds(controls[n % 2], [message], [connection.fileno()])
        n += 1


if __name__ == "__main__":
    main()
