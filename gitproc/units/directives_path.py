"""Rows of the directive table for [Path]: systemd.path(5)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gitproc.units.directive import Change, Directive, Specifiers
from gitproc.units.directives_triggers import PATH_UNIT
from gitproc.units.rows import flag, one, several
from gitproc.units.timespan import parse_span
from gitproc.units.values import parse_mode, parse_unsigned


def parse_watched_path(value: str) -> tuple[str, ...]:
    """One absolute path, as the item of a list."""
    if not value.startswith("/") or "\0" in value:
        raise ValueError(f"{value!r} is not an absolute path")
    if ".." in value.split("/"):
        raise ValueError(f"{value!r} leads upwards")
    return (posixpath.normpath(value),)


def _path(name: str, doc: str) -> Directive[tuple[str, ...]]:
    return several("Path", name, parse_watched_path, doc, specifiers=Specifiers.TEXT)


PATH_EXISTS = _path("PathExists", "Start the unit while this exists.")
PATH_EXISTS_GLOB = _path("PathExistsGlob", "Start the unit while something matches this pattern.")
PATH_CHANGED = _path("PathChanged", "Start the unit when this was written and closed, or replaced.")
PATH_MODIFIED = _path("PathModified", "As PathChanged=, and at each write.")
DIRECTORY_NOT_EMPTY = _path("DirectoryNotEmpty", "Start the unit while this folder has entries.")
MAKE_DIRECTORY = flag("Path", "MakeDirectory", False, "Make the folders that are to be watched.")
DIRECTORY_MODE = one("Path", "DirectoryMode", parse_mode, 0o755, "Mode of folders that are made.")
TRIGGER_LIMIT_INTERVAL_SEC = one(
    "Path",
    "TriggerLimitIntervalSec",
    parse_span,
    2.0,
    "Window for TriggerLimitBurst=; 0 lifts the limit.",
    Change.LIVE,
)
TRIGGER_LIMIT_BURST = one(
    "Path",
    "TriggerLimitBurst",
    parse_unsigned,
    200,
    "Starts allowed within TriggerLimitIntervalSec=; one more and the path unit fails.",
    Change.LIVE,
)

WATCHES = (PATH_EXISTS, PATH_EXISTS_GLOB, PATH_CHANGED, PATH_MODIFIED, DIRECTORY_NOT_EMPTY)

RESETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {row.key: tuple(one.key for one in WATCHES) for row in WATCHES}
)
"""An empty assignment of any of these empties all of them (systemd.path(5))."""

ROWS: tuple[Directive[Any], ...] = (
    *WATCHES,
    MAKE_DIRECTORY,
    DIRECTORY_MODE,
    TRIGGER_LIMIT_INTERVAL_SEC,
    TRIGGER_LIMIT_BURST,
    PATH_UNIT,
)
