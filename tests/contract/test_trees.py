"""The processes of a unit together: signalled, watched, released; by the pretended kernel and the real one."""

from __future__ import annotations

from gitproc.core.actions import Release, SetLimits, WatchTree
from gitproc.core.events import (
    Executed,
    ExitCode,
    Exited,
    LimitsFailed,
    OutOfMemory,
    Spawned,
    TreeEmptied,
)
from tests.core.fake_kernel import KILL, TERM


def watch(host, unit):
    host.order(WatchTree(unit.name, host.invocation(unit)))


def release(host, unit):
    host.order(Release(unit, host.invocation(unit), False))


def test_an_empty_tree_is_told_of_at_once(host):
    unit = host.unit("true")
    host.acknowledge(host.one(Exited, host.spawn(unit)))
    watch(host, unit)
    assert host.one(TreeEmptied, unit) == TreeEmptied(unit.name, host.invocation(unit))


def test_a_tree_that_never_was_is_empty(host):
    unit = host.unit("true")
    host.instance(unit)
    watch(host, unit)
    host.one(TreeEmptied, unit)


def test_news_of_a_tree_never_come_within_the_order(host):
    unit = host.unit("true")
    host.instance(unit)
    watch(host, unit)
    assert not host.news


def test_a_tree_is_empty_when_its_last_process_has_gone(host):
    unit = host.unit("brood")
    process = host.start(unit)
    watch(host, unit)
    assert not host.kill(process, KILL).tree_empty, "its children live"
    host.let_pass()
    assert not host.all(TreeEmptied, unit)
    host.kill_tree(unit, KILL)
    host.one(TreeEmptied, unit)


def test_who_has_left_session_and_parent_still_belongs_to_the_tree(host):
    unit = host.unit("leaves")
    exited = host.one(Exited, host.spawn(unit))
    assert not exited.tree_empty
    watch(host, unit)
    host.let_pass()
    assert not host.all(TreeEmptied, unit)
    host.kill_tree(unit, KILL)
    host.one(TreeEmptied, unit)


def test_an_emptied_tree_is_told_of_once(host):
    unit = host.unit("run")
    process = host.start(unit)
    watch(host, unit)
    watch(host, unit)
    host.kill(process, KILL)
    host.one(TreeEmptied, unit)
    host.let_pass()
    assert len(host.all(TreeEmptied, unit)) == 1
    watch(host, unit)
    host.until(lambda: len(host.all(TreeEmptied, unit)) == 2, "asked again, told again")


def test_nobody_is_told_who_has_not_asked(host):
    unit = host.unit("run")
    host.kill(host.start(unit), KILL)
    host.let_pass()
    assert not host.all(TreeEmptied)


def test_a_released_tree_is_not_watched_any_more(host):
    unit = host.unit("leaves")
    host.one(Exited, host.spawn(unit))
    watch(host, unit)
    release(host, unit)
    host.kill_tree(unit, KILL)
    host.let_pass()
    assert not host.all(TreeEmptied, unit)


def test_releasing_twice_or_what_never_was_is_nothing(host):
    unit = host.unit("true")
    host.instance(unit)
    release(host, unit)
    host.acknowledge(host.one(Exited, host.spawn(unit)))
    release(host, unit)
    release(host, unit)
    host.forget()
    process = host.spawn(unit)
    assert host.one(Exited, process).status == 0, "and it can be made again"


def test_what_a_release_leaves_goes_on(host):
    """KillMode=process leaves processes behind; they are the unit's still."""
    unit = host.unit("leaves", "KillMode=process")
    host.one(Exited, host.spawn(unit))
    release(host, unit)
    process = host.spawn(unit)
    assert not host.one(Exited, process).tree_empty
    host.kill_tree(unit, KILL)


def test_strangers_of_an_earlier_instance_do_not_go_on(host):
    """Not so where KillMode= would have ended them: nobody knows of them."""
    unit = host.unit("leaves")
    host.one(Exited, host.spawn(unit))
    again = host.unit("run")
    process = host.start(again)
    host.alone(process)
    assert host.kill(process, KILL).tree_empty


# -- signals ---------------------------------------------------------------------------------------


def test_every_process_of_the_tree_is_signalled(host):
    unit = host.unit("brood")
    process = host.start(unit)
    watch(host, unit)
    host.kill_tree(unit, TERM)
    host.one(TreeEmptied, unit)
    exited = host.one(Exited, process)
    assert (exited.code, exited.status) == (ExitCode.KILLED, TERM)


def test_spared_processes_are_spared(host):
    unit = host.unit("brood")
    process = host.start(unit)
    pid = host.one(Spawned, process).pid
    host.kill_tree(unit, KILL, (pid,))
    host.let_pass()
    assert not host.all(Exited, process)
    host.alone(process)
    assert host.kill(process, KILL).tree_empty, "its children are gone"


def test_nobody_forks_away_from_sigkill(host):
    unit = host.unit("breeds")
    host.start(unit)
    watch(host, unit)
    host.kill_tree(unit, KILL)
    host.one(TreeEmptied, unit)


def test_signalling_an_empty_tree_is_nothing(host):
    unit = host.unit("true")
    host.acknowledge(host.one(Exited, host.spawn(unit)))
    host.forget()
    host.kill_tree(unit, TERM)
    host.kill_tree(unit, KILL)
    release(host, unit)
    host.kill_tree(unit, KILL)
    host.let_pass()
    assert not [e for e in host.news if getattr(e, "process", None) is None]


def test_other_units_are_left_alone(host):
    mine, other = host.unit("run"), host.unit("run", name="b.service")
    processes = [host.start(mine), host.start(other)]
    host.kill_tree(mine, KILL)
    host.one(Exited, processes[0])
    host.let_pass()
    assert host.kinds(processes[1]) == [Spawned, Executed]


# -- limits ----------------------------------------------------------------------------------------


def test_a_limit_that_is_set_is_no_news(host):
    unit = host.unit("run", "MemoryMax=100M", "TasksMax=50")
    process = host.start(unit)
    host.order(SetLimits(host.unit("run", "MemoryMax=200M"), host.invocation(unit)))
    host.let_pass()
    assert not host.all(LimitsFailed)
    assert host.kinds(process) == [Spawned, Executed]


def test_the_oom_killer_is_named_before_the_end_it_brought(host):
    unit = host.unit("eats", "MemoryMax=40M")
    process = host.spawn(unit)
    exited = host.one(Exited, process)
    assert (exited.code, exited.status) == (ExitCode.KILLED, KILL)
    host.let_pass()
    killings = [e for e in host.news if isinstance(e, OutOfMemory)]
    assert killings == [OutOfMemory(unit.name, host.invocation(unit))]
    assert host.news.index(killings[0]) < host.news.index(exited)
