"""The life of one process, by orders and news: the pretended kernel and the real one say the same."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Acknowledge, Signal
from gitproc.core.events import (
    Executed,
    ExitCode,
    Exited,
    SetupFailed,
    Slot,
    Spawned,
    SpawnFailed,
)
from tests.contract.programs import SEGV, USR1
from tests.core.fake_kernel import KILL, TERM

BORN = [Spawned, Executed]
LIFE = [*BORN, Exited]


def ending(exited):
    return exited.code, exited.status


@pytest.mark.parametrize(
    ("program", "end"),
    [
        ("true", (ExitCode.EXITED, 0)),
        ("false", (ExitCode.EXITED, 1)),
        ("crash", (ExitCode.EXITED, 3)),
        ("killed", (ExitCode.KILLED, USR1)),
    ],
)
def test_a_process_is_born_executes_and_ends_in_that_order(host, program, end):
    process = host.spawn(host.unit(program))
    exited = host.one(Exited, process)
    assert ending(exited) == end
    assert exited.sequence
    assert exited.tree_empty
    spawned = host.one(Spawned, process)
    assert spawned.pid and spawned.start_time
    host.let_pass()
    assert host.kinds(process) == LIFE


def test_a_core_dump_is_told_from_a_mere_signal(host):
    process = host.spawn(host.unit("dumps", f"WorkingDirectory={host.here}"))
    code = ExitCode.DUMPED if host.dumps_core else ExitCode.KILLED
    assert ending(host.one(Exited, process)) == (code, SEGV)


def test_sequences_grow(host):
    first, second = (
        host.one(Exited, host.spawn(host.unit("true", name=name)))
        for name in ("a.service", "b.service")
    )
    assert 0 < first.sequence < second.sequence


@pytest.mark.parametrize(
    ("program", "step", "status"), [("missing", "EXEC", 203), ("homeless", "CHDIR", 200)]
)
def test_a_setup_that_fails_in_the_child_says_where_and_ends_with_its_number(
    host, program, step, status
):
    process = host.spawn(host.unit(program))
    exited = host.one(Exited, process)
    assert ending(exited) == (ExitCode.EXITED, status)
    assert exited.sequence
    assert exited.tree_empty
    failed = host.one(SetupFailed, process)
    assert (failed.step, failed.errno) == (step, 2)
    assert failed.message
    assert host.kinds(process) == [Spawned, SetupFailed, Exited]


@pytest.mark.parametrize(
    ("program", "step", "status"), [("nobody", "USER", 217), ("nogroup", "GROUP", 216)]
)
def test_what_fails_before_there_is_a_process_ends_as_if_in_the_child(host, program, step, status):
    process = host.spawn(host.unit(program))
    exited = host.one(Exited, process)
    assert ending(exited) == (ExitCode.EXITED, status)
    assert exited.sequence == 0, "the shim knows nothing of it"
    assert exited.tree_empty
    assert host.one(SetupFailed, process).step == step
    assert host.kinds(process) == [SetupFailed, Exited]


def test_what_has_no_exit_status_of_its_own_makes_no_process(host):
    process = host.spawn(host.unit("refused"))
    assert host.one(SpawnFailed, process).message
    host.let_pass()
    assert host.kinds(process) == [SpawnFailed]


# -- signals ---------------------------------------------------------------------------------------


def test_a_process_dies_of_a_signal(host):
    process = host.start(host.unit("run"))
    assert ending(host.kill(process, TERM)) == (ExitCode.KILLED, TERM)


def test_a_process_may_end_by_itself_on_a_signal(host):
    process = host.start(host.unit("obeys"))
    assert ending(host.kill(process, TERM)) == (ExitCode.EXITED, 7)


def test_a_process_may_ignore_a_signal_but_not_sigkill(host):
    process = host.start(host.unit("stubborn"))
    host.order(Signal(process, TERM))
    host.let_pass()
    assert host.kinds(process) == BORN
    assert ending(host.kill(process, KILL)) == (ExitCode.KILLED, KILL)


def test_signal_0_hurts_nobody(host):
    process = host.start(host.unit("run"))
    host.order(Signal(process, 0))
    host.let_pass()
    assert host.kinds(process) == BORN


def test_a_signal_before_the_birth_is_not_lost(host):
    process = host.spawn(host.unit("run"))
    host.order(Signal(process, KILL))
    assert ending(host.one(Exited, process)) == (ExitCode.KILLED, KILL)
    kinds = host.kinds(process)
    assert kinds[0] is Spawned, "the process may not have come to its exec"
    assert kinds[-1] is Exited


def test_a_signal_to_what_has_ended_or_never_was_is_nothing(host):
    process = host.spawn(host.unit("true"))
    exited = host.one(Exited, process)
    host.order(Signal(process, KILL))
    host.acknowledge(exited)
    host.order(Signal(process, KILL))
    host.order(Signal(host.token(host.unit("true")), KILL))
    host.let_pass()
    assert host.kinds(process) == LIFE


# -- tokens ----------------------------------------------------------------------------------------


def test_one_token_makes_one_process_however_often_it_is_ordered(host):
    unit = host.unit("run")
    process = host.spawn(unit)
    host.spawn(unit, process=process)
    host.one(Executed, process)
    host.spawn(unit, process=process)
    host.let_pass()
    births = host.all(Spawned, process)
    assert len({(e.pid, e.start_time) for e in births}) == 1
    assert set(host.kinds(process)) == set(BORN), "it may be told again"
    host.kill(process, KILL)
    host.let_pass()
    assert len(host.all(Exited, process)) == 1


def test_an_end_that_is_not_acknowledged_holds_its_token(host):
    unit = host.unit("crash")
    process = host.spawn(unit)
    exited = host.one(Exited, process)
    before = host.one(Spawned, process)
    host.forget()
    host.spawn(unit, process=process)
    host.let_pass()
    assert host.all(Spawned, process) == [before]
    assert not host.all(Exited, process), "it is told again to the next manager only"
    host.acknowledge(exited)


def test_an_acknowledged_end_is_forgotten_with_its_token(host):
    unit = host.unit("crash")
    process = host.spawn(unit)
    host.acknowledge(host.one(Exited, process))
    before = host.one(Spawned, process)
    host.forget()
    host.spawn(unit, process=process)
    host.one(Exited, process)
    assert host.kinds(process) == LIFE
    assert host.one(Spawned, process).pid != before.pid


def test_acknowledging_twice_or_what_never_was_is_nothing(host):
    exited = host.one(Exited, host.spawn(host.unit("true")))
    host.acknowledge(exited)
    host.acknowledge(exited)
    host.order(Acknowledge(10**6))
    host.let_pass()


def test_slots_are_told_apart(host):
    unit = host.unit("run")
    main = host.start(unit)
    control = host.spawn(unit, process=host.token(unit, Slot.CONTROL))
    host.one(Executed, control)
    exited = host.kill(control, KILL)
    assert not exited.tree_empty
    assert host.kinds(main) == BORN
    assert host.kill(main, KILL).tree_empty


def test_the_tree_of_a_former_instance_is_not_judged(host):
    unit = host.unit("run")
    old = host.start(unit)
    host.instance(unit)
    assert not host.kill(old, KILL).tree_empty
