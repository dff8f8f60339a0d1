"""A service that keeps its own books, so that its manager's can be held against them.

`witness.py NOTES NAME PAUSE [fork]`. It notes each life's beginning and end, writes numbered lines to standard output
and how far it has come, and holds a lock that shows if a second instance ever runs at the same time. Run by
path with `-I -S`.
"""

import fcntl
import os
import signal
import socket
import sys
import time

NOTES, NAME, PAUSE = sys.argv[1], sys.argv[2], float(sys.argv[3])
if "fork" in sys.argv and os.fork():
    os._exit(0)
OWN_STATUS = 7
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

token = os.environ["INVOCATION_ID"][:16]
book = os.open(f"{NOTES}/{NAME}.life", APPEND, 0o666)
lock = os.open(f"{NOTES}/{NAME}.lock", APPEND, 0o666)
progress = os.open(f"{NOTES}/{NAME}.{token}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def note(*words):
    os.write(book, (" ".join(map(str, (token, *words))) + "\n").encode())


def leave(how, status):
    note("exit", how)
    os._exit(status)


try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("twice")
note("begin", os.getpid(), os.environ["VALUE"])
signal.signal(signal.SIGTERM, lambda *_: leave("term", 0))
signal.signal(signal.SIGUSR1, lambda *_: leave("own", OWN_STATUS))
if "NOTIFY_SOCKET" in os.environ:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        while True:  # between two shims nobody listens
            try:
                line.sendto(b"READY=1\n", os.environ["NOTIFY_SOCKET"])
                break
            except OSError:
                time.sleep(PAUSE)
calls = socket.socket(fileno=3) if "LISTEN_FDS" in os.environ else None


def answer(calls):
    calls.setblocking(False)
    while True:
        try:
            caller, _ = calls.accept()
        except BlockingIOError:
            return
        with caller:
            caller.send(token.encode())


n = 0
while True:
    os.write(1, b"%s %d\n" % (token.encode(), n))
    os.pwrite(progress, b"%d" % n, 0)
    n += 1
    if calls:
        answer(calls)
    time.sleep(PAUSE)
