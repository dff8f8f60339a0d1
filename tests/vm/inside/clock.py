"""Inside the machine: the wall clock is set forwards a day and back a year, while everything runs."""

import json
import time
from pathlib import Path

import pytest

from tests.vm.inside.machine import NAMES, UNIT, commit, pid, run, shown, unharmed, wait_for
from tests.vm.inside.machine import up as all_up

DAY, YEAR = 86400, 365 * 86400
LATER, TOLD = "/run/later", "/run/told"
UNITS = {
    "writer.service": "[Service]\n"
    "ExecStart=/bin/sh -c 'n=0; while :; do echo line $$n; n=$$((n+1)); sleep 0.2; done'\n",
    "later.service": f"[Service]\nExecStart=/bin/sh -c 'echo x >> {LATER}; sleep infinity'\n"
    "Restart=always\nRestartSec=6\n",
    "checked.service": "[Service]\nExecStart=/usr/bin/sleep infinity\n"
    "[X-GitProc]\nHealthCheckExec=/bin/sh -c 'echo x >> /run/checks'\n"
    "HealthCheckInterval=1\nHealthCheckTimeout=5\nHealthCheckRetries=1\n",
}
OURS = ("writer", "checked")
#: What is started when the clock is set, and at no other time.
ON_CHANGE = {
    "told.timer": "[Timer]\nOnClockChange=yes\n[Install]\nWantedBy=timers.target\n",
    "told.service": f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo x >> {TOLD}'\n",
}


def size(path):
    try:
        return len(Path(path).read_text().split())
    except FileNotFoundError:
        return 0


def lines(*words):
    return run("gitproc", "logs", "writer.service", *words).splitlines()


def move(seconds):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


@pytest.fixture(scope="module")
def before():
    known = all_up()
    commit(ON_CHANGE, wanted=False)
    commit(UNITS)
    wait_for(lambda: all(pid(name) for name in OURS) and size("/run/checks") and size(LATER))
    wait_for(lambda: '"verdict": "good"' in history())
    known.update({name: pid(name) for name in OURS})
    start = time.time() - time.monotonic()
    yield known
    time.clock_settime(time.CLOCK_REALTIME, time.monotonic() + start)
    commit(dict.fromkeys((*UNITS, *ON_CHANGE)))


def history():
    return json.dumps(json.loads(run("gitproc", "--json", "history"))["entries"][0])


def same(before):
    assert {name: pid(name) for name in before} == before


@pytest.mark.parametrize("step", [DAY, -YEAR], ids=["a day on", "a year back"])
def test_a_step_of_the_wall_clock_changes_nothing(before, step):
    checks, starts, told = size("/run/checks"), size(LATER), size(TOLD)
    main, restarts = shown("MainPID"), shown("NRestarts")
    began = time.monotonic()
    run("gitproc", "kill", "-s", "KILL", "later.service")
    time.sleep(0.5)  # into the restart's delay
    moved = time.time() + step
    assert size(TOLD) == told
    move(step)
    wait_for(lambda: size(TOLD) > told)
    wait_for(lambda: size(LATER) > starts)
    waited = time.monotonic() - began
    print(f"RestartSec=6 took {waited:.1f} s")
    assert waited > 5.5
    assert size(LATER) == starts + 1
    wait_for(lambda: size("/run/checks") >= checks + 4)
    assert size("/run/checks") - checks < time.monotonic() - began + 5  # none made up for
    same(before)
    assert shown("MainPID") == main
    assert shown("NRestarts") == restarts

    since = lines("--since", f"@{moved:.3f}")
    print("since the step:", len(since), since[:1], since[-1:])
    assert since
    last = lines("-n", "3")
    assert since[-1].split()[-2:][0] == "line"
    numbers = [int(x.split()[-1]) for x in since]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert abs(int(last[-1].split()[-1]) - numbers[-1]) < 300
    recent = [int(x.split()[-1]) for x in wait_for(lambda: lines("--since", "2s ago"))]
    assert recent[-1] - recent[0] < 100
    events = json.loads(run("gitproc", "--json", "events"))["events"]
    kinds = [x["kind"] for x in events if x["time"] >= moved and x["unit"] == "later.service"]
    assert kinds[-2:] == ["unit.starting", "unit.started"]
    status = run("gitproc", "status", "writer.service", check=False)
    print(status)
    assert "active" in status

    commit({"writer.service": UNITS["writer.service"] + f"# {step}\n"})
    wait_for(lambda: '"verdict": "good"' in history() and '"subject": "units"' in history())
    same(before)
    run("systemctl", "restart", UNIT)
    wait_for(lambda: all(pid(name) for name in NAMES))
    same(before)
    later = size(LATER)
    wait_for(lambda: pid("later"))
    assert size(LATER) == later
    unharmed({name: before[name] for name in NAMES})
    checks = size("/run/checks")
    wait_for(lambda: size("/run/checks") > checks)
