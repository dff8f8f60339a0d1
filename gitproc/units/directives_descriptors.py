"""Rows of the directive table for the descriptors a service is given, and those it has kept for it."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.names import is_valid_name
from gitproc.units.rows import flag, one, one_of
from gitproc.units.values import parse_unsigned
from gitproc.units.words import split_words


def parse_sockets(value: str) -> tuple[str, ...]:
    """Names of socket units."""
    names = tuple(split_words(value))
    for name in names:
        if not is_valid_name(name) or not name.endswith(".socket") or "@." in name:
            raise ValueError(f"'{name}' is not the name of a socket unit")
    return names


SOCKETS: Directive[tuple[str, ...]] = Directive(
    "Service",
    "Sockets",
    parse_sockets,
    (),
    Repeat.DEPENDENCY,
    Change.RESTART,
    Support.ENFORCED,
    "Socket units whose sockets it is given, beside the one of its name.",
    Specifiers.WORDS,
)
NON_BLOCKING = flag(
    "Service", "NonBlocking", False, "Set O_NONBLOCK on sockets that are passed to it."
)
FILE_DESCRIPTOR_STORE_MAX = one(
    "Service",
    "FileDescriptorStoreMax",
    parse_unsigned,
    0,
    "Most descriptors that are kept for it (FDSTORE=1 of sd_notify(3)); none by default.",
    Change.LIVE,
)
FILE_DESCRIPTOR_STORE_PRESERVE = one(
    "Service",
    "FileDescriptorStorePreserve",
    one_of("restart"),
    "restart",
    "How long they are kept: over a restart, for as long as the unit is there (yes), or not (no).",
    Change.LIVE,
)

ROWS: tuple[Directive[Any], ...] = (
    SOCKETS,
    NON_BLOCKING,
    FILE_DESCRIPTOR_STORE_MAX,
    FILE_DESCRIPTOR_STORE_PRESERVE,
)
