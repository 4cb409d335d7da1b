"""Accepts connections and gives each to one of two worker processes, which serve them: they never listen,
nor accept.

    python hand_over.py PORT [after]     after: the parent reads the request's first byte before it does
"""

import contextlib
import socket
import subprocess
import sys
import threading

import http_server


class After(http_server.Handler):
    """Of a connection whose first byte is known to be a P."""

    def setup(self) -> None:
        super().setup()
        first = self.rfile

        class Rest:
            def __init__(self) -> None:
                self.begun = False

            def readline(self, limit: int = -1) -> bytes:
                begun, self.begun = self.begun, True
                return (b"" if begun else b"P") + first.readline(limit)

            def __getattr__(self, name: str) -> object:
                return getattr(first, name)

        self.rfile = Rest()


def serve(connection: socket.socket, handler: type[http_server.Handler]) -> None:
    with contextlib.suppress(OSError), connection:
        handler(connection, ("", 0), None)
        connection.shutdown(socket.SHUT_WR)


def worker(control: socket.socket, handler: type[http_server.Handler]) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        connection = socket.socket(fileno=descriptors[0])
        threading.Thread(target=serve, args=(connection, handler), daemon=True).start()


def main() -> None:
    after = sys.argv[2:] == ["after"]
    if sys.argv[1] == "worker":
        return worker(socket.socket(fileno=0), After if after else http_server.Handler)
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
            if after and connection.recv(1) != b"P":
                continue
            socket.send_fds(controls[n % 2], [b"c"], [connection.fileno()])
        n += 1


if __name__ == "__main__":
    main()
