"""Managers and shims that are lost: what the next one hears, from the pretended kernel and from the real one."""

from __future__ import annotations

from gitproc.core.actions import Adopt, FindMain, Signal, Spawn
from gitproc.core.events import (
    Adopted,
    AdoptionDone,
    Executed,
    ExitCode,
    Exited,
    MainFound,
    Notified,
    SetupFailed,
    Spawned,
    TreeEmptied,
)
from gitproc.units import directives as d
from tests.contract.programs import USR1
from tests.contract.test_processes import BORN
from tests.contract.test_trees import watch
from tests.core.fake_kernel import KILL, TERM


def index(host, kind, process=None):
    found = host.one(kind, process)
    return host.news.index(found)


def adopted(host, process):
    """Manager crashed, another one came: what it heard of this process."""
    host.crash()
    host.forget()
    host.restart()
    host.one(AdoptionDone)
    host.let_pass()
    return host.kinds(process)


def test_who_lives_is_adopted_and_signalled_by_the_same_token(host):
    process = host.start(host.unit("run"))
    born = host.one(Spawned, process)
    assert adopted(host, process) == [Adopted]
    assert host.one(Adopted, process) == Adopted(process, born.pid, born.start_time)
    assert host.one(AdoptionDone) == AdoptionDone(same_shim=True)
    exited = host.kill(process, TERM)
    assert (exited.code, exited.status, exited.tree_empty) == (ExitCode.KILLED, TERM, True)


def test_an_end_of_that_time_follows_the_table(host):
    process = host.start(host.unit("obeys"))
    born = host.one(Spawned, process)
    host.order(Signal(process, TERM))
    host.crash()
    host.forget()
    host.restart()
    exited = host.one(Exited, process)
    if host.all(Spawned):  # it was quicker to come back than the process to end
        return
    told = host.one(Adopted, process)
    assert (told.pid, told.start_time) == (born.pid, born.start_time)
    assert index(host, Adopted, process) < index(host, AdoptionDone) < index(host, Exited, process)
    assert (exited.code, exited.status, exited.tree_empty) == (ExitCode.EXITED, 7, True)


def test_an_end_is_told_again_until_it_is_acknowledged(host):
    process = host.spawn(host.unit("crash"))
    first = host.one(Exited, process)
    for _ in range(2):
        assert adopted(host, process) == [Adopted, Exited]
        assert not host.one(Adopted, process).alive
        assert host.one(Exited, process) == first
        assert index(host, AdoptionDone) < index(host, Exited, process)
    host.acknowledge(first)
    host.let_pass()
    assert adopted(host, process) == []


def test_a_setup_that_failed_is_told_again_with_its_end(host):
    process = host.spawn(host.unit("homeless"))
    failed = host.one(SetupFailed, process)
    host.one(Exited, process)
    assert adopted(host, process) == [Adopted, SetupFailed, Exited]
    told = host.one(Adopted, process)
    assert (told.alive, told.executed) == (False, False)
    assert host.one(SetupFailed, process) == failed


def test_what_never_came_to_be_is_unknown(host):
    process = host.spawn(host.unit("nobody"))
    host.one(Exited, process)
    assert adopted(host, process) == []


def test_an_order_repeated_after_a_crash_makes_no_second_process(host):
    unit = host.unit("run")
    process = host.start(unit)
    pid = host.one(Spawned, process).pid
    adopted(host, process)
    host.spawn(unit, process=process)
    host.let_pass()
    assert {e.pid for e in host.all(Spawned, process)} <= {pid}
    host.kill(process, KILL)
    assert len(host.all(Exited, process)) == 1


def held_up(host):
    """A process that is not announced when the manager crashes; the next one has come."""
    unit = host.unit("run", "PrivatePIDs=yes")
    host.hold_up(unit)
    process = host.spawn(unit)
    host.crash()
    host.forget()
    host.restart()
    host.one(AdoptionDone)
    assert host.kinds(process) == [Adopted]
    assert host.one(Adopted, process) == Adopted(process, 0, 0, alive=True, executed=False)
    return unit, process


