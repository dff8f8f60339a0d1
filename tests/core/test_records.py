"""What is on disk: all that cannot be found out again, and only what has changed."""

from __future__ import annotations

import json

import pytest

from gitproc.core import process_records, records
from gitproc.core.actions import Record
from gitproc.core.events import Slot, Tick, Verb
from gitproc.core.states import SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from tests.core.fake_kernel import Machine, Program, service

FORGOTTEN = {
    "probe",  # ended, for nobody waits for it
    "health",  # `passed` and the failures are kept; the next probe is set anew
    "waits_for",
    "waits_because",
    "obstacle",
    "gate_index",
}


def kept(state: UnitState) -> dict[str, object]:
    """Everything of a state that must come back."""
    return {
        name: getattr(state, name) for name in UnitState.__match_args__ if name not in FORGOTTEN
    }


SITUATIONS = {
    "running": (("Restart=always",), 3.0),
    "starting": (("Type=notify", "ExecStart=/bin/notify"), 0.5),
    "pre": (("ExecStartPre=/bin/run",), 0.5),
    "exited": (("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true"), 3.0),
    "finished": (("Type=oneshot", "ExecStart=/bin/true"), 3.0),
    "failed": (("ExecStart=/bin/crash",), 3.0),
    "limit": (("ExecStart=/bin/crash", "Restart=always"), 30.0),
    "restarting": (("ExecStart=/bin/crash", "Restart=always", "RestartSec=1h"), 30.0),
    "stopping": (("ExecStart=/bin/crash", "ExecStopPost=/bin/run"), 3.0),
    "forking": (("Type=forking", "ExecStart=/bin/forks", "PIDFile=/run/p"), 3.0),
}


@pytest.mark.parametrize(("lines", "seconds"), SITUATIONS.values(), ids=SITUATIONS.keys())
def test_a_state_comes_back_as_it_was(lines, seconds):
    machine = Machine({"a.service": service(*lines)})
    machine.run(seconds)
    state = machine.state("a.service")
    machine.post(Tick())
    record = json.loads(json.dumps(records.unit_record(state)))
    assert kept(records.unit_from("a.service", record, machine.definitions.get)) == kept(state)
    assert machine.disk["unit/a.service"] == record


def test_holds_demands_and_health_come_back():
    machine = Machine(
        {
            "a.service": service(),
            "b.service": service(install=False),
            "c.service": service(own="HealthCheckURL=http://127.0.0.1/\nHealthCheckInterval=2"),
        }
    )
    machine.run(5)
    machine.ask(Verb.STOP, "a.service")
    machine.ask(Verb.START, "b.service")
    machine.healthy["c.service"] = False
    machine.run(3)
    before = {name: kept(machine.state(name)) for name in machine.world.units}
    failures = machine.state("c.service").health.failures
    assert failures
    machine.crash()
    machine.restart()
    assert {name: kept(machine.state(name)) for name in machine.world.units} == before
    assert machine.state("c.service").health.failures == failures
    assert machine.state("c.service").health.passed


def test_what_is_at_rest_and_says_nothing_leaves_no_record():
    machine = Machine({"a.service": service(install=False), "b.service": service()})
    machine.run(5)
    assert "unit/a.service" not in machine.disk
    assert "unit/b.service" in machine.disk
    machine.commit({"c.service": service(install=False)})
    machine.run(5)
    assert [key for key in machine.disk if key.endswith(".service")] == []


def test_only_what_changed_is_written():
    machine = Machine({f"{name}.service": service() for name in "abcdef"})
    machine.run(10)
    mark = len(machine.actions)
    machine.post(Tick())
    assert not machine.actions[mark:]
    machine.exit(machine.main("a.service"))
    keys = {a.key for _, a in machine.actions[mark:] if isinstance(a, Record)}
    assert keys == {"unit/a.service"}


