"""BindsTo= ends a unit as a stop does: who requires it, or is part of it, goes along, and comes back with it."""

from __future__ import annotations

from signal import SIGINT, SIGUSR1

import pytest

from gitproc.core.actions import SignalTree
from gitproc.core.events import Verb
from gitproc.core.why import why
from tests.core import relations_table
from tests.core.fake_kernel import PROGRAMS, Machine, Program, service
from tests.core.relations_table import ALONG, APART

FAMILY = {name: service(unit=text) for name, text in relations_table.FAMILY.items()}


def family(**more: str) -> Machine:
    machine = Machine({**FAMILY, **{f"{name}.service": text for name, text in more.items()}})
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}
    return machine


def lose(machine: Machine, name: str = "a.service", seconds: float = 5) -> None:
    machine.exit(machine.main(name), 1)
    machine.run(seconds)


def subs(machine: Machine, *names: str) -> set[str]:
    return {*machine.subs(*names).values()}


def begun(machine: Machine) -> list[str]:
    return [line.split()[1].rstrip(":") for line in machine.told("unit.starting")]


def stopped(machine: Machine) -> list[str]:
    return [line.split()[1].rstrip(":") for line in machine.told("unit.stopping")]


def test_who_requires_or_is_part_of_what_goes_goes_along_and_comes_back_with_it():
    machine = family()
    lose(machine)
    assert subs(machine, *ALONG) == {"dead"}
    assert subs(machine, *APART) == {"running"}
    order = stopped(machine)
    assert order.index("e.service") < order.index("c.service"), "in the order of a stop"
    assert order.index("f.service") < order.index("b.service")
    machine.run(100)
    assert subs(machine, *ALONG) == {"dead"}
    assert machine.state("d.service").waits_for == "a.service"
    before = len(begun(machine))
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}
    assert sorted(begun(machine)[before:]) == ["a.service", *ALONG]


SIGNALS = "KillSignal=SIGINT\nRestartKillSignal=SIGUSR1"


@pytest.mark.parametrize("relation", ["BindsTo", "PartOf", "StopPropagatedFrom"])
def test_it_is_a_stop_though_they_come_back_and_a_restart_is_none(relation):
    """RestartKillSignal= is for restarts alone (systemd.kill(5))."""
    files = {
        "a.service": service(),
        "b.service": service(
            "Restart=on-failure", "RestartSec=3", unit="BindsTo=a.service\nAfter=a.service"
        ),
        "c.service": service(SIGNALS, unit=f"{relation}=b.service\nAfter=b.service"),
        "d.service": service(SIGNALS, unit="BindsTo=a.service"),
    }
    machine = Machine(files)
    machine.run(5)

    def signals(name: str) -> list[int]:
        return [x.signal for x in machine.orders(SignalTree, name)]

    lose(machine)
    machine.ask(Verb.START, "a.service", "b.service", "c.service", "d.service")
    machine.run(5)
    assert signals("c.service") == signals("d.service") == [SIGINT]
    machine.ask(Verb.RESTART, "a.service")
    machine.run(5)
    assert signals("d.service") == [SIGINT, SIGUSR1]
    if relation != "StopPropagatedFrom":
        assert signals("c.service") == [SIGINT, SIGUSR1]
    assert set(machine.subs().values()) == {"running"}


def test_an_automatic_restart_brings_all_of_them_back():
    machine = family(a=service("Restart=on-failure", "RestartSec=3"))
    lose(machine, seconds=2)
    assert machine.sub("a.service") == "auto-restart"
    assert subs(machine, *ALONG) == {"dead"}
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}
    assert all(len(machine.spawns(name)) == 2 for name in ALONG)
    assert all(len(machine.spawns(name)) == 1 for name in APART)


@pytest.mark.parametrize("when", ["while they stop", "when they are down"])
def test_the_next_manager_knows_who_was_taken_along(when):
    machine = family(c=service("ExecStart=/bin/slow", unit="Requires=b.service"))
    lose(machine, seconds=0.5 if when == "while they stop" else 60)
    assert machine.sub("c.service") == ("stop-sigterm" if when == "while they stop" else "dead")
    machine.crash()
    machine.restart()
    machine.run(60)
    assert subs(machine, *ALONG) == {"dead"}
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}


