"""Listens, and becomes the server, which inherits the listening socket.

    python supervisor.py PORT COMMAND...     {fd} in the command becomes the descriptor's number
"""

import os
import socket
import sys


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    listener.set_inheritable(True)
    command = [word.replace("{fd}", str(listener.fileno())) for word in sys.argv[2:]]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
