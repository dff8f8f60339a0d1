"""The shim's own life: re-exec in place, the manager as its child, termination, orphans as PID 1."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.shim.client import SHIM, Client, children_of, open_fds, text_of, title, until

SLEEP = ("/bin/sleep", "1000")
REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_re_exec_keeps_everything(shim, client, tmp_path):
    path = tmp_path / "a.log"
    log = {"log": str(path), "max_bytes": 0, "files": 0}
    pipe = os.pipe()
    id, _ = client.start("a", *SLEEP)
    other, _ = client.start(
        "b", "/bin/sh", "-c", "echo 1; read x; echo 2", stdin={"fd": 0}, output=log, give=(pipe[0],)
    )
    quick, _ = client.start("c", "/bin/sh", "-c", "exit 9")
    before = client.expect("exited")
    assert before[2] == quick
    rows = client.list()
    assert client.expect("exited") == before
    logger, epoch = shim.logger, client.welcome[3]
    client.send("reexec", 50)
    client.expect("reexeced", 50)
    assert client.list() == rows  # on the same connection
    assert client.expect("exited") == before
    os.write(pipe[1], b"\n")
    assert client.exit_of(other) == (1, 0)
    until(lambda: text_of(path) == "1\n2\n")
    shim.other_logger(logger)
    client.send("signal", 51, id, 9)
    assert client.expect("signalled", 51)[2] == 0
    assert client.exit_of(id) == (2, 9)
    fresh, _ = client.start("d", "/bin/sh", "-c", "exit 1")
    assert fresh > quick
    last = client.expect("exited")
    assert last[1] == before[1] + 3
    client.close()
    again = shim.connect()
    assert again.welcome[3] == epoch and again.welcome[2] == shim.pid
    for end in pipe:
        os.close(end)


def test_many_re_execs_leak_nothing(shim, client):
    client.start("a", *SLEEP)

    counts = set()
    for number in range(5):
        logger = shim.logger
        client.send("reexec", number)
        client.expect("reexeced", number)
        shim.other_logger(logger)
        client.list()
        client.send("signal", number, 0, 0)  # answered when the pidfds of the list are closed
        client.expect("signalled", number)
        counts.add(open_fds(shim.pid))
    assert len(counts) == 1
    assert client.run("y", "ls /proc/self/fd | wc -l; ulimit -n")[0].split() == ["4", "1024"]


def test_another_version_that_knows_more_or_less_of_a_process_takes_over(shims, tmp_path):
    code = tmp_path / "shim"
    shutil.copytree(SHIM, code, ignore=shutil.ignore_patterns("__pycache__"))
    shim = shims(code=code)
    client = shim.connect()
    id, _ = client.start("a", *SLEEP)
    rows = client.list()
    before = (code / "one_child.py").read_text()
    more = before.replace('"said", ', '"said", "since", ').replace(
        "        self.id = id\n", "        self.id, self.since = id, 7\n"
    )
    assert more.count("since") == before.count("since") + 2
    for number, text in enumerate((more, before, before)):
        (code / "one_child.py").write_text(text)
        client.send("reexec", number)
        client.expect("reexeced", number)
        assert client.list() == rows
    client.send("signal", 9, id, 9)
    assert client.exit_of(id) == (2, 9)


@pytest.mark.root
def test_a_re_exec_with_a_service_in_a_namespace(shim, client):
    id, _ = client.start("a", *SLEEP, pid_namespace="init")
    client.send("reexec", 1)
    client.expect("reexeced", 1)
    client.send("signal", 2, id, 12)
    assert client.exit_of(id) == (2, 12)


MANAGER = f"""
import os, sys, time
sys.path.insert(0, {str(REPOSITORY)!r})
from pathlib import Path
from tests.shim.client import SHIM, Client, until
here = Path(sys.argv[1])
client = Client(here / "shim.sock")
client.list()
with (here / "managers").open("a") as file:
    file.write(f"{{os.getpid()}}\\n")
