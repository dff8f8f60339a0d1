"""What the end, the stop or the reload of one unit means for others that it names (systemd.unit(5)).

OnFailure=, OnSuccess= and OnRetry= start units. An end is noted where it happens, with what there is to say of
it, and acted on by `aftermath.py` once the rules have come to rest. Upholds= is read as it stands: as long as
the one is up, the other is not left down.
"""

from __future__ import annotations

from gitproc.core.ends import End
from gitproc.core.reload import can_reload
from gitproc.core.spawning import exit_status_word
from gitproc.core.states import SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World


def note_end(world: World, state: UnitState, relation: str) -> None:
    """`relation`: on_failure (for good), on_success, or on_retry."""
    edges = getattr(world.graph, relation)
    if world.stopping or (world.knowing and not any(edges.of(state.name))):
        return  # (while a former manager's world is taken over, nobody can say yet who is named)
    last = state.last_exit
    variables = [f"MONITOR_SERVICE_RESULT={state.result}"]
    if last.code:
        variables += [
            f"MONITOR_EXIT_CODE={last.code}",
            f"MONITOR_EXIT_STATUS={exit_status_word(last)}",
        ]
    variables += [f"MONITOR_INVOCATION_ID={state.invocation}", f"MONITOR_UNIT={state.name}"]
    world.ends.append(End(state.name, relation, tuple(variables)))


def upheld_by(world: World, name: str) -> str | None:
    """A unit that is up to stay and upholds `name`."""
    for other in world.graph.upholds.to(name):
        state = world.units.get(other)
        if state is not None and state.up and not state.restart_wanted:
            return other
    return None


def take_along(world: World, state: UnitState) -> None:
    """Have those go down, too, that a stop of the unit is passed on to: it has lost what it is bound to.

    They come back when it may: until then `standing.missed_along` keeps them down.
    """
    family = [state.name]
    for leader in family:
        for name in [x for x in world.graph.follows_stop(leader) if x not in family]:
            family.append(name)
            other = world.units.get(name)
            if other is None or (other.down and other.sub is not SubState.AUTO_RESTART):
                continue
            other.taken_along = leader
            if not other.down and not other.stopping and not other.restart_wanted:
                other.restart_wanted = f"{leader} stops"
            world.touch(name)


def want_reload(world: World, state: UnitState, reason: str) -> None:
    """Have a unit reload, and those that reload with it: each once, however they name one another."""
    if state.sub in (SubState.START, SubState.START_POST):
        state.reload_wanted = reason  # it may have read before what it is to read anew
    seen = {state.name}
    todo = [(state.name, reason)]
    while todo:
        name, why = todo.pop()
        it = world.units.get(name)
        if it is not None and it.up and it.unit is not None and can_reload(it.unit):
            it.reload_wanted = it.reload_wanted or why
            world.touch(name)
        for other in world.graph.reloads.of(name):
            if other not in seen:
                seen.add(other)
                todo.append((other, f"{name} reloads"))
