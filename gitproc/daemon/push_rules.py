"""What a push may do to the repository, beyond that its commit must compile.

The rules guard against accidents, not against people: whoever may push may also insist, by a push option
that names what is meant. They are the same whether the daemon judges or, while it is down, the hook itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gitproc.immutable import immutable
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.names import is_instance
from gitproc.units.tree import Role, place_of
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet

NOTES = "refs/notes/gitproc"
OPEN = 10.0  # the score of a service that nothing confines
PLAN, ASYNC, FORCE, CONFIRM_PRUNE = "plan", "async", "force", "confirm-prune"
OPTIONS = {
    PLAN: "show the plan, and change nothing",
    ASYNC: "do not wait for the outcome",
    FORCE: "rewind or delete the branch",
    CONFIRM_PRUNE: "end many units at once",
}


@immutable
class Update:
    """One reference of a push: ids before and after ("" for none).

    `forward`: whether `new` builds on `old`, as the hook's git says; `commits`: how many are new; `size`:
    bytes of its files (no more are counted than there may be, and some).
    """

    ref: str
    old: str
    new: str
    forward: bool = True
    commits: int = 0
    size: int = 0


def deployed(updates: Iterable[Update], branch: str) -> Update | None:
    """The update of the branch that says what runs, if there is one."""
    return next((x for x in updates if x.ref == f"refs/heads/{branch}"), None)


def problem(message: str) -> Diagnostic:
    """A finding about the push itself."""
    return Diagnostic(Location("", 0), "error", "", message)


def judge(
    updates: Sequence[Update], options: Sequence[str], branch: str, head: str | None
) -> list[Diagnostic]:
    """Everything that speaks against the push, its files aside. `head`: what the branch names now."""
    found: list[str] = []
    if any(x.ref == NOTES or x.ref.startswith(f"{NOTES}/") for x in updates):
        found.append(
            f"{NOTES} is written by the daemon alone: leave it out of the push (`git fetch` reads it)"
        )
    update = deployed(updates, branch)
    if update is not None:
        found += _unknown(options)
        if update.old != (head or ""):
            now = f"is at {head[:12]} now" if head else "is gone now"
            found.append(
                f"{branch} {now}, somebody else was faster: `git pull --rebase`, push again"
            )
        elif FORCE not in options:
            found += _not_forward(update, branch)
    return [problem(x) for x in found]


def _unknown(options: Sequence[str]) -> list[str]:
    found = []
    for option in options:
        if option not in OPTIONS:
            from difflib import get_close_matches

            close = get_close_matches(option, OPTIONS, 1, 0.6)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(OPTIONS)}"
            found.append(f"unknown push option {option[:80]!r}: {hint}")
    return found


def _not_forward(update: Update, branch: str) -> list[str]:
    if not update.new:
        return [f"{branch} says what runs here and is not deleted: `-o {FORCE}` if that is meant"]
    if update.old and not update.forward:
        text = f"{update.new[:12]} does not build on {update.old[:12]}, which {branch} is at: "
        return [f"{text}`git pull --rebase`, or `-o {FORCE}` to rewind"]
    return []


def too_large(size: int, most: int) -> list[Diagnostic]:
    """Whether the files of a commit, which are laid out for units, have more than `most` bytes."""
    if size <= most:
        return []
    return [
        problem(
            f"the commit's files have more than {most} bytes together ({_shown(most)}): leave out what is "
            "no configuration, or raise max_tree in section [policy] of config.toml"
        )
    ]


def _shown(size: int) -> str:
    return f"{size / (1 << 20):.4g} MiB"


def exposure(before: UnitSet | None, after: UnitSet, most: float) -> list[Diagnostic]:
    """Services and templates that the push makes, or leaves, more exposed than `most` (a score; 10 allows all)."""
    if most >= OPEN:
        return []
    from gitproc.units.exposure import too_exposed

    weighed = _weighed(after)
    return too_exposed(_weighed(before) if before is not None else {}, weighed, weighed, most)


def _weighed(units: UnitSet) -> dict[str, Unit]:
    """An instance of a template may be started that no unit has named; some have drop-ins of their own."""
    samples = ((name, units.sample(name)) for name in units.templates)
    places = (place_of(path) for path in units.files)
    named = {x.owner for x in places if x.role is Role.DROP_IN and is_instance(x.owner)}
    instances = ((name, units.resolve(name)) for name in named - units.units.keys())
    found = {name: unit for name, unit in (*samples, *instances) if unit is not None}
    return {**units.units, **found}


def mass_removal(
    ended: Sequence[str], running: int, options: Sequence[str], most: int
) -> list[Diagnostic]:
    """Whether a push would end more than `most` of the units that run, or all of several."""
    count = len(ended)
    if CONFIRM_PRUNE in options or not (count > most or (count >= 2 and count >= running)):
        return []
    names = ", ".join(sorted(ended)[:5]) + (", ..." if count > 5 else "")
    return [
        problem(
            f"this would end {count} of the {running} units that run ({names}): "
            f"`-o {CONFIRM_PRUNE}` if that is meant"
        )
    ]
