"""The world on disk: what of it is durable, and how it comes back.

Durable is what cannot be found out again: holds, demands, counters, deadlines, what ended how, which
process was ordered under which token, verdicts. Definitions are kept apart, by fingerprint. A record is a
JSON value under a key (`unit/NAME`, `deploy`, `proved/NAME`, `verdict/SHA`,
`outbox/SHA:VERDICT`); only records that changed are written, and looking for them costs what a step
touched: the lists of a deploy of thousands of units are written once, then one small record for each unit
that has proved itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from operator import attrgetter
from typing import Any

from gitproc.core import process_records
from gitproc.core.actions import Record
from gitproc.core.checked import Checked
from gitproc.core.clock import TimerState
from gitproc.core.commit_states import Deploy, HeldBack, Outcome, UnitChange
from gitproc.core.dialogue import Dialogue
from gitproc.core.ends import End
from gitproc.core.events import CommitMeta, Slot
from gitproc.core.job import Job
from gitproc.core.listening import Connection, Listening
from gitproc.core.path_state import PathState
from gitproc.core.states import Result, SubState
from gitproc.core.unit_state import Activation, Health, Hold, LastExit, UnitState
from gitproc.core.world import World
from gitproc.immutable import as_dict
from gitproc.units.seats import home, is_second
from gitproc.units.unit import Unit

VERSION = 1
_PROVED = "proved/"
OUTBOX = "outbox/"
CHANGED = "changed/"


def commit_record(commit: CommitMeta | None) -> dict[str, Any] | None:
    """A commit as JSON."""
    return as_dict(commit) if commit is not None else None


def commit_from(record: Mapping[str, Any] | None) -> CommitMeta | None:
    """Inverse of `commit_record`."""
    return CommitMeta(**record) if record else None


def unit_record(state: UnitState) -> dict[str, Any]:
    """The durable part of a unit's state; fields at rest are left out."""
    values = zip(_PLAIN, _plain_values(state), strict=True)
    record = {name: value for name, value in values if value}
    record |= {"sub": state.sub.value, "result": state.result.value}
    if state.unit is not None:
        record["fingerprint"] = state.unit.fingerprint
    if state.seat != state.name:
        record["seat"] = state.seat
    if state.main is not None:
        record["main"] = process_records.written(state, state.main, Slot.MAIN)
    if state.control is not None:
        record["control"] = process_records.written(state, state.control, Slot.CONTROL)
    for name, values_of, part in zip(_PARTS, _WRITERS, _parts(state), strict=True):
        if part is not None and any(written := values_of(part)):
            record[name] = list(written)
    if state.dialogue is not None and (said := state.dialogue.record()):
        record["dialogue"] = said
    if state.connection is not None:
        record["connection"] = [state.connection.socket, state.connection.source]
    return record


_PLAIN = (
    "invocation",
    "entered",
    "command",
    "tree_empty",
    "born",
    "deadline",
    "find_main_at",
    "active_since",
    "restart_at",
    "restarts",
    "starts",
    "demanded",
    "done",
    "finished",
    "restart_wanted",
    "taken_along",
    "reload_wanted",
    "ordered_stop",
    "restarting",
    "forced_restart",
    "oom",
    "reload_failed",
    "unread",
    "status_text",
    "message",
    "drains",
)
_plain_values = attrgetter(*_PLAIN)


def _fields(kind: Any, *but: str) -> Callable[[Any], Iterable[Any]]:
    """What gives the fields of a part in their order, without those that are of one manager alone."""
    return attrgetter(*(name for name in kind.__match_args__ if name not in but))


_PARTS: dict[str, tuple[Callable[[Any], Iterable[Any]], Callable[..., Any]]] = {
    "hold": (_fields(Hold), Hold),
    "last_exit": (_fields(LastExit), LastExit),
    "activation": (_fields(Activation), Activation),
    "job": (attrgetter("since", "until", "kind.value"), Job.restored),
    "path": (_fields(PathState, "watching"), PathState),
    "timer": (_fields(TimerState, "armed"), TimerState),
    "listening": (attrgetter("accepted", "refused"), Listening),
    "checked": (Checked.record, Checked.restored),
    "health": (_fields(Health, "next_probe", "in_flight"), Health),
}
"""Part of a state -> what it is written by, and what makes it of that again. What is at rest is not written."""
_WRITERS = [values_of for values_of, _ in _PARTS.values()]
_parts = attrgetter(*_PARTS)
_AT_REST = unit_record(UnitState(""))


