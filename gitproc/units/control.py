"""What a unit asks of resource control, whether it is a service or a slice."""

from __future__ import annotations

from typing import Any, TypeVar

from gitproc.units import directives_resources as r
from gitproc.units.directive import Change, Directive
from gitproc.units.names import parent_slice
from gitproc.units.unit import Unit

T = TypeVar("T")

ROOT = "-.slice"
_PLACING = (r.SLICE, r.DELEGATE, r.DELEGATE_SUBGROUP)


def own(unit: Unit, directive: Directive[T]) -> T:
    """The value of a directive of services, which a slice has in a section of its own."""
    key = f"Slice.{directive.name}" if unit.kind == "slice" else directive.key
    value: T = unit.values.get(key, directive.default)
    return value


def has(unit: Unit, directive: Directive[T]) -> bool:
    """Whether the unit sets that."""
    key = f"Slice.{directive.name}" if unit.kind == "slice" else directive.key
    return key in unit.values


def asks(unit: Unit) -> bool:
    """Whether the unit sets anything at all that a group is to be told."""
    return not r.LIVE.isdisjoint(unit.values)


def change_of(directive: Directive[Any], old: Unit, new: Unit) -> Change:
    """The smallest action by which a changed value takes effect between these two definitions.

    What lies below a delegated group is its owner's alone, who knows it by its path ("Delegation" in cgroups(7)):
    the group is neither moved nor taken back while that one runs.
    """
    if directive in _PLACING and old[r.DELEGATE] is not None:
        handed_over = directive is r.DELEGATE and new[r.DELEGATE] is not None
        return Change.LIVE if handed_over else Change.RESTART
    return directive.change


def slices_of(unit: Unit) -> tuple[str, ...]:
    """The slices that the unit lies in, the innermost first, without the root (systemd.slice(5))."""
    if unit.kind == "slice":
        first = parent_slice(unit.name)
    else:
        first = unit.values.get(r.SLICE.key)
    found = []
    while first is not None and first != ROOT:
        found.append(first)
        first = parent_slice(first)
    return tuple(found)
