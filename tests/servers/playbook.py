"""The scripted answers (scripted.py) written down before a test, for servers in other languages to play.

A folder holds a file for each call of a plan, named by the length of its request's body, which is what a
server finds it by. So each of those servers is a page long, and it is the runtime's own HTTP that is
tested. A file is

    MS STATUS LENGTH CONTENT-TYPE wait so long, then write the head. LENGTH is that of the body, or -1:
                                  unknown, so chunked
    MS N                          wait so long, then write the N bytes that follow this line
    ...
    MS end | MS break             break: close the connection although the body is not at its end
"""

from pathlib import Path

import scripted
from load import Call


def written(call: Call) -> bytes:
    head, ms, pieces, end = b"", 0.0, [], b"end"
    for step in scripted.answer(call.method, call.path, call.body):
        match step:
            case scripted.Start(status, content_type, length):
                head = f"{ms:.0f} {status} {-1 if length is None else length} {content_type}\n".encode()
                ms = 0
            case scripted.Wait(seconds):
                ms += seconds * 1000
            case scripted.Part(body):
                pieces.append(b"%d %d\n%s" % (ms, len(body), body))
                ms = 0
            case scripted.Break():
                end = b"break"
    return head + b"".join(pieces) + b"%d %s\n" % (ms, end)


def write(folder: Path, plan: list[Call]) -> None:
    for call in plan:
        if call.method == "POST":
            (folder / str(len(call.body))).write_bytes(written(call))
