"""PID namespaces: with a mini-init in front, and bare."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from tests.shim.client import children_of, title, until

pytestmark = pytest.mark.root

INIT = {"pid_namespace": "init", "mount_proc": True}
DIRECT = {"pid_namespace": "direct", "mount_proc": True}
SEE = "echo $$; ls -d /proc/[0-9]* | wc -l; cut -d' ' -f1 /proc/self/stat >/dev/null"


def test_the_service_sees_its_own_processes_only(client):
    own, seen = client.run("a", SEE, **INIT)[0].split()
    assert own == "2"
    assert 2 <= int(seen) <= 5
    assert client.run("b", SEE, **DIRECT)[0].split()[0] == "1"


def test_the_host_keeps_its_own_proc(client):
    client.run("a", "true", **INIT)
    assert Path(f"/proc/{os.getpid()}/comm").exists()


@pytest.mark.parametrize("kind", [INIT, DIRECT], ids=["init", "direct"])
@pytest.mark.parametrize(
    ("script", "end"),
    [("exit 0", (1, 0)), ("exit 137", (1, 137)), ("exit 255", (1, 255))],
)
def test_the_true_exit_status(client, kind, script, end):
    assert client.run("a", script, **kind)[1] == end


@pytest.mark.parametrize("number", [9, 15, 11, 6])
def test_the_true_death_by_signal(client, number):
    limits = [[4, 0, 0]]  # no core
    end = client.run("a", f"kill -{number} $$", rlimits=limits, **INIT)[1]
    assert end == (2, number)


def test_the_main_pid_is_that_of_the_host(shim, client):
    id, pid = client.start("a", "/bin/sleep", "1000", **INIT)
    [row] = client.list()
    init = row[6]
    assert init in children_of(shim.pid) and children_of(init) == [pid]
    assert title(init) == "gitproc-init"
    until(
        lambda: title(pid) == "/bin/sleep 1000"
    )  # exec says that it is done a moment before it is
    assert row[:4] == (id, "a", pid, row[3])
    start_time = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    assert row[3] == int(start_time)
    nspid = Path(f"/proc/{pid}/status").read_text().split("NSpid:")[1].split("\n")[0].split()
    assert nspid == [str(pid), "2"]
    [pidfd] = client.fds[("table", client.request)]
    assert f"Pid:\t{pid}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    client.send("signal", 5, id, 15)
    assert client.exit_of(id) == (2, 15)
    until(lambda: not title(init))


def test_the_init_holds_nothing_of_the_shim_or_the_service(shim, client, tmp_path):
    log = {"log": str(tmp_path / "a.log"), "max_bytes": 0, "files": 0}
    client.start("a", "/bin/sleep", "1000", output=log, **INIT)
    init = client.list()[0][6]
    until(lambda: len([*Path(f"/proc/{init}/fd").iterdir()]) == 5)  # 0, 1, 2, link, pidfd


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_to_the_init_reaches_the_service(client, number):
    id, _ = client.start("a", "/bin/sleep", "1000", **INIT)
    os.kill(client.list()[0][6], number)
    assert client.exit_of(id) == (2, number)


def test_a_killed_init_takes_everything_along(client):
    id, pid = client.start("a", "/bin/sh", "-c", "sleep 1000 & sleep 1000", **INIT)
    inner = until(lambda: len(children_of(pid)) == 2 and children_of(pid))
    os.kill(client.list()[0][6], signal.SIGKILL)
    assert client.exit_of(id) == (2, 9)
    until(lambda: not any(title(p) for p in inner))


def test_what_is_left_in_the_namespace_ends_with_the_service(client):
    script, gate = "setsid sleep 1000 & read x; exit 4", os.pipe()
    id, pid = client.start("a", "/bin/sh", "-c", script, stdin={"fd": 0}, give=gate[:1], **INIT)
    (orphan,) = until(lambda: children_of(pid))
    os.write(gate[1], b"\n")
    assert client.exit_of(id) == (1, 4)
    until(lambda: not title(orphan))
    for end in gate:
        os.close(end)


def test_the_init_reaps_orphans(client):
    _, pid = client.start("a", "/bin/sh", "-c", "(sleep 1000 & ) ; sleep 1000", **INIT)
    init = client.list()[0][6]
    until(lambda: len(children_of(init)) == 2)
    [orphan] = {*children_of(init)} - {pid}
    os.kill(orphan, 9)
    until(lambda: children_of(init) == [pid])


def test_one_without_a_handler_is_deaf_as_process_one(client):
    id, pid = client.start("a", "/bin/sleep", "1000", **DIRECT)
    until(lambda: title(pid) == "/bin/sleep 1000")
    caught = Path(f"/proc/{pid}/status").read_text().split("SigCgt:")[1].split()[0]
    assert int(caught, 16) == 0
    client.send("signal", 5, id, 15)
    client.expect("signalled", 5)
    assert title(pid)
    client.send("signal", 6, id, 9)
    assert client.exit_of(id) == (2, 9)


def test_a_failing_step_inside(client):
    assert client.fails("a", "/no/such", **INIT) == ("EXEC", errno.ENOENT, (1, 203))
    assert client.fails("b", "/bin/true", cwd="/no/such", **INIT) == (
        "CHDIR",
        errno.ENOENT,
        (1, 200),
    )
    assert client.fails("c", "/no/such", **DIRECT) == ("EXEC", errno.ENOENT, (1, 203))


def test_a_second_spawn_before_the_init_has_spoken(client):
    first = client.ask("a", "/bin/sleep", "1000", **INIT)
    second = client.ask("a", "/bin/sleep", "1000", **INIT)
    seen = client.expect("started", second)
    assert not [m for m in client.kept if m[:2] == ("started", first) and m[2:] != seen[2:]]
    assert len(client.list()) == 1
