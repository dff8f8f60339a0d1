"""Which devices a service may use, as the kernel knows them: kind, major and minor number, what may be done.

DeviceAllow= and DevicePolicy= of systemd.resource-control(5); what pseudo devices `closed` leaves is from there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from fnmatch import fnmatchcase

from gitproc.immutable import NamedTuple
from gitproc.units.device_access import DeviceRule

_PSEUDO = (
    *(DeviceRule(f"/dev/{name}") for name in ("null", "zero", "full", "random", "urandom", "tty")),
    DeviceRule("/dev/ptmx"),
    DeviceRule("char-pts", "rw"),
)


class Node(NamedTuple):
    """One device, or all of a major number (`minor` None). `kind`: `c` or `b`; `access`: of `rwm`."""

    kind: str
    major: int
    minor: int | None
    access: str

    def __str__(self) -> str:
        """As the devices controller of v1 writes it."""
        return f"{self.kind} {self.major}:{'*' if self.minor is None else self.minor} {self.access}"


class Nodes(NamedTuple):
    """What is allowed, and rules that mean nothing on this machine now, one sentence each."""

    allowed: tuple[Node, ...]
    problems: tuple[str, ...]


def nodes_of(policy: str, rules: Iterable[DeviceRule]) -> Nodes | None:
    """The devices that are allowed; None where all are."""
    rules = tuple(rules)
    if policy == "auto" and not rules:
        return None
    allowed: dict[Node, None] = {}
    problems = []
    for rule in (*(() if policy == "strict" else _PSEUDO), *rules):
        found = _group(rule) if not rule.device.startswith("/") else _node(rule)
        # ProtectClock= brings it along; a machine may well have no such clock.
        brought = rule.device == "char-rtc"
        if not found and rule in rules and not brought:
            problems.append(
                f"DeviceAllow={rule.device} allows nothing: there is no such device now"
            )
        allowed.update(dict.fromkeys(found))
    return Nodes(tuple(allowed), tuple(problems))


def _node(rule: DeviceRule) -> list[Node]:
    try:
        found = os.stat(rule.device)
    except OSError:
        return []
    kind = "c" if stat.S_ISCHR(found.st_mode) else "b" if stat.S_ISBLK(found.st_mode) else ""
    if not kind:
        return []
    return [Node(kind, os.major(found.st_rdev), os.minor(found.st_rdev), rule.access)]


def _group(rule: DeviceRule) -> list[Node]:
    wanted, _, pattern = rule.device.partition("-")
    try:
        with open("/proc/devices", encoding="ascii", errors="replace") as file:
            text = file.read()
    except OSError:
        return []
    return parse_devices(text, wanted, pattern, rule.access)


def parse_devices(text: str, wanted: str, pattern: str, access: str) -> list[Node]:
    """The majors of /proc/devices whose names match; `wanted`: `char` or `block`."""
    found, kind = dict[Node, None](), ""
    for line in text.splitlines():
        if line.endswith("devices:"):
            kind = {"Character": "char", "Block": "block"}.get(line.split()[0], "")
            continue
        number, _, name = line.strip().partition(" ")
        if kind == wanted and number.isdecimal() and fnmatchcase(name, pattern):
            found[Node(kind[0], int(number), None, access)] = None
    return list(found)