signo = client.expect("terminate", seconds=100)[1]
(here / "terminated").write_text(str(signo))
(here / "born").write_text(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
client.send("shutdown")
"""


def standalone_in(shims, directory):
    argv = [sys.executable, "-c", MANAGER, str(directory)]
    return shims("--manager", json.dumps(argv), "--foreground", directory=directory)


@pytest.fixture
def standalone(shims, tmp_path):
    return standalone_in(shims, tmp_path)


def managers(directory):
    return [int(pid) for pid in text_of(directory / "managers").split()]


def wait_for_managers(directory, count):
    until(lambda: len(managers(directory)) == count)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_termination_is_the_managers_business(standalone, tmp_path, number):
    until(lambda: managers(tmp_path))
    standalone.process.send_signal(number)
    assert standalone.process.wait(60) == 0
    assert (tmp_path / "terminated").read_text() == str(int(number))


def test_a_dead_manager_is_started_again(standalone, tmp_path):
    for count in (1, 2, 3):
        wait_for_managers(tmp_path, count)
        os.kill(managers(tmp_path)[-1], signal.SIGKILL)
    until(lambda: len(managers(tmp_path)) == 4)
    standalone.process.terminate()
    assert standalone.process.wait(60) == 0


def test_a_manager_that_is_down_is_started_to_stop_everything(shims, tmp_path):
    """At once; tried again where the machine itself has stood still for as long as the pause would have been."""
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        if away(standalone_in(shims, tmp_path / str(number)), tmp_path / str(number)) < 1.5:
            return
    raise AssertionError("it is started after its pause of 1.6 s")


def away(shim, directory):
    """For how many seconds there is no manager, after the fifth was killed and before the last one is started."""
    for count in range(1, 6):
        wait_for_managers(directory, count)
        pid = managers(directory)[-1]
        killed = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: pid not in children_of(shim.pid))
    shim.process.terminate()
    assert shim.process.wait(60) == 0
    return int((directory / "born").read_text()) / os.sysconf("SC_CLK_TCK") - killed


def test_a_manager_that_stands_still_ends_with_its_shim(standalone, tmp_path):
    [manager] = until(lambda: managers(tmp_path))
    os.kill(manager, signal.SIGSTOP)
    standalone.process.kill()
    standalone.process.wait(60)
    until(lambda: not Path(f"/proc/{manager}/cmdline").exists() or not title(manager))


def test_the_manager_has_its_own_process_group_and_the_given_title(standalone, tmp_path):
    [manager] = until(lambda: managers(tmp_path))
    assert os.getpgid(manager) == manager
    assert "gitproc-shim" in title(standalone.pid)


def test_a_manager_that_cannot_begin_ends_the_shim_with_its_status(shims):
    shim = shims("--manager", json.dumps(["/bin/sh", "-c", 'echo "no \\"config\\"" >&2; exit 78']))
    assert shim.process.wait(60) == 78


def test_a_manager_that_does_not_exist(shims):
    assert shims("--manager", '["/no/such/program"]').process.wait(60) == 203


def test_without_a_manager_termination_waits_for_the_services(shim, client):
    _, pid = client.start("a", *SLEEP)
    client.close()
    client = shim.connect()
    client.close()
    shim.process.terminate()
    until(lambda: "SigPnd" in Path(f"/proc/{shim.pid}/status").read_text())
    assert shim.process.poll() is None
    os.kill(pid, signal.SIGTERM)
    assert shim.process.wait(60) == 0


def test_terminate_is_told_to_a_manager_that_comes_later(shim, client):
    client.start("a", *SLEEP)
    client.close()
    shim.process.send_signal(signal.SIGTERM)
    later = shim.connect()
    assert later.expect("terminate") == ("terminate", 15)


def test_a_signal_to_a_child_in_set_up_is_not_taken_for_one_to_the_shim(shim, client):
    requests = [client.ask(f"c{number}", *SLEEP) for number in range(60)]
    for request in requests:
        os.kill(client.expect("started", request)[3], signal.SIGTERM)
    for _ in requests:
        assert client.expect("exited")[5:7] == (2, 15)
    assert not [message for message in client.kept if message[0] == "terminate"]


@pytest.mark.root
def test_as_process_one_of_a_container(shims, tmp_path):
    """The shim as PID 1 of a PID namespace: strays are reaped, SIGTERM ends it."""
    shim = shims(prefix=["unshare", "--pid", "--fork", "--mount-proc"])
    client: Client = shim.connect()
    assert client.welcome[2] == 1
    assert client.run("a", "(sleep 0.05 &); exit 3")[1] == (1, 3)
    inside = children_of(shim.pid)[0]
    until(lambda: len(children_of(inside)) == 1)  # the logger
    client.close()
    os.kill(inside, signal.SIGTERM)
    assert shim.process.wait(60) == 0


def test_an_ordinary_user_has_a_shim_too(user_shim):
    client = user_shim.connect()
    log = {"log": str(user_shim.directory / "a.log"), "max_bytes": 0, "files": 0}
    id, _ = client.start("a", "/bin/sh", "-c", "echo hello; id -u", output=log)
    assert client.exit_of(id) == (1, 0)
    until(lambda: text_of(user_shim.directory / "a.log").startswith("hello\n"))
    client.send("reexec", 1)
    client.expect("reexeced", 1)
    assert client.list() == []
    request = client.ask("b", "/bin/true", pid_namespace="init")
    assert client.expect("refused", request)[2:4] == ("NAMESPACE", errno.EPERM)
    assert client.list() == []
