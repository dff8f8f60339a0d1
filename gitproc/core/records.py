"""The world on disk: what of it is durable, and how it comes back.

Durable is what cannot be found out again: holds, demands, counters, deadlines, what ended how, which
process was ordered under which token, verdicts. Definitions are kept apart, by fingerprint. A record is a
JSON value under a key (`unit/NAME`, `deploy`, `proved/NAME`, `verdict/SHA`,
`outbox/SHA:VERDICT`); only records that changed are written, and looking for them costs what a step
touched: the lists of a deploy of thousands of units are written once, then one small record for each unit
that has proved itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import zip_longest
from operator import attrgetter
from typing import Any

from gitproc.core import process_records
from gitproc.core.actions import Record
from gitproc.core.checked import checked_from
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
from gitproc.units.seats import home, is_second
from gitproc.units.unit import Unit

VERSION = 1
_PROVED = "proved/"
OUTBOX = "outbox/"
CHANGED = "changed/"


def commit_record(commit: CommitMeta | None) -> dict[str, Any] | None:
    """A commit as JSON."""
    if commit is None:
        return None
    return {
        "sha": commit.sha,
        "author": commit.author,
        "time": commit.time,
        "subject": commit.subject,
    }


def commit_from(record: Mapping[str, Any] | None) -> CommitMeta | None:
    """Inverse of `commit_record`."""
    return CommitMeta(**record) if record else None


def unit_record(state: UnitState) -> dict[str, Any]:
    """The durable part of a unit's state; fields at rest are left out."""
    record: dict[str, Any] = {
        "sub": state.sub.value,
        "result": state.result.value,
        "fingerprint": state.unit.fingerprint if state.unit else "",
        "invocation": state.invocation,
        "entered": state.entered,
        "main": process_records.written(state, state.main, Slot.MAIN),
        "control": process_records.written(state, state.control, Slot.CONTROL),
        "hold": [state.hold.who, state.hold.realtime, state.hold.fingerprint]
        if state.hold
        else None,
        "last_exit": [
            state.last_exit.code,
            state.last_exit.status,
            state.last_exit.pid,
            state.last_exit.realtime,
        ]
        if state.last_exit.code
        else None,
        "activation": [
            state.activation.by,
            [*state.activation.variables],
            state.activation.begun,
        ]
        if state.activation
        else None,
        "job": state.job.record() if state.job is not None else None,
        "path": state.path.record() if state.path is not None else None,
        "timer": state.timer.record() if state.timer is not None else None,
        "listening": [state.listening.accepted, state.listening.refused]
        if state.listening and (state.listening.accepted or state.listening.refused)
        else None,
        "connection": [state.connection.socket, state.connection.source]
        if state.connection
        else None,
        "health": [state.health.passed, state.health.failures, state.health.detail]
        if state.health.passed or state.health.failures
        else None,
        "dialogue": state.dialogue.record() if state.dialogue is not None else None,
    }
    if state.seat != state.name:
        record["seat"] = state.seat
    if state.checked is not None:
        record["checked"] = state.checked.record()
    record.update(zip(_PLAIN, _plain_values(state), strict=True))
    return {key: value for key, value in record.items() if value}


_PLAIN = (
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
    "forced_restart",
    "oom",
    "reload_failed",
    "unread",
    "status_text",
    "message",
    "drains",
)
_plain_values = attrgetter(*_PLAIN)


