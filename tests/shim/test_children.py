"""The table: spawn, exits until acknowledged, paging, signals, idempotence, garbage."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from gitproc.shim import protocol
from tests.shim.client import Client, open_fds, until

SLEEP = ("/bin/sleep", "1000")


def test_a_process_is_made_and_its_end_told(client):
    before = time.time()
    request = client.ask("a", "/bin/sh", "-c", "exit 7")
    _, _, id, pid, start_time, init_pid = client.expect("started", request)
    assert pid > 0 and start_time > 0 and init_pid == 0
    client.expect("executed", id)
    exited = client.expect("exited")
    assert exited[2:7] == (id, "a", pid, 1, 7)
    user, system, memory = exited[7]
    assert 0 <= user + system < 5 and memory > 100_000
    assert before - 1 < exited[8] < time.time() + 1


def test_a_pidfd_comes_along(client):
    request = client.ask("a", *SLEEP)
    client.expect("started", request)
    [pidfd] = client.fds.pop(("started", request))
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)
    assert client.expect("exited")[5:7] == (2, 9)


def test_a_manager_that_comes_meanwhile_is_greeted_first(shim):
    """What its predecessor has asked for a moment ago it finds in the table, and not in an answer."""
    former = shim.connect()
    for number in range(20):
        former.ask(f"a{number}", *SLEEP)
        former.send("signal", 1000 + number, 0, 0)
        former.expect("signalled", 1000 + number)  # it is made, and may not be announced yet
        later = shim.connect(listed=False)
        assert not later.kept
        [row] = [row for row in later.list() if row[1] == f"a{number}"]
        assert row[4]
        assert not [message for message in later.kept if message[0] == "started"]
        former = later


def test_death_by_signal_and_core(client):
    id, _ = client.start("a", *SLEEP)
    client.send("signal", 77, id, 15)
    assert client.expect("signalled", 77) == ("signalled", 77, 0)
    assert client.exit_of(id) == (2, 15)
    client.send("signal", 78, id, 15)
    assert client.expect("signalled", 78)[2] == errno.ESRCH


def test_exits_wait_for_the_next_manager_and_for_its_acknowledgement(shim):
    first = shim.connect()
    _, pid = first.start("kept", *SLEEP)
    quick, _ = first.start("quick", "/bin/sh", "-c", "exit 3")
    assert first.expect("exited")[2] == quick  # not acknowledged
    first.close()
    os.kill(pid, signal.SIGKILL)
    second = shim.connect(listed=False)
    rows = second.list()
    assert {(row[1], row[4]) for row in rows} <= {("kept", True), ("kept", False), ("quick", False)}
    seen = {second.expect("exited")[1:4], second.expect("exited")[1:4]}
    assert {entry[2] for entry in seen} == {"kept", "quick"}
    second.close()
    third = shim.connect()
    again = [third.expect("exited"), third.expect("exited")]
    assert {entry[1:4] for entry in again} == seen  # the same sequence numbers
    third.send("ack", [entry[1] for entry in again])
    assert third.list() == []
    third.close()
    fourth = shim.connect()
    assert not fourth.pump(0.1)


def test_no_exit_is_sent_before_the_table(shim):
    client = shim.connect(listed=False)
    client.start("a", "/bin/true")
    assert not client.pump(0.3)
    client.list()
    client.expect("exited")


def test_a_failed_set_up_is_told_again_to_the_next_manager(shim):
    first = shim.connect()
    id = first.expect("started", first.ask("a", "/no/such/program"))[2]
    first.expect("setup_failed", id)
    first.expect("exited")
    first.close()
    second = shim.connect()
    assert second.expect("setup_failed", id)[2:4] == ("EXEC", errno.ENOENT)
    assert second.expect("exited")[5:7] == (1, 203)


def test_150_processes_come_in_pages_with_their_pidfds(shim):
    client = shim.connect()
    requests = [client.ask(f"c{number}", *SLEEP) for number in range(150)]
    pids = {client.expect("started", request)[3] for request in requests}
    client.close()
    client = shim.connect(listed=False)
    client.send("list", 9)
    first, second = client.expect("table", 9), client.expect("table", 9)
    assert (first[2], first[3], len(first[4])) == (0, False, 100)
    assert (second[2], second[3], len(second[4])) == (1, True, 50)
    rows = first[4] + second[4]
    assert {row[2] for row in rows} == pids
    fds = client.fds[("table", 9)]
    for row, pidfd in zip(rows, fds, strict=True):
        assert f"Pid:\t{row[2]}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    for _ in rows:
        assert client.expect("exited")[5:7] == (2, 9)


def test_a_cookie_makes_one_process(shim):
    client = shim.connect()
    id, pid = client.start("one", *SLEEP)
    again = client.expect("started", client.ask("one", *SLEEP))
    assert again[2:4] == (id, pid)
    client.expect("executed", id)
    os.kill(pid, signal.SIGKILL)
    exited = client.expect("exited")
    ended = client.expect("started", client.ask("one", *SLEEP))  # not acknowledged yet
    assert ended[2:4] == (id, pid)
    client.send("ack", [exited[1]])
    assert client.start("one", *SLEEP)[0] != id
    assert len(client.list()) == 1


def test_two_spawns_of_one_cookie_in_flight(client):
    first, second = client.ask("one", *SLEEP), client.ask("one", *SLEEP)
    assert client.expect("started", first)[2:] == client.expect("started", second)[2:]


def test_a_big_environment_travels_in_a_memfd(client):
    value = "x" * 100_000
    text, status = client.run(
        "big", 'echo "${#BIG0} ${#BIG1}"', env=[f"BIG{n}={value}" for n in (0, 1)]
    )
    assert (text, status) == ("100000 100000\n", (1, 0))


def test_descriptors_are_placed_from_three_on(client, tmp_path):
    (tmp_path / "a").write_text("first")
    (tmp_path / "b").write_text("second")
    handles = [os.open(tmp_path / name, os.O_RDONLY) for name in "ab"]
    out = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
    client.request += 1
    script = "cat <&3; cat <&4; echo; echo $LISTEN_PID; echo $$; ls /proc/self/fd | wc -l"
    spec = {
        "path": "/bin/sh", "argv": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"],
        "pid_env": ["LISTEN_PID"], "output": {"fd": 2}, "fds": [1, 0],
    }  # fmt: skip
    client.send("spawn", client.request, "fds", spec, fds=(*handles, out))
    id = client.expect("started", client.request)[2]
    assert client.exit_of(id) == (1, 0)
    text, listen_pid, own_pid, count = (tmp_path / "out").read_text().split()
    assert text == "secondfirst"
    assert listen_pid == own_pid
    assert count == "6"  # 0-4 and the directory that ls reads
    protocol.close_all([*handles, out])


def test_what_cannot_be_is_refused_and_nothing_leaks(shim, client):
    before = open_fds(shim.pid)
    for spec, step in (
        ({"cgroup": "/no/such/cgroup"}, "CGROUP"),
        ({"output": {"fd": 3}}, "STDOUT"),
        ({"fds": [0]}, "FDS"),
        ({"argv": []}, "SPEC"),
        ({"path": None}, "SPEC"),
    ):
        request = client.ask("x", *SLEEP, **spec)
        assert client.expect("refused", request)[2] == step
    assert client.list() == []
    until(lambda: open_fds(shim.pid) == before)


def test_garbage_harms_nobody(shim, client):
    client.start("a", *SLEEP)
    client.sock.send(b"rubbish")
    client.expect("error")
    client.sock.send(protocol.encode(("hello", 1))[:9])
    client.expect("error")
    for message in (("nonsense",), ("spawn",), ("spawn", 1, "c", 5), ("ack", 3), ("list", "x")):
        client.send(*message)
        client.expect("error")
    stranger = Client(shim.socket, hello=False)
    stranger.send("hello", 99)
    assert stranger.expect("error")
    stranger.close()
    assert [row[1] for row in client.list()] == ["a"]


def test_a_new_manager_replaces_the_old_one(shim, client):
    newer = shim.connect()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.expect("nothing")
    newer.start("a", "/bin/true")


def test_a_manager_that_does_not_read_delays_nobody(shim, client):
    for number in range(400):
        client.send(
            "spawn", number, f"c{number}", {"path": "/bin/true", "argv": ["true"], "x": "y" * 600}
        )
    for number in range(400):
        client.expect("started", number)
    exits = [client.expect("exited") for _ in range(400)]
    assert [entry[1] for entry in exits] == sorted(entry[1] for entry in exits)
    client.send("ack", [entry[1] for entry in exits])
    assert client.list() == []


def test_the_socket_is_private_and_the_notify_socket_public(shim, client):
    assert shim.socket.stat().st_mode & 0o777 == 0o600
    assert shim.notify.stat().st_mode & 0o777 == 0o666
    [notify] = client.fds[("welcome", protocol.VERSION)]
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.connect(str(shim.notify))
    assert client.welcome[4]["notify_queue"] >= 200 or os.geteuid()
    for number in range(200 if os.geteuid() == 0 else 5):  # nobody reads: no sender may block
        sender.setblocking(False)
        sender.send(b"READY=1\nSTATUS=%d" % number)
    receiver = socket.socket(fileno=os.dup(notify))
    data, ancillary, _, _ = receiver.recvmsg(1000, 100)
    assert data == b"READY=1\nSTATUS=0"
    assert struct.unpack("3i", ancillary[0][2])[0] == os.getpid()
    sender.close()
    receiver.close()


def test_orphans_are_reaped_in_silence(shim, client):
    text, status = client.run("a", "sleep 0.05 >/dev/null & echo $!")
    orphan = int(text)
    assert status == (1, 0)
    until(lambda: not Path(f"/proc/{orphan}").exists())
    assert not [message for message in client.kept if message[0] == "exited"]
    assert client.list() == []


def test_a_second_shim_does_not_take_the_socket(shims, shim):
    second = shims()
    assert second.process.wait(60) == 1
    shim.connect()


def test_shutdown_ends_it(shim, client):
    client.send("shutdown")
    assert shim.process.wait(60) == 0
