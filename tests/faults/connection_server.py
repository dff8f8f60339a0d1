"""Serves one connection and notes that: `connection_server.py NOTES NAME`, run by path with `-I -S`.

Who connects sends a number and what is to become of this instance: `go`, `stay` (until the other side
closes) or `die`. It is answered the number and the instance's token.
"""

import os
import signal
import socket
import sys

NOTES, NAME = sys.argv[1:3]
book = os.open(
    f"{NOTES}/{NAME}.served", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666
)
token = os.environ["INVOCATION_ID"][:16]


def note(*words):
    os.write(book, (" ".join(map(str, (token, *words))) + "\n").encode())


note("begin", os.getpid())
connection = socket.socket(fileno=3)
asked = connection.makefile("rb").readline().split()
if asked:
    number, how = asked
    note("serve", number.decode())
    connection.sendall(number + b" " + token.encode() + b"\n")
    if how == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == b"stay":
        connection.recv(1)
note("end")
