"""The scripted answers from a server whose processes live as those of servers do: `--life` says how.

    threads     one process, a thread a connection
    prefork     the parent listens, its children accept
    fork        the parent accepts, a child of its own serves each connection, the parent closes it
    inetd       as fork, and the child has the connection as its descriptors 0 and 1
    late-fork   as fork, but the parent has read from the request before
    daemon      listens, then becomes a daemon: two forks, a session of its own, every descriptor closed
    reexec      starts itself anew on SIGUSR2, and hands the listening socket and what it accepted down

`--user`, `--chroot`, `--close-stdio`, `--no-files` and `--lock-memory`: what the process that
accepts does to itself after the socket was made and before it accepts; the last one before.
"""

import argparse
import ctypes
import fcntl
import os
import pwd
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import scripted

WORKERS = 2
MCL_CURRENT, MCL_FUTURE = 1, 2


class Gone(Exception):
    """The client left."""


class Wire:
    """One end to read and one to write, which may be two descriptors of one connection."""

    def __init__(self, reads: int, writes: int, seen: bytes = b""):
        self.reads, self.writes = reads, writes
        self.raw = seen

    def more(self) -> None:
        data = os.read(self.reads, 65536)
        if not data:
            raise Gone
        self.raw += data

    def until(self, mark: bytes) -> bytes:
        while mark not in self.raw:
            self.more()
        head, _, self.raw = self.raw.partition(mark)
        return head

    def exactly(self, n: int) -> bytes:
        while len(self.raw) < n:
            self.more()
        taken, self.raw = self.raw[:n], self.raw[n:]
        return taken

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.writes, data) :]

    def wait(self, seconds: float) -> None:
        """Comes back early, and not to the answer, when the client leaves."""
        readable, _, _ = select.select([self.reads], [], [], seconds)
        if readable:
            self.more()  # what is sent ahead of its turn is kept

    def body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self.exactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size + 2)[:-2]
        self.until(b"\r\n")
        return body


def answer(wire: Wire) -> bool:
    """One request and its answer; whether the connection stays."""
    first, *fields = wire.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {k.lower(): v.strip() for k, v in (f.split(":", 1) for f in fields)}
    stays = headers.get("connection") != "close"
    chunked = False
    for step in scripted.answer(method, path, wire.body(headers)):
        match step:
            case scripted.Start(status, content_type, length):
                chunked = length is None
                framing = "transfer-encoding: chunked" if chunked else f"content-length: {length}"
                connection = "keep-alive" if stays else "close"
                head = f"HTTP/1.1 {status} x\r\ncontent-type: {content_type}\r\n{framing}\r\n"
                wire.write(f"{head}connection: {connection}\r\n\r\n".encode())
            case scripted.Wait(seconds):
                wire.wait(seconds)
            case scripted.Part(body):
                wire.write(b"%x\r\n%s\r\n" % (len(body), body) if chunked else body)
            case scripted.Break():
                return False
    if chunked:
        wire.write(b"0\r\n\r\n")
    return stays


def serve(wire: Wire) -> None:
    try:
        while answer(wire):
            pass
    except (Gone, ConnectionError):
        pass


def serve_and_close(connection: socket.socket, seen: bytes = b"") -> None:
    with connection:
        serve(Wire(connection.fileno(), connection.fileno(), seen))


def threads(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_and_close, args=(connection,), daemon=True).start()


children: list[int] = []


def end(sig: int, frame: FrameType | None) -> None:
    for pid in children:
        os.kill(pid, sig)
    for pid in children:
        os.waitpid(pid, 0)
    os._exit(0)


def prefork(listener: socket.socket, settle: Callable[[], None]) -> None:
    for _ in range(WORKERS):
        if (pid := os.fork()) == 0:
            children.clear()
            settle()
            threads(listener)
        children.append(pid)
    while True:
        signal.pause()


def fork_each(listener: socket.socket, settle: Callable[[], None], life: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        first = connection.recv(65536) if life == "late-fork" else b""
        if os.fork() == 0:
            listener.close()
            settle()
            reads = writes = connection.fileno()
            if life == "inetd":
                os.dup2(reads, 0)
                os.dup2(reads, 1)
                os.close(reads)
                reads, writes = 0, 1
            serve(Wire(reads, writes, first))
            for fd in {reads, writes}:
                os.close(fd)
            os._exit(0)
        connection.close()


def become_daemon(listener: socket.socket) -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    fd = listener.fileno()
    os.closerange(0, fd)
    os.closerange(fd + 1, 65536)
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)


def reexec(listener: socket.socket) -> None:
    """A connection that stays silent at first waits for the program that this one becomes. What it has sent
    by then is handed down with it."""
    waiting: list[socket.socket] = []

    def again(sig: int, frame: FrameType | None) -> None:
        inherited = []
        for s in [listener, *waiting]:
            s.set_inheritable(True)
            readable = s is not listener and select.select([s], [], [], 0)[0]
            inherited.append(f"{s.fileno()}:{s.recv(65536).hex() if readable else ''}")
        os.execv(sys.executable, [sys.executable, *sys.argv, "--inherited", ",".join(inherited)])

    signal.signal(signal.SIGUSR2, again)
    while True:
        connection, _ = listener.accept()
        if select.select([connection], [], [], 0.2)[0]:
            threading.Thread(target=serve_and_close, args=(connection,), daemon=True).start()
        else:
            waiting.append(connection)


def settler(options: argparse.Namespace) -> Callable[[], None]:
    user = pwd.getpwnam(options.user) if options.user else None

    def settle() -> None:
        if options.close_stdio:
            os.closerange(0, 3)
        if options.no_files:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        if options.chroot:
            os.chroot(options.chroot)
            os.chdir("/")
        if user:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)

    return settle


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--life", required=True)
    parser.add_argument("--user")
    parser.add_argument("--chroot")
    parser.add_argument("--close-stdio", action="store_true")
    parser.add_argument("--high", action="store_true", help="listens on a descriptor above 900")
    parser.add_argument("--no-files", action="store_true", help="RLIMIT_FSIZE is 0")
    parser.add_argument("--lock-memory", action="store_true", help="mlockall before it listens")
    parser.add_argument("--inherited", help="of the listening socket and of connections: FD:HEX,...")
    options = parser.parse_args()
    settle = settler(options)
    if options.lock_memory and ctypes.CDLL(None).mlockall(MCL_CURRENT | MCL_FUTURE) != 0:
        sys.exit("mlockall failed")
    inherited = [one.split(":") for one in (options.inherited or "").split(",") if one]
    sockets = [(socket.socket(fileno=int(fd)), bytes.fromhex(seen)) for fd, seen in inherited]
    listener = sockets[0][0] if sockets else socket.create_server(("127.0.0.1", options.port), backlog=64)
    for connection, seen in sockets[1:]:
        threading.Thread(target=serve_and_close, args=(connection, seen), daemon=True).start()
    if options.high:
        listener = socket.socket(fileno=fcntl.fcntl(listener.detach(), fcntl.F_DUPFD_CLOEXEC, 900))
        os.closerange(3, 900)
        listener.listen(64)
    if options.life == "daemon":
        become_daemon(listener)
    signal.signal(signal.SIGTERM, end)
    if options.life == "prefork":
        prefork(listener, settle)
    elif options.life in ("fork", "inetd", "late-fork"):
        fork_each(listener, settle, options.life)
    else:
        settle()
        (reexec if options.life == "reexec" else threads)(listener)


if __name__ == "__main__":
    main()
