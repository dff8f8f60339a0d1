"""Timers and path units through histories at random: none is ever forgotten, none ever spins."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.core.events import Verb
from gitproc.core.occasions import ClockSet, ZoneSet
from gitproc.core.step import next_deadline
from tests.core.fake_kernel import Machine, Program, service

TIMERS = (
    ("OnActiveSec=5", "OnUnitActiveSec=7"),
    ("OnUnitInactiveSec=3", "OnActiveSec=0"),
    ("OnCalendar=*:*:0/10", "Persistent=yes"),
    ("OnCalendar=*:*:0/10", "DeferReactivation=yes", "RandomizedDelaySec=4"),
    ("OnClockChange=yes", "OnTimezoneChange=yes", "OnBootSec=1020", "RemainAfterElapse=no"),
)
JOBS = ("true", "false", "long", "run", "missing")
NAMES = ("a.timer", "a.service", "b.path", "b.service")


def files(timer: int, job: int) -> dict[str, str]:
    body = "\n".join((*TIMERS[timer], "AccuracySec=1ms"))
    work = service("Type=oneshot", f"ExecStart=/bin/{JOBS[job]}", install=False)
    return {
        "a.timer": f"[Timer]\n{body}\n[Install]\nWantedBy=timers.target\n",
        "a.service": work,
        "b.path": "[Path]\nPathExists=/x\nPathChanged=/y\n[Install]\nWantedBy=paths.target\n",
        "b.service": work,
    }


happenings = st.one_of(
    st.tuples(st.just("run"), st.floats(0, 30)),
    st.tuples(st.just("commit"), st.integers(0, len(TIMERS) * len(JOBS) - 1)),
    st.tuples(st.just("stop"), st.sampled_from(NAMES)),
    st.tuples(st.just("start"), st.sampled_from(NAMES)),
    st.tuples(st.just("clock"), st.floats(-5000, 5000)),
    st.tuples(st.just("zone"), st.sampled_from("xy")),
    st.tuples(st.just("write"), st.sampled_from(("/x", "/y"))),
    st.tuples(st.just("remove"), st.sampled_from(("/x", "/y"))),
    st.tuples(st.just("crash"), st.floats(0, 20)),
    st.tuples(st.just("reboot"), st.none()),
)


def happen(machine: Machine, what: str, how: object) -> None:
    match what, how:
        case "run", float(seconds):
            machine.run(seconds)
        case "commit", int(number):
            machine.commit(files(*divmod(number, len(JOBS))))
        case "stop" | "start", str(name):
            machine.ask(Verb(what), name)
        case "clock", float(seconds):
            machine.post(ClockSet(machine.clock.wall + seconds))
        case "zone", str(zone):
            machine.post(ZoneSet(zone))
        case "write", str(path):
            machine.write(path, f"{machine.steps}")
        case "remove", str(path):
            machine.write(path, "")
        case "crash", float(seconds):
            machine.crash()
            machine.now += seconds
            machine.restart()
        case "reboot", _:
            machine.clock.wall += machine.now
            machine.reboot()
        case _:
            raise AssertionError(what)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, len(TIMERS) - 1),
    st.integers(0, len(JOBS) - 1),
    st.lists(happenings, max_size=12),
)
def test_nobody_is_forgotten_and_nobody_spins(timer, job, history):
    machine = Machine(programs={"long": Program(lasts=6)})
    machine.clock.wall = 1.7e9
    machine.commit(files(timer, job))
    for what, how in history:
        before, at = machine.steps, machine.now
        happen(machine, what, how)
        assert machine.steps - before < 400 + 40 * max(0.0, machine.now - at)
        machine.deliver()
        state = machine.state("a.timer")
        if state.sub == "waiting" and state.timer is not None and state.timer.deadline is not None:
            alarm = next_deadline(machine.world)
            assert alarm is not None
            assert alarm <= state.timer.deadline
        watcher = machine.state("b.path")
        watched = "b.path" in machine._path_units
        assert watched == (watcher.sub == "waiting"), (watcher.sub, watcher.path)
    assert machine.doubles() == []
