"""What unit files take for granted of this host and is not here: programs, users and groups, files and
folders, time zones.

Found before anything starts, and never more than a warning: a package may be installed, or a user made,
between the check and the start, and the host that runs the check need not be the one that runs the unit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gitproc.kernel.accounts import group_id, user_entry
from gitproc.kernel.bus_names import SYSTEM_BUS, BusError, socket_path
from gitproc.kernel.clock_watch import find_zone
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.launch_environment import search_path
from gitproc.units import directives as d
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive
from gitproc.units.directives_exec import EXEC_SEARCH_PATH
from gitproc.units.directives_timer import ON_CALENDAR
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit
from gitproc.units.wildcards import is_pattern

_COMMANDS = (
    d.EXEC_START_PRE, d.EXEC_START, d.EXEC_START_POST, d.EXEC_RELOAD, d.EXEC_STOP, d.EXEC_STOP_POST,
)  # fmt: skip
_OTHER_ROOTS = ("Service.RootDirectory", "Service.RootImage")


def missing(unit: Unit, *, unless: str = "") -> Iterator[Diagnostic]:
    """Warnings about what a service names and this host has not; what contains `unless` is passed over.

    (A template is looked at by a sample instance, and what its name is part of says nothing.)
    """
    if unit.masked or unit.kind not in _PROBLEMS:
        return
    for directive, said, message in _PROBLEMS[unit.kind](unit):
        if not unless or unless not in message:
            yield Diagnostic(_place(unit, directive, said), "warning", directive.name, message)


def _place(unit: Unit, directive: Directive[Any], said: str) -> Location:
    """Where a list names something: its last assignment that holds the word, as far as one does."""
    for setting in reversed(unit.settings):
        if setting.key == directive.key and said in setting.text:
            return setting.where
    return unit.where(directive)


def _problems(unit: Unit) -> Iterator[tuple[Directive[Any], str, str]]:
    if any(key in unit.values for key in _OTHER_ROOTS):
        return  # programs, accounts and files are those of another tree
    for commands in _COMMANDS:
        for command in unit[commands]:
            if not command.ignore_failure and (
                problem := _program_problem(command.path, unit[EXEC_SEARCH_PATH] or search_path())
            ):
                yield commands, command.path, problem
    dynamic = unit.values.get("Service.DynamicUser")
    try:
        if unit[d.USER] and not dynamic:
            user_entry(unit[d.USER])
    except LaunchError as error:
        yield d.USER, unit[d.USER], f"{error} on this host"
    try:
        if unit[d.GROUP] and not dynamic:
            group_id(unit[d.GROUP])
    except LaunchError as error:
        yield d.GROUP, unit[d.GROUP], f"{error} on this host"
    for name in unit[d.SUPPLEMENTARY_GROUPS]:
        try:
            group_id(name)
        except LaunchError as error:
            yield d.SUPPLEMENTARY_GROUPS, name, f"{error} on this host"
    for file in unit[d.ENVIRONMENT_FILE]:
        if not file.optional and not is_pattern(file.path) and not os.path.exists(file.path):
            yield d.ENVIRONMENT_FILE, file.path, f"{file.path} does not exist on this host"
    if unit[d.TYPE] is ServiceType.DBUS and not os.path.exists(_bus_socket()):
        yield d.TYPE, "dbus", f"there is no D-Bus at {_bus_socket()} on this host"
    folder = unit[d.WORKING_DIRECTORY]
    if folder is not None and folder.path != "~" and not folder.optional:
        made = [unit[row] for row in (d.STATE_DIRECTORY, d.RUNTIME_DIRECTORY, d.CACHE_DIRECTORY)]
        ours = any(folder.path.endswith(f"/{own.path}") for owns in made for own in owns)
        if not ours and not os.path.isdir(folder.path):
            yield d.WORKING_DIRECTORY, folder.path, f"{folder.path} does not exist on this host"


def _timer_problems(unit: Unit) -> Iterator[tuple[Directive[Any], str, str]]:
    for calendar in unit[ON_CALENDAR]:
        if calendar.zone and find_zone(calendar.zone) is None:
            yield (
                ON_CALENDAR,
                calendar.zone,
                f"this host does not know the time zone {calendar.zone}",
            )


_PROBLEMS: Mapping[str, Callable[[Unit], Iterator[tuple[Directive[Any], str, str]]]] = {
    "service": _problems,
    "timer": _timer_problems,
}


def _bus_socket() -> str:
    user = os.geteuid() != 0
    variable = "DBUS_SESSION_BUS_ADDRESS" if user else "DBUS_SYSTEM_BUS_ADDRESS"
    try:
        return socket_path(os.environ.get(variable) or SYSTEM_BUS)
    except BusError:
        return os.environ.get(variable, "")


def _program_problem(path: str, folders: tuple[str, ...]) -> str:
    if not path.startswith("/"):
        if not any(os.access(f"{folder}/{path}", os.X_OK) for folder in folders):
            return f"there is no program {path} in {':'.join(folders)} on this host"
    elif not os.path.exists(path):
        return f"{path} does not exist on this host"
    elif os.path.isdir(path) or not os.access(path, os.X_OK):
        return f"{path} cannot be executed"
    return ""
