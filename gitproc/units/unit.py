"""One unit as it takes effect: its settings after drop-ins and templates, its values, its identity.

A unit is made of settings alone: values, fingerprint and places are worked out from them, so the settings
are also all that has to be kept to bring the very definition of a running unit back after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from sys import intern
from typing import Any, TypeVar

from gitproc.units.assignments import Assignments, Setting
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive
from gitproc.units.directives import (
    DEFAULT_INSTANCE,
    HEALTH_CHECK_RETRIES,
    RELOAD_TRIGGERS,
    RESTART_TRIGGERS,
)
from gitproc.units.evaluate import evaluate, fingerprint, targets_of
from gitproc.units.names import split_name
from gitproc.units.seats import home
from gitproc.units.service_rules import derive
from gitproc.units.specifiers import Host

__all__ = ["Setting", "Unit"]

T = TypeVar("T")
_FEW = 4  # up to which a tuple is searched: dictionaries are four times as large
_NO_TRIGGERS: Mapping[str, str] = {}


class Unit:
    """An effective unit. Immutable by convention; equal if made of the same settings.

    `kind` is the type without its dot (`service`), `fragment` the path of the main file inside the tree
    ("" for a built-in target, or a slice without one), `values` what was set or follows from what was set, by
    key, `triggers` the blob ids of the files that RestartTriggers= and ReloadTriggers= name, by path.
    """

    __slots__ = (
        "_origins",
        "_private_pids",
        "drop_ins",
        "fingerprint",
        "fragment",
        "kind",
        "masked",
        "name",
        "settings",
        "triggers",
        "values",
    )

    name: str
    kind: str
    fragment: str
    drop_ins: tuple[str, ...]
    settings: Assignments
    values: Mapping[str, Any]
    triggers: Mapping[str, str]
    masked: bool
    fingerprint: str

    def __init__(
        self,
        name: str,
        fragment: str,
        settings: Iterable[Setting],
        host: Host,
        *,
        drop_ins: tuple[str, ...] = (),
        blob_of: Callable[[str], str | None] | None = None,
        masked: bool = False,
        private_pids: bool = False,
        diagnostics: list[Diagnostic] | None = None,
    ) -> None:
        """Work a unit out from its settings.

        `blob_of` finds the blob id of a trigger file by path, None if there is none; errors in values
        go into `diagnostics` and leave the value out. ValueError if `name` is no unit name.
        """
        self.name = name
        self.kind = intern(split_name(name)[2][1:])
        self.fragment = fragment
        self.drop_ins = drop_ins
        self.settings = Assignments.of(settings)
        self.masked = masked
        self._private_pids = private_pids
        values, origins, texts, found = evaluate(name, self.kind, fragment, self.settings, host)
        if self.kind == "service" and not masked:
            derive(values, self.settings, private_pids=private_pids)
            if HEALTH_CHECK_RETRIES.key in values:
                texts[HEALTH_CHECK_RETRIES.key] = [str(values[HEALTH_CHECK_RETRIES.key])]
        self.values = values
        self._origins = origins if len(origins) > _FEW else tuple(origins.items())
        triggers: dict[str, str] = {}
        for key in (RESTART_TRIGGERS.key, RELOAD_TRIGGERS.key):
            for path in values.get(key, ()):
                blob = blob_of(path) if blob_of else None
                if blob is not None:
                    triggers[path] = blob
        self.triggers = triggers or _NO_TRIGGERS
        self.fingerprint = fingerprint(name, texts, self.triggers)
        if diagnostics is not None:
            diagnostics += found

    def __getitem__(self, directive: Directive[T]) -> T:
        """The value of a directive, or its default."""
        value: T = self.values.get(directive.key, directive.default)
        return value

    def has(self, directive: Directive[Any]) -> bool:
        """Whether the value is set (or follows from another one), rather than the default."""
        return directive.key in self.values

    def written(self) -> dict[str, list[str]]:
        """What its files say of each directive, by its key; what an empty setting has reset is gone."""
        texts: dict[str, list[str]] = {}
        for setting in self.settings:
            for key in targets_of(setting.key):
                if setting.text:
                    texts.setdefault(key, []).append(setting.text)
                else:
                    texts.pop(key, None)
        return texts

    def get(self, directive: Directive[T], otherwise: T) -> T:
        """The value where one is set (or follows from another one), else what the caller says."""
        value: T = self.values.get(directive.key, otherwise)
        return value

    def where(self, directive: Directive[Any], item: object = None) -> Location:
        """The place of the last assignment, or of the one that named `item`; else the file."""
        if item is not None:
            origins = self._origins
            known = origins if isinstance(origins, dict) else dict(origins)
            origin = known.get((directive.key, item))
            if origin is not None:
                return self.settings.where(origin)
        for setting in reversed(self.settings):
            if directive.key in targets_of(setting.key):
                return setting.where
        return Location(self.fragment or self.name, 0)

    @property
    def has_files(self) -> bool:
        """Whether the repository says something of it: built-in targets and slices are there without."""
        return bool(self.fragment or self.drop_ins)

    @property
    def prefix(self) -> str:
        """`foo` of `foo@bar.service` and of `foo.service`."""
        return split_name(home(self.name))[0]

    @property
    def instance(self) -> str | None:
        """`bar` of `foo@bar.service`; None for a plain unit."""
        return split_name(home(self.name))[1]

    @property
    def installs(self) -> bool:
        """Whether its [Install] is about it: that of a template is about the instance that DefaultInstance= names."""
        made_of_template = "@." in self.fragment.rpartition("/")[2]
        return not made_of_template or self.instance == self[DEFAULT_INSTANCE]

    def seated(self, seat: str) -> Unit:
        """The same definition for an instance in another seat; all but the name is shared."""
        if seat == self.name:
            return self
        other = copy(self)
        other.name = seat
        return other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unit) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.name, self.fingerprint))

    def __repr__(self) -> str:
        return f"<Unit {self.name} {self.fingerprint[:8]}>"

    def _identity(self) -> tuple[object, ...]:
        return (
            self.name,
            self.fingerprint,
            self.fragment,
            self.drop_ins,
            self.masked,
            self.settings,
            self.values,
        )

    def freeze(self) -> dict[str, Any]:
        """All there is to the unit as plain JSON data; `thaw` brings it back."""
        return {
            "name": home(self.name),
            "fragment": self.fragment,
            "drop_ins": list(self.drop_ins),
            "settings": self.settings.freeze(),
            "triggers": dict(self.triggers),
            "masked": self.masked,
            "private_pids": self._private_pids,
        }

    @staticmethod
    def thaw(data: Mapping[str, Any], host: Host) -> Unit:
        """The unit that was frozen; KeyError, TypeError or ValueError if the data is something else."""
        return Unit(
            data["name"],
            data["fragment"],
            Assignments.thaw(data["settings"]),
            host,
            drop_ins=tuple(data["drop_ins"]),
            blob_of=data["triggers"].get,
            masked=data["masked"],
            private_pids=data["private_pids"],
        )
