"""Where below our base a unit's group lies: at the top, or inside the slices that it names.

`a-b.slice` lies in `a.slice`; the root slice, `-.slice`, is the base itself. A unit's place is that of the
instance that runs, so it is kept from its start to its end, and found again on disk after a crash. While it
changes, and after a crash in the middle of that, the unit has a group at its former place, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from gitproc.kernel.cgroup_layout import group_name, unit_name
from gitproc.units import directives_resources as r
from gitproc.units.control import ROOT, slices_of
from gitproc.units.names import is_valid_slice, parent_slice
from gitproc.units.unit import Unit

_SUFFIX = ".slice"


def slice_path(name: str) -> str:
    """The path of a slice below the base: `a.slice/a-b.slice`; "" for the root slice."""
    parts: list[str] = []
    current: str | None = name
    while current is not None and current != ROOT:
        parts.append(group_name(current))
        current = parent_slice(current)
    return "/".join(reversed(parts))


def split(path: str) -> tuple[str, str]:
    """A path below the base as the path of its slices and the group of a unit in it, "" without one."""
    parts = path.split("/")
    depth = 0
    while depth < len(parts) and parts[depth].endswith(_SUFFIX):
        depth += 1
    return "/".join(parts[:depth]), parts[depth] if depth < len(parts) else ""


def unit_at(path: str) -> str | None:
    """The unit that owns a path below the base; None for a slice."""
    group = split(path)[1]
    return unit_name(group) if group else None


def place_of(unit: Unit) -> str:
    """Where below the base the unit's group belongs."""
    slices = slices_of(unit)
    group = group_name(unit.name)
    return f"{slice_path(slices[0])}/{group}" if slices else group


class Places:
    """The places of units in slices; all others lie at the top and need not be remembered."""

    def __init__(self) -> None:
        self._inside: dict[str, str] = {}
        self.former: dict[str, tuple[str, ...]] = {}
        """Where else a unit may have a group: what it is leaving."""

    def path(self, unit: str) -> str:
        """The unit's group below the base. HostError for what cannot be a unit's name."""
        if unit.endswith(_SUFFIX) and is_valid_slice(unit):
            return slice_path(unit)
        return self._inside.get(unit) or group_name(unit)

    def put(self, unit: Unit) -> str:
        """The unit is about to run: this is its place from now on."""
        if unit.kind != "slice":
            self.settle(unit.name, place_of(unit))
        return self.path(unit.name)

    def at_home(self, unit: Unit) -> bool:
        """Whether the unit's group, if it has one, is where it belongs and nowhere else."""
        name = unit.name
        if name in self.former:
            return False
        if name not in self._inside and r.SLICE.key not in unit.values:
            return True  # nearly all
        return self.path(name) == place_of(unit)

    def settle(self, unit: str, path: str) -> None:
        """This is the unit's place."""
        self._inside.pop(unit, None)
        if "/" in path:
            self._inside[unit] = path
        self.left(unit, path)

    def leave(self, unit: str, path: str) -> None:
        """The unit is leaving that place."""
        if path not in self.former.get(unit, ()):
            self.former[unit] = (*self.former.get(unit, ()), path)

    def left(self, unit: str, path: str) -> None:
        """Nothing of the unit is left at that place, or it is its own again."""
        rest = tuple(x for x in self.former.pop(unit, ()) if x != path)
        if rest:
            self.former[unit] = rest

    def forget(self, unit: str) -> None:
        """Its group is gone."""
        self._inside.pop(unit, None)

    def within(self, name: str) -> list[str]:
        """The units that lie in a slice or in one below it, by their names (not those of the root's top)."""
        start = slice_path(name)
        return [u for u, path in self._inside.items() if f"{path}/".startswith(f"{start}/")]

    def scan(self, base: str) -> list[str]:
        """The units that have a group below `base` now; those in slices are remembered."""
        found: dict[str, None] = {}
        for path in _groups(base, ""):
            unit = unit_at(path)
            if unit is None:
                continue
            if "/" in path and unit not in found:
                self._inside.setdefault(unit, path)
            if path != self.path(unit):
                self.leave(unit, path)
            found[unit] = None
        return list(found)


def _groups(base: str, below: str) -> Iterator[str]:
    folder = f"{base}/{below}" if below else base
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [x.name for x in entries if x.is_dir(follow_symlinks=False)]:
            path = f"{below}/{name}" if below else name
            if name.endswith(_SUFFIX):
                yield from _groups(base, path)
            else:
                yield path


def parents(path: str) -> Iterable[str]:
    """The paths above, the innermost first, without the base."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
