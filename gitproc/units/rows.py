"""Shorthand for rows of the directive table that follow a common pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.values import parse_boolean
from gitproc.units.words import split_words

T = TypeVar("T")


def parse_words(value: str) -> tuple[str, ...]:
    """Words separated by blanks, quotes and escapes resolved."""
    return tuple(split_words(value))


def parse_lines(value: str) -> tuple[str, ...]:
    """The whole text of one assignment as one item."""
    return (value,)


def one(
    section: str,
    name: str,
    parse: Callable[[str], T],
    default: T,
    doc: str,
    change: Change = Change.RESTART,
    specifiers: Specifiers = Specifiers.NONE,
    support: Support = Support.ENFORCED,
) -> Directive[T]:
    """One value; the last assignment wins."""
    return Directive(section, name, parse, default, Repeat.LAST, change, support, doc, specifiers)


def several(
    section: str,
    name: str,
    parse: Callable[[str], tuple[T, ...]],
    doc: str,
    change: Change = Change.RESTART,
    specifiers: Specifiers = Specifiers.WORDS,
    support: Support = Support.ENFORCED,
) -> Directive[tuple[T, ...]]:
    """One list, cut by `split_words`: assignments add up, an empty one starts over; empty by default."""
    return Directive(section, name, parse, (), Repeat.LIST, change, support, doc, specifiers)


def text(section: str, name: str, doc: str, change: Change = Change.RESTART) -> Directive[str]:
    """One enforced string with specifiers; empty by default."""
    return one(section, name, str, "", doc, change, Specifiers.TEXT)


def words(
    section: str, name: str, doc: str, change: Change = Change.RESTART
) -> Directive[tuple[str, ...]]:
    """One enforced list of words with specifiers; empty by default."""
    return several(section, name, parse_words, doc, change)


def flag(
    section: str, name: str, default: bool, doc: str, change: Change = Change.RESTART
) -> Directive[bool]:
    """One enforced boolean."""
    return one(section, name, parse_boolean, default, doc, change)


def known(
    section: str,
    name: str,
    support: Support,
    doc: str,
    parse: Callable[[str], Any] | None = None,
    default: Any = None,
) -> Directive[Any]:
    """A directive that systemd knows and GitProc does not act on.

    Without `parse` the text is kept unread, item by item, and any assignment counts as a use; with one, a
    value equal to `default` (`PrivateTmp=no`) asks for nothing and is passed in silence.
    """
    if parse is None:
        return Directive(section, name, parse_lines, (), Repeat.LIST, Change.NONE, support, doc)
    return Directive(section, name, parse, default, Repeat.LAST, Change.NONE, support, doc)


def known_flag(section: str, name: str, support: Support, doc: str) -> Directive[Any]:
    """A boolean that systemd knows, off by default, and GitProc does not act on."""
    return known(section, name, support, doc, parse_boolean, False)


def exactly(*choices: str) -> Callable[[str], str]:
    """A parser that takes these words alone."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"'{value}' is not one of {', '.join(choices)}")
        return value

    return parse


def one_of(*choices: str, off: str = "no") -> Callable[[str], str]:
    """A parser of a boolean that knows further words: false gives `off`, true gives `yes`."""

    def parse(value: str) -> str:
        if value in choices:
            return value
        try:
            return "yes" if parse_boolean(value) else off
        except ValueError:
            raise ValueError(f"'{value}' is not one of yes, no, {', '.join(choices)}") from None

    return parse
