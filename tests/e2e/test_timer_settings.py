"""systemd.timer(5), setting by setting: when each elapses on real clocks, and what it starts.

Lower bounds hold however slow the machine is; what is to come in two centuries is read, not waited for.
"""

from __future__ import annotations

import json
import math
import struct
import time
from datetime import datetime
from itertools import pairwise

import pytest

from tests.e2e.harness import until
from tests.e2e.private import PrivateMachine
from tests.e2e.test_timers import TIMERS, lines

pytestmark = pytest.mark.root

FAR = "OnCalendar=2199-06-01 12:00:00"
YEAR = datetime.fromisoformat("2199-06-01T12:00:00+00:00").timestamp()
EXACT = "AccuracySec=1us"  # a later line says otherwise
HOURS = 10 * 3600  # seconds
WEEKS = 1000 * 7 * 86400  # seconds
NEARLY = 0.05  # seconds by which two readings of two clocks may differ
# Timer -> its lines, and what its job does besides writing when it was started and when it ended.
TIMED = {
    "boot": ("OnBootSec=1", ""),
    "late": ("OnBootSec=1000w", ""),
    "later": ("OnStartupSec=1000w", ""),
    "startup": ("OnStartupSec=700ms", ""),
    "idle": ("OnActiveSec=0\nOnUnitInactiveSec=500ms", "sleep 0.7"),
    "busy": ("OnActiveSec=0\nOnUnitActiveSec=500ms", "sleep 0.7"),
    "leaves": ("OnActiveSec=0\nRemainAfterElapse=no", ""),
    "stays": ("OnActiveSec=0", ""),
    "aside": ("OnActiveSec=0\nUnit=other.service", ""),
    "defers": ("OnCalendar=*:*:*\nDeferReactivation=yes", "sleep 1.3"),
    "makes-up": ("OnCalendar=*:*:*", "sleep 1.3"),
    **{f"tick{n}": (f"OnActiveSec={n}00ms\nAccuracySec=1s", "") for n in range(1, 10)},
    "zone": ("OnTimezoneChange=yes", ""),
    "far": (FAR, ""),
    "utc": (f"{FAR} UTC", ""),
    "random": (f"{FAR} UTC\nRandomizedDelaySec=10h", ""),
    "fixed": (f"{FAR} UTC\nRandomizedDelaySec=10h\nFixedRandomDelay=yes", ""),
    "shifted": (f"{FAR} UTC\nRandomizedOffsetSec=10h", ""),
}


def zone_file(seconds: int) -> bytes:
    """A time zone that is always so many seconds ahead of UTC (tzfile(5))."""
    head = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    return head + struct.pack(">lbb", seconds, 0, 0) + b"XYZ\0"


@pytest.fixture(scope="module")
def machine():
    with PrivateMachine() as machine:
        machine.prefix += ["/usr/bin/env", "-u", "TZ"]
        (machine.root / "utc").write_bytes(zone_file(0))
        (machine.root / "east").write_bytes(zone_file(3600))
        machine.start().deploy(files(machine))
        yield machine


def jobs(machine, name: str) -> list[dict[str, float]]:
    """What the runs of a job have written: when it was started, and ended; when its timer elapsed."""
    return [json.loads(line) for line in lines(machine, name)]


def files(machine) -> dict[str, str]:
    script = machine.root / "job.sh"
    script.write_text(
        'name=$1; shift; began=$(date +%s.%N); "$@"; ended=$(date +%s.%N)\n'
        'echo "{\\"began\\": $began, \\"ended\\": $ended, \\"at\\": $TRIGGER_TIMER_MONOTONIC_USEC}"'
        f" >>{machine.root}/$name\n"
    )
    made = {"other.service": job(script, "other", "true")}
    for name, (settings, work) in TIMED.items():
        made[f"{name}.timer"] = f"[Timer]\n{EXACT}\n{settings}\n{TIMERS}"
        made[f"{name}.service"] = job(script, name, work)
    return made


def job(*words) -> str:
    command = " ".join(map(str, words))
    return (
        f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh {command}\n"
    )


def elapses(machine, *names: str) -> dict[str, float]:
    """When timers elapse next: seconds since 1970."""
    units = machine.units()
    return {name: units[f"{name}.timer"]["timer"]["next"] for name in names}


def test_each_setting_of_a_timer(machine):
    for name in ("boot", "startup", "leaves", "stays", "other"):
        until(lambda name=name: jobs(machine, name), f"{name} elapses")
    assert len(jobs(machine, "boot")) == len(jobs(machine, "startup")) == 1
    assert jobs(machine, "aside") == [], "Unit= names another"
    machine.wait("leaves.timer", "dead")
    machine.wait("stays.timer", "elapsed")
    since = {x: at - WEEKS for x, at in elapses(machine, "late", "later").items()}
    started = machine.events()[0]["time"]
    assert abs(since["later"] - started) < 60
    up = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(since["late"] - up) < 60 or since["late"] == since["later"], "in a container"

    until(lambda: len(jobs(machine, "idle")) >= 3, "it elapses again and again")
    runs = jobs(machine, "idle")
    assert all(b["began"] - a["ended"] > 0.5 - NEARLY for a, b in pairwise(runs)), runs
    until(lambda: len(jobs(machine, "busy")) >= 3, "it elapses again and again")
    runs = jobs(machine, "busy")
    assert all(b["at"] - a["at"] > 500_000 for a, b in pairwise(runs)), runs
    until(
        lambda: any(b["began"] - a["ended"] < 0.5 for a, b in pairwise(jobs(machine, "busy"))),
        "it counts from the start, not from the end",
    )

    until(lambda: len(jobs(machine, "defers")) >= 3, "it elapses again and again")
    runs = jobs(machine, "defers")
    due = [(math.ceil(a["ended"] - NEARLY) - NEARLY, b["began"]) for a, b in pairwise(runs)]
    assert all(began >= at for at, began in due), runs
    until(
        lambda: any(
            b["began"] < math.ceil(a["ended"]) for a, b in pairwise(jobs(machine, "makes-up"))
        ),
        "what would have been while the job ran is made up for",
    )
    ticks = [f"tick{n}" for n in range(1, 10)]
    until(lambda: all(jobs(machine, x) for x in ticks), "all have elapsed")
    assert len({jobs(machine, x)[0]["at"] for x in ticks}) <= 2, "they wait for one another"


def test_what_a_timer_adds_to_its_time_and_what_the_zone_does(machine):
    moved = ("random", "fixed", "shifted")
    first = elapses(machine, "utc", *moved)
    assert first.pop("utc") == YEAR
    assert all(0 < at - YEAR < HOURS for at in first.values())
    machine.gitproc("restart", *(f"{x}.timer" for x in moved))
    again = elapses(machine, *moved)
    assert {x for x in moved if abs(first[x] - again[x]) < 1e-3} == {"fixed", "shifted"}

    for number, name in enumerate(("utc", "east")):
        put = f"cp {machine.root}/{name} /etc/new && mv -f /etc/new /etc/localtime"
        assert machine.inside(put).status == 0
        until(lambda at=YEAR - number * 3600: elapses(machine, "far")["far"] == at, "another zone")
        until(lambda count=number + 1: len(jobs(machine, "zone")) >= count, "it is told")
    assert elapses(machine, "utc")["utc"] == YEAR
    assert jobs(machine, "far") == []
