"""Coming back after a crash: in each state, at each moment, whatever was lost."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Signal, SignalTree, Spawn
from gitproc.core.events import Adopted, AdoptionDone, Process, Slot, Verb
from tests.core.fake_kernel import Machine, Program, service

FULL = (
    "Type=notify",
    "ExecStart=/bin/notify",
    "ExecStartPre=/bin/long",
    "ExecStartPost=/bin/long",
    "ExecReload=/bin/long",
    "ExecStop=/bin/long",
    "ExecStopPost=/bin/long",
    "TimeoutStopSec=3",
)
EXTRA = {"long": Program(lasts=1.0), "notify": Program(ready=1.0, takes=0.6, on_signal=0)}


def life(crash_at: float, *, orders: int | None = None, down: float = 0.0) -> Machine:
    """A whole life of a unit (start, reload, restart, stop) with one crash in it."""
    machine = Machine({"a.service": service(*FULL)}, EXTRA)
    script = {4.0: Verb.RELOAD, 7.0: Verb.RESTART, 15.0: Verb.STOP}
    crashed = False
    for tick in range(250):
        at = tick / 10
        if at in script and machine.manager_up:
            machine.ask(script[at], "a.service")
        if not crashed and at >= crash_at:
            crashed = True
            if orders is None:
                machine.crash()
                machine.run(down)
                machine.restart()
            else:
                machine.orders_left = orders
        machine.run(0.1)
    return machine


WHOLE = ["long", "notify", "long", "long", "long", "long", "long", "notify", "long", "long", "long"]


def made(machine: Machine) -> list[str]:
    """Commands in the order in which processes were made."""
    return [proc.command for proc in machine.procs.values()]


def test_the_life_without_a_crash():
    machine = life(1000)
    assert made(machine) == WHOLE
    assert machine.sub("a.service") == "dead"
    assert not machine.alive()


@pytest.mark.parametrize("crash_at", [x / 2 + 0.05 for x in range(42)])
def test_a_crash_in_any_state_changes_nothing(crash_at):
    machine = life(crash_at)
    assert made(machine) == WHOLE
    assert machine.sub("a.service") == "dead"
    assert not machine.alive()


@pytest.mark.parametrize("orders", range(3))
@pytest.mark.parametrize(
    "crash_at", [0.0, 0.9, 1.9, 3.0, 4.5, 6.9, 7.5, 8.0, 8.6, 9.0, 15.0, 16.0, 17.0]
)
def test_a_crash_in_the_midst_of_orders_loses_none(crash_at, orders):
    machine = life(crash_at, orders=orders)
    assert made(machine) == WHOLE
    assert machine.sub("a.service") == "dead"
    assert not machine.alive()


def test_exits_of_the_time_without_a_manager_are_taken_in_before_or_after():
    for exits_first in (True, False):
        machine = Machine({"a.service": service("Restart=always"), "b.service": service()})
        machine.run(5)
        mains = [machine.main("a.service"), machine.main("b.service")]
        machine.crash()
        for proc in mains:
            machine.exit(proc, 3)
        machine.restart(exits_first=exits_first)
        machine.run(5)
        assert machine.subs() == {"a.service": "running", "b.service": "failed"}
        assert machine.spawns("a.service") == ["run", "run"]
        assert machine.spawns("b.service") == ["run"]
        assert not machine.shim.exits


def test_a_command_that_follows_an_exit_of_that_time_is_ordered_once():
    machine = Machine({"a.service": service("ExecStartPre=/bin/long")}, EXTRA)
    machine.run(0.5)
    machine.crash()
    machine.run(2)
    machine.restart(exits_first=True)
    tokens = [order.process for order in machine.orders(Spawn, "a.service")]
    assert len(set(tokens)) == len(tokens) == 2
    machine.run(1)
    assert machine.sub("a.service") == "running"


def test_the_first_spawn_that_was_lost_is_still_the_first():
    machine = Machine({"a.service": service("ExecStart=/bin/true")})
    machine.run(5)
    machine.orders_left = 2
    machine.ask(Verb.RESTART, "a.service")
    machine.run(5)
    spawns = machine.orders(Spawn, "a.service")[1:]
    assert [order.first for order in spawns] == [True, True]
    assert spawns[0].process == spawns[1].process
    assert machine.spawns() == ["true", "true", "true"]
    assert len(machine.procs) == 2


def test_a_target_is_known_again():
    target = {"all.target": "[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target\n"}
    machine = Machine(target)
    machine.run(1)
    before = machine.state("all.target").invocation
    machine.crash()
    machine.restart()
    assert machine.state("all.target").invocation == before
    assert len(machine.told("unit.started", "all.target")) == 1


def test_deadlines_go_on():
    machine = Machine(
        {"a.service": service("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=10")}
    )
    machine.run(6)
    machine.crash()
    machine.run(1)
    machine.restart()
    machine.run(2.5)
    assert machine.sub("a.service") == "start"
    machine.run(1)
    assert machine.sub("a.service") == "failed"


def test_readiness_said_while_nobody_listened_is_heard():
    machine = Machine({"a.service": service("Type=notify", "ExecStart=/bin/notify")})
    machine.run(0.5)
    machine.crash()
    machine.run(2)
    machine.restart()
    assert machine.sub("a.service") == "running"


def test_an_automatic_restart_that_came_due_happens():
    machine = Machine(
        {"a.service": service("ExecStart=/bin/crash", "Restart=always", "RestartSec=2")}
    )
    machine.run(1)
    machine.crash()
    machine.run(5)
    machine.programs["crash"] = Program()
    machine.restart()
    machine.run(1)
    assert machine.sub("a.service") == "running"
    assert machine.state("a.service").restarts == 1


def test_restarts_are_forgotten_in_time_over_a_crash():
    machine = Machine({"a.service": service("ExecStart=/bin/crash", "Restart=always")})
    machine.run(0.1)
    machine.programs["crash"] = Program()
    machine.run(30)
    assert machine.state("a.service").restarts == 1
    machine.crash()
    machine.restart()
    machine.run(31)
    assert machine.state("a.service").restarts == 0


def test_a_process_that_belongs_to_no_instance_is_ended():
    machine = Machine({"a.service": service()})
    machine.run(5)
    stray = machine._new("a.service", "f" * 32, Program())
    stray.token = Process("a.service", "f" * 32, Slot.MAIN, 77, "")
    machine.shim.born[stray.token] = stray
    machine.crash()
    machine.restart()
    machine.run(1)
    assert not stray.alive
    assert machine.told("unit.stray")
    assert machine.spawns() == ["run"]


def test_a_health_command_that_was_under_way_is_ended_in_silence():
    own = "HealthCheckExec=/bin/check\nHealthCheckInterval=2"
    machine = Machine({"a.service": service(own=own)}, {"check": Program(lasts=3.0)})
    machine.run(1.5)
    assert len(machine.alive()) == 2
    machine.crash()
    machine.restart()
    machine.run(0.1)
    assert len(machine.alive()) == 1
    assert not machine.told("unit.stray")
    assert machine.sub("a.service") == "running"


def test_a_lost_definition_ends_what_ran_by_it_and_starts_anew():
    machine = Machine({"a.service": service("ExecStart=/bin/brood")})
    machine.run(5)
    old = machine.state("a.service").invocation
    machine.crash()
    machine.definitions.clear()
    machine.restart()
    machine.run(5)
    assert machine.sub("a.service") == "running"
    assert {proc.invocation for proc in machine.alive()} == {machine.state("a.service").invocation}
    assert machine.state("a.service").invocation != old


def test_a_lost_definition_ends_what_ran_by_it_though_nothing_starts_anew():
    machine = Machine({"a.service": service("ExecStart=/bin/stubborn", "TimeoutStopSec=1h")})
    machine.run(5)
    machine.ask(Verb.STOP, "a.service")
    machine.crash()
    machine.definitions.clear()
    machine.restart()
    machine.run(5)
    assert machine.alive() == []


def test_what_is_left_of_a_stop_is_waited_for_by_the_next_manager():
    brood = Program(children=(Program(takes=3.0, on_signal=0),))
    machine = Machine({"a.service": service("ExecStart=/bin/brood")}, {"brood": brood})
    machine.run(5)
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    assert machine.sub("a.service") == "final-sigterm"
    machine.crash()
    machine.restart()
    machine.run(5)
    assert machine.sub("a.service") == "dead"


def test_another_shim_adopts_what_survived_and_calls_the_rest_lost():
    files = {
        "a.service": service("Restart=on-failure"),
        "b.service": service("Type=oneshot", "ExecStart=/bin/true", "RemainAfterExit=yes"),
        "c.service": service("Type=oneshot", "ExecStart=/bin/true"),
    }
    for survivors in (True, False):
        machine = Machine(files)
        machine.run(5)
        before = machine.state("a.service").invocation
        machine.new_shim(survivors=survivors)
        machine.run(5)
        assert (machine.state("a.service").invocation == before) is survivors
        assert machine.sub("a.service") == "running"
        assert machine.sub("b.service") == "exited"
        assert machine.spawns("c.service") == ["true", "true"]
        machine.exit(machine.main("a.service"), 1)
        machine.run(1)
        assert machine.sub("a.service") == "running"
        machine.shutdown()
        machine.run(5)
        assert machine.exited and not machine.alive()


def test_a_forking_service_is_known_again():
    machine = Machine(
        {"a.service": service("Type=forking", "ExecStart=/bin/forks", "PIDFile=/run/a")}
    )
    machine.run(5)
    daemon = machine.main("a.service")
    for shim in (False, True):
        if shim:
            machine.new_shim()
        else:
            machine.crash()
            machine.restart()
        machine.run(1)
        assert machine.main("a.service") is daemon
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    assert not machine.alive()


@pytest.mark.parametrize("crash_at", [x / 100 for x in range(12)])
def test_a_forking_start_survives_a_crash_at_any_moment(crash_at):
    for lines in ((), ("PIDFile=/run/a",)):
        machine = Machine({"a.service": service("Type=forking", "ExecStart=/bin/forks", *lines)})
        machine.run(crash_at / 2)
        machine.crash()
        machine.restart()
        machine.run(5)
        assert machine.sub("a.service") == "running"
        assert made(machine) == ["forks", ""]


def test_nothing_is_started_or_stopped_before_the_table_and_the_commit_are_known():
    machine = Machine(
        {"a.service": service(), "b.service": service("Restart=always", "ExecStart=/bin/crash")}
    )
    machine.run(0.2)
    machine.crash()
    machine.run(30)
    machine._load_applied = lambda **_: None  # type: ignore[method-assign]
    machine.restart()
    mark = len(machine.spawns())
    machine.run(30)
    assert len(machine.spawns()) == mark
    assert machine.sub("a.service") == "running"


def test_a_restart_that_waits_for_others_to_stop_is_not_forgotten():
    machine = Machine(
        {
            "a.service": service(),
            "b.service": service("ExecStart=/bin/slow", unit="PartOf=a.service\nAfter=a.service"),
        }
    )
    machine.run(5)
    machine.ask(Verb.RESTART, "a.service")
    machine.run(1)
    assert machine.subs() == {"a.service": "running", "b.service": "stop-sigterm"}
    machine.crash()
    machine.restart()
    machine.run(10)
    assert machine.spawns() == ["run", "slow", "run", "slow"]


def test_a_shutdown_that_was_cut_short_by_a_crash_can_be_asked_for_again():
    machine = Machine(
        {"a.service": service("ExecStart=/bin/slow"), "b.service": service(unit="After=a.service")}
    )
    machine.run(5)
    machine.shutdown()
    machine.crash()
    machine.restart()
    machine.shutdown()
    machine.run(10)
    assert machine.exited
    assert not machine.alive()


def test_a_late_announcement_of_something_long_gone_is_harmless():
    machine = Machine({"a.service": service()})
    machine.run(5)
    gone = Process("a.service", "0" * 32, Slot.MAIN, 5, "")
    machine.post(Adopted(gone, 4242, 1, alive=False), AdoptionDone(same_shim=True))
    machine.run(1)
    assert machine.sub("a.service") == "running"
    assert machine.spawns() == ["run"]


def test_a_process_that_is_being_made_is_awaited_and_not_ordered_again():
    it = Machine()
    it.held_up["a.service"] = []
    it.commit({"a.service": service()})
    it.crash()
    it.restart()
    assert it.spawns("a.service") == ["run"]
    assert it.sub("a.service") == "start"
    for birth in it.held_up.pop("a.service"):
        birth()
    it.run(1)
    assert it.sub("a.service") == "running"
    assert len(it.procs) == 1


def test_a_process_that_is_being_made_and_wanted_no_more_is_ended():
    it = Machine()
    it.held_up["a.service"] = []
    it.commit({"a.service": service("Type=exec")})
    it.crash()
    it.restart()
    it.commit({})
    for birth in it.held_up.pop("a.service"):
        birth()
    it.run(1)
    assert it.sub("a.service") == "dead"
    assert not it.alive("a.service")


def signals(machine, name="a.service"):
    return [x.signal for x in machine.orders(Signal, name) + machine.orders(SignalTree, name)]


def test_who_has_been_told_to_end_is_not_told_again():
    """A second signal means more than one to some: an end at once, work lost."""
    machine = Machine({"a.service": service("ExecStart=/bin/stubborn")})
    machine.run(1)
    machine.ask(Verb.STOP, "a.service")
    machine.run(0.1)
    machine.crash()
    machine.restart()
    machine.run(1)
    assert machine.sub("a.service") == "stop-sigterm"
    assert signals(machine) == [15]


def test_the_signal_that_was_lost_with_the_manager_is_sent_after_all():
    machine = Machine({"a.service": service("ExecStart=/bin/run")})
    machine.run(1)
    machine.orders_left = 0
    machine.ask(Verb.STOP, "a.service")
    machine.run(2)
    assert machine.sub("a.service") == "dead"


def test_a_former_main_process_of_the_instance_is_no_stray():
    machine = Machine({"a.service": service("ExecStart=/bin/run", "NotifyAccess=all")})
    machine.run(1)
    old = machine.main("a.service")
    other = machine._new("a.service", machine.state("a.service").invocation, Program())
    machine.say(old, MAINPID=str(other.pid))
    machine.run(0.1)
    assert machine.main("a.service") is other
    machine.crash()
    machine.restart()
    machine.run(1)
    assert old.alive
    assert machine.main("a.service") is other
    assert machine.told("unit.stray") == []


def test_a_lost_definition_of_a_slice_ends_nothing_in_it():
    machine = Machine({"s.slice": "[Slice]\nTasksMax=5\n", "a.service": service("Slice=s.slice")})
    machine.run(5)
    (before,) = machine.alive()
    machine.crash()
    lost = machine.state("s.slice").definition.fingerprint
    del machine.definitions[lost]
    machine.restart()
    machine.run(5)
    assert machine.alive() == [before]
    assert machine.orders(SignalTree) == []  # its tree are those of others
    assert machine.sub("s.slice") == "active"


@pytest.mark.parametrize("orders", range(16))
def test_a_crash_in_the_middle_of_a_live_change_ends_nothing(orders):
    def files(tasks):
        units = {f"{x}.service": service(f"TasksMax={tasks}", "Slice=s.slice") for x in "ab"}
        return {"s.slice": f"[Slice]\nTasksMax={tasks}\n", **units}

    machine = Machine(files(5))
    machine.run(5)
    before = machine.alive()
    machine.orders_left = orders
    machine.commit(files(6), "b" * 40)
    machine.run(5)
    assert machine.alive() == before
    assert all(machine.state(x).unit == machine.world.wanted_unit(x) for x in files(0))
