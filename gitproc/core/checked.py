"""What became of a unit's conditions and assertions when they were last checked (systemd.unit(5)).

All plain conditions have to hold, and of those marked with `|`, if there are any, at least one; the same goes
for assertions. A mount that is missing (RequiresMountsFor=) comes before both. What could not be found out
does not hold, turned round or not.
"""

from __future__ import annotations

from typing import Any

from gitproc.immutable import as_dict, immutable

_MOUNTS = "RequiresMountsFor"


@immutable
class Finding:
    """One test. `text` as written (`ConditionPathExists=!/x`); `met` with `!` taken into account.

    `problem`: why it could not be found out.
    """

    text: str
    met: bool
    trigger: bool = False
    problem: str = ""

    def __str__(self) -> str:
        said = "" if self.text.startswith(_MOUNTS) else " was not met"
        return f"{self.text}{said}" + (f" ({self.problem})" if self.problem else "")


@immutable
class Checked:
    """All tests of one start. `realtime`: when, in seconds since 1970."""

    realtime: float
    findings: tuple[Finding, ...]

    @property
    def missing(self) -> tuple[Finding, ...]:
        """The mounts (RequiresMountsFor=) without which a start fails, and nothing else is asked for it."""
        return self._failed(_MOUNTS)

    @property
    def unmet(self) -> tuple[Finding, ...]:
        """The conditions that are in the way of a start; () if there are none."""
        return () if self.missing else self._failed("Condition")

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The assertions that fail a start."""
        return () if self.missing or self.unmet else self._failed("Assert")

    @property
    def said_no(self) -> bool:
        """Whether any of them is in the way of a start."""
        return bool(self.missing or self.unmet or self.broken)

    def _failed(self, prefix: str) -> tuple[Finding, ...]:
        tests = [x for x in self.findings if x.text.startswith(prefix)]
        group = [x for x in tests if x.trigger]
        failed = [x for x in tests if not x.trigger and not x.met]
        return (*failed, *(() if any(x.met for x in group) else group))

    def record(self) -> list[Any]:
        """As JSON."""
        return [self.realtime, [as_dict(x) for x in self.findings]]

    @staticmethod
    def restored(realtime: float, findings: list[dict[str, Any]]) -> Checked:
        """Inverse of `record`, of its items."""
        return Checked(realtime, tuple(Finding(**x) for x in findings))
