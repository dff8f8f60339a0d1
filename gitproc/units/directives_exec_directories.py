"""Rows of the directive table for the folders a service owns: RuntimeDirectory= and its kin of systemd.exec(5)."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Change, Directive, Specifiers
from gitproc.units.own_directories import (
    OwnDirectory,
    parse_configuration_directories,
    parse_own_directories,
)
from gitproc.units.rows import one, one_of, several
from gitproc.units.service_types import Preserve
from gitproc.units.values import parse_mode


def parse_preserve(value: str) -> Preserve:
    """A boolean, or `restart`."""
    return Preserve(one_of("restart")(value))


def _directory(name: str, root: str) -> Directive[tuple[OwnDirectory, ...]]:
    doc = f"Folders below {root}, made at start and given to the user; FOLDER:LINK adds a link."
    return several("Service", name, parse_own_directories, doc, Change.RESTART, Specifiers.WHOLE)


def _mode(name: str) -> Directive[int]:
    return one("Service", name, parse_mode, 0o755, f"Mode of {name.removesuffix('Mode')}= (0755).")


RUNTIME_DIRECTORY = _directory("RuntimeDirectory", "/run")
STATE_DIRECTORY = _directory("StateDirectory", "/var/lib")
CACHE_DIRECTORY = _directory("CacheDirectory", "/var/cache")
LOGS_DIRECTORY = _directory("LogsDirectory", "/var/log")
CONFIGURATION_DIRECTORY = several(
    "Service",
    "ConfigurationDirectory",
    parse_configuration_directories,
    "Folders below /etc, made at start; they stay the manager's.",
    Change.RESTART,
    Specifiers.WHOLE,
)
RUNTIME_DIRECTORY_MODE = _mode("RuntimeDirectoryMode")
STATE_DIRECTORY_MODE = _mode("StateDirectoryMode")
CACHE_DIRECTORY_MODE = _mode("CacheDirectoryMode")
LOGS_DIRECTORY_MODE = _mode("LogsDirectoryMode")
CONFIGURATION_DIRECTORY_MODE = _mode("ConfigurationDirectoryMode")
RUNTIME_DIRECTORY_PRESERVE = one(
    "Service",
    "RuntimeDirectoryPreserve",
    parse_preserve,
    Preserve.NO,
    "Keep RuntimeDirectory= after a stop (yes), or only over a restart (restart).",
    Change.LIVE,
)

ROWS: tuple[Directive[Any], ...] = (
    RUNTIME_DIRECTORY,
    RUNTIME_DIRECTORY_MODE,
    RUNTIME_DIRECTORY_PRESERVE,
    STATE_DIRECTORY,
    STATE_DIRECTORY_MODE,
    CACHE_DIRECTORY,
    CACHE_DIRECTORY_MODE,
    LOGS_DIRECTORY,
    LOGS_DIRECTORY_MODE,
    CONFIGURATION_DIRECTORY,
    CONFIGURATION_DIRECTORY_MODE,
)
