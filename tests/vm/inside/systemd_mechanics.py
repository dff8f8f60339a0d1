"""Inside the machine: systemd keeps to what packaging/gitproc.service and daemon/systemd.py count on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
RUN = Path("/run/standin")
UNIT = "gitproc.service"
SCOPE = "gitproc-units.scope"
CGROUP = Path("/sys/fs/cgroup/system.slice") / SCOPE


def systemctl(*arguments, check=True):
    done = subprocess.run(
        ["systemctl", *arguments], capture_output=True, text=True, check=False, timeout=150
    )
    assert not check or done.returncode == 0, (arguments, done.stderr, journal())
    return done.stdout.strip()


def journal():
    command = ["journalctl", "-b", "-n", "30", "-u", UNIT, "-u", SCOPE, "--no-pager"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def shown(prop, unit=UNIT):
    return systemctl("show", f"--property={prop}", "--value", unit)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, journal()
        time.sleep(0.02)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def pids():
    return {name: int((RUN / name).read_text()) for name in ("shim", "a", "b", "c")}


def log():
    return (RUN / "log").read_text().splitlines()


@pytest.fixture(scope="module", autouse=True)
def unit():
    text = (PROJECT / "packaging/gitproc.service").read_text()
    Path("/etc/systemd/system", UNIT).write_text(text)
    drop_in = Path("/etc/systemd/system", f"{UNIT}.d/standin.conf")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(
        f"[Service]\nEnvironment=PYTHONPATH={PROJECT}\nExecStart=\n"
        f"ExecStart={sys.executable} {HERE}/standin.py manager\n"
        f"ExecStop=\nExecStop={sys.executable} -m gitproc.daemon.exec_stop\n"
    )
    systemctl("daemon-reload")
    yield
    systemctl("stop", UNIT)


@pytest.fixture
def up():
    systemctl("start", UNIT)
    (RUN / "log").write_text("")
    before = pids()
    assert all(map(running, before.values()))
    return before


def unharmed(before):
    assert pids() == before
    assert all(map(running, before.values()))
    assert (CGROUP / "a/memory.max").read_text() == f"{64 << 20}\n"
    assert str(before["a"]) in (CGROUP / "a/cgroup.procs").read_text().split()


def test_services_live_in_the_scope_and_not_in_the_service(up):
    assert "/gitproc-units.scope/" in Path(f"/proc/{up['a']}/cgroup").read_text()
    assert shown("Delegate", SCOPE) == "yes"
    assert shown("TasksMax", SCOPE) == "infinity"
    assert UNIT in shown("Before", SCOPE).split()
    main = shown("MainPID")
    tasks = (
        Path("/sys/fs/cgroup") / shown("ControlGroup").lstrip("/") / "cgroup.procs"
    ).read_text()
    assert tasks.split() == [main]
    environment = Path(f"/proc/{up['shim']}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" not in environment
    assert shown("InvocationID").encode() not in environment
    assert shown("StatusText") == "3 services"


@pytest.mark.parametrize("verb", ["restart", "try-restart", "reload-or-restart"])
def test_a_restart_keeps_every_pid_and_limit(up, verb):
    main = shown("MainPID")
    started = time.monotonic()
    systemctl(verb, UNIT)
    print(f"{verb}: {(time.monotonic() - started) * 1e3:.0f} ms")
    assert shown("MainPID") != main
    unharmed(up)
    assert log() == ["manager steps aside", "manager up"]


def test_killed_with_9_the_manager_comes_back_to_the_same_processes(up):
    main = int(shown("MainPID"))
    started = time.monotonic()
    os.kill(main, signal.SIGKILL)
    wait_for(lambda: log() == ["manager up"])
    print(f"back after {time.monotonic() - started:.2f} s")
    unharmed(up)


@pytest.mark.parametrize("verb", ["daemon-reload", "daemon-reexec"])
def test_systemd_reloading_itself_changes_nothing(up, verb):
    systemctl(verb)
    unharmed(up)
    systemctl("restart", UNIT)
    unharmed(up)


def test_a_manager_that_hangs_is_ended_by_the_watchdog_and_the_services_stay(up):
    drop_in = Path("/etc/systemd/system", f"{UNIT}.d/watchdog.conf")
    drop_in.write_text("[Service]\nWatchdogSec=6s\nTimeoutAbortSec=5s\n")
    try:
        systemctl("daemon-reload")
        systemctl("restart", UNIT)
        (RUN / "log").write_text("")
        (RUN / "hang").write_text("")
        wait_for(lambda: shown("MainPID") == "0" or shown("NRestarts") != "0")
        (RUN / "hang").unlink()
        wait_for(lambda: log() == ["manager up"])
        unharmed(up)
    finally:
        (RUN / "hang").unlink(missing_ok=True)
        drop_in.unlink()
        systemctl("daemon-reload")
        systemctl("restart", UNIT)


def test_a_stop_is_in_order_and_complete(up):
    started = time.monotonic()
    systemctl("stop", UNIT)
    print(f"stop: {(time.monotonic() - started) * 1e3:.0f} ms")
    assert log() == ["stopped c", "stopped b", "stopped a", "stopped shim", "all stopped"]
    assert not any(map(running, up.values()))
    wait_for(lambda: not CGROUP.exists())
    assert shown("Result") == "success"


def test_a_start_after_a_stop_is_a_fresh_one(up):
    systemctl("stop", UNIT)
    systemctl("start", UNIT)
    assert not set(pids().values()) & set(up.values())
    assert all(map(running, pids().values()))
    assert shown("NRestarts") == "0"


def test_a_dead_shim_is_replaced_in_the_same_scope(up):
    os.kill(up["shim"], signal.SIGKILL)
    wait_for(lambda: not running(up["shim"]))
    systemctl("restart", UNIT)
    after = pids()
    assert after["shim"] != up["shim"]
    assert {**after, "shim": 0} == {**up, "shim": 0}
    assert all(map(running, after.values()))
    assert "/gitproc-units.scope/shim" in Path(f"/proc/{after['shim']}/cgroup").read_text()
    assert (CGROUP / "a/memory.max").read_text() == f"{64 << 20}\n"


def test_a_stop_of_a_dead_manager_leaves_nothing(up):
    drop_in = Path("/etc/systemd/system", f"{UNIT}.d/slow.conf")
    drop_in.write_text("[Service]\nRestartSec=1h\n")
    try:
        systemctl("daemon-reload")
        os.kill(int(shown("MainPID")), signal.SIGKILL)
        wait_for(lambda: shown("SubState") == "auto-restart")
        unharmed(up)
        systemctl("stop", UNIT)
        wait_for(lambda: not any(map(running, up.values())))
        wait_for(lambda: not CGROUP.exists())
    finally:
        drop_in.unlink()
        systemctl("daemon-reload")


def test_shutdown_stops_the_manager_first_and_the_services_in_order(up):
    """A target that conflicts with both makes the very jobs that shutdown.target makes."""
    Path("/run/systemd/system/end.target").write_text(
        f"[Unit]\nDefaultDependencies=no\nConflicts={UNIT} {SCOPE}\nAfter={UNIT} {SCOPE}\n"
    )
    systemctl("daemon-reload")
    assert "shutdown.target" in shown("Conflicts").split()
    assert "shutdown.target" in shown("Conflicts", SCOPE).split()
    systemctl("start", "end.target")
    assert log() == ["stopped c", "stopped b", "stopped a", "stopped shim", "all stopped"]
    assert not any(map(running, up.values()))
    systemctl("stop", "end.target")
    Path("/run/systemd/system/end.target").unlink()  # it holds the scope's name
    systemctl("daemon-reload")
