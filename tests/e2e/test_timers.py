"""Timers in a whole machine: real clocks, real jobs, and a manager that is killed in between."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from tests.e2e.harness import shell, until

pytestmark = pytest.mark.root
TIMERS = "[Install]\nWantedBy=timers.target\n"


def timer(*lines: str) -> str:
    return "\n".join(("[Timer]", "AccuracySec=1ms", *lines, TIMERS))


def job(script: str) -> str:
    return f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart={shell(script)}\n"


def lines(machine, name: str) -> list[str]:
    path = machine.root / name
    return path.read_text().splitlines() if path.exists() else []


def listed(machine, *args: str) -> dict[str, dict[str, object]]:
    found = json.loads(machine.gitproc("list-timers", "--json", *args).out)["timers"]
    return {one["unit"]: one for one in found}


def test_jobs_on_timers(machine):
    root = machine.root
    beat = f"echo $TRIGGER_UNIT $TRIGGER_TIMER_REALTIME_USEC >> {root}/beats"
    machine.deploy(
        {
            "beat.timer": timer("OnActiveSec=200ms", "OnUnitActiveSec=300ms"),
            "beat.service": job(beat),
            "yearly.timer": timer("OnCalendar=2199-06-01 12:00:00 UTC", "Persistent=yes"),
            "yearly.service": job("true"),
            "past.timer": timer("OnCalendar=2001-01-01"),
            "past.service": job("true"),
            "idle.timer": "[Timer]\nOnBootSec=1000w\n",
            "idle.service": job("true"),
        }
    )
    until(lambda: len(lines(machine, "beats")) >= 3, "the timer starts its job again and again")
    unit, usec = lines(machine, "beats")[0].split()
    assert unit == "beat.timer"
    assert abs(int(usec) / 1e6 - time.time()) < 60

    # The manager is killed: the timer goes on, and nothing of the others is lost.
    machine.kill_manager()
    count = len(lines(machine, "beats"))
    until(lambda: len(lines(machine, "beats")) >= count + 2, "the timer goes on after a crash")
    found = listed(machine)
    assert next(iter(found)) == "beat.timer"
    assert "idle.timer" not in found
    assert found["past.timer"]["next"] is None
    year = datetime.fromisoformat("2199-06-01T12:00:00+00:00").timestamp()
    assert found["yearly.timer"]["next"] == year
    assert found["yearly.timer"]["activates"] == "yearly.service"
    assert "idle.timer" in listed(machine, "--all")
    text = machine.gitproc("list-timers").out
    assert text.split()[:6] == ["NEXT", "LEFT", "LAST", "PASSED", "UNIT", "ACTIVATES"]
    assert "3 timers listed." in text

    status = machine.gitproc("status", "yearly.timer").out
    assert "active (waiting)" in status
    assert "Trigger: Sat 2199-06-01 12:00:00 UTC" in status
    assert "Triggers: ○ yearly.service" in status
    assert "TriggeredBy: ● yearly.timer" in machine.gitproc("status", "yearly.service").out
    shown = machine.gitproc("show", "yearly.timer", "-p", "NextElapseUSecRealtime,Triggers").out
    assert shown == "NextElapseUSecRealtime=Sat 2199-06-01 12:00:00 UTC\nTriggers=yearly.service\n"
    assert_times_are_told(machine, year)
    assert "active (elapsed)" in machine.gitproc("status", "past.timer").out
    words = ("beat.timer starts it", "beat.timer started it")  # between two of its runs, or in one
    assert any(x in machine.gitproc("why", "beat.service").out for x in words)
    told = machine.events("unit.triggered", "beat.service")
    assert told[-1]["message"] == "beat.timer triggered beat.service"

    # A hold of the operator's is respected; a change of the timer arms it anew.
    machine.gitproc("stop", "beat.timer")
    machine.wait("beat", "inactive")  # the job that it had started ends
    rest = len(lines(machine, "beats"))
    machine.deploy({"past.timer": timer("OnActiveSec=100ms")})
    until(lambda: machine.unit("past.timer")["timer"]["last"], "the changed timer elapses")
    assert machine.unit("past.timer")["sub_state"] in ("elapsed", "running")
    assert len(lines(machine, "beats")) == rest


def assert_times_are_told(machine, year):
    """Times in words, as systemctl show has them; as numbers with --json; nothing where there are none."""

    def shown(unit, name):
        return machine.gitproc("show", "-P", name, unit).out.splitlines()

    when = "Sat 2199-06-01 12:00:00 UTC"
    assert shown("yearly.timer", "TimersCalendar") == [
        f"{{ OnCalendar=2199-06-01 12:00:00 UTC ; next_elapse={when} }}"
    ]
    assert shown("yearly.timer", "NextElapseUSecMonotonic") == ["infinity"]
    assert shown("past.timer", "TimersCalendar")[0].endswith(" ; next_elapse=n/a }")
    assert shown("past.timer", "NextElapseUSecRealtime,LastTriggerUSec") == ["", ""]
    first, again = shown("beat.timer", "TimersMonotonic")
    assert first.startswith("{ OnActiveUSec=200ms ; next_elapse=")
    assert again.startswith("{ OnUnitActiveUSec=300ms ; next_elapse=")
    assert not any(one.endswith(("=0 }", "n/a }")) for one in (first, again)), (first, again)
    assert shown("idle.timer", "TimersMonotonic") == [
        "{ OnBootUSec=19y 1month 4w 1d 19h 30min ; next_elapse=0 }"
    ]
    since = datetime.fromtimestamp(machine.unit("yearly.timer")["since"], UTC)
    assert shown("yearly.timer", "ActiveEnterTimestamp") == [f"{since:%a %Y-%m-%d %H:%M:%S} UTC"]
    body = machine.gitproc("--json", "show", "yearly.timer", "-p", "NextElapseUSecRealtime").out
    assert json.loads(body)["units"]["yearly.timer"] == {"NextElapseUSecRealtime": f"@{year:.6f}"}


@pytest.mark.timeout(120)
def test_a_persistent_timer_catches_up(machine):
    for patience in (4, 12, 36):  # seconds until the elapse: a busy host may be too slow to miss it
        folder = machine.root / str(patience)
        folder.mkdir()
        at = int(time.time()) + patience
        when = f"OnCalendar={datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
        machine.deploy(
            {
                "backup.timer": timer(when, "Persistent=yes"),
                "backup.service": job(f"echo ran >> {folder}/backups"),
                "other.timer": timer(when),
                "other.service": job(f"echo ran >> {folder}/others"),
            }
        )
        machine.stop()
        if time.time() < at:
            break
        machine.start()
    until(lambda: time.time() > at + 0.1, "the elapse is missed", 40.0)
    machine.start()
    until((folder / "backups").exists, "what was missed is caught up on")
    until(lambda: machine.unit("backup.timer")["sub_state"] == "elapsed", "nothing more is to come")
    assert machine.unit("other.timer")["sub_state"] == "elapsed"
    machine.kill_manager()
    machine.unit("backup.timer")
    assert (folder / "backups").read_text() == "ran\n"
    assert not (folder / "others").exists()


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (("Mon *-*-* 0:00", "--iterations", "2"), 0, "Iteration #2"),
        (("2001-01-01",), 0, "never"),
        (("quarterly",), 0, "Normalized form: *-01,04,07,10-01 00:00:00"),
        (("31 o'clock",), 2, "is no calendar expression"),
    ],
)
def test_calendar_needs_no_daemon(machines, args, status, said):
    machine = machines(start=False)
    outcome = machine.gitproc("calendar", *args)
    assert outcome.status == status, outcome
    assert said in outcome.out + outcome.err
