"""Which ends lead to a restart, and after how long; told by real processes."""

from __future__ import annotations

import pytest

from tests.e2e.harness import KEEP, service, shell, until

pytestmark = pytest.mark.root

POLICIES = ("no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog")
SLEEP = "/bin/sleep 1000"
#: How a service ends -> its result, what restarts it (a column for each policy), command, settings.
OUTCOMES = {
    "success": ("success", " xx    ", "/bin/true", ""),
    "term": ("success", " xx    ", shell("kill -TERM $$"), ""),
    "listed": ("success", " xx    ", shell("exit 9"), "SuccessExitStatus=9"),
    "status": ("exit-code", " x x   ", "/bin/false", ""),
    "signal": ("signal", " x xxx ", shell("kill -USR1 $$"), ""),
    "core": (
        "core-dump",
        " x xxx ",
        shell("kill -ABRT $$"),
        "LimitCORE=infinity\nWorkingDirectory=ROOT",
    ),
    "memory": (
        "oom-kill",
        " x xx  ",
        "/usr/bin/python3 -I -S -c 'bytearray(1 << 28)'",
        "MemoryMax=32M\nMemorySwapMax=0",
    ),
    "timeout": ("timeout", " x xx  ", SLEEP, "Type=notify\nTimeoutStartSec=50ms"),
    "watchdog": ("watchdog", " x xx x", SLEEP, "WatchdogSec=50ms"),
    "protocol": ("protocol", " x xx  ", "/bin/true", "Type=notify"),
    "resources": ("resources", " x xx  ", "/bin/true", "EnvironmentFile=/nonexistent"),
    "prevented": ("exit-code", "       ", "/bin/false", "RestartPreventExitStatus=1"),
    "forced": ("success", "xxxxxxx", "/bin/true", "RestartForceExitStatus=0"),
}


def test_the_table_of_restarts_by_real_processes(machines):
    """systemd.service(5), "Restart=": every policy, every way to end, in one commit."""
    machine = machines(config=KEEP)
    files = {}
    for policy in POLICIES:
        (machine.root / policy).mkdir()  # a core file has the same name for all
    for outcome, (_, _, command, settings) in OUTCOMES.items():
        for policy in POLICIES:
            how = f"Restart={policy}\nRestartSec=1h\nLimitCORE=0\n{settings}".replace(
                "ROOT", str(machine.root / policy)
            )
            files[f"{outcome}.{policy}.service"] = service(command, how)
    machine.commit(files)
    ends = ("auto-restart", "failed", "dead")

    def ended():
        units = machine.units()
        done = {name: unit for name, unit in units.items() if unit["sub_state"] in ends}
        fresh = [name for name, unit in done.items() if not unit["invocation"]]
        return done if len(done) == len(files) and not fresh else None

    units = until(ended, "all have ended", 40)
    wrong = []
    for outcome, (result, row, _, _) in OUTCOMES.items():
        rest = "dead" if result == "success" else "failed"
        for policy, mark in zip(POLICIES, row, strict=True):
            unit = units[f"{outcome}.{policy}"]
            expected = ("auto-restart" if mark == "x" else rest, result, int(mark == "x"))
            if (unit["sub_state"], unit["result"], unit["restarts"]) != expected:
                wrong.append((outcome, policy, unit["sub_state"], unit["result"], unit["reason"]))
    assert wrong == []


def test_how_long_it_waits_between_restarts_grows(machines):
    """Told by what was scheduled, not by the clock."""
    machine = machines(config=KEEP)
    settings = "Restart=always\nRestartSec=10ms\nRestartSteps=3\nRestartMaxDelaySec=80ms"
    body = service("/bin/false", settings, "StartLimitIntervalSec=0")
    machine.commit({"a.service": body})
    until(lambda: len(machine.events("unit.restarting")) >= 6, "six restarts")
    told = [x["message"] for x in machine.events("unit.restarting")][:6]
    delays = [x.rpartition(" in ")[2].partition(";")[0] for x in told]
    assert delays == ["0.01 s", "0.02 s", "0.04 s", "0.08 s", "0.08 s", "0.08 s"]
