"""Pids that come again: whoever has the number of a process that is gone is not taken for it.

A pid is given again on purpose here (clone3(2), set_tid), which nobody but root can do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gitproc.kernel import main_process, processes
from tests.e2e.harness import service
from tests.e2e.test_processes import PYTHON
from tests.kernel.parts import SLEEP, unit, until
from tests.shim.client import Shim

pytestmark = pytest.mark.root
_CLONE3 = 435


@contextmanager
def born_as(pid: int) -> Iterator[int]:
    """A process of ours with this pid, which nobody has; it sleeps until it is killed in the end."""
    wanted = ctypes.c_int(pid)
    call = bytearray(
        struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(wanted), 1, 0)
    )
    libc = ctypes.PyDLL(None, use_errno=True)
    made = libc.syscall(
        _CLONE3, (ctypes.c_char * len(call)).from_buffer(call), ctypes.c_size_t(len(call))
    )
    if made == 0:
        try:
            os.execv(SLEEP[0], SLEEP)
        finally:
            os._exit(1)
    if made < 0:
        pytest.skip(f"no pid can be chosen here: {os.strerror(ctypes.get_errno())}")
    try:
        yield made
    finally:
        os.kill(made, signal.SIGKILL)
        os.waitpid(made, 0)


def gone() -> tuple[int, int]:
    """The pid and start time of a process that is gone, once nobody can get both again."""
    with subprocess.Popen(SLEEP) as made:
        started = processes.start_time(made.pid)
        made.kill()
    assert started is not None
    ticks = os.sysconf("SC_CLK_TCK")
    until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * ticks > started + 2, "time passes")
    return made.pid, started


def test_a_signal_is_for_a_pid_and_its_start_time():
    pid, started = gone()
    with born_as(pid) as again:
        assert again == pid
        assert not processes.signal_process(pid, started, signal.SIGKILL)
        assert processes.is_alive(pid)
        assert not processes.is_alive(pid, started)


def test_nobody_is_adopted_by_number_alone(tmp_path):
    shim = Shim(tmp_path)
    try:
        client = shim.connect()
        pid, started = gone()
        with born_as(pid):
            client.request += 1
            client.send("adopt", client.request, "a", pid, started)
            assert client.expect("refused", client.request)[2] == "ADOPT"
            assert client.list() == []
    finally:
        shim.end()


def test_a_pid_file_names_who_had_the_pid_while_it_was_the_units(tmp_path):
    """The process ends after the file is read, and its pid comes again: as a stranger, or later."""
    pid, started = gone()
    file = tmp_path / "pid"
    file.write_text(str(pid))
    os.chown(file, 65534, 65534)
    theirs = unit(f"PIDFile={file}\nType=forking")
    with born_as(pid):
        found, why = main_process.find(theirs, list, 0)
        assert found is None
        assert "not owned by root" in why
        main, _ = main_process.find(theirs, lambda: [pid], 0)
        assert main is not None
        assert (main.pid, main.start_time) == (pid, processes.start_time(pid))
        assert main.start_time != started


def test_nor_does_a_guess_name_a_stranger():
    """One that was listed, and is a stranger's by the time its start time is known."""
    with subprocess.Popen(SLEEP) as child:
        listings = iter([[child.pid], [child.pid], [child.pid], []])
        forking = unit("Type=forking")
        found, _ = main_process.find(forking, lambda: next(listings), os.getpid())
        assert found is not None
        assert found.pid == child.pid
        assert main_process.find(forking, lambda: next(listings), os.getpid())[0] is None
        child.kill()


TELLS = """
import os, signal, socket
def tell(*_):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
        it.sendto(b"READY=1\\nSTATUS=own", os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGUSR1, tell)
tell()
while True:
    signal.pause()
"""


def test_what_a_stranger_has_said_is_not_taken_for_a_units(machine):
    """It is gone when the manager comes to read it, and a process of the unit has its pid."""
    machine.repository.write({"tells.py": TELLS})
    machine.deploy(
        {
            "web.service": service(
                f"{PYTHON} ${{GITPROC_TREE}}/tells.py", "Type=notify\nNotifyAccess=all"
            )
        }
    )
    group = machine.group_of("web")
    manager = machine.manager
    os.kill(manager, signal.SIGSTOP)
    try:
        forge = "import socket, sys; socket.socket(1, 2).sendto(b'STATUS=forged', sys.argv[1])"
        notify = str(machine.root / "run/gitproc/notify")
        with subprocess.Popen([sys.executable, "-I", "-S", "-c", forge, notify]) as stranger:
            assert stranger.wait() == 0
        with born_as(stranger.pid):
            (group / "cgroup.procs").write_text(str(stranger.pid))
            os.kill(manager, signal.SIGCONT)
            log = machine.logs / "daemon.log"
            told = f"process {stranger.pid}, which is no unit's"
            until(lambda: told in log.read_text(), "the manager has read it")
            assert machine.unit("web")["status_text"] == "own"
    finally:
        os.kill(manager, signal.SIGCONT)
