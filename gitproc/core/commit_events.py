"""Facts about commits and the branch, in the past tense; see `events.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from gitproc.core.host_unit import HostUnit
from gitproc.immutable import immutable
from gitproc.units.diagnostics import Diagnostic

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet


@immutable
class CommitMeta:
    """Who committed what, for people."""

    sha: str
    author: str = ""
    time: float = 0.0
    subject: str = ""


@immutable
class CommitLoaded:
    """The branch names this commit and its tree has been read and compiled.

    `changed` are the units whose definition may differ from those now in force (None: compare all).
    `findings` are about the tree rather than its units. `again`: a commit that was in force before (boot,
    recovery): it is applied but not judged anew. `stand_in`: the branch itself names another commit, which
    is refused or held back, or none that can be had; what was said about that still holds. `anew`: an
    operator wants it tried and judged once more. `host_units`: what the host's systemd says of names that
    the commit depends on and does not have (None: no systemd there).
    """

    commit: CommitMeta
    units: UnitSet
    changed: frozenset[str] | None = None
    findings: tuple[Diagnostic, ...] = ()
    again: bool = False
    stand_in: bool = False
    anew: bool = False
    host_units: Mapping[str, HostUnit] | None = None


@immutable
class HostUnitsSeen:
    """What the host's systemd says of its units; or why it could not be asked."""

    states: Mapping[str, HostUnit]
    problem: str = ""


@immutable
class SourceFailed:
    """The branch cannot be read (deleted, unreadable repository): what is applied stays in force."""

    reason: str


@immutable
class BranchUnborn:
    """The repository is fine and the branch has no commit."""


@immutable
class OutcomeTold:
    """One listener (`channel`) has heard how a commit ended. `last`: nobody else is to hear of it."""

    delivery: str
    channel: str
    last: bool


CommitEvent: TypeAlias = CommitLoaded | HostUnitsSeen | SourceFailed | BranchUnborn | OutcomeTold