def test_who_comes_before_what_it_requires_is_back_first():
    machine = family(b=service(unit="BindsTo=a.service\nAfter=a.service c.service"))
    lose(machine)
    assert subs(machine, *ALONG) == {"dead"}
    before = len(begun(machine))
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}
    order = begun(machine)[before:]
    assert order.index("c.service") < order.index("b.service")


@pytest.mark.parametrize("bound", ["BindsTo=a.service", "BindsTo=a.service\nAfter=a.service"])
@pytest.mark.parametrize("after", ["c", "m"], ids=["itself", "by way of another"])
def test_nobody_waits_for_who_waits_for_it(bound, after):
    machine = family(
        a=service(unit=f"After={after}.service"),
        b=service(unit=bound),
        m=service(unit="After=c.service\nPartOf=c.service"),
    )
    lose(machine)
    assert subs(machine, *ALONG) == {"dead"}
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}


def test_none_comes_back_while_that_only_tries_to_start():
    """Nor do those that were taken along by who was taken along."""
    files = {
        **FAMILY,
        "a.service": service(
            "ExecStartPre=/bin/check", "Restart=on-failure", "RestartSec=1",
            unit="StartLimitBurst=4\nStartLimitIntervalSec=60",
        ),
        "x.service": service(unit="BindsTo=b.service\nAfter=b.service"),
        "y.service": service(unit="PartOf=x.service"),
        "z.service": service(unit="PartOf=c.service"),
    }  # fmt: skip
    machine = Machine(files, {"check": PROGRAMS["true"]})
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}
    machine.programs["check"] = Program(lasts=2, status=1)
    lose(machine, seconds=60)
    assert machine.sub("a.service") == "failed"
    along = (*ALONG, "x.service", "y.service", "z.service")
    assert subs(machine, *along) == {"dead"}
    assert {len(machine.spawns(name)) for name in along} == {1}
    machine.programs["check"] = PROGRAMS["true"]
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}


def test_a_stop_of_who_was_about_to_start_again_by_itself_waits_as_well():
    crash = service("Restart=on-failure", "RestartSec=2", unit="Requires=b.service")
    machine = family(c=crash)
    lose(machine, "c.service", seconds=1)
    assert machine.sub("c.service") == "auto-restart"
    lose(machine, seconds=10)
    assert machine.spawns("c.service") == ["run"]
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}


def test_an_operator_starts_a_part_alone_and_is_told_what_is_missing():
    machine = family()
    lose(machine)
    part = machine.ask(Verb.START, "d.service")
    machine.run(1)
    assert machine.answer(part, "d.service") == "done"
    assert machine.subs("b.service", "d.service") == {"b.service": "dead", "d.service": "running"}
    reasons = why(machine.world, "c.service", machine.now)["reasons"]
    assert "it waits for a.service, which b.service has to come back after" in reasons
    required = machine.ask(Verb.START, "e.service")
    machine.run(1)
    assert machine.answer(required, "e.service") == "done"
    assert set(machine.subs().values()) == {"running"}


def test_who_is_started_starts_what_it_requires():
    machine = family(z=service(unit="Requires=d.service\nAfter=d.service"))
    lose(machine)
    request = machine.ask(Verb.RESTART, "z.service")
    machine.run(1)
    assert machine.answer(request, "z.service") == "done"
    assert machine.subs("b.service", "d.service") == {"b.service": "dead", "d.service": "running"}


def test_who_merely_comes_after_a_part_does_not_wait_for_it():
    machine = family(z=service(unit="After=d.service"))
    lose(machine)
    request = machine.ask(Verb.RESTART, "z.service")
    machine.run(1)
    assert machine.answer(request, "z.service") == "done"
    assert machine.sub("d.service") == "dead"


def test_a_trigger_starts_a_part_alone():
    timer = "[Timer]\nOnActiveSec=60\n[Install]\nWantedBy=timers.target"
    machine = Machine({**FAMILY, "d.timer": timer})
    machine.run(5)
    lose(machine, seconds=20)
    assert machine.sub("d.service") == "dead"
    machine.run(60)
    assert machine.subs("b.service", "d.service") == {"b.service": "dead", "d.service": "running"}


