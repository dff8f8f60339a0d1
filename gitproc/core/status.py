"""Status: a projection of the world, never stored. Plain values by systemd's names, for API and people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitproc.core import attribution, overlap, standing, verdicts
from gitproc.core.health import has_check
from gitproc.core.records import commit_record
from gitproc.core.socket_status import socket_record
from gitproc.core.states import ActiveState, SubState
from gitproc.core.status_timers import timer_status
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.control import ROOT, slices_of
from gitproc.units.seats import is_second
from gitproc.units.unit import Unit


def unit_status(world: World, name: str, wall: float) -> dict[str, Any]:
    """One unit. `wall`: seconds to add to an instant of the world to get seconds since 1970."""
    state = world.units.get(name)
    desired = world.wanted_unit(name)
    unit = state.unit if state is not None and state.unit is not None else desired
    if state is None:
        state = UnitState(name)
    since = state.entered if not state.up else state.active_since
    return {
        "name": name,
        "description": unit[d.DESCRIPTION] if unit is not None else "",
        "load_state": load_state(desired, unit),
        "active_state": state.active.value,
        "sub_state": state.sub.value,
        "result": state.result.value,
        "main_pid": state.main.pid if state.main is not None and state.main.pid else None,
        "control_pid": state.control.pid if state.control is not None else None,
        "since": since + wall if since else None,
        "fragment": unit.fragment if unit is not None else "",
        "drop_ins": list(unit.drop_ins) if unit is not None else [],
        "documentation": [*unit[d.DOCUMENTATION]] if unit is not None else [],
        "restarts": state.restarts,
        "change": attribution.record(world.changes.get(name)),
        "conditions": _conditions(state),
        "hold": {"by": state.hold.who, "at": state.hold.realtime or None} if state.hold else None,
        "reason": reason(world, state, unit),
        "health": _health(state, unit),
        "exec_main_code": state.last_exit.code or None,
        "exec_main_status": state.last_exit.status if state.last_exit.code else None,
        "exec_main_pid": state.last_exit.pid or None,
        "status_text": state.status_text,
        "status_error": _status_error(state),
        "invocation": state.invocation,
        "slice": _slice(unit),
        "second": _second(world, name),
        "wanted": standing.wanted(world, name) is not None,
        "timer": timer_status(world, state),
        "socket": socket_record(state, unit),
        "triggers": _related(world, world.graph.triggers.of(name)),
        "triggered_by": _related(world, world.graph.triggers.to(name)),
    }


def _slice(unit: Unit | None) -> str:
    """The slice that a unit lies in; empty for what has no group."""
    if unit is None or unit.kind not in ("service", "slice") or unit.name == ROOT:
        return ""
    return next(iter(slices_of(unit)), ROOT)


def _conditions(state: UnitState) -> dict[str, Any] | None:
    """The conditions and assertions that the last start was about, where one was in its way."""
    found = state.checked
    if found is None or not found.said_no:
        return None
    kinds = ("missing", "unmet", "broken")
    return {"at": found.realtime, **{x: [*map(str, getattr(found, x))] for x in kinds}}


def _status_error(state: UnitState) -> dict[str, Any] | None:
    """What the service has said of an error of its own (ERRNO=, BUSERROR=, EXIT_STATUS=)."""
    said = state.dialogue
    if said is None or not (said.errno or said.bus_error or said.exit_status is not None):
        return None
    return {
        "errno": said.errno or None,
        "bus_error": said.bus_error or None,
        "exit_status": said.exit_status,
    }


def _related(world: World, names: Iterable[str]) -> list[dict[str, str]]:
    states = [world.units.get(name) or UnitState(name) for name in sorted(names)]
    return [{"name": it.name, "active_state": it.active.value} for it in states]


def _second(world: World, name: str) -> dict[str, Any] | None:
    """What stands beside the serving instance (Update=overlap): `updating`, `draining`, or a `failed` update."""
    second = overlap.second_of(world, name)
    if second is None:
        return None
    failed = overlap.failure(world, name)
    if second.down and not failed:
        return None
    return {
        "role": "failed" if failed else "draining" if second.drains else "updating",
        "pid": second.main.pid if second.main is not None and second.main.pid else None,
        "sub_state": second.sub.value,
        "message": failed or second.message,
    }


def load_state(desired: Unit | None, unit: Unit | None) -> str:
    """`LoadState` (systemd(1)): a unit that still runs though no commit has it counts as loaded."""
    if desired is not None and desired.masked:
        return "masked"
    return "loaded" if unit is not None else "not-found"


def reason(world: World, state: UnitState, unit: Unit | None) -> str:
    """Why the unit is not simply up, in words; empty if there is nothing to say."""
    if state.waits_for and (state.down or state.restart_wanted or state.ordered_stop):
        return f"waits for {state.waits_for}, which {state.waits_because}"
    if state.checked is not None and state.checked.said_no:
        return ""  # told by the conditions themselves
    if state.message and state.active is not ActiveState.ACTIVE:
        return state.message
    if state.sub is SubState.DEAD and state.hold is None:
        if state.name in world.blocked:
            return f"needs {world.blocked[state.name]}, which is held"
        if (
            unit is not None
            and not unit.masked
            and state.name not in world.pulled
            and not state.demanded
        ):
            starters = " and ".join(sorted(world.graph.triggers.to(state.name)))
            if starters:
                return f"{starters} starts it"
            return "nothing wants it: it starts on demand"
    return ""


def _health(state: UnitState, unit: Unit | None) -> dict[str, Any] | None:
    if unit is None or not has_check(unit) or not state.up:
        return None
    health = state.health
    word = "unhealthy" if health.failures else "healthy" if health.passed else "starting"
    return {"state": word, "failures": health.failures, "detail": health.detail}


def commits(world: World, head: str | None, branch: str) -> dict[str, Any]:
    """What is applied, refused, being deployed; every commit with its verdict."""

    def shown(commit: Any) -> dict[str, Any] | None:
        record = commit_record(commit)
        if record is not None:
            deploying = world.deploy is not None and world.deploy.commit.sha == commit.sha
            record["verdict"] = "deploying" if deploying else world.verdicts.get(commit.sha)
        return record

    deploying = shown(world.deploy.commit) if world.deploy else None
    return {
        "branch": branch,
        "head": head,
        "applied": shown(world.applied),
        "refused": shown(world.refused.commit) if world.refused else None,
        "failed": verdicts.failed_record(world, head),
        "deploying": deploying,
        "last_good": shown(world.goods[-1]) if world.goods else None,
        "diagnostics": [x.as_dict() for x in world.refused.diagnostics] if world.refused else [],
        "untold": list(world.outbox),
        "error": world.source_problem,
    }


def listed(world: World) -> list[str]:
    """The units that `status` and `list` show: everything that is wanted, runs, failed or is held.

    Built-in targets and slices without files are left out: they are there to be named by others.
    """
    names = set(world.pulled)
    names.update(
        n for n, s in world.units.items() if s.hold or s.sub is not SubState.DEAD or s.done
    )
    if world.desired is not None:
        names.update(n for n, u in world.desired.units.items() if u.has_files and u.instance != "")
    return sorted(n for n in names if _worth_showing(world, n))


def _worth_showing(world: World, name: str) -> bool:
    if is_second(name):
        return False
    unit = world.wanted_unit(name)
    if unit is None:
        state = world.units.get(name)
        return state is not None and (state.unit is None or state.unit.has_files)
    return unit.has_files
