"""Main processes that were not spawned by us, notifications and probes, by the pretended kernel and the real one."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Adopt, FindMain, Probe, Release
from gitproc.core.events import (
    Executed,
    ExitCode,
    Exited,
    MainFound,
    Notified,
    ProbeFailed,
    ProbeSucceeded,
    Spawned,
    TreeEmptied,
)
from tests.contract.test_trees import watch
from tests.core.fake_kernel import KILL, TERM

FORKING = "Type=forking"
LOOKS = 100


def parent_gone(host, unit):
    """The parent of a forking service has ended, and its daemon is there."""
    exited = host.one(Exited, host.spawn(unit))
    assert not exited.tree_empty
    host.acknowledge(exited)


def find(host, unit):
    before = len(host.all(MainFound))
    host.order(FindMain(unit, host.invocation(unit)))
    host.until(lambda: len(host.all(MainFound)) > before, "an answer")
    return host.all(MainFound)[-1]


def found(host, unit):
    for _ in range(LOOKS):
        answer = find(host, unit)
        if answer.pid is not None:
            return answer
        host.let_pass()
    raise AssertionError(f"its main process is never found: {answer}")


def adopt(host, unit, main):
    process = host.token(unit)
    host.order(Adopt(process, main.pid, main.start_time))
    return process


def test_the_main_process_is_found_by_its_pid_file_as_soon_as_it_is_there(host):
    unit = host.unit("forks", FORKING, f"PIDFile={host.here}/pid")
    parent_gone(host, unit)
    early = find(host, unit)
    assert early.pid is None, "the daemon takes its time to write it"
    assert early.message
    host.mark(True)
    main = found(host, unit)
    assert (main.unit, main.invocation) == (unit.name, host.invocation(unit))
    assert main.pid
    assert main.start_time


def test_without_a_pid_file_it_is_guessed(host):
    unit = host.unit("leaves", FORKING)
    parent_gone(host, unit)
    assert found(host, unit).start_time


def test_nobody_guesses_who_is_told_not_to(host):
    unit = host.unit("leaves", FORKING, "GuessMainPID=no")
    parent_gone(host, unit)
    nothing = find(host, unit)
    assert nothing.pid is None
    assert nothing.message


def test_nobody_guesses_between_two(host):
    unit = host.unit("twins", FORKING)
    parent_gone(host, unit)
    assert find(host, unit).pid is None


def test_in_an_empty_tree_nothing_is_found(host):
    unit = host.unit("true", FORKING)
    host.one(Exited, host.spawn(unit))
    assert find(host, unit).pid is None


def test_an_adopted_process_lives_and_ends_like_one_of_ours(host):
    unit = host.unit("leaves", FORKING)
    parent_gone(host, unit)
    main = found(host, unit)
    process = adopt(host, unit, main)
    host.one(Executed, process)
    assert host.one(Spawned, process) == Spawned(process, main.pid, main.start_time)
    exited = host.kill(process, TERM)
    assert (exited.code, exited.status) == (ExitCode.KILLED, TERM)
    assert exited.sequence
    assert exited.tree_empty
    assert host.kinds(process) == [Spawned, Executed, Exited]


def test_adopting_twice_is_adopting_once(host):
    unit = host.unit("leaves", FORKING)
    parent_gone(host, unit)
    main = found(host, unit)
    process = adopt(host, unit, main)
    host.order(Adopt(process, main.pid, main.start_time))
    host.let_pass()
    assert set(host.kinds(process)) == {Spawned, Executed}, "it may be told again"
    host.kill(process, KILL)
    host.let_pass()
    assert len(host.all(Exited, process)) == 1


def test_a_process_has_one_token(host):
    unit = host.unit("leaves", FORKING)
    parent_gone(host, unit)
    main = found(host, unit)
    process = adopt(host, unit, main)
    host.one(Executed, process)
    second = adopt(host, unit, main)
    assert host.one(Exited, second).code is ExitCode.LOST
    assert host.kinds(process) == [Spawned, Executed]


def test_what_ended_before_it_could_be_adopted_is_lost(host):
    unit = host.unit("leaves", FORKING)
    parent_gone(host, unit)
    main = found(host, unit)
    watch(host, unit)
    host.kill_tree(unit, KILL)
    host.one(TreeEmptied, unit)
    host.reaped(main.pid)  # before, who adopts it is told how it ended
    process = adopt(host, unit, main)
    exited = host.one(Exited, process)
    assert (exited.code, exited.sequence) == (ExitCode.LOST, 0)
    assert host.kinds(process) == [Exited]


# -- notifications ---------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["notify", "notifies-by-child"])
def test_a_notification_names_its_unit_and_its_sender(host, program):
    unit = host.unit(program, "Type=notify", "NotifyAccess=all")
    process = host.spawn(unit)
    said = host.one(Notified, unit)
    assert (said.unit, said.invocation) == (unit.name, host.invocation(unit))
    assert said.fields == (("READY", "1"),)
    assert (said.pid == host.one(Spawned, process).pid) is (program == "notify")


def test_who_waits_at_the_barrier_has_been_heard_before_it_goes_on(host):
    unit = host.unit("waits-to-be-heard", "Type=notify", "NotifyAccess=all")
    process = host.spawn(unit)
    exited = host.one(Exited, process)
    assert (exited.code, exited.status) == (ExitCode.EXITED, 7), "the barrier is answered"
    (said,) = host.all(Notified, unit)
    assert said.fields == (("READY", "1"),)
    assert said.invocation == host.invocation(unit)
    assert said.pid != host.one(Spawned, process).pid
    assert host.news.index(said) < host.news.index(exited)


# -- probes ----------------------------------------------------------------------------------------


def probed(host):
    unit = host.unit("run")
    lines = f"[X-GitProc]\nHealthCheckTCP={host.address}\nHealthCheckTimeout=15"
    unit = host.unit("run", lines)
    host.start(unit)
    return unit, Probe(unit, host.invocation(unit))


def test_a_probe_has_one_verdict(host):
    unit, probe = probed(host)
    host.order(probe)
    host.order(probe)
    assert host.one(ProbeFailed, unit).detail
    host.healthy(unit)
    host.order(probe)
    host.one(ProbeSucceeded, unit)
    host.let_pass()
    verdicts = [type(e) for e in host.news if isinstance(e, ProbeFailed | ProbeSucceeded)]
    assert verdicts == [ProbeFailed, ProbeSucceeded]


def test_a_released_instance_is_probed_no_more(host):
    unit, probe = probed(host)
    host.order(probe, Release(unit, host.invocation(unit), False))
    host.let_pass()
    assert not host.all(ProbeFailed)
    assert not host.all(ProbeSucceeded)
