"""Conditions and relations with a real daemon and real processes: what starts, what does not, and what is said."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.harness import KEEP, Machine, service, until

pytestmark = pytest.mark.root

ONCE = "Type=oneshot\n"


def on_demand(command: str, settings: str = "") -> str:
    """A oneshot that only something else starts."""
    return f"[Service]\nType=oneshot\nExecStart={command}\n{settings}"


def test_conditions_asserts_and_exec_condition(machines):
    machine: Machine = machines(config=KEEP)
    gate = machine.root / "gate"
    machine.deploy(
        {
            "gated.service": service(unit=f"ConditionPathExists={gate}\nConditionUser=root"),
            "needs.service": service(unit="Requires=gated.service\nAfter=gated.service"),
            "bound.service": service(unit="BindsTo=gated.service\nAfter=gated.service"),
            "asks.service": service(settings=f"ExecCondition=/bin/test -e {gate}"),
            "tool.service": service(
                unit="ConditionFileIsExecutable=/bin/sleep\nConditionACPower=|yes\nConditionACPower=|no"
            ),
        }
    )
    units = machine.units()
    assert units["gated"]["active_state"] == units["bound"]["active_state"] == "inactive"
    assert (units["asks"]["active_state"], units["asks"]["result"]) == (
        "inactive",
        "exec-condition",
    )
    assert units["needs"]["active_state"] == units["tool"]["active_state"] == "active"
    status, out, _ = machine.gitproc("status", "gated")
    assert status == 3
    assert "  Condition: start condition unmet at " in out
    assert f"└─ ConditionPathExists={gate} was not met" in out
    assert "its start was skipped" in machine.gitproc("why", "gated").out
    assert "ConditionResult=no\n" in machine.gitproc("show", "gated").out
    status, out, _ = machine.gitproc("start", "gated")
    assert (status, out) == (0, f"start condition unmet: ConditionPathExists={gate} was not met\n")
    assert machine.events("unit.skipped", "gated.service")

    machine.kill_manager()
    assert machine.unit("needs")["main_pid"] == units["needs"]["main_pid"]
    gate.touch()
    assert machine.gitproc("start", "gated", "asks").status == 0
    for name in ("gated", "bound", "asks"):
        machine.wait(name)
    assert "ConditionResult=yes\n" in machine.gitproc("show", "gated").out

    before = machine.pids()
    machine.deploy({"gated.service": service(unit="ConditionPathExists=/nowhere")})
    assert machine.pids() == before, "another condition is no change of what runs"

    machine.deploy({"asserts.service": service(unit="AssertPathExists=/nowhere")}, "failed")
    failed = machine.unit("asserts")
    assert (failed["active_state"], failed["result"]) == ("failed", "assert")
    assert "Assert: start assertion failed at " in machine.gitproc("status", "asserts").out
    assert machine.gitproc("start", "asserts").status == 1


def apart(relations: str) -> str:
    return f"[Unit]\n{relations}\n[Service]\nExecStart=/bin/sleep 1000\n"


def test_what_ends_starts_others_and_what_is_passed_on(machine: Machine):
    told = machine.root / "told"
    told.mkdir(mode=0o777)
    note = f"env | grep ^MONITOR_ > {told}/%i.new; mv {told}/%i.new {told}/%i"
    say = f"/bin/sh -c '{note}'"
    ends = "OnFailure=note@failed-%p.service\nOnSuccess=note@ended-%p.service"
    machine.deploy(
        {
            "note@.service": on_demand(say),
            "victim.service": service(unit=ends),
            "works.service": service("/bin/true", ONCE, unit=ends),
            "flaps.service": service(settings="Restart=always\nRestartSec=0")
            + "[X-GitProc]\nOnRetry=note@retried.service\n",
            "keeper.service": service(unit="Upholds=kept.service"),
            "kept.service": "[Service]\nExecStart=/bin/sleep 1000\n",
            "shared.service": "[Unit]\nStopWhenUnneeded=yes\n[Service]\nExecStart=/bin/sleep 1000\n",
            "user.service": service(unit="Requires=shared.service\nAfter=shared.service"),
            "front.service": service(
                unit="PropagatesReloadTo=back.service\nPropagatesStopTo=back.service"
            ),
            "back.service": service(settings=f"ExecReload=/bin/touch {told}/reloaded"),
            "fixed.service": service(unit="RefuseManualStop=yes"),
            "whole.service": apart("Wants=one.service other.service"),
            "one.service": apart("Conflicts=other.service"),
            "other.service": apart(""),
            "both.service": apart("Requires=one.service other.service"),
        }
    )
    pids = machine.pids()
    os.kill(pids["victim"], signal.SIGKILL)
    os.kill(pids["flaps"], signal.SIGKILL)
    os.kill(pids["kept"], signal.SIGKILL)

    def heard(name: str) -> dict[str, str]:
        until((told / name).exists, f"{name} was started")
        return dict(line.split("=", 1) for line in (told / name).read_text().splitlines())

    found = heard("failed-victim")
    assert found["MONITOR_UNIT"] == "victim.service"
    assert found["MONITOR_SERVICE_RESULT"] == "signal"
    assert (found["MONITOR_EXIT_CODE"], found["MONITOR_EXIT_STATUS"]) == ("killed", "KILL")
    assert found["MONITOR_INVOCATION_ID"] == machine.unit("victim")["invocation"]
    assert heard("ended-works")["MONITOR_SERVICE_RESULT"] == "success"
    assert heard("retried")["MONITOR_UNIT"] == "flaps.service"
    until(lambda: machine.unit("kept")["main_pid"] not in (None, pids["kept"]), "it is upheld")
    machine.wait("flaps")
    assert not (told / "failed-works").exists()

    assert machine.gitproc("reload", "front").status == 0
    until((told / "reloaded").exists, "the reload was passed on")
    assert machine.gitproc("stop", "front").status == 0
    machine.wait("back", "inactive")
    assert machine.gitproc("stop", "user").status == 0
    machine.wait("shared", "inactive")
    assert machine.gitproc("start", "user").status == 0
    machine.wait("shared")
    status, _, err = machine.gitproc("stop", "fixed")
    assert status != 0
    assert "RefuseManualStop=yes" in err
    machine.wait("fixed")

    # Of two that conflict, a start leaves out the one that it can do without.
    status, out, _ = machine.gitproc("start", "whole")
    assert (status, "Service started" in out) == (0, True)
    machine.wait("one")
    assert machine.unit("other")["active_state"] == "inactive"
    [left_out] = machine.events("unit.left-out")
    why = "not started along with whole.service: it conflicts with one.service"
    assert (left_out["unit"], left_out["message"]) == ("other.service", why)
    status, _, err = machine.gitproc("start", "both")
    assert status != 0
    assert "it needs one.service and other.service, which conflict" in err or (
        "it needs other.service and one.service, which conflict" in err
    )
    assert machine.unit("one")["active_state"] == "active"

    # A failure that no manager saw is acted on by the next.
    machine.gitproc("start", "victim")
    (told / "failed-victim").unlink()
    victim = machine.pids()["victim"]
    manager = machine.kill_manager(wait=False)
    assert manager
    os.kill(victim, signal.SIGKILL)
    machine.ready()
    heard("failed-victim")
