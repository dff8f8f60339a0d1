"""A manager and a shim that do nothing but live where GitProc's live: `standin.py manager|shim`.

They use the project's own systemd part; what is tried is that part, the unit file, and systemd.
"""

import os
import select
import signal
import sys
import time
from pathlib import Path

from gitproc.daemon import systemd

RUN = Path("/run/standin")
SERVICES = ("a", "b", "c")  # started in this order, stopped in the other


def log(text):
    with (RUN / "log").open("a") as file:
        file.write(f"{text}\n")


def alive(name):
    """A pidfd of the process of that name, or None."""
    try:
        pid = int((RUN / name).read_text())
        if f"standin-{name}".encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return None
        return os.pidfd_open(pid)
    except (OSError, ValueError):
        return None


def end(name):
    descriptor = alive(name)
    if descriptor is not None:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        select.select([descriptor], [], [])
        log(f"stopped {name}")


def manager():
    RUN.mkdir(exist_ok=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    service = systemd.service()
    assert service is not None
    notifier = systemd.Notifier()
    if alive("shim") is None:
        service.start_shim([sys.executable, __file__, "shim", "standin-shim"])
        while alive("shim") is None:
            time.sleep(0.02)
    log("manager up")
    notifier.ready("3 services")
    while True:
        got = signal.sigtimedwait([signal.SIGTERM, signal.SIGINT], notifier.watchdog_interval or 60)
        if (RUN / "hang").exists():
            time.sleep(1000)
        if got is None:
            notifier.ping()
        elif got.si_signo == signal.SIGTERM:
            log("manager steps aside")
            return
        else:
            notifier.stopping("stopping")
            for name in reversed(SERVICES):
                end(name)
            end("shim")
            log("all stopped")
            return


def shim():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM, signal.SIGINT])
    inside = Path("/proc/self/cgroup").read_text().strip().removeprefix("0::").removesuffix("/shim")
    scope = Path("/sys/fs/cgroup" + inside)
    (scope / "shim").mkdir(exist_ok=True)
    (scope / "shim/cgroup.procs").write_text(str(os.getpid()))
    (scope / "cgroup.subtree_control").write_text("+memory +pids")
    for name in SERVICES:
        if alive(name) is not None:
            continue
        unit = scope / name
        unit.mkdir(exist_ok=True)
        (unit / "memory.max").write_text(str(64 << 20))
        pid = os.fork()
        if pid == 0:
            (unit / "cgroup.procs").write_text(str(os.getpid()))
            os.execv("/bin/bash", [f"standin-{name}", "-c", "sleep infinity & wait"])
        (RUN / name).write_text(str(pid))
        while alive(name) is None:  # by its own name
            time.sleep(0.01)
    (RUN / "shim").write_text(str(os.getpid()))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


{"manager": manager, "shim": shim}[sys.argv[1]]()
