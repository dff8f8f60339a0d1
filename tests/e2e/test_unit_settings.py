"""systemd.unit(5), setting by setting, in one machine: order, what starts and stops with what, names, limits.

Every service writes when it starts, reloads and stops; what is said of it is read from there.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.harness import KEEP, WANTED, Machine, shell, until

pytestmark = pytest.mark.root

ONESHOT = "Type=oneshot\nRemainAfterExit=yes\n"


@pytest.fixture(scope="module")
def machine():
    with Machine(config=KEEP) as machine:
        yield machine.start()


def says(machine: Machine, word: str) -> str:
    """A command that writes a word, and the unit's name, into the story."""
    return f"/bin/sh -c 'echo %p-{word} >>{machine.root}/story'"


def story(machine: Machine) -> list[str]:
    path = machine.root / "story"
    return path.read_text().split() if path.exists() else []


def told(machine: Machine, *words: str) -> None:
    """Wait until all of that has happened."""
    until(lambda: {*words} <= {*story(machine)}, f"{words} in {story(machine)}")


def unit(machine: Machine, lines: str = "", settings: str = "", install: str = "") -> str:
    """A service that writes what happens to it; `install`: lines of [Install]."""
    events = f"ExecStartPre={says(machine, 'start')}\nExecReload={says(machine, 'reload')}\n"
    events += f"ExecStopPost={says(machine, 'stop')}\n"
    run = "" if "ExecStart=" in settings else "ExecStart=/bin/sleep 1000\n"
    return f"[Unit]\n{lines}\n[Service]\n{events}{run}{settings}\n[Install]\n{install}\n"


def once(machine: Machine, lines: str = "", work: str = "true", install: str = "") -> str:
    return unit(machine, lines, f"{ONESHOT}ExecStart={shell(work)}\n", install)


def test_order(machine):
    wait = f"sleep 0.3; echo %p-done >>{machine.root}/story"
    files = {
        "first.service": ("Before=second.service", "multi-user.target"),
        "third.service": ("", "multi-user.target"),
        "fourth.service": ("After=third.service", "multi-user.target"),
        "early.service": ("DefaultDependencies=no\nBefore=sysinit.target", "sysinit.target"),
    }
    machine.deploy(
        {
            name: once(machine, lines, wait.replace("%p", name[:-8]), f"WantedBy={target}")
            for name, (lines, target) in files.items()
        }
        | {"second.service": once(machine, install=WANTED)}
    )
    at = {word: number for number, word in enumerate(story(machine))}
    assert at["first-done"] < at["second-start"]
    assert at["third-done"] < at["fourth-start"]
    assert at["early-done"] < min(at[f"{x}-start"] for x in ("first", "second", "third"))
    machine.deploy(dict.fromkeys((*files, "second.service")))
    # Without it, whoever is before sysinit.target would come after it as well.
    bad = once(machine, "Before=sysinit.target", install="WantedBy=sysinit.target")
    machine.deploy({"early.service": bad}, "refused")
    machine.deploy({"early.service": None})


def test_who_is_started_stopped_and_reloaded_with_whom(machine):
    machine.deploy(
        {
            "needs.service": unit(machine, "Requisite=basis.service\nAfter=basis.service"),
            "needed.service": unit(
                machine, "RequisiteOverridable=basis.service\nAfter=basis.service"
            ),
            "basis.service": unit(machine),
            "root.service": unit(machine, install=WANTED),
            "listens.service": unit(
                machine,
                "StopPropagatedFrom=root.service\nReloadPropagatedFrom=root.service",
                install=WANTED,
            ),
            "heard.service": unit(machine, "PropagateReloadFrom=root.service", install=WANTED),
            "tells.service": unit(machine, "PropagateReloadTo=root.service", install=WANTED),
            "bound.service": unit(
                machine, "BindTo=root.service\nAfter=root.service", install=WANTED
            ),
            "pulls.service": unit(
                machine, "RequiresOverridable=pulled.service\nAfter=pulled.service", install=WANTED
            ),
            "pulled.service": unit(machine),
            "bystander.service": unit(machine, install=WANTED),
            "auto.service": unit(machine, "RefuseManualStart=yes"),
            "starter.service": unit(machine, "Wants=auto.service"),
        }
    )
    told(machine, "pulled-start", "bound-start", "tells-start")
    for name in ("needs", "needed"):
        outcome = machine.gitproc("start", name)
        assert outcome.status != 0 and "basis.service" in outcome.err, outcome
    assert not {"needs-start", "needed-start", "basis-start"} & {*story(machine)}
    assert machine.gitproc("start", "basis").status == 0
    assert machine.gitproc("start", "needs", "needed").status == 0

    assert machine.gitproc("reload", "tells").status == 0
    told(machine, "tells-reload", "root-reload", "listens-reload", "heard-reload")
    assert machine.gitproc("stop", "root").status == 0
    told(machine, "root-stop", "listens-stop", "bound-stop")
    assert machine.unit("heard")["active_state"] == "active"
    assert machine.gitproc("stop", "pulled").status == 0
    told(machine, "pulls-stop")
    assert not {"bystander-reload", "bystander-stop", "bound-reload"} & {*story(machine)}

    outcome = machine.gitproc("start", "auto")
    assert outcome.status != 0 and "RefuseManualStart=yes" in outcome.err, outcome
    assert "auto-start" not in story(machine)
    assert machine.gitproc("start", "starter").status == 0
    told(machine, "auto-start")


