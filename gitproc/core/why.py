"""Why a unit runs, or does not: the reasons behind its state, one sentence each, the most telling first."""

from __future__ import annotations

from collections import deque
from typing import Any

from gitproc.core import overlap, standing
from gitproc.core.relation import Relation
from gitproc.core.states import Result, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World


def why(world: World, name: str, wall: float, now: float | None = None) -> dict[str, Any]:
    """The verdict (`runs`, `starts`, `stops`, `waits`, `rests`), its reasons, and the chain that pulls it in.

    `wall`: seconds to add to an instant of the world to get seconds since 1970. `now`: that instant (None:
    when the world last heard of anything).
    """
    state = world.units.get(name) or UnitState(name)
    chain = pulled_by(world, name)
    now = world.now if now is None else now
    reasons = [
        *_wanted(world, state, chain),
        *_beside(world, state),
        *_obstacles(world, state, now),
    ]
    return {
        "unit": name,
        "active_state": state.active.value,
        "sub_state": state.sub.value,
        "verdict": _verdict(world, state),
        "reasons": reasons,
        "chain": chain,
        "since": state.entered + wall if state.entered else None,
    }


def _beside(world: World, state: UnitState) -> list[str]:
    """What is there beside the instance that serves, or has failed to be (Update=overlap)."""
    second = overlap.second_of(world, state.name)
    if second is None:
        return []
    if failed := overlap.failure(world, state.name):
        return [f"the commit in force is not what runs: {failed}"]
    if second.down:
        return []
    pid = f" (PID {second.main.pid})" if second.main is not None and second.main.pid else ""
    if second.drains:
        return [f"it has taken over from an instance that drains{pid}"]
    return [f"a new instance{pid} takes over from it once that is ready and healthy"]


def _verdict(world: World, state: UnitState) -> str:
    if state.up:
        return "stops" if standing.must_stop(world, state) else "runs"
    if state.starting:
        return "starts"
    if state.stopping:
        return "stops"
    unit = standing.wanted(world, state.name)
    return "rests" if unit is None or state.done == unit.fingerprint else "waits"


def pulled_by(world: World, name: str) -> list[str]:
    """The shortest chain of Wants= and Requires= from a default target down to `name`; [] without one."""
    if name not in world.pulled:
        return []
    parents: dict[str, str] = {name: ""}
    todo = deque([name])
    top = name
    while todo:
        top = todo.popleft()
        above = [
            other
            for relation, _ in _pulling(world)
            for other in relation.to(top)
            if other in world.pulled
        ]
        if not above:
            break  # nothing pulls it in but its being a root
        for other in above:
            if other not in parents:
                parents[other] = top
                todo.append(other)
    chain = [top]
    while parents[chain[-1]]:
        chain.append(parents[chain[-1]])
    return chain


def _pulling(world: World) -> tuple[tuple[Relation, str], ...]:
    """Each relation that pulls a unit in, and what it is called."""
    graph = world.graph
    return (
        (graph.requires, "requires"),
        (graph.binds_to, "is bound to"),
        (graph.wants, "wants"),
        (graph.upholds, "upholds"),
    )


def _wanted(world: World, state: UnitState, chain: list[str]) -> list[str]:
    name = state.name
    unit = world.wanted_unit(name)
    if unit is None:
        return ["no commit in force has it"]
    if unit.masked:
        return [f"it is masked by {unit.fragment or 'a link to /dev/null'}"]
    reasons = []
    if len(chain) > 1:
        above = chain[-2]
        for relation, word in _pulling(world):
            if relation.has(above, name):
                reasons.append(f"{above} {word} it ({relation.where(above, name)})")
                break
    elif state.activation is not None and (state.demanded or not state.down):
        reasons.append(f"{state.activation.by} started it")
    elif state.demanded:
        reasons.append("an operator started it; nothing in the commit wants it")
    elif name not in world.pulled and (by := sorted(world.graph.triggers.to(name))):
        reasons += [f"{one} starts it when its time has come" for one in by]
    elif name not in world.pulled:
        reasons.append(
            "nothing wants it: it has no [Install] that counts, and no wanted unit needs it"
        )
    if state.hold is not None:
        reasons.append(f"{state.hold.who} stopped it: a hold, ended by `gitproc start {name}`")
    if name in world.blocked:
        reasons.append(f"it needs {world.blocked[name]}, which is held")
    if standing.idle(world, name):
        reasons.append("nothing that pulls it in is up (StopWhenUnneeded=yes)")
    if world.stopping:
        reasons.append("everything is being stopped")
    return reasons


def _obstacles(world: World, state: UnitState, now: float) -> list[str]:
    reasons = []
    if state.restart_wanted and not state.down:
        reasons.append(f"it is to be restarted: {state.restart_wanted}")
    if state.waits_for:
        reasons.append(f"it waits for {state.waits_for}, which {state.waits_because}")
    obstacle = standing.dead_end(world, state.name) if state.down else None
    if obstacle is not None and obstacle != state.waits_for:
        reasons.append(f"what it needs in the end is {obstacle}, which is not up")
    if state.sub is SubState.AUTO_RESTART:
        seconds = max(0.0, (state.restart_at or now) - now)
        reasons.append(
            f"it ended ({state.message or state.result}) and restarts in {seconds:.1f} s"
        )
    elif state.skipped and state.done:
        reasons.append(f"its start was skipped: {state.message}")
        reasons.append(f"`gitproc start {state.name}` or `gitproc sync` has it checked again")
    elif state.down and state.finished:
        by = " or ".join(sorted(world.graph.triggers.to(state.name)))
        again = f"{by} starts it" if by else "a commit changes it"
        reasons.append(f"it has done its work; it runs again when {again}")
    elif state.down and state.done:
        how = "ended by itself" if state.result is Result.SUCCESS else f"failed ({state.result})"
        detail = f": {state.message}" if state.message else ""
        reasons.append(f"it {how}{detail}, and its Restart= does not start it again")
        reasons.append(
            f"`gitproc start {state.name}`, `gitproc sync` or a change of it tries again"
        )
    if state.sub is SubState.START:
        reasons.append("its start is under way: it is not ready yet")
    return reasons
