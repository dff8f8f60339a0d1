"""What is told of the [Unit] and [Install] sections of any unit: warnings, as nothing depends on it."""

from __future__ import annotations

from collections.abc import Iterator

from gitproc.units.diagnostics import Diagnostic
from gitproc.units.directives import DEFAULT_INSTANCE, DOCUMENTATION
from gitproc.units.names import split_name
from gitproc.units.unit import Unit

SAYS_OF = frozenset({DEFAULT_INSTANCE.key, DOCUMENTATION.key})
"""What `verify` is about."""
_SCHEMES = ("http://", "https://", "file:/", "info:", "man:")


def verify(unit: Unit) -> Iterator[Diagnostic]:
    """What does not mean what it may be meant to."""
    if unit[DEFAULT_INSTANCE] and split_name(unit.name)[1] is None:
        message = "only a template has instances: it does nothing here"
        yield Diagnostic(unit.where(DEFAULT_INSTANCE), "warning", DEFAULT_INSTANCE.name, message)
    for text in unit[DOCUMENTATION]:
        if not is_documentation(text):
            message = f"'{text[:200]}' is no URI (https:, file:, man:, info:)"
            where = unit.where(DOCUMENTATION, text)
            yield Diagnostic(where, "warning", DOCUMENTATION.name, message)


def is_documentation(text: str) -> bool:
    """Whether it is a URI of a kind that systemd.unit(5) names for Documentation=."""
    scheme = next((x for x in _SCHEMES if text.startswith(x)), "")
    return bool(scheme) and len(text) > len(scheme) and text.isascii() and text.isprintable()
