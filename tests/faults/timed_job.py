"""A job that notes each of its runs: `timed_job.py NOTES NAME SECONDS`, run by path with `-I -S`.

One line a run: token, whether another run was under way, by which elapse it was started (microseconds since
1970 and of CLOCK_BOOTTIME; 0: by none), when it began (seconds of CLOCK_BOOTTIME).
"""

import fcntl
import os
import sys
import time

NOTES, NAME, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

lock = os.open(f"{NOTES}/{NAME}.lock", APPEND, 0o666)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    alone = "alone"
except BlockingIOError:
    alone = "twice"
realtime = os.environ.get("TRIGGER_TIMER_REALTIME_USEC", "0")
monotonic = os.environ.get("TRIGGER_TIMER_MONOTONIC_USEC", "0")
token, now = os.environ["INVOCATION_ID"][:16], time.clock_gettime(time.CLOCK_BOOTTIME)
line = f"{token} {alone} {realtime} {monotonic} {now:.6f}\n"
os.write(os.open(f"{NOTES}/{NAME}.runs", APPEND, 0o666), line.encode())
time.sleep(SECONDS)
