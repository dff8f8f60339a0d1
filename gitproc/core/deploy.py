"""Commits: accepted or refused whole, put in force, and judged once.

A commit settles as *good* when every unit it touched has been active for `settle` seconds after readiness
(oneshots: succeeded) and has passed its health check once; as *failed* when one fails beyond its own
Restart=; *refused* commits never touch anything; a newer commit *supersedes* one that has not settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gitproc.core import (
    attribution,
    foreign,
    overlap,
    past_order,
    plan,
    reload,
    schedule,
    standing,
    verdicts,
)
from gitproc.core.actions import Keep, Publish
from gitproc.core.commit_states import Deploy, Refusal
from gitproc.core.dependency_resolver import KEPT_UP_BY, replace_edges, roots_of
from gitproc.core.edges import Edge
from gitproc.core.events import CommitLoaded, CommitMeta
from gitproc.core.graph_check import check_changed
from gitproc.core.health import has_check
from gitproc.core.plan import PlannedAction
from gitproc.core.states import FINE, RELOADING, Result, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.verdicts import describe, settle
from gitproc.core.world import World
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.names import comes_on_demand
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet

GOODS_KEPT = 50
_KEPT, _TOLD = 1000, 100  # errors of a refused commit, for `status` and for its event
_CHANGES = ("new", "removed", "masked")  # reasons of a plan that are changes of the unit itself


def commit_loaded(world: World, event: CommitLoaded) -> None:
    """Accept or refuse a commit; put an accepted one in force."""
    units, commit = event.units, event.commit
    errors = [x for x in (*event.findings, *units.diagnostics) if x.severity == "error"]
    before = world.desired
    everything = before is None or event.changed is None or before.aliases != units.aliases
    if everything or event.changed is None:
        # After a crash it is the states alone that know what the commit before had.
        changed = {*units.units, *world.units}
        if before is not None:
            changed |= {*before.units, *before.templates}
    else:
        changed = set(event.changed)
    guests = _guests(world, units)
    changed |= guests.keys()
    edges, different = replace_edges(world.graph, units, changed, guests)
    roots = roots_of(units, world.settings.default_target)
    try:
        found = _found_wrong(world, event, changed, different, roots)
    except Exception:
        edges.undo(world.graph)  # a fault of ours: what is in force stays so, as it was
        raise
    errors += [x for x in found if x.severity == "error" and x not in errors]
    if not event.stand_in:
        world.source_problem = ""
    if errors:
        edges.undo(world.graph)
        _refuse(world, commit, errors)
        return
    pulled = world.pulled
    if different or everything or before is None or before.units.keys() != units.units.keys():
        pulled = world.graph.closure(roots, units.units)
    entries = plan.compute(world, units, world.graph, pulled, changed | (pulled ^ world.pulled))
    applied = world.applied
    if before is not None or not event.again:
        attribution.note(world, event, before, changed)
    past_order.remember(world, edges.former.values())
    if before is None:
        past_order.recall(world, units)
    _put_in_force(world, event, pulled, changed, _ends(world, edges.former))
    verdicts.came_in(world, event, applied)
    verdicts.moved_on(world, event)
    if event.anew:
        entries = _tried_again(world, entries)
    _judge_later(world, event, entries, applied)


def _found_wrong(
    world: World,
    event: CommitLoaded,
    changed: set[str],
    different: set[str],
    roots: tuple[str, ...],
) -> list[Diagnostic]:
    """What is wrong between the units, as far as it can have come with the commit."""
    units = event.units
    suspects = set(different)
    for name in changed:
        unit = units.units.get(name)
        if unit is None or unit.masked:
            suspects.update(world.graph.missed_by(name))
    suspects &= units.units.keys()
    host = foreign.heard_with_commit(world, event.host_units)
    has = foreign.elsewhere(host, again=event.again)
    return check_changed(world.graph, units, suspects, roots, world.pulled, elsewhere=has)


def _guests(world: World, units: UnitSet) -> dict[str, Unit]:
    """Instances that somebody asked for, and that `units` has a template for but does not mention."""
    found = {}
    for name, state in world.units.items():
        if state.connection is not None or name in units.units:
            continue
        if comes_on_demand(name) and (state.demanded or state.hold is not None):
            unit = units.resolve(name)
            if unit is not None:
                found[name] = unit
    return found


def _ends(world: World, former: Mapping[str, Iterable[Edge]]) -> set[str]:
    """Who is upheld or needed by others than before: that starts and stops units, too."""
    return {
        edge.target
        for name, edges in former.items()
        for edge in (*edges, *world.graph.declared.get(name, ()))
        if edge.relation in KEPT_UP_BY
    }


def _put_in_force(
    world: World,
    event: CommitLoaded,
    pulled: frozenset[str],
    changed: set[str],
    others: set[str],
) -> None:
    concerned = changed | (world.pulled ^ pulled) | others
    rivals = {other for name in concerned for other in world.graph.rivals(name)}
    world.look_at(sorted(concerned | rivals))
    world.do(Publish(event.commit.sha))
    world.desired = event.units
    world.applied = event.commit
    if not event.stand_in:
        world.refused = None
    world.pulled = pulled
    foreign.put_in_force(world, event.host_units)
    schedule.extend_demands(world)
    freed = False
    for name in sorted(changed & world.units.keys()):
        state = world.units[name]
        unit = world.wanted_unit(name)
        if unit is not None and plan.look_again(state, unit):
            state.done = ""
            world.touch(name)
        elif unit is not None and plan.still_done(state, unit):
            state.unit, state.done = unit, unit.fingerprint
            world.do(Keep(unit))
            world.touch(name)
        if state.hold is not None and (unit is None or unit.fingerprint != state.hold.fingerprint):
            state.hold = None
            world.touch(name)
            freed = True
    if freed or world.blocked or any(s.hold is not None for s in world.units.values()):
        schedule.refresh_blocked(world)


def _tried_again(world: World, entries: list[plan.PlanEntry]) -> list[plan.PlanEntry]:
    known = {entry.unit for entry in entries}
    names = [x for x in verdicts.given_up(world) if x not in known and standing.wanted(world, x)]
    start = PlannedAction.START
    return [*entries, *(plan.PlanEntry(name, start, "tried again") for name in names)]


def _judge_later(
    world: World, event: CommitLoaded, entries: list[plan.PlanEntry], before: CommitMeta | None
) -> None:
    commit = event.commit
    entries = [e for e in entries if plan.is_told(world, event.units, e)]
    if world.deploy is not None:
        if world.deploy.commit.sha == commit.sha:
            return  # heard of it before: it is still to prove itself
        settle(world, "superseded", f"by {commit.sha[:12]}")
    if event.again or (not event.anew and _is_judged(world, commit, before)):
        return
    for entry in entries:
        changed = bool(entry.differences) or entry.reason in _CHANGES
        world.tell("commit.plan", entry.unit, _line(entry), commit=commit.sha, changed=changed)
    touched = frozenset(e.unit for e in entries if e.action is not PlannedAction.NONE)
    restarts = {name: world.units[name].restarts for name in touched if name in world.units}
    world.deploy = Deploy(commit, world.now, touched, set(touched), restarts=restarts)
    count = f"{len(touched)} unit{'s' if len(touched) != 1 else ''} touched"
    world.tell("commit.applied", "", f"applied {describe(commit)}: {count}", commit=commit.sha)
    for name in sorted(touched):
        world.dirty[name] = None


def _is_judged(world: World, commit: CommitMeta, before: CommitMeta | None) -> bool:
    verdict = world.verdicts.get(commit.sha)
    in_force = before is not None and before.sha == commit.sha
    return verdict == "good" or (verdict == "failed" and in_force)


def _line(entry: plan.PlanEntry) -> str:
    details = "; ".join(map(str, entry.differences))
    return f"{entry.action}: {details or entry.reason}"


def _refuse(world: World, commit: CommitMeta, errors: list[Diagnostic]) -> None:
    known = world.refused is not None and world.refused.commit.sha == commit.sha
    world.refused = Refusal(commit, tuple(errors[:_KEPT]))
    if world.deploy is not None and world.deploy.commit.sha == commit.sha:
        world.deploy = None
    count = f"{len(errors)} error{'s' if len(errors) != 1 else ''}"
    verdicts.give(world, commit, "refused", f"{count}: {errors[0]}")
    if not known:
        shown = errors[:_TOLD]
        lines = [f"refused {describe(commit)}:", *map(str, shown)]
        if len(errors) > len(shown):
            lines.append(f"and {len(errors) - len(shown)} more: `gitproc verify` shows all")
        found = [x.as_dict() for x in shown]
        world.tell("commit.refused", "", "\n".join(lines), commit=commit.sha, diagnostics=found)


def look(world: World, name: str) -> None:
    """See whether a touched unit has proved itself or failed; conclude the deploy if it was the last."""
    deploy = world.deploy
    if deploy is None or name not in deploy.pending:
        return
    state = world.units.get(name)
    failure = _failure(world, name, state) or _unsteady(world, deploy, state)
    if failure:
        deploy.failed[name] = failure
        settle(world, "failed", f"{name}: {failure}")
    elif _proved(world, name, state):
        deploy.pending.discard(name)
        world.dirty[name] = None
        conclude(world)


def conclude(world: World) -> None:
    """A deploy that waits for nothing any more has settled well."""
    deploy = world.deploy
    if deploy is not None and not deploy.pending:
        commit = deploy.commit
        others = [x for x in world.goods if x.sha != commit.sha]
        world.goods = [*others[1 - GOODS_KEPT :], commit]
        plural = "" if len(deploy.touched) == 1 else "s"
        settle(world, "good", f"{len(deploy.touched)} unit{plural} settled")


def _failure(world: World, name: str, state: UnitState | None) -> str:
    unit = standing.wanted(world, name)
    if unit is None:
        return ""
    if state is None or state.down:
        obstacle = standing.dead_end(world, name)
        if obstacle is not None and not standing.skipped(world, obstacle):
            return f"needs {obstacle}, which is not up"
    if state is None:
        return ""
    if beside := overlap.failure(world, name):
        return beside
    if state.down and state.done == unit.fingerprint and state.result not in FINE:
        return state.message or state.result.value
    if reload.refused(state):
        return state.reload_failed
    if state.sub is SubState.AUTO_RESTART and state.result is Result.HEALTH_CHECK:
        return state.message  # it may be restarted for ever, and be up most of the time
    before = world.deploy.restarts.get(name, 0) if world.deploy is not None else 0
    count = state.restarts - before if state.restarts >= before else state.restarts
    if count >= world.settings.start_limit_burst:
        return f"restarted {count} times: {state.message or state.result}"
    return ""


def _unsteady(world: World, deploy: Deploy, state: UnitState | None) -> str:
    """Who is taken along by another's restarts each time fails by none of its own, and never proves itself."""
    if state is None or not state.up or state.active_since is None:
        return ""
    ups = deploy.ups.setdefault(state.name, [])
    if state.active_since not in ups:
        ups.append(state.active_since)
    often = len(ups) > world.settings.start_limit_burst
    return f"came up {len(ups)} times, and never for {world.settings.settle:g} s" if often else ""


def _proved(world: World, name: str, state: UnitState | None) -> bool:
    unit = standing.wanted(world, name)
    if unit is None:
        return state is None or state.down
    if state is None:
        return False
    if state.down and state.obstacle and standing.skipped(world, state.obstacle):
        return True  # bound to what is not for this host, or not now
    if unit.kind != "service":
        return state.up or state.skipped or (state.down and state.done == unit.fingerprint)
    if state.down:
        return state.done == unit.fingerprint and state.result in FINE
    if state.unit is None or state.unit.fingerprint != unit.fingerprint or not state.up:
        return False
    if state.restart_wanted or state.reload_wanted or state.sub in RELOADING:
        return False
    if state.sub is SubState.EXITED:
        return True
    since = state.active_since if state.active_since is not None else world.now
    proved_at = since + world.settings.settle
    if world.now < proved_at:
        world.alarm(proved_at, name)
        return False
    return state.health.passed or not has_check(unit)