def test_what_being_in_the_commit_enables(machine):
    machine.deploy(
        {
            "master.service": unit(machine),
            "keeper.service": unit(machine, install=WANTED),
            "demanded.service": unit(machine, install="RequiredBy=master.service"),
            "wished.service": unit(machine, install="WantedBy=master.service"),
            "upheld.service": unit(machine, install="UpheldBy=keeper.service"),
            "named.service": unit(machine, install="Alias=other-name.service"),
            "many@.service": unit(
                machine, install="WantedBy=keeper.service\nDefaultInstance=chosen"
            ).replace("%p", "%i"),
            "none@.service": unit(machine, install="WantedBy=keeper.service"),
        }
    )
    told(machine, "keeper-start", "upheld-start", "chosen-start")
    assert not {"master-start", "demanded-start", "wished-start"} & {*story(machine)}
    assert [x for x in machine.units() if x.startswith(("many@", "none@"))] == ["many@chosen"]
    assert machine.gitproc("start", "master").status == 0
    told(machine, "demanded-start", "wished-start")
    assert machine.gitproc("stop", "wished").status == 0
    assert machine.unit("master")["active_state"] == "active"
    assert machine.gitproc("stop", "demanded").status == 0
    told(machine, "master-stop")

    before = machine.wait("upheld", "running")["main_pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: machine.unit("upheld")["main_pid"] not in (before, None), "it is upheld")
    assert machine.gitproc("start", "other-name").status == 0
    told(machine, "named-start")
    assert machine.gitproc("show", "other-name", "-p", "Id").out == "Id=named.service\n"


def test_how_long_a_start_may_wait_and_take(machine):
    machine.commit(
        {
            "slow.service": once(machine, work="sleep 1000", install=WANTED),
            "waits.service": once(
                machine, "After=slow.service\nJobTimeoutSec=300ms", install=WANTED
            ),
            "waits-on.service": once(machine, "After=slow.service", install=WANTED),
            "takes.service": once(
                machine, "JobRunningTimeoutSec=300ms\nOnFailure=alarm.service", "sleep 1000"
            ),
            "alarm.service": once(machine),
        }
    )
    assert machine.wait("waits", "failed")["result"] == "timeout"
    assert "JobTimeoutSec=" in machine.unit("waits")["reason"]
    assert machine.unit("waits-on")["active_state"] == "inactive"
    machine.wait("slow", "start")
    outcome = machine.gitproc("start", "takes")
    assert outcome.status != 0 and "JobRunningTimeoutSec=" in outcome.err, outcome
    told(machine, "alarm-start")
    machine.wait("takes", "start")  # it goes on
    machine.gitproc("stop", "takes", "slow")
    assert "waits-start" not in story(machine)


#: Lines of [Unit] and of [Service] -> how often it starts; 0: again and again.
LIMITS = {
    "burst": ("StartLimitBurst=3\nStartLimitIntervalSec=1h", "", 3),
    "older": ("StartLimitIntervalSec=1h", "StartLimitBurst=4", 4),
    "free": ("StartLimitIntervalSec=0", "", 0),
    "free-old": ("StartLimitInterval=0", "", 0),
    "free-older": ("", "StartLimitInterval=0", 0),
}


def test_how_often_it_may_start(machine):
    again = "Restart=always\nRestartSec=0\nExecStart=/bin/false"
    machine.commit(
        {
            f"{name}.service": unit(machine, lines, f"{again}\n{settings}", WANTED)
            for name, (lines, settings, _) in LIMITS.items()
        }
    )
    for name, (_, _, count) in LIMITS.items():
        if count == 0:
            until(lambda n=name: story(machine).count(f"{n}-start") > 10, f"{name} is not limited")
            machine.gitproc("stop", name)
        else:
            assert machine.wait(name, "failed")["result"] == "start-limit-hit", name
            assert story(machine).count(f"{name}-start") == count, name