def unit_from(
    name: str, record: Mapping[str, Any], definition: Callable[[str], Unit | None]
) -> UnitState:
    """Inverse of `unit_record`. `definition` finds a kept definition by fingerprint."""
    state = UnitState(name)
    state.sub = SubState(record["sub"])
    state.result = Result(record["result"])
    state.main = process_records.read(name, record, Slot.MAIN)
    state.control = process_records.read(name, record, Slot.CONTROL)
    state.tree_empty = False
    for field in _PLAIN:
        if field in record:
            setattr(state, field, record[field])
    for part, (_, restored) in _PARTS.items():
        if part in record:
            setattr(state, part, restored(*record[part]))
    if "dialogue" in record:
        state.dialogue = Dialogue.restored(record["dialogue"])
    # A live change may have been recorded and not kept: then what it was spawned by is as good.
    spawned_by = [x.process.fingerprint for x in (state.main, state.control) if x is not None]
    for fingerprint in (record.get("fingerprint", ""), *spawned_by):
        if state.unit is None and fingerprint:
            state.unit = definition(fingerprint)
    if state.unit is not None:
        state.unit = state.unit.seated(record.get("seat", name))
    if "connection" in record and state.unit is not None:
        socket, source = record["connection"]
        state.connection = Connection(socket, source, state.unit)
    return state


def held_back_record(held: HeldBack | None) -> dict[str, Any] | None:
    """A commit held back as JSON."""
    if held is None:
        return None
    return {**as_dict(held), "commit": as_dict(held.commit), "to": as_dict(held.to)}


