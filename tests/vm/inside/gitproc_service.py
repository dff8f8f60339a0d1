"""Inside the machine: GitProc as gitproc.service, with services of its own."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.vm.inside.machine import (
    NAMES,
    REPOSITORY,
    SCOPE,
    STOPPED,
    UNIT,
    git,
    group,
    pid,
    run,
    running,
    shown,
    unharmed,
    wait_for,
)
from tests.vm.inside.machine import up as all_up


@pytest.fixture
def up():
    return all_up()


def test_the_services_are_outside_the_managers_cgroup(up):
    unharmed(up)
    manager = Path("/sys/fs/cgroup" + shown("ControlGroup"))
    titles = run(
        "ps", "-o", "args=", "-p", ",".join((manager / "cgroup.procs").read_text().split())
    )
    assert "gitproc daemon" in titles
    assert "gitproc-shim" not in titles
    assert "sleep" not in titles


def test_restart_keeps_every_pid(up):
    main = shown("MainPID")
    started = time.monotonic()
    run("systemctl", "restart", UNIT)
    print(f"restart: {(time.monotonic() - started) * 1e3:.0f} ms")
    assert shown("MainPID") != main
    assert "exit-code" not in run("journalctl", "-b", "-u", UNIT, "--no-pager", "-n", "15")
    unharmed(up)


def test_kill_9_keeps_every_pid(up):
    main = shown("MainPID")
    os.kill(int(main), signal.SIGKILL)
    wait_for(lambda: shown("ActiveState") == "active" and shown("MainPID") not in ("0", main))
    unharmed(up)


def test_a_manager_that_hangs_is_killed_by_the_watchdog_and_nothing_else_is(up):
    drop_in = Path("/run/systemd/system", f"{UNIT}.d/watchdog.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=6s\nTimeoutAbortSec=1s\n")
    try:
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", UNIT)
        main = shown("MainPID")
        os.kill(int(main), signal.SIGSTOP)
        wait_for(lambda: shown("ActiveState") == "active" and shown("MainPID") not in ("0", main))
        assert "watchdog" in run("journalctl", "-b", "-u", UNIT, "--no-pager").lower()
        unharmed(up)
    finally:
        drop_in.unlink()
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", UNIT)


def test_a_service_killed_meanwhile_is_replaced(up):
    os.kill(int(shown("MainPID")), signal.SIGSTOP)
    old = up["first"]
    os.kill(old, signal.SIGKILL)
    os.kill(int(shown("MainPID")), signal.SIGKILL)
    unit = REPOSITORY / "first.service"
    unit.write_text(unit.read_text().replace("[Service]\n", "[Service]\nRestart=always\n"))
    git("commit", "-qam", "first: restart")
    wait_for(lambda: pid("first") not in (0, old))


def test_stop_is_in_order_and_a_start_works_again(up):
    STOPPED.unlink(missing_ok=True)
    scope = group(up["first"]).parent
    started = time.monotonic()
    run("systemctl", "stop", UNIT)
    print(f"stop: {(time.monotonic() - started) * 1e3:.0f} ms")
    assert STOPPED.read_text().split() == ["second", "first"]
    wait_for(lambda: shown("ActiveState", SCOPE) == "inactive")
    wait_for(lambda: not any(map(running, up.values())) and not scope.exists())
    assert shown("Result") == "success"
    run("systemctl", "start", UNIT)
    wait_for(lambda: all(pid(name) for name in NAMES))


def test_shutdown_stops_in_order(up):
    """A target that conflicts with both makes the very jobs that shutdown.target makes."""
    STOPPED.unlink(missing_ok=True)
    Path("/run/systemd/system/end.target").write_text(
        f"[Unit]\nDefaultDependencies=no\nConflicts={UNIT} {SCOPE}\nAfter={UNIT} {SCOPE}\n"
    )
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "end.target")
    assert STOPPED.read_text().split() == ["second", "first"]
    wait_for(lambda: not any(map(running, up.values())))
    run("systemctl", "stop", "end.target")
    Path("/run/systemd/system/end.target").unlink()
    run("systemctl", "daemon-reload")