def test_what_is_recorded_comes_before_what_is_ordered_in_its_turn():
    """The token of a process is on disk before the process can be."""
    machine = Machine({"a.service": service(), "b.service": service("ExecStartPre=/bin/true")})
    spawn, checked = machine._spawn, []

    def check(process, *rest):
        name, record = process.unit, machine.disk[f"unit/{process.unit}"]
        known = [process_records.read(name, record, slot) for slot in Slot]
        checked.append(process in [running.process for running in known if running is not None])
        spawn(process, *rest)

    machine._spawn = check  # type: ignore[method-assign]
    machine.run(5)
    machine.ask(Verb.RESTART, "a.service")
    machine.run(5)
    assert checked and all(checked)


def test_a_reboot_keeps_commits_verdicts_and_holds_and_nothing_that_ran():
    machine = Machine(
        {"a.service": service(), "b.service": service("Type=oneshot", "ExecStart=/bin/true")}
    )
    machine.run(10)
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    goods = list(machine.world.goods)
    machine.reboot()
    machine.run(10)
    assert machine.world.goods == goods
    assert list(machine.world.verdicts.values()) == ["good"]
    assert machine.state("a.service").hold is not None
    assert machine.spawns("b.service") == ["true", "true"]
    assert machine.spawns("a.service") == ["run"]


def test_tokens_are_never_used_twice():
    machine = Machine(
        {"a.service": service("ExecStart=/bin/crash", "Restart=always", "RestartSec=3")}
    )
    for _ in range(5):
        machine.run(7)
        machine.crash()
        machine.restart()
    cookies = [p.token.cookie() for p in machine.procs.values() if p.token is not None]
    serials = [p.token.serial for p in machine.procs.values() if p.token is not None]
    assert len(set(cookies)) == len(cookies)
    assert len(set(serials)) == len(serials)


def test_a_refused_spawn_does_not_stay_in_the_records():
    machine = Machine({"a.service": service("ExecStart=/bin/refused")}, {"x": Program()})
    machine.run(5)
    assert machine.disk["unit/a.service"].get("main") is None
    assert machine.sub("a.service") == SubState.FAILED


def test_an_empty_world_comes_back_from_an_empty_disk():
    world = World(seed="s")
    records.restore(world, {}, lambda _: None, same_boot=True, same_shim=True)
    assert world.units == {}
    assert world.applied is None
    assert world.seed == "s"


@pytest.mark.parametrize("slot", ["main", "control"])
def test_what_earlier_versions_wrote_of_processes_comes_back(slot):
    lines = ("ExecStartPre=/bin/run",) if slot == "control" else ()
    machine = Machine({"a.service": service(*lines)})
    machine.run(0.5 if lines else 3.0)
    state = machine.state("a.service")
    record = json.loads(json.dumps(records.unit_record(state)))
    running = getattr(state, slot)
    assert record[slot][0] == running.process.serial
    record[slot][0] = running.process.cookie()
    assert kept(records.unit_from("a.service", record, machine.definitions.get)) == kept(state)


def test_a_process_spawned_by_another_definition_than_the_present_keeps_its_token():
    machine = Machine({"a.service": service("MemoryMax=64M")})
    machine.run(3.0)
    state = machine.state("a.service")
    machine.commit({"a.service": service("MemoryMax=128M")})
    machine.run(3.0)
    assert state.main is not None and state.unit is not None
    assert state.main.process.fingerprint != state.unit.fingerprint
    record = json.loads(json.dumps(records.unit_record(state)))
    assert record["main"][0] == state.main.process.cookie()
    back = records.unit_from("a.service", record, machine.definitions.get)
    assert back.main == state.main


def test_records_that_were_read_are_still_told_from_new_ones():
    machine = Machine({"a.service": service(), "b.service": service()})
    machine.run(8.0)
    world = machine.world
    world.recorded = json.loads(json.dumps(machine.disk))
    records.forget_texts(world.recorded)
    world.actions, world.dirty = [], dict.fromkeys(world.units)
    records.write(world)
    assert not [action for action in world.actions if isinstance(action, Record)]
    world.units["a.service"].restarts += 1
    records.write(world)
    assert [x.key for x in world.actions if isinstance(x, Record)] == ["unit/a.service"]