def held_back_from(record: Mapping[str, Any] | None) -> HeldBack | None:
    """Inverse of `held_back_record`."""
    if not record:
        return None
    commit, to = CommitMeta(**record["commit"]), CommitMeta(**record["to"])
    return HeldBack(commit, to, dict(record["units"]), record["revert"])


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome that is to be told, as JSON."""
    return {**as_dict(outcome), "commit": as_dict(outcome.commit), "told": list(outcome.told)}


def outcome_from(record: Mapping[str, Any], *, same_boot: bool) -> Outcome:
    """Inverse of `outcome_record`."""
    fields = dict(record)
    if not same_boot:
        fields["at"] = 0.0
    return Outcome(**{**fields, "commit": CommitMeta(**record["commit"])})


def deploy_record(world: World) -> dict[str, Any]:
    """Everything durable about commits."""
    deploy = world.deploy
    return {
        "version": VERSION,
        "seed": world.seed,
        "applied": commit_record(world.applied),
        "refused": commit_record(world.refused.commit) if world.refused else None,
        "goods": [commit_record(x) for x in world.goods],
        "held_back": held_back_record(world.held_back),
        "deploy": {
            "commit": commit_record(deploy.commit),
            "since": deploy.since,
            "touched": sorted(deploy.touched),
            "restarts": dict(sorted(deploy.restarts.items())),
        }
        if deploy
        else None,
    }


def write(world: World) -> None:
    """Order a `Record` for everything durable that this step changed."""
    for name in world.dirty:
        state = world.units.get(name)
        key = f"unit/{name}"
        record = unit_record(state) if state is not None else None
        if record == _AT_REST:
            record = None
        order(world, key, record)
        if world.deploy is not None and name in world.deploy.touched:
            order(world, f"{_PROVED}{name}", name not in world.deploy.pending or None)
    order(world, "ends", [[x.unit, x.relation, [*x.variables]] for x in world.ends] or None)
    if world.dirty:
        order(world, "serial", world.serial)
    # What is said of commits changes by replacing it (of a deploy, only who is pending does not).
    commits = (world.applied, world.refused, world.goods, world.deploy, world.held_back)
    if any(now is not then for now, then in zip_longest(commits, world.recorded_commits)):
        world.recorded_commits = commits
        _write_commits(world)


def _write_commits(world: World) -> None:
    deploy = world.deploy
    order(world, "deploy", deploy_record(world))
    for sha, verdict in world.verdicts.items():
        order(world, f"verdict/{sha}", verdict)
    for key in [key for key in world.recorded if key.startswith(_PROVED)]:
        name = key.removeprefix(_PROVED)
        if deploy is None or name not in deploy.touched or name in deploy.pending:
            order(world, key, None)


def order(world: World, key: str, value: Any) -> None:
    """Make one value durable in this step, unless it is so already; None forgets it."""
    last = world.recorded
    known = last.get(key)
    if known == value:
        return
    if value is None:
        del last[key]
    elif isinstance(value, dict):
        mark = _mark(value)
        last[key] = mark
        if known == mark:
            return
    else:
        last[key] = value
    world.do(Record(key, value))


def _mark(record: dict[str, Any]) -> int:
    """What a record is told from the next one of its key by: the record itself is on disk."""
    return hash(repr(record))


def forget_texts(last: dict[str, Any]) -> None:
    """Keep of records that were read only what the next ones are compared with."""
    for key, value in last.items():
        if isinstance(value, dict):
            last[key] = _mark(value)


def restore(
    world: World,
    records: Mapping[str, Any],
    definition: Callable[[str], Unit | None],
    *,
    same_boot: bool,
    same_shim: bool,
) -> None:
    """Bring back a world from its records.

    `same_boot`: the machine (and with it every process and instant) is still the one of the records; if
    not, only what outlives a boot comes back: commits, verdicts, holds. `same_shim`: so is the parent of
    all services; if not, the manager was stopped and started, or the shim has died: what was up may have
    survived, but what was at rest begins anew.
    """
    deploy = records.get("deploy") or {}
    world.seed = deploy.get("seed") or world.seed
    world.serial = records.get("serial", 0) + 1000  # past any that a torn journal has lost
    world.applied = commit_from(deploy.get("applied"))
    world.goods = [c for c in map(commit_from, deploy.get("goods", ())) if c is not None]
    world.held_back = held_back_from(deploy.get("held_back"))
    if same_boot:
        world.ends = [End(unit, how, tuple(told)) for unit, how, told in records.get("ends", ())]
    changes: list[Mapping[str, Any]] = []
    for key, value in records.items():
        kind, _, name = key.partition("/")
        if kind == "verdict":
            world.verdicts[name] = value
        elif kind == "stamp":
            world.stamps[name] = value
        elif kind == "changed":
            changes.append(value)
        elif kind == "outbox":
            world.outbox[name] = outcome_from(value, same_boot=same_boot)
        elif kind == "unit":
            state = unit_from(name, value, definition)
            if "connection" in value and (state.connection is None or state.down or not same_boot):
                continue  # it was not begun, or is over
            if not same_boot or (not same_shim and state.down):
                if state.hold is None:
                    continue
                state = UnitState(name, hold=state.hold)
            world.units[name] = state
    for name in [x for x in world.units if is_second(x)]:
        first = world.units.get(home(name))
        if first is not None and first.invocation == world.units[name].invocation:
            del world.units[name]  # of two that changed places only one record was written
        else:
            world.updating[home(name)] = None
    for change in sorted(changes, key=lambda x: int(x["number"])):
        by = CommitMeta(**change["commit"])
        for name, texts in change["units"].items():
            world.changes[name] = UnitChange(by, change["good"], tuple(texts))
    pending = deploy.get("deploy")
    commit = commit_from(pending["commit"]) if pending else None
    if pending and commit is not None and same_boot:
        touched = frozenset(pending["touched"])
        world.deploy = Deploy(
            commit,
            pending["since"],
            touched,
            {name for name in touched if f"{_PROVED}{name}" not in records},
            restarts=dict(pending.get("restarts", {})),
        )
