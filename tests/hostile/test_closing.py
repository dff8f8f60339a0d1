"""Descriptors whose closing takes as long as whoever made them likes: a socket that lingers, with nobody reading."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.e2e.harness import alive, service, until

pytestmark = pytest.mark.root

SO_PASSRIGHTS = 83
LISTEN = "[Install]\nWantedBy=sockets.target\n"
#: Seconds: who waits for it to be closed waits longer than the harness does for an answer.
LINGER = 600
SOON = 20.0
STORE = f"""
import os, socket, struct, time
listening = socket.create_server(("127.0.0.1", 0))
ours = socket.create_connection(listening.getsockname())
theirs = listening.accept()[0]
ours.setblocking(False)
try:
    while True: ours.send(bytes(65536))
except BlockingIOError:
    pass
ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, {LINGER}))
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.connect(os.environ["NOTIFY_SOCKET"])
def barrier():
    reading, writing = os.pipe()
    socket.send_fds(manager, [b"BARRIER=1"], [writing])
    os.close(writing)
    os.read(reading, 1)
socket.send_fds(manager, [b"FDSTORE=1\\nFDNAME=mine"], [ours.fileno()])
ours.close()
barrier()
print("stored", flush=True)
manager.send(b"FDSTOREREMOVE=1\\nFDNAME=mine")
barrier()
print("removed", flush=True)
time.sleep(1000)
"""


@contextmanager
def lingering() -> Iterator[socket.socket]:
    """A socket that takes LINGER seconds to close, for all the time that this lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        with listening.accept()[0]:
            ours.setblocking(False)
            try:
                while True:
                    ours.send(bytes(65536))
            except BlockingIOError:
                pass
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))
            try:
                yield ours
            finally:
                if ours.fileno() >= 0:
                    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
                ours.close()


@pytest.mark.parametrize("said", ["BARRIER=1", "STATUS=here", "READY=1\nFDSTORE=1"])
def test_a_strangers_socket_that_lingers_does_not_hold_up_the_manager(machine, said):
    """As an ordinary user, who is gone before the manager hears of it: nobody else has the socket then."""
    machine.deploy({"web.service": service()})
    manager = machine.manager
    os.kill(manager, signal.SIGSTOP)
    try:
        with lingering() as sent:
            give = (
                "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534);"
                "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(sys.argv[1]);"
                "socket.send_fds(s, [sys.argv[2].encode()], [int(sys.argv[3])])"
            )
            where = str(machine.root / "run/gitproc/notify")
            fd = sent.fileno()
            command = [sys.executable, "-I", "-S", "-c", give, where, said, str(fd)]
            subprocess.run(command, check=True, pass_fds=[fd])
            sent.close()
            os.kill(manager, signal.SIGCONT)
            before = time.monotonic()
            assert machine.gitproc("restart", "web").status == 0
            assert time.monotonic() - before < SOON
    finally:
        os.kill(manager, signal.SIGCONT)
    assert alive(manager)


def test_nor_do_those_that_a_service_has_kept(machine):
    """Neither the manager nor, worse, the parent of all services."""
    machine.repository.write({"store.py": STORE})
    keeping = "NotifyAccess=all\nFileDescriptorStoreMax=3"
    machine.deploy(
        {
            "web.service": "[Service]\nExecStart=/bin/sleep 1000\n",
            "store.service": service("/usr/bin/python3 -I -S ${GITPROC_TREE}/store.py", keeping),
        }
    )
    until(lambda: "removed" in machine.log("store"), "the store is emptied")
    before = time.monotonic()
    assert (
        machine.gitproc("start", "web").status == 0
    )  # no child ends meanwhile, whose signal would end the wait
    assert time.monotonic() - before < SOON


def test_callers_can_send_none(machine):
    with socket.socket(socket.AF_UNIX) as caller, lingering() as sent:
        try:
            caller.getsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS)
        except OSError:
            pytest.skip("this kernel has every socket take descriptors (before Linux 6.16)")
        caller.connect(str(machine.socket))
        with pytest.raises(PermissionError):
            socket.send_fds(caller, [b"{"], [sent.fileno()])


def test_a_connection_that_is_refused_is_not_waited_for(machine):
    """What waits in a connection of nobody's goes with it."""
    where = machine.root / "many"
    machine.deploy(
        {
            "web.service": service(),
            "many.socket": f"[Socket]\nListenStream={where}\nAccept=yes\nMaxConnections=1\n{LISTEN}",
            "many@.service": "[Service]\nExecStart=/bin/cat\nStandardInput=socket\n",
        }
    )
    manager = machine.manager
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(str(where))
        until(lambda: machine.rpc("list", units=["many@*"])["units"], "it is served")
        os.kill(manager, signal.SIGSTOP)
        try:
            with lingering() as sent:
                second.settimeout(SOON)
                second.connect(str(where))
                socket.send_fds(second, [b"x"], [sent.fileno()])
                sent.close()
                os.kill(manager, signal.SIGCONT)
                before = time.monotonic()
                assert machine.gitproc("restart", "web").status == 0
                with suppress(ConnectionResetError):  # it has not been read
                    assert second.recv(1) == b""
                assert time.monotonic() - before < SOON
        finally:
            os.kill(manager, signal.SIGCONT)
