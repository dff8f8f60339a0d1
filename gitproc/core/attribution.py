"""Which commit last changed what a unit does, kept for the moment it fails.

Not which commit touched its files: which one, when it was put in force, gave the unit another effective
definition than it had, through whatever file. Durable as one record a commit, since a first deploy of
thousands of units changes all of them; a record goes when the last of its units has been changed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitproc.core import records
from gitproc.core.commit_states import UnitChange
from gitproc.core.events import CommitLoaded
from gitproc.core.plan import compare
from gitproc.core.verdicts import last_good
from gitproc.core.world import World
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet

KEY = records.CHANGED
_SHOWN = 5  # differences in a message


def note(world: World, event: CommitLoaded, before: UnitSet | None, changed: Iterable[str]) -> None:
    """A commit is about to be put in force in place of `before` (None: a manager that just came back)."""
    commit, units = event.commit, event.units
    known = before is not None or world.applied is None
    good = last_good(world, commit.sha)
    rollback = good.sha if good is not None else ""
    found: dict[str, UnitChange] = {}
    gone: list[str] = []
    for name in sorted(changed):
        new, old = units.units.get(name), _before(world, before, name)
        if new is None:
            gone.append(name)
        elif old is not None and old is not new:
            texts = tuple(map(str, compare(old, new).differences))
            if texts:
                found[name] = UnitChange(commit, rollback, texts)
        elif old is None and new.has_files and known:
            found[name] = UnitChange(commit, rollback)
    if not found and not any(name in world.changes for name in gone):
        return
    replaced = {world.changes[x].commit.sha for x in (*found, *gone) if x in world.changes}
    for name in gone:
        world.changes.pop(name, None)
    world.changes.update(found)
    left = {change.commit.sha for change in world.changes.values()}
    for sha in sorted(replaced - left):
        records.order(world, f"{KEY}{sha}", None)
    if found:
        world.serial += 1
        # All of its units: it may have been in force before, and be the last to have changed some.
        own = {
            n: list(x.differences) for n, x in world.changes.items() if x.commit.sha == commit.sha
        }
        value = {
            "number": world.serial,
            "commit": records.commit_record(commit),
            "good": rollback,
            "units": own,
        }
        records.order(world, f"{KEY}{commit.sha}", value)


def _before(world: World, before: UnitSet | None, name: str) -> Unit | None:
    if before is not None:
        return before.units.get(name)
    state = world.units.get(name)
    return state.unit if state is not None else None


def record(change: UnitChange | None) -> dict[str, Any] | None:
    """The stable JSON form, for events and `status`."""
    if change is None:
        return None
    return {
        **(records.commit_record(change.commit) or {}),
        "differences": list(change.differences),
        "rollback": change.good or None,
    }


def blame(world: World, name: str) -> str:
    """`; last changed by 1a2b3c (Ann, 2026-01-01 12:00 UTC): A 1 → 2; ...`, or empty if nobody knows."""
    change = world.changes.get(name)
    if change is None:
        return ""
    commit = change.commit
    when = datetime.fromtimestamp(commit.time, UTC).strftime("%Y-%m-%d %H:%M UTC")
    texts = "; ".join(change.differences[:_SHOWN]) or "new"
    if len(change.differences) > _SHOWN:
        texts += f"; and {len(change.differences) - _SHOWN} more"
    undo = f"; to go back: gitproc rollback {change.good[:12]}" if change.good else ""
    who = f"{commit.author}, {when}" if commit.author else when
    return f"; last changed by {commit.sha[:12]} {commit.subject} ({who}): {texts}{undo}"
