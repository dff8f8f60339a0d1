"""After a failed update (Update=overlap) that stays in force: the old instance goes on by its own definition."""

from __future__ import annotations

import pytest

from gitproc.core import status
from gitproc.core.drift import drifts
from gitproc.core.events import SyncAsked, Verb
from gitproc.core.why import why
from tests.core.fake_kernel import KILL, Machine, Program
from tests.core.test_overlap import kinds, living, machine_of, update

FAILED = ("Restart=always", "RestartSec=2")


def failed_update(*lines: str, again: str = "") -> tuple[Machine, str]:
    """A machine whose service goes on by its former definition, as what the commit asks for has failed."""
    machine = machine_of(*lines)
    sha = update(machine, 2, *lines, command="/bin/crash")
    machine.run(10)
    assert machine.verdict(sha) == "failed"
    assert living(machine) == ["notify 1"]
    return machine, sha


@pytest.mark.parametrize("crash", [None, "before", "after"])
def test_the_old_one_is_restarted_by_its_own_definition(crash):
    machine, _ = failed_update(*FAILED)
    if crash == "before":
        machine.crash()
    machine.kill(machine.main("a.service"), KILL)
    if crash == "before":
        machine.restart()
    machine.run(1)
    assert machine.sub("a.service") == "auto-restart"  # by its own RestartSec=
    if crash == "after":
        machine.crash()
        machine.restart()
    machine.run(10)
    assert living(machine) == ["notify 1"]
    assert machine.spawns()[-1] == "notify 1"
    second = status.unit_status(machine.world, "a.service", 0)["second"]
    assert second["role"] == "failed"
    assert "new instance" in str(why(machine.world, "a.service", 0)["reasons"])
    assert [x.kind for x in drifts(machine.world)] == ["outdated"]
    good = update(machine, 3, *FAILED)
    machine.run(20)
    assert living(machine) == ["notify 3"]
    assert machine.verdict(good) == "good"


def test_one_that_ends_for_good_rests():
    machine, _ = failed_update()
    machine.exit(machine.main("a.service"), 1)
    machine.run(20)
    assert not living(machine)
    assert machine.sub("a.service") == "failed"
    assert [x.kind for x in drifts(machine.world)] == ["failed"]
    good = update(machine, 3)
    machine.run(20)
    assert living(machine) == ["notify 3"]
    assert machine.verdict(good) == "good"


@pytest.mark.parametrize("verb", [Verb.RESTART, Verb.START])
def test_an_operator_has_the_commit_s_definition(verb):
    machine, _ = failed_update("Restart=on-failure", "StartLimitBurst=1")
    if verb is Verb.START:
        machine.exit(machine.main("a.service"), 0)
        machine.run(1)
        assert not living(machine)
    request = machine.ask(verb, "a.service")
    machine.run(20)
    assert machine.answer(request, "a.service") == "failed"
    assert machine.spawns()[-1] == "crash 2"


@pytest.mark.parametrize("thorough", [True, False])
def test_sync_has_the_update_tried_again(thorough):
    machine, _ = failed_update(*FAILED)
    pid = machine.main("a.service").pid
    machine.programs["crash"] = Program(ready=1.0)
    machine.post(SyncAsked(1, "root", thorough=thorough))
    machine.run(0.5)
    assert machine.main("a.service").pid == pid  # beside it, as before
    machine.run(20)
    assert living(machine) == ["crash 2"]
    assert kinds(machine)[-3:] == ["swapped", "draining", "drained"]


def test_a_newer_commit_does_not_wait_for_the_restart_of_the_old_one():
    machine, _ = failed_update("Restart=always", "RestartSec=100")
    machine.kill(machine.main("a.service"), KILL)
    machine.run(1)
    assert not living(machine)
    update(machine, 3)
    machine.run(5)
    assert living(machine) == ["notify 3"]
    assert "a~.service" not in machine.world.units
