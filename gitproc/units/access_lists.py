"""Lists that allow what they name, or with a leading `~` deny it: capabilities, system calls, families.

Assignments of such a directive build on one another, and systemd knows two ways: a *set* that grows by what
is allowed and shrinks by what is denied (`fold_set`), and a *filter* whose first assignment decides whether
it allows or denies, and to which later ones add or from which they take away (`fold_filter`).
"""

from __future__ import annotations

from collections.abc import Iterable

from gitproc.immutable import NamedTuple
from gitproc.units.words import split_words


class Rule(NamedTuple):
    """One assignment: what it names, and whether it denies (`~`) that rather than allow it."""

    denies: bool
    items: tuple[str, ...]


class Filter(NamedTuple):
    """What assignments add up to: what is in `items` alone is allowed, or all but that is.

    An item's value is the error number that answers it in any case (`NAME:EPERM`), None without one.
    """

    allows: bool
    items: dict[str, int | None]


NOTHING = Rule(False, ())
EVERYTHING = Rule(True, ())


def parse_rule(text: str) -> Rule:
    """`A B` allows, `~A B` denies; the words are not looked at."""
    denies = text.startswith("~")
    return Rule(denies, tuple(split_words(text[1:] if denies else text)))


def fold_set(
    rules: Iterable[Rule], everything: frozenset[str], initial: frozenset[str]
) -> frozenset[str]:
    """What is allowed in the end; the first rule, and one that names nothing, begin anew.

    The rule of CapabilityBoundingSet=, AmbientCapabilities= (systemd.exec(5)) and RestrictNamespaces=.
    """
    now = initial
    for denies, names in rules:
        items = frozenset(names)
        if not items or now == initial:
            now = everything - items if denies else items
        else:
            now = now - items if denies else now | items
    return now


def fold_filter(rules: Iterable[Rule]) -> Filter | None:
    """The filter in the end; None where there is no rule.

    The rule of SystemCallFilter= and RestrictAddressFamilies= (systemd.exec(5)): the first assignment
    decides, one of the same kind adds, one of the other kind takes away.
    """
    allows: bool | None = None
    items: dict[str, int | None] = {}
    for denies, names in rules:
        if allows is None:
            allows = not denies
        for item in names:
            name, colon, error = item.partition(":")
            if colon or allows is not denies:
                items[name] = int(error) if error else None
            else:
                items.pop(name, None)
    return None if allows is None else Filter(allows, items)
