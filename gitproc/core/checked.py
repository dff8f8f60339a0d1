"""What became of a unit's conditions and assertions when they were last checked (systemd.unit(5)).

All plain conditions have to hold, and of those marked with `|`, if there are any, at least one; the same goes
for assertions. What could not be found out does not hold, turned round or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from gitproc.immutable import immutable


@immutable
class Finding:
    """One test. `text` as written (`ConditionPathExists=!/x`); `met` with `!` taken into account.

    `problem`: why it could not be found out.
    """

    text: str
    met: bool
    trigger: bool = False
    problem: str = ""

    @property
    def assertion(self) -> bool:
        """Whether a failure is one of the start: of Assert*= and RequiresMountsFor=."""
        return not self.text.startswith("Condition")

    def __str__(self) -> str:
        return f"{self.text} was not met" + (f" ({self.problem})" if self.problem else "")


@immutable
class Checked:
    """All tests of one start. `realtime`: when, in seconds since 1970."""

    realtime: float
    findings: tuple[Finding, ...]

    @property
    def unmet(self) -> tuple[Finding, ...]:
        """The conditions that are in the way of a start; () if there are none."""
        return in_the_way(x for x in self.findings if not x.assertion)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The assertions that fail a start."""
        return in_the_way(x for x in self.findings if x.assertion)

    def record(self) -> list[Any]:
        """As JSON."""
        return [self.realtime, [asdict(x) for x in self.findings]]


def checked_from(record: list[Any] | None) -> Checked | None:
    """Inverse of `Checked.record`."""
    if record is None:
        return None
    findings: list[Mapping[str, Any]] = record[1]
    return Checked(record[0], tuple(Finding(**x) for x in findings))


def in_the_way(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Which of these tests say no, all taken together."""
    tests = list(findings)
    group = [x for x in tests if x.trigger]
    failed = [x for x in tests if not x.trigger and not x.met]
    if group and not any(x.met for x in group):
        failed += group
    return tuple(failed)
