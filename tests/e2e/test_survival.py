"""Whoever is killed, and whenever: services keep their processes, exits are known, no line is lost or doubled."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.e2e.harness import CONFIG, alive, service, shell, stopped, until

pytestmark = pytest.mark.root

# Writes numbered lines and notes beside them how far it has come. SIGUSR1 makes it exit with a status.
WRITER = """
import os, signal, sys, time
folder, status, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
signal.signal(signal.SIGUSR1, lambda *_: os._exit(status))
note = os.open(f"{folder}/{os.getpid()}", os.O_CREAT | os.O_RDWR)
n = 0
while True:
    os.write(1, b"%d %d\\n" % (os.getpid(), n))
    os.pwrite(note, b"%d" % n, 0)
    n += 1
    time.sleep(pause)
"""
ENDS = {  # how a victim ends: the signal sent, and the code and status that must be known
    3: (signal.SIGUSR1, ("exited", 3)),
    77: (signal.SIGUSR1, ("exited", 77)),
    0: (signal.SIGKILL, ("killed", 9)),
    1: (signal.SIGABRT, ("killed", 6)),
}


def writer(folder, status=0, pause=0.05, settings=""):
    command = f"/usr/bin/python3 -I -S ${{GITPROC_TREE}}/writer.py {folder} {status} {pause}"
    return service(command, f"LimitCORE=0\n{settings}", "StartLimitIntervalSec=0")


def check_lines(machine, folder, names):
    """Every log holds, for each process that wrote it, 0, 1, 2 ... up to what that process noted at least."""
    for name in names:
        seen: dict[str, int] = {}
        for line in machine.log(name).splitlines():
            pid, number = line.split()
            assert int(number) == seen.get(pid, -1) + 1, f"{name}: {line} after {seen.get(pid)}"
            seen[pid] = int(number)
        for pid, last in seen.items():
            assert last >= int((folder / pid).read_text() or 0), f"{name}: the last lines of {pid}"
        assert seen


@pytest.fixture
def notes(machine):
    folder = machine.root / "notes"
    folder.mkdir()
    machine.repository.write({"writer.py": WRITER})
    return folder


@pytest.mark.parametrize("seed", [1, 2])
def test_the_manager_is_killed_at_any_moment(machine, notes, seed):
    dice = random.Random(seed)
    kinds = list(ENDS)
    steady = {f"steady{n}": writer(notes) for n in range(30)}
    phoenix = {
        f"phoenix{n}": writer(notes, kinds[n % 4], settings="Restart=always\nRestartSec=0.05")
        for n in range(12)
    }
    mortal = {f"mortal{n}": writer(notes, kinds[n % 4]) for n in range(8)}
    everything = {**steady, **phoenix, **mortal}
    machine.deploy({f"{name}.service": text for name, text in everything.items()})
    first = machine.pids()
    assert len(first) == 50
    status = {
        **{n: kinds[int(n[7:]) % 4] for n in phoenix},
        **{n: kinds[int(n[6:]) % 4] for n in mortal},
    }
    ended: Counter[str] = Counter()
    expected = {}

    def end(name, pids):
        signo, how = ENDS[status[name]]
        os.kill(pids[name], signo)
        expected[pids[name]] = how
        ended[name] += 1

    def began(name):
        """Whether its program runs, and takes signals."""
        return (notes / str(machine.unit(name)["main_pid"])).exists()

    left = sorted(mortal)
    for turn in range(5):
        until(lambda: all(began(n) for n in {*phoenix, *left}), "all are up again")
        pids = machine.pids()
        victims = dice.sample(sorted(phoenix), 6)
        end(victims[0], pids)
        end(victims[1], pids)
        if left:
            end(left.pop(), pids)
        time.sleep(dice.random() * 0.05)
        manager = machine.kill_manager(wait=False)
        for name in victims[2:]:
            end(name, pids)
        if left:
            end(left.pop(), pids)
        if turn == 2:  # once more, while the next one comes back
            second = until(lambda old=manager: (m := machine.manager) != old and m, "the next")
            time.sleep(dice.random() * 0.3)
            os.kill(second, signal.SIGKILL)
    machine.ready()

    def settled():
        units = machine.units()
        return all(units[n]["restarts"] == ended[n] and units[n]["main_pid"] for n in phoenix) and (
            all(not units[n]["main_pid"] for n in mortal)
        )

    until(settled, "every end was answered once")
    units = machine.units()
    assert {n: units[n]["main_pid"] for n in steady} == {n: first[n] for n in steady}
    for name in mortal:
        unit = units[name]
        assert (unit["exec_main_code"], unit["exec_main_status"]) == ENDS[status[name]][1]
    told = [x for x in machine.events("unit.main-exited") if x["time"]]
    by_pid = {int(x["message"].split()[2]): x["data"] for x in told}
    assert len(by_pid) == len(told)
    for pid, data in by_pid.items():
        assert (data["code"], data["status"]) == expected[pid]
    machine.stop()
    check_lines(machine, notes, everything)


def test_the_logger_is_killed_and_no_line_is_lost(machine, notes):
    dice = random.Random(3)
    names = [f"w{n}" for n in range(8)]
    machine.deploy({f"{name}.service": writer(notes, pause=0.002) for name in names})
    pids = machine.pids()
    for _ in range(5):
        logger = machine.logger
        size = len(machine.log("w0"))
        time.sleep(dice.random() * 0.1)
        os.kill(logger, signal.SIGKILL)
        until(lambda old=logger: machine.logger != old, "there is another")
        until(lambda old=size: len(machine.log("w0")) > old, "it goes on")
    assert machine.pids() == pids
    machine.stop()
    check_lines(machine, notes, names)


def test_killed_in_the_middle_of_a_deploy(machine):
    dice = random.Random(4)
    note = machine.root / "note"
    names = [f"s{n}" for n in range(10)]
    files = {}
    for before, name in zip(["", *names], names, strict=False):
        order = f"Requires={before}.service\nAfter={before}.service" if before else ""
        pre = f"ExecStartPre={shell(f'sleep 0.1; echo {name} >> {note}')}"
        files[f"{name}.service"] = service(settings=pre, unit=order)
    sha = machine.commit(files)
    for _ in range(4):
        time.sleep(dice.random() * 0.2)
        machine.kill_manager(wait=False)
    machine.verdict(sha)
    assert note.read_text().split() == names  # each once, in order
    assert all(unit["active_state"] == "active" for unit in machine.units().values())
    assert {e["sha"]: e["verdict"] for e in machine.rpc("history")["entries"]} == {sha: "good"}


def test_killed_while_a_slow_start_or_stop_is_under_way(machine):
    note, go = machine.root / "note", machine.root / "go"
    wait = f"while ! test -e {go}; do sleep 0.02; done"
    sha = machine.commit(
        {
            "a.service": service(
                settings=f"ExecStartPre={shell(f'{wait}; echo pre >> {note}')}\n"
                f"ExecStop={shell(f'{wait}; echo stop $MAINPID >> {note}')}"
            )
        }
    )
    machine.wait("a", "start-pre")
    control = until(lambda: machine.unit("a")["control_pid"], "its command has a process")
    machine.kill_manager()
    assert machine.unit("a")["control_pid"] == control
    machine.kill_manager(wait=False)
    go.touch()  # it ends while nobody looks
    machine.wait("a")
    machine.verdict(sha)
    pid = machine.pids()["a"]
    assert note.read_text() == "pre\n"
    go.unlink()
    assert machine.gitproc("stop", "--no-block", "a").status == 0
    machine.wait("a", "stop")
    machine.kill_manager()
    assert machine.unit("a")["sub_state"] == "stop"
    machine.kill_manager(wait=False)
    go.touch()
    machine.wait("a", "inactive")
    assert note.read_text() == f"pre\nstop {pid}\n"
    assert machine.unit("a")["hold"]
    assert not alive(pid)


def test_what_has_finished_is_not_run_again_until_the_next_start(machine):
    note = machine.root / "note"

    def runs():
        return note.read_text().split() if note.exists() else []

    machine.deploy(
        {
            "once.service": service(shell(f"echo once >> {note}"), "Type=oneshot"),
            "kept.service": service(
                shell(f"echo kept >> {note}"), "Type=oneshot\nRemainAfterExit=yes"
            ),
            "after.service": service(unit="Requires=once.service\nAfter=once.service"),
        }
    )
    pid = machine.pids()["after"]
    for _ in range(2):
        machine.kill_manager()
        machine.gitproc("sync")
        machine.wait("after")
    assert sorted(runs()) == ["kept", "once"]
    assert machine.pids()["after"] == pid
    machine.stop()
    machine.start()
    machine.wait("after")
    until(lambda: sorted(runs()) == ["kept", "kept", "once", "once"], "both ran again")


def test_a_commit_made_while_no_manager_is_there(machine):
    machine.deploy({"a.service": service(), "b.service": service(), "c.service": service()})
    before = machine.pids()
    for _ in range(3):  # the pauses between starts grow
        machine.kill_manager(wait=False)
    sha = machine.commit({"a.service": None, "b.service": service("/bin/sleep 5000")})
    machine.verdict(sha)
    after = machine.pids()
    assert after.keys() == {"b", "c"}
    assert (after["c"], after["b"] != before["b"]) == (before["c"], True)
    assert not alive(before["a"])


def test_sigterm_to_the_manager_alone_stops_nothing(machine):
    machine.deploy({"a.service": service()})
    pids = machine.pids()
    old = machine.manager
    os.kill(old, signal.SIGTERM)
    until(lambda: machine.manager != old, "the next manager")
    machine.ready()
    assert machine.pids() == pids


def test_the_shim_is_killed_and_the_daemon_started_again(machine):
    notes = machine.root / "notes"
    notes.mkdir()
    machine.repository.write({"writer.py": WRITER})
    machine.deploy(
        {"a.service": writer(notes), "b.service": writer(notes, settings="Restart=on-failure")}
    )
    pids, manager = machine.pids(), machine.manager
    assert machine.shim is not None
    machine.shim.kill()
    machine.shim.wait()
    until(lambda: not alive(manager), "the manager leaves")
    assert all(alive(pid) for pid in pids.values())
    os.kill(pids["b"], signal.SIGKILL)
    machine.start()
    until(lambda: machine.unit("b")["main_pid"] not in (None, pids["b"]), "b is replaced")
    assert machine.pids()["a"] == pids["a"]
    size = len(machine.log("a"))
    until(lambda: len(machine.log("a")) > size, "its lines still come")
    machine.gitproc("stop", "a")
    assert not alive(pids["a"])
    assert machine.unit("a")["active_state"] == "inactive"
    machine.stop()
    assert "Failed" not in machine.said()
    check_lines(machine, notes, ["a", "b"])


def test_a_full_disk_stops_no_service(machines):
    machine = machines(start=False, config=CONFIG)
    machine.state.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(machine.state)], check=True
    )
    machine.mounts.append(machine.state)
    machine.start()
    restarted = service(settings="Restart=always")
    machine.deploy({"a.service": service(), "b.service": restarted, "c.service": service()})
    pids = machine.pids()
    ballast = machine.state / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.kill(pids["b"], signal.SIGKILL)
    until(lambda: machine.unit("b")["main_pid"] not in (None, pids["b"]), "b is mended")
    assert machine.gitproc("restart", "a").status == 0
    after = machine.pids()
    assert after["c"] == pids["c"]
    for _ in range(10):
        machine.gitproc("try-restart", "a")
    after = machine.pids()
    complaints = machine.said().count("cannot make the journal safe")
    assert complaints <= 3, machine.said()
    machine.kill_manager()  # nothing of all this is on disk
    machine.gitproc("sync")
    assert machine.pids() == after
    ballast.unlink()
    machine.deploy({"d.service": service()})
    after = machine.pids()
    machine.kill_manager()
    assert machine.pids() == after


def test_verbs_wait_until_a_new_manager_knows_the_commit(machine):
    machine.deploy({"a.service": service(), "b.service": service("/bin/true", "Type=oneshot")})
    machine.gitproc("stop", "a")
    machine.kill_manager()
    assert machine.gitproc("is-active", "b") == (3, "inactive\n", "")
    machine.kill_manager()
    assert machine.gitproc("start", "a").status == 0
    machine.kill_manager()
    assert machine.gitproc("stop", "a").status == 0
    assert machine.unit("a")["hold"]


def test_both_programs_are_replaced_and_services_go_on(machine, notes):
    machine.deploy({"a.service": writer(notes), "b.service": writer(notes, settings="Type=exec")})
    pids, manager, logger = machine.pids(), machine.manager, machine.logger
    shim = machine.rpc("status")["daemon"]["shim_pid"]
    done = machine.gitproc("daemon-reexec")
    assert done.status == 0, done
    until(lambda: machine.manager != manager and machine.logger != logger, "others")
    machine.ready()
    assert machine.rpc("status")["daemon"]["shim_pid"] == shim
    assert machine.pids() == pids
    machine.stop()
    check_lines(machine, notes, ["a", "b"])


def test_a_manager_that_stands_still_is_no_obstacle_when_the_shim_has_died(machine):
    machine.deploy({"a.service": service(settings="PrivatePIDs=yes"), "b.service": service()})
    pids, manager = machine.pids(), machine.manager
    os.kill(manager, signal.SIGSTOP)
    assert machine.shim is not None
    machine.shim.kill()
    machine.shim.wait()
    machine.start()
    assert not alive(manager)
    until(lambda: machine.pids() == pids, "both are adopted")
    for pid in pids.values():
        os.kill(pid, signal.SIGABRT)
    for name in pids:
        assert machine.wait(name, "failed")["exec_main_code"] in ("killed", "lost")


def test_a_state_directory_that_is_taken_away_is_written_anew(machines):
    machine = machines(config=f"{CONFIG}poll_interval = 1.0\n")
    reads = shell("read line <$GITPROC_TREE/beside; exec sleep 1000")
    sha = machine.deploy(
        {
            "a.service": service(),
            "held.service": service(),
            "reads.service": service(reads),
            "beside": "text\n",
        }
    )
    machine.rpc("stop", units=["held"])
    pids = machine.pids()
    machine.state.rename(machine.root / "aside")
    tree = machine.state / "trees/current"
    until((tree / "beside").exists, "the commit's files are there again")
    until(lambda: [*machine.state.glob("journal.*")], "and the journal")
    log = machine.logs / "daemon.log"
    until(lambda: "are written anew" in log.read_text(), "and it is said")
    machine.kill_manager()
    assert machine.pids() == pids
    assert machine.unit("held")["hold"]["by"].startswith("root")
    assert machine.rpc("status")["commit"]["applied"]["sha"] == sha
    assert machine.rpc("restart", units=["reads"])["units"]["reads.service"]["result"] == "done"
    assert machine.shim is not None
    machine.shim.kill()
    machine.shim.wait()
    machine.start()
    assert machine.pids()["a"] == pids["a"]
    assert not machine.events("unit.stray")


def test_nothing_runs_twice_when_the_state_directory_is_lost_with_the_shim(machine):
    """Nobody knows the old instance any more: what is left of it ends before the new one begins."""
    machine.deploy({"a.service": service(shell("sleep 1000 & exec sleep 1000"))})
    group, manager = machine.group_of("a"), machine.manager

    def processes():
        return set((group / "cgroup.procs").read_text().split())

    until(lambda: len(processes()) == 2, "both run")
    old = processes()
    assert machine.shim is not None
    machine.shim.kill()
    machine.shim.wait()
    until(lambda: not alive(manager), "the manager leaves")
    shutil.rmtree(machine.state)
    machine.start()
    machine.wait("a")
    until(lambda: len(processes()) == 2, "two processes")
    assert not old & processes()
    assert not any(alive(int(pid)) for pid in old)


#: Says that it is ready once it may, and that it has.
IN_TIME = """
import os, pathlib, socket, time
root = pathlib.Path(os.environ["ROOT"])
while not (root / "go").exists():
    time.sleep(0.02)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
