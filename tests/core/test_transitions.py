"""The table of a service's life: no state is a dead end."""

from __future__ import annotations

import pytest

from gitproc.core.killing import FINAL_ROUND, FIRST_ROUND
from gitproc.core.lifecycle import COMMANDS
from gitproc.core.states import ACTIVE_STATE, DOWN, RELOADING, STARTING, STOPPING, UP, SubState
from gitproc.core.transitions import END, TRANSITIONS, Cause, next_state

OTHERS = {SubState.ACTIVE, SubState.WAITING, SubState.ELAPSED, SubState.LISTENING}
SERVICE = frozenset(SubState) - OTHERS  # those have no processes


@pytest.mark.parametrize("state", sorted(SERVICE))
def test_every_state_is_entered_and_left(state):
    assert any(source is state for source, _ in TRANSITIONS)
    resolved = {SubState.DEAD, SubState.FAILED, SubState.AUTO_RESTART}
    assert state in set(TRANSITIONS.values()) | resolved


@pytest.mark.parametrize("state", sorted(SERVICE - DOWN))
def test_every_state_that_is_not_down_leads_down_when_everything_goes_wrong(state):
    seen = {state}
    todo = [state]
    while todo:
        here = todo.pop()
        for (source, _), target in TRANSITIONS.items():
            if source is here and target is not END and target not in seen:
                seen.add(target)
                todo.append(target)
    assert any(TRANSITIONS.get((s, Cause.EMPTY)) is END for s in seen)


@pytest.mark.parametrize("state", sorted(STOPPING))
def test_nothing_leads_back_up_from_a_stop(state):
    for (source, _), target in TRANSITIONS.items():
        if source is state:
            assert target is END or target in STOPPING


@pytest.mark.parametrize("state", sorted(STARTING | RELOADING | {SubState.RUNNING}))
def test_whatever_starts_or_runs_can_be_stopped_and_aborted(state):
    for cause in (Cause.HALT, Cause.ABORT, Cause.HUNG, Cause.KILL):
        assert next_state(state, cause) in STOPPING


@pytest.mark.parametrize("state", sorted(STARTING | STOPPING | RELOADING | {SubState.RUNNING}))
def test_whatever_has_a_deadline_has_an_arrow_for_it(state):
    assert next_state(state, Cause.TIMEOUT) is not None


@pytest.mark.parametrize("state", sorted(COMMANDS))
def test_commands_may_succeed_and_fail(state):
    assert next_state(state, Cause.DONE) is not None
    assert next_state(state, Cause.FAILED) is not None


@pytest.mark.parametrize("state", sorted(FIRST_ROUND | FINAL_ROUND))
def test_what_waits_for_processes_goes_on_when_they_are_gone(state):
    assert next_state(state, Cause.EMPTY) is not None


def test_the_four_groups_of_states_share_nothing_and_leave_nothing_out():
    groups = (UP, DOWN, STARTING, STOPPING)
    assert sum(map(len, groups)) == len(SubState) == len(ACTIVE_STATE)
    assert frozenset().union(*groups) == frozenset(SubState)


def test_what_means_nothing_in_a_state_moves_nothing():
    assert next_state(SubState.DEAD, Cause.EMPTY) is None
    assert next_state(SubState.STOP_POST, Cause.CRASHED) is None
