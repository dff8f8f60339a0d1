"""What a directive is: one row of the directive table, and the typed key to a unit's value.

`unit[directives.RESTART_SEC]` is a `float` for the type checker because RESTART_SEC is a
`Directive[float]`: the table is the only place that names a directive, its type and its default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Repeat(Enum):
    """What several assignments of one directive mean (systemd.syntax(7))."""

    LAST = "last wins"
    LIST = "list; empty assignment resets"
    DEPENDENCY = "list; never reset"


class Change(Enum):
    """The smallest action by which a changed value takes effect on a running unit."""

    NONE = "none"
    LIVE = "live"
    RELOAD = "reload"
    RESTART = "restart"


class Specifiers(Enum):
    """Whether `%i` and its like mean something in a directive's text, and how what they give is put in."""

    NONE = "none"  # a percent sign is just that (MemoryMax=50%)
    TEXT = "text"  # put in as it is
    WORDS = "words"  # put in as part of its word: the parser cuts words, and no value splits one
    ESCAPED = "escaped"  # put in escaped: the parser decodes C escapes, so no value splits a word
    WHOLE = "whole"  # put in under cover, which the parsed value is rid of: none means anything to the parser


class Support(Enum):
    """How far GitProc goes along with a directive that systemd knows."""

    ENFORCED = "enforced"
    NO_EFFECT = "no effect"  # accepted in silence: has no meaning for GitProc and loses nothing
    UNENFORCED = "not enforced"  # accepted with a warning
    RESTRICTS = "not enforced, restricts"  # an error unless the host's config allows it
    REFUSED = "refused"  # always an error


@dataclass(frozen=True, slots=True, eq=False)
class Directive(Generic[T]):
    """One row of the table.

    `parse` turns the text of one assignment (specifiers expanded, quotes intact) into a value and raises
    ValueError with a message for the operator; for LIST and DEPENDENCY directives it returns the tuple of
    items of that one assignment, and T is that tuple's type.
    """

    section: str
    name: str
    parse: Callable[[str], T]
    default: T
    repeat: Repeat
    change: Change
    support: Support
    doc: str
    specifiers: Specifiers = Specifiers.NONE
    key: str = field(init=False)
    """`Section.Name`, unique in the table."""

    def __post_init__(self) -> None:
        """Join the key once: values are looked up by it all the time."""
        object.__setattr__(self, "key", f"{self.section}.{self.name}")

    def of(self, values: Mapping[str, Any]) -> T:
        """Its value among those of a unit, or the default."""
        value: T = values.get(self.key, self.default)
        return value

    def __str__(self) -> str:
        return self.name
