"""Where commits stand: being deployed, refused, held back; and how they ended, until that has been told."""

from __future__ import annotations

from gitproc.core.events import CommitMeta
from gitproc.immutable import field, immutable, mutable
from gitproc.units.diagnostics import Diagnostic


@mutable
class Deploy:
    """A commit in force that has not settled yet. `pending`: touched units that have not proved themselves.

    `restarts`: how often touched units had been restarted before. `ups`: when they have come up since.
    """

    commit: CommitMeta
    since: float
    touched: frozenset[str]
    pending: set[str]
    failed: dict[str, str] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    ups: dict[str, list[float]] = field(default_factory=dict)


@mutable
class Refusal:
    """A commit that was not accepted, and the reasons: the first ones, should somebody have made very many."""

    commit: CommitMeta
    diagnostics: tuple[Diagnostic, ...]


@immutable
class HeldBack:
    """A failed commit that the branch names and that is not to be tried again; `to` is in force instead.

    `units`: which failed, and how. `revert`: it is to be undone on the branch, too.
    """

    commit: CommitMeta
    to: CommitMeta
    units: dict[str, str]
    revert: bool = False


@immutable
class UnitChange:
    """The commit that last gave a unit another definition, what differs (nothing: it was new), and the
    good commit before that (its id; empty if none)."""

    commit: CommitMeta
    good: str
    differences: tuple[str, ...] = ()


@mutable
class Outcome:
    """How a commit ended, until everybody who listens has been told. `at`: 0 if before this boot."""

    commit: CommitMeta
    verdict: str
    reason: str
    seconds: float
    units: dict[str, str]
    at: float
    told: list[str] = field(default_factory=list)

    @property
    def delivery(self) -> str:
        """What tells this outcome from every other, for listeners that hear of it twice."""
        return f"{self.commit.sha}:{self.verdict}"
