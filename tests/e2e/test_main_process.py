"""Which process speaks for a service: one that passes its work on, one that has spoken and is gone."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.harness import KEEP, Machine, alive, service, shell, until

pytestmark = pytest.mark.root

PYTHON = "/usr/bin/python3 -I -S"


@pytest.fixture(scope="module")
def shared():
    """A machine for all tests of this module."""
    with Machine(config=KEEP) as machine:
        yield machine.start()


SUCCESSION = """
import os, signal, sys, time
file = sys.argv[1]
def write():
    with open(file + ".new", "w") as new: new.write(f"{os.getpid()}\\n")
    os.replace(file + ".new", file)
def rest():
    while True: time.sleep(100)
def pass_on(*_):
    child = os.fork()
    if not child: write(), rest()
    while open(file).read() != f"{child}\\n": time.sleep(0.01)
    os._exit(7)
signal.signal(signal.SIGUSR2, pass_on)
if os.fork():
    while not os.path.exists(file): time.sleep(0.01)
    os._exit(0)
write(), rest()
"""


def test_a_main_process_that_passes_its_work_on_is_followed_by_its_pid_file(shared):
    """As nginx does when its program is replaced; with a manager, and while there is none."""
    file = shared.root / "heir.pid"
    shared.repository.write({"heir.py": SUCCESSION})
    command = f"{PYTHON} ${{GITPROC_TREE}}/heir.py {file}"
    shared.commit({"heir.service": service(command, f"Type=forking\nPIDFile={file}")})
    shared.wait("heir")
    for unseen in (False, True):
        main, manager = shared.unit("heir")["main_pid"], shared.manager
        if unseen:
            os.kill(manager, signal.SIGSTOP)
        os.kill(main, signal.SIGUSR2)
        until(lambda main=main: not alive(main), "it has ended")
        if unseen:
            os.kill(manager, signal.SIGKILL)
            shared.ready()
        heir = int(file.read_text())
        until(lambda heir=heir: shared.unit("heir").get("main_pid") == heir, "its heir is known")
        assert shared.unit("heir")["sub_state"] == "running"
    assert shared.unit("heir")["restarts"] == 0
    assert len(shared.events("unit.main-changed", "heir.service")) == 2
    os.kill(heir, signal.SIGKILL)
    assert shared.wait("heir", "failed")["result"] == "signal"
    until(lambda: not file.exists(), "its PID file goes with it")


BACK = """
import os, socket, sys, time
s = socket.socket(1, 2)
s.connect(os.environ["NOTIFY_SOCKET"])
child = os.fork() or time.sleep(1000)
while True:
    for pid in (child, os.getpid()):
        while not os.path.exists(sys.argv[1]): time.sleep(0.02)
        os.unlink(sys.argv[1])
        s.send(b"MAINPID=%d" % pid)
"""


def test_a_main_process_that_hands_over_may_take_over_again(shared):
    order = shared.root / "order"
    shared.repository.write({"back.py": BACK})
    command = f"{PYTHON} ${{GITPROC_TREE}}/back.py {order}"
    shared.commit({"back.service": service(command, "NotifyAccess=all")})
    first = shared.wait("back")["main_pid"]
    for kill in (False, True, False):
        order.touch()
        until(lambda: shared.unit("back")["main_pid"] not in (first, None), "the child is it")
        if kill:
            shared.kill_manager()
        order.touch()
        until(lambda: shared.unit("back")["main_pid"] == first, "the parent is it again")
    assert shared.unit("back")["sub_state"] == "running"
    assert shared.unit("back")["restarts"] == 0
    os.kill(first, signal.SIGKILL)
    assert shared.wait("back", "failed")["exec_main_pid"] == first


SAY = "import os, socket, sys\nsocket.socket(1, 2).sendto(sys.argv[1].encode(), os.environ['NOTIFY_SOCKET'])\n"


def test_who_speaks_and_is_gone_is_heard(shared):
    """A main process by what its end is known by; others where the kernel remembers where they were."""
    go, done = shared.root / "go", shared.root / "done"
    shared.repository.write({"say.py": SAY})
    say = f"{PYTHON} $GITPROC_TREE/say.py"
    wait = f"while ! test -e {go}; do sleep 0.05; done"
    helped = shell(f"{wait}; {say} STATUS=helper; touch {done}; exec sleep 1000")
    last = service(shell(f"{wait}; exec {say} STATUS=last"), "NotifyAccess=main\nRestart=no")
    files = {"helped.service": service(helped, "NotifyAccess=all"), "last.service": last}
    shared.commit(files)
    shared.wait("helped")
    main = shared.wait("last")["main_pid"]
    manager = shared.manager
    os.kill(manager, signal.SIGSTOP)
    try:
        go.touch()
        until(lambda: done.exists() and not alive(main), "both have spoken")
    finally:
        os.kill(manager, signal.SIGCONT)
    assert shared.wait("last", "dead")["status_text"] == "last"
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 16):
        until(lambda: shared.unit("helped")["status_text"] == "helper", "the helper is heard")