(root / "told").touch()
time.sleep(1000)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGCONT])
def test_what_happens_in_time_counts_however_late_the_manager_hears_of_it(machine, end):
    """It is away for longer than TimeoutStartSec=: what was said and who ended meanwhile comes first."""
    (machine.root / "ready.py").write_text(IN_TIME)
    wait = f"/bin/sh -c 'until [ -e {machine.root}/told ]; do sleep 0.02; done'"
    manager, terminal = machine.manager, machine.root / "said"

    def activating() -> bool:
        units = machine.units()
        return all(units.get(x, {}).get("active_state") == "activating" for x in ("ready", "once"))

    # Seconds: a busy host may be too slow to stop the manager in time.
    for patience in (1.5, 6, 24):
        late = f"TimeoutStartSec={patience}\nEnvironment=ROOT={machine.root}\n"
        said, began = len(terminal.read_text()), time.monotonic()
        sha = machine.commit(
            {
                "ready.service": service(
                    f"/usr/bin/python3 -I -S {machine.root}/ready.py", f"{late}Type=notify"
                ),
                "once.service": service(wait, f"{late}Type=oneshot\nRemainAfterExit=yes"),
            }
        )
        with suppress(AssertionError):
            until(activating, "both are being started", patience)
            os.kill(manager, signal.SIGSTOP)
            until(lambda: stopped(manager), "it stands")
            if time.monotonic() < began + patience:
                break
        os.kill(manager, signal.SIGCONT)
        machine.deploy({"ready.service": None, "once.service": None})
    (machine.root / "go").touch()
    until((machine.root / "told").exists, "it has said that it is ready")
    until(lambda: time.monotonic() > began + patience + 0.5, "the time is up")
    os.kill(manager, end)
    until(lambda: alive(manager) is (end == signal.SIGCONT), "the manager is back, or gone")
    machine.ready()
    machine.verdict(sha)
    assert machine.unit("ready")["sub_state"] == "running"
    assert machine.unit("once")["sub_state"] == "exited"
    assert "timed out" not in terminal.read_text()[said:]
