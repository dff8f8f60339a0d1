"""What Condition*= and Assert*= ask: one test, its marks, and what its text must look like.

`|` makes a condition one of a group of which one has to hold, `!` turns it round (systemd.unit(5),
"Conditions and Asserts"). Whether it holds is found out on the host, right before a start; here it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitproc.immutable import immutable
from gitproc.pattern import pattern
from gitproc.units.paths import parse_path, parse_paths
from gitproc.units.scalars import parse_boolean, parse_ratio
from gitproc.units.sizes import parse_size
from gitproc.units.timespan import parse_span

CONDITION, ASSERT = "Condition", "Assert"
COMPARISONS = ("<=", ">=", "!=", "<", ">", "=")  # of numbers and versions, longest first
_PRESSURE_WINDOWS = (10.0, 60.0, 300.0)  # seconds: the averages that the kernel keeps
_ASSIGNMENT = pattern(r"([A-Za-z0-9_]+)(\$?[!<>]?=|[<>])(.*)")


@immutable
class Condition:
    """One test. `prefix`: Condition, Assert or Requires; `kind`: what is tested; `trigger`: one of a group."""

    prefix: str
    kind: str
    parameter: str
    trigger: bool = False
    negate: bool = False

    def __str__(self) -> str:
        marks = ("|" if self.trigger else "") + ("!" if self.negate else "")
        return f"{self.prefix}{self.kind}={marks}{self.parameter}"


def parse_condition(prefix: str, kind: str, value: str) -> tuple[Condition, ...]:
    """The text of one assignment; ValueError if the kind of test cannot be made of it."""
    rest = value
    trigger = rest.startswith("|")
    rest = rest[trigger:].lstrip()
    negate = rest.startswith("!")
    rest = rest[negate:].lstrip()
    check = _CHECKS.get(kind)
    parameter = check(rest) if check is not None else rest
    if not parameter:
        raise ValueError("there is nothing to test")
    return (Condition(prefix, kind, parameter, trigger, negate),)


def parser_of(prefix: str, kind: str) -> Callable[[str], tuple[Condition, ...]]:
    """The parser of `PREFIXKIND=`."""

    def parse(value: str) -> tuple[Condition, ...]:
        return parse_condition(prefix, kind, value)

    return parse


def parse_mounts_for(value: str) -> tuple[Condition, ...]:
    """RequiresMountsFor=: for each path a test that what /etc/fstab mounts on the way to it is mounted."""
    return tuple(Condition("Requires", "MountsFor", path) for path in parse_paths(value))


def split_comparison(text: str, default: str = "=") -> tuple[str, str]:
    """`>= 5` as operator and operand; without an operator: `default`."""
    for sign in COMPARISONS:
        if text.startswith(sign):
            return sign, text[len(sign) :].strip()
    return default, text.strip()


def split_pressure(text: str) -> tuple[str, float, float]:
    """`SLICE:10%/1min` as slice (empty: the whole machine), limit (0.1 = 10 %) and window in seconds."""
    head, _, span = text.partition("/")
    name, _, limit = head.rpartition(":")
    window = parse_span(span) if span else 300.0
    if window not in _PRESSURE_WINDOWS:
        raise ValueError(f"'{span}': the kernel keeps averages of 10 s, 1 min and 5 min")
    return name.strip(), parse_ratio(limit.strip()) / 10_000, window


def split_assignment(text: str) -> tuple[str, str, str]:
    """`KEY>=VALUE` of ConditionOSRelease= as key, operator and value."""
    found = _ASSIGNMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is not KEY=VALUE")
    return found[1], found[2], found[3].strip().strip("\"'")


def _boolean(text: str) -> str:
    parse_boolean(text)
    return text


def _size(text: str) -> str:
    parse_size(split_comparison(text, ">=")[1])
    return text


def _count(text: str) -> str:
    operand = split_comparison(text, ">=")[1]
    if not (operand.isascii() and operand.isdigit()):
        raise ValueError(f"'{operand}' is not a number")
    return text


def _pressure(text: str) -> str:
    split_pressure(text)
    return text


def _os_release(text: str) -> str:
    for word in text.split():
        split_assignment(word)
    return text


_CHECKS: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(
        (
            "PathExists", "PathExistsGlob", "PathIsDirectory", "PathIsSymbolicLink", "PathIsMountPoint",
            "PathIsReadWrite", "PathIsEncrypted", "DirectoryNotEmpty", "FileNotEmpty",
            "FileIsExecutable", "NeedsUpdate",
        ),
        parse_path,
    ),
    "FirstBoot": _boolean,
    "ACPower": _boolean,
    "Memory": _size,
    "CPUs": _count,
    "OSRelease": _os_release,
    "MemoryPressure": _pressure,
    "CPUPressure": _pressure,
    "IOPressure": _pressure,
}  # fmt: skip


def conditions_of(values: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Every condition and assertion among a unit's values; () for most units, at no cost."""
    if CONDITION_KEYS.isdisjoint(values):
        return ()
    return tuple(one for key in ALL_KEYS if key in values for one in values[key])


KINDS: Mapping[str, str] = {
    "PathExists": "a path exists",
    "PathExistsGlob": "a file matches a pattern",
    "PathIsDirectory": "a path is a folder",
    "PathIsSymbolicLink": "a path is a symbolic link",
    "PathIsMountPoint": "a path is a mount point",
    "PathIsReadWrite": "a path lies on a writable file system",
    "PathIsEncrypted": "a path lies on an encrypted device",
    "DirectoryNotEmpty": "a folder has entries",
    "FileNotEmpty": "a file has content",
    "FileIsExecutable": "a file can be executed",
    "NeedsUpdate": "/etc or /var is older than /usr",
    "FirstBoot": "this is the machine's first boot",
    "Architecture": "the machine has this architecture",
    "Firmware": "the machine has this kind of firmware",
    "Virtualization": "the machine is virtual, or a container",
    "Host": "the machine has this name or id",
    "KernelCommandLine": "the kernel was started with this option",
    "KernelVersion": "the kernel has this version",
    "Version": "the kernel has this version, or (`systemd`, `glibc`) something else has",
    "KernelModuleLoaded": "a kernel module is loaded or built in",
    "Credential": "a credential was passed in to the machine",
    "Security": "a security module or feature is on",
    "Capability": "the manager may hold this capability",
    "ACPower": "the machine runs on mains power",
    "Memory": "the machine has this much memory",
    "CPUFeature": "the processor has this feature",
    "CPUs": "the machine has this many processors",
    "Environment": "a variable is set for the manager",
    "User": "the manager runs as this user",
    "Group": "the manager runs in this group",
    "ControlGroupController": "a cgroup controller is there",
    "OSRelease": "os-release says so",
    "MemoryPressure": "memory pressure is below a threshold",
    "CPUPressure": "CPU pressure is below a threshold",
    "IOPressure": "I/O pressure is below a threshold",
}
"""What can be tested -> what it says, for the reference."""

RESET_TOGETHER: Mapping[str, tuple[str, ...]] = {
    key: keys
    for keys in (tuple(f"Unit.{prefix}{kind}" for kind in KINDS) for prefix in (CONDITION, ASSERT))
    for key in keys
}
"""An empty assignment of one condition starts all conditions over, and so with assertions."""

MOUNTS_KEY = "Unit.RequiresMountsFor"
ALL_KEYS = (*RESET_TOGETHER, MOUNTS_KEY)
CONDITION_KEYS = frozenset(ALL_KEYS)