def unit_from(
    name: str, record: Mapping[str, Any], definition: Callable[[str], Unit | None]
) -> UnitState:
    """Inverse of `unit_record`. `definition` finds a kept definition by fingerprint."""
    state = UnitState(name)
    state.sub = SubState(record["sub"])
    state.result = Result(record["result"])
    state.invocation = record.get("invocation", "")
    state.entered = record.get("entered", 0.0)
    state.main = process_records.read(name, record, "main", Slot.MAIN)
    state.control = process_records.read(name, record, "control", Slot.CONTROL)
    state.tree_empty = False
    for field in _PLAIN:
        if field in record:
            setattr(state, field, record[field])
    if "hold" in record:
        state.hold = Hold(*record["hold"])
    state.checked = checked_from(record.get("checked"))
    if "last_exit" in record:
        state.last_exit = LastExit(*record["last_exit"])
    if "job" in record:
        state.job = Job.restored(record["job"])
    if "path" in record:
        state.path = PathState.restored(record["path"])
    if "timer" in record:
        state.timer = TimerState.restored(record["timer"])
    if "activation" in record:
        by, variables, begun = record["activation"]
        state.activation = Activation(by, tuple(variables), begun)
    if "health" in record:
        passed, failures, detail = record["health"]
        state.health = Health(passed=passed, failures=failures, detail=detail)
    if "dialogue" in record:
        state.dialogue = Dialogue.restored(record["dialogue"])
    # A live change may have been recorded and not kept: then what it was spawned by is as good.
    spawned_by = [x.process.fingerprint for x in (state.main, state.control) if x is not None]
    for fingerprint in (record.get("fingerprint", ""), *spawned_by):
        if state.unit is None and fingerprint:
            state.unit = definition(fingerprint)
    if state.unit is not None:
        state.unit = state.unit.seated(record.get("seat", name))
    if "listening" in record:
        accepted, refused = record["listening"]
        state.listening = Listening(accepted, refused)
    if "connection" in record and state.unit is not None:
        socket, source = record["connection"]
        state.connection = Connection(socket, source, state.unit)
    return state


def held_back_record(held: HeldBack | None) -> dict[str, Any] | None:
    """A commit held back as JSON."""
    if held is None:
        return None
    return {
        "commit": commit_record(held.commit),
        "to": commit_record(held.to),
        "units": held.units,
        "revert": held.revert,
    }


def held_back_from(record: Mapping[str, Any] | None) -> HeldBack | None:
    """Inverse of `held_back_record`."""
    if not record:
        return None
    commit, to = CommitMeta(**record["commit"]), CommitMeta(**record["to"])
    return HeldBack(commit, to, dict(record["units"]), record["revert"])


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome that is to be told, as JSON."""
    return {
        "commit": commit_record(outcome.commit),
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "seconds": outcome.seconds,
        "units": outcome.units,
        "at": outcome.at,
        "told": list(outcome.told),
    }


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


def write(world: World, last: dict[str, Any]) -> None:
    """Order a `Record` for everything durable that this step changed. `last`: what was ordered before."""
    for name in world.dirty:
        state = world.units.get(name)
        key = f"unit/{name}"
        record = unit_record(state) if state is not None else None
        if record is not None and record == {
            "sub": "dead",
            "result": "success",
            "tree_empty": True,
        }:
            record = None
        _order(world, last, key, record)
        if world.deploy is not None and name in world.deploy.touched:
            _order(world, last, f"{_PROVED}{name}", name not in world.deploy.pending or None)
    _order(world, last, "ends", [[x.unit, x.relation, [*x.variables]] for x in world.ends] or None)
    if world.dirty:
        _order(world, last, "serial", world.serial)
    # What is said of commits changes by replacing it (of a deploy, only who is pending does not).
    commits = (world.applied, world.refused, world.goods, world.deploy, world.held_back)
    if any(now is not then for now, then in zip_longest(commits, world.recorded_commits)):
        world.recorded_commits = commits
        _write_commits(world, last)


def _write_commits(world: World, last: dict[str, Any]) -> None:
    deploy = world.deploy
    _order(world, last, "deploy", deploy_record(world))
    for sha, verdict in world.verdicts.items():
        _order(world, last, f"verdict/{sha}", verdict)
    for key in [key for key in last if key.startswith(_PROVED)]:
        name = key.removeprefix(_PROVED)
        if deploy is None or name not in deploy.touched or name in deploy.pending:
            _order(world, last, key, None)


def order(world: World, key: str, value: Any) -> None:
    """Make one value durable in this step; None forgets it."""
    _order(world, world.recorded, key, value)


def _order(world: World, last: dict[str, Any], key: str, value: Any) -> None:
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
