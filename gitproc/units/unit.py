"""One unit as it takes effect: its definition after drop-ins, templates and defaults, with typed access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from gitproc.units.diagnostics import Location
from gitproc.units.directive import Directive

T = TypeVar("T")


class Setting(NamedTuple):
    """One assignment as written: key (`Service.ExecStart`), its raw text, and where it stands."""

    key: str
    text: str
    where: Location


class Unit:
    """An effective unit. Immutable by convention."""

    __slots__ = (
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
    settings: tuple[Setting, ...]
    values: Mapping[str, Any]
    triggers: Mapping[str, str]
    masked: bool
    fingerprint: str

    def __getitem__(self, directive: Directive[T]) -> T:
        value: T = self.values.get(directive.key, directive.default)
        return value

    def has(self, directive: Directive[Any]) -> bool:
        return directive.key in self.values

    def where(self, directive: Directive[Any], item: object = None) -> Location:
        raise NotImplementedError

    def freeze(self) -> dict[str, Any]:
        raise NotImplementedError

    @staticmethod
    def thaw(data: Mapping[str, Any], host: Any) -> Unit:
        raise NotImplementedError