def test_who_was_not_there_is_not_kept_from_starting():
    """No stop has reached them: as in systemd, they start without what cannot."""
    bad = service("Type=oneshot", "ExecStart=/bin/false")
    machine = Machine({**FAMILY, "a.service": bad})
    machine.run(5)
    assert machine.subs("b.service", "c.service", "d.service", "g.service") == {
        "b.service": "dead", "c.service": "running", "d.service": "running", "g.service": "running",
    }  # fmt: skip


def test_what_had_ended_by_itself_takes_nobody_along():
    machine = family()
    lose(machine, "b.service")
    lose(machine)
    assert machine.sub("b.service") == "failed"
    assert subs(machine, "c.service", "d.service", "g.service") == {"running"}


@pytest.mark.parametrize("how", ["related no more", "gone", "held"])
def test_a_commit_or_a_stop_that_parts_them_lets_them_start(how):
    machine = family()
    lose(machine)
    if how == "held":
        files = {**FAMILY, "d.service": service()}
        machine.ask(Verb.STOP, "b.service")
        machine.run(1)
        machine.commit(files)
    elif how == "gone":
        machine.commit({name: FAMILY[name] for name in ("a.service", "d.service", "g.service")})
    else:
        machine.commit({**FAMILY, "d.service": service(), "g.service": service()})
    machine.run(5)
    assert machine.sub("d.service") == "running"
    if how != "held":
        assert machine.sub("g.service") == "running"


def test_nor_does_one_wait_for_who_is_not_to_come_back():
    files = {"a.service": service(), "d.service": service(unit="PartOf=b.service")}
    bound = "BindsTo=a.service\nAfter=a.service"
    machine = Machine({**files, "b.service": service(unit=bound)})
    machine.run(5)
    lose(machine)
    assert machine.sub("d.service") == "dead"
    machine.commit({**files, "b.service": service(unit=bound, install=False)})
    machine.run(5)
    assert machine.subs("b.service", "d.service") == {"b.service": "dead", "d.service": "running"}


def test_who_is_back_is_waited_for_no_longer_whatever_it_loses_then():
    files = {
        "a.service": service("Restart=on-failure", "RestartSec=1"),
        "b.service": service(
            unit="BindsTo=a.service\nRequires=r.service\nAfter=a.service r.service"
        ),
        "d.service": service(unit="PartOf=b.service\nAfter=z.service"),
        "r.service": service(),
        "z.service": service("Type=notify", unit="PartOf=b.service"),
    }
    machine = Machine(files, {"run": Program(ready=3.0)})
    machine.run(10)
    lose(machine, seconds=2)
    assert machine.subs("b.service", "z.service") == {"b.service": "running", "z.service": "start"}
    lose(machine, "r.service")
    assert machine.subs("b.service", "d.service") == {
        "b.service": "running",
        "d.service": "running",
    }


def test_who_has_ended_is_left_alone_until_a_commit_changes_it():
    machine = family()
    lose(machine, "d.service")
    lose(machine)
    assert machine.subs("b.service", "d.service") == {"b.service": "dead", "d.service": "failed"}
    changed = service("Nice=1", unit=relations_table.FAMILY["d.service"])
    machine.commit({**FAMILY, "d.service": changed, "y.service": service()})
    machine.run(5)
    assert machine.sub("d.service") == "running"


def test_who_was_never_started_is_not_taken_along():
    files = {**FAMILY, "n.service": service(unit="PartOf=b.service", install=False)}
    machine = Machine(files)
    machine.run(5)
    lose(machine)
    assert subs(machine, *ALONG) == {"dead"}


def test_who_ends_by_itself_meanwhile_has_ended():
    part = service("ExecStopPost=/bin/post", unit=relations_table.FAMILY["d.service"])
    machine = Machine({**FAMILY, "d.service": part}, {"post": Program(lasts=2.0)})
    machine.run(5)
    machine.exit(machine.main("d.service"), 0)
    machine.run(0.5)
    assert machine.sub("d.service") == "stop-post"
    lose(machine)
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert subs(machine, "b.service") == {"running"}
    assert machine.sub("d.service") == "dead"