def test_who_is_not_announced_yet_is_adopted_and_then_announced(host):
    unit, process = held_up(host)
    host.let_go(unit)
    host.one(Executed, process)
    host.let_pass()
    assert host.kinds(process) == [Adopted, *BORN]
    host.kill(process, KILL)
    assert len(host.all(Exited, process)) == 1


def test_who_is_not_announced_yet_takes_its_signals_with_it(host):
    unit, process = held_up(host)
    host.order(Signal(process, KILL))
    host.let_go(unit)
    exited = host.one(Exited, process)
    assert (exited.code, exited.status) == (ExitCode.KILLED, KILL)


def test_an_order_repeated_before_the_announcement_ends_nothing_and_makes_nothing(host):
    unit, process = held_up(host)
    host.order(Spawn(process, unit, unit[d.EXEC_START][0], (), first=True))
    host.let_go(unit)
    host.one(Executed, process)
    host.let_pass()
    assert not host.all(Exited, process)
    assert len({e.pid for e in host.all(Spawned, process)}) == 1
    host.kill(process, KILL)
    assert len(host.all(Exited, process)) == 1


def test_watches_end_with_their_manager(host):
    unit = host.unit("run")
    process = host.start(unit)
    watch(host, unit)
    adopted(host, process)
    host.kill(process, KILL)
    host.let_pass()
    assert not host.all(TreeEmptied)
    watch(host, unit)
    host.one(TreeEmptied, unit)


def test_an_adopted_daemon_is_known_again(host):
    unit = host.unit("leaves", "Type=forking")
    host.acknowledge(host.one(Exited, host.spawn(unit)))
    host.order(FindMain(unit, host.invocation(unit)))
    main = host.one(MainFound)
    process = host.token(unit)
    host.order(Adopt(process, main.pid or 0, main.start_time))
    host.one(Executed, process)
    assert adopted(host, process) == [Adopted]
    exited = host.kill(process, KILL)
    assert (exited.code, exited.status) == (ExitCode.KILLED, KILL)


def test_what_is_said_while_nobody_listens_is_heard_after_the_table(host):
    unit = host.unit("notifies-late", "NotifyAccess=all")
    process = host.start(unit)
    host.order(Signal(process, USR1))
    host.crash()
    host.restart()
    said = host.one(Notified, unit)
    assert said.fields == (("READY", "1"),)
    assert said.invocation == host.invocation(unit)


# -- the shim --------------------------------------------------------------------------------------


def test_who_survives_the_shim_is_adopted_and_its_end_is_told(host):
    process = host.start(host.unit("run"))
    born = host.one(Spawned, process)
    host.forget()
    host.lose_shim()
    host.one(Executed, process)
    assert host.kinds(process) == [Adopted, Spawned, Executed]
    assert host.one(Adopted, process) == Adopted(process, born.pid, born.start_time)
    assert host.one(AdoptionDone) == AdoptionDone(same_shim=False)
    assert index(host, AdoptionDone) < index(host, Spawned, process)
    exited = host.kill(process, TERM)
    assert exited.sequence
    assert (exited.code, exited.status) in (
        (ExitCode.KILLED, TERM),
        (ExitCode.LOST, 0),  # before Linux 6.15 nobody may know
    )


def test_ends_that_the_shim_alone_knew_are_lost_with_it(host):
    process = host.spawn(host.unit("crash"))
    host.one(Exited, process)
    host.forget()
    host.lose_shim()
    host.one(AdoptionDone)
    host.let_pass()
    assert host.kinds(process) == []


def test_a_new_shim_makes_what_the_old_one_made(host):
    unit = host.unit("crash")
    process = host.spawn(unit)
    host.one(Exited, process)
    host.lose_shim()
    host.forget()
    host.spawn(unit, process=process)
    host.one(Exited, process)
    assert host.kinds(process) == [Spawned, Executed, Exited]
