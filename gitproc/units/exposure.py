"""How exposed a service is: a score from 0.0 (sealed off) to 10.0 (open), point by point.

Each point weighs a danger that a setting would take away; the score is the share of what is left. Points,
weights and rounding are those of `systemd-analyze security`, so that scores compare; a point whose setting
is not enforced here counts as if it were not set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gitproc.immutable import NamedTuple, immutable
from gitproc.units import directives as d
from gitproc.units import directives_resources as resources
from gitproc.units import directives_sandbox as sandbox
from gitproc.units.access_lists import Rule, fold_filter
from gitproc.units.capabilities import ambient_set
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive, Support
from gitproc.units.directives_exec import REMOVE_IPC
from gitproc.units.exposure_points import BOOLEANS, CAPABILITIES, FAMILIES, GROUPS, KINDS
from gitproc.units.restrictions import allowed_namespaces
from gitproc.units.sandbox_rules import capabilities_left, has_own_mounts
from gitproc.units.service_types import NotifyAccess
from gitproc.units.unit import Unit

LEVELS = (
    (10.0, "DANGEROUS"),
    (9.0, "UNSAFE"),
    (7.5, "EXPOSED"),
    (5.0, "MEDIUM"),
    (1.0, "OK"),
    (0.1, "SAFE"),
    (0.0, "PERFECT"),
)
"""From this score on, this word."""


class Point(NamedTuple):
    """One danger. `badness` of `full` is left (None: it does not apply); `line` would take it away."""

    name: str
    weight: int
    badness: int | None
    full: int
    text: str
    line: str

    @property
    def cost(self) -> int:
        """What the point adds to the sum, in units of weight."""
        return -(-(self.badness or 0) * self.weight // self.full)


@immutable
class Exposure:
    """The points of one unit, and what they add up to."""

    unit: str
    points: tuple[Point, ...]

    @property
    def score(self) -> float:
        """0.0 to 10.0, one decimal, rounded up as systemd does."""
        weight = sum(point.weight for point in self.points if point.badness is not None)
        return -(-sum(point.cost for point in self.points) * 100 // weight) / 10

    @property
    def level(self) -> str:
        """The score in a word."""
        return next(word for least, word in LEVELS if self.score >= least)

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON form; points with what they add to the score, the largest first."""
        return {
            "unit": self.unit,
            "exposure": self.score,
            "level": self.level,
            "points": [
                {
                    "name": point.name,
                    "set": None if point.badness is None else not point.badness,
                    "exposure": self.share(point),
                    "text": point.text,
                    "line": point.line,
                }
                for point in sorted(self.points, key=self._order)
            ],
        }

    def _order(self, point: Point) -> tuple[float, bool, int]:
        """A list of what is allowed comes before what is taken from it."""
        return -self.share(point), point.line.partition("=")[2].startswith("~"), -point.cost

    def share(self, point: Point) -> float:
        """What one point adds to the score."""
        weight = sum(point.weight for point in self.points if point.badness is not None)
        return -(-point.cost * 100 // weight) / 10


def expose(unit: Unit, *, as_written: bool = False) -> Exposure:
    """Weigh a service. `as_written`: take settings at their word, enforced here or not."""
    return Exposure(unit.name, tuple(_Weighing(unit, as_written).points()))


def too_exposed(
    before: Mapping[str, Unit], after: Mapping[str, Unit], names: Iterable[str], most: float
) -> list[Diagnostic]:
    """Services of a commit whose score is above `most` and not lower than it was."""
    found = []
    for name in sorted(names):
        unit, old = after.get(name), before.get(name)
        if unit is None or unit.kind != "service" or unit.masked or not unit.fragment:
            continue
        if old is not None and old.fingerprint == unit.fingerprint:
            continue
        now = expose(unit)
        if now.score <= most:
            continue
        was = expose(old).score if old is not None and not old.masked else None
        if was is None or now.score >= was:
            change = f"{now.score}" if was is None else f"{was} → {now.score}"
            found.append(
                Diagnostic(
                    Location(unit.fragment, 0),
                    "error",
                    "",
                    f"{name} is too exposed: {change}, at most {most} is allowed "
                    f"(policy.max_exposure); {_advice(now)}",
                )
            )
    return found


def _advice(exposure: Exposure) -> str:
    """What would lower the score most; where nothing would, what is left: other settings ask for it."""
    gaps = [x for x in exposure.as_dict()["points"] if x["set"] is False]
    lines = [
        x["line"].rpartition("\n")[2] for x in gaps if x["line"]
    ]  # of two the first only resets
    if lines:
        return f"most would come of {', '.join(lines[:3])}"
    return f"no setting would lower it, as others ask for what is left: it {gaps[0]['text']}"


class _Weighing:
    def __init__(self, unit: Unit, as_written: bool) -> None:
        self._unit = unit
        self._values: dict[str, Any] = {
            key: value
            for key, value in unit.values.items()
            if as_written or d.TABLE[key].support is not Support.RESTRICTS
        }

    def points(self) -> list[Point]:
        found = [self._user(), self._groups()]
        for directive, weight, text in BOOLEANS:
            found.append(self._switch(directive, weight, text))
        found.append(self._yes(not has_own_mounts(self._values), "PrivateMounts", 1000,
                               "can mount for the whole system"))  # fmt: skip
        found += [self._system(), self._home(), self._root_directory(), self._umask()]
        found += [self._keyring(), self._proc(), self._proc_subset(), self._notify(), self._ipc()]
        found.append(self._yes(resources.DELEGATE.of(self._values) is not None, "Delegate", 100,
                               "manages a cgroup tree of its own", "no"))  # fmt: skip
        left = capabilities_left(self._values)
        for names, weight, text in CAPABILITIES:
            listed = " ".join(sorted(names))
            found.append(self._yes(bool(names & left), "CapabilityBoundingSet", weight, text,
                                   f"~{listed}"))  # fmt: skip
        kinds: tuple[Rule, ...] = sandbox.RESTRICT_NAMESPACES.of(self._values)
        allowed = allowed_namespaces(kinds)
        for kind, weight in KINDS:
            found.append(self._yes(kind in allowed, "RestrictNamespaces", weight,
                                   f"can make {kind} namespaces", f"~{kind}"))  # fmt: skip
        found += [*self._families(), self._architectures(), *self._calls()]
        found += [self._addresses(), self._devices()]
        given: tuple[Rule, ...] = sandbox.AMBIENT_CAPABILITIES.of(self._values)
        ambient = ambient_set(given)
        found.append(self._yes(bool(ambient), "AmbientCapabilities", 500,
                               "starts with capabilities", ""))  # fmt: skip
        return found

    def _yes(self, bad: bool, name: str, weight: int, text: str, value: str = "yes") -> Point:
        suffix = value if value.startswith("~") else ""
        return Point(f"{name}={suffix}", weight, int(bad), 1, text, f"{name}={value}")

    def _graded(
        self, name: str, weight: int, badness: int | None, text: str, line: str, full: int = 10
    ) -> Point:
        return Point(f"{name}=", weight, badness, full, text, line)

    def _switch(self, directive: Directive[Any], weight: int, text: str) -> Point:
        on = directive.of(self._values) not in (False, "no")
        point = self._yes(not on, directive.name, weight, text)
        early = directive is sandbox.PRIVATE_TMP
        return point._replace(badness=self._unless_early(int(not on))) if early else point

    def _unless_early(self, badness: int) -> int | None:
        # Units of the early boot cannot do without what these would hide.
        return badness if self._unit[d.DEFAULT_DEPENDENCIES] else None

    @property
    def _is_root(self) -> bool:
        user = d.USER.of(self._values)
        return user in ("0", "root") or (not user and not sandbox.DYNAMIC_USER.of(self._values))

    def _user(self) -> Point:
        badness = 9 if d.USER.of(self._values) == "nobody" else 10 if self._is_root else 0
        text = "runs as nobody, who owns what others gave up" if badness == 9 else "runs as root"
        line = "User=..." if d.USER.of(self._values) else "DynamicUser=yes"
        return self._graded("User=/DynamicUser", 2000, badness, text, line)

    def _groups(self) -> Point:
        badness = None if self._is_root else int(bool(d.SUPPLEMENTARY_GROUPS.of(self._values)))
        text = "runs with further groups"
        return self._graded("SupplementaryGroups", 200, badness, text, "SupplementaryGroups=", 1)

    def _system(self) -> Point:
        badness = {"no": 10, "yes": 5, "full": 3, "strict": 0}[
            sandbox.PROTECT_SYSTEM.of(self._values)
        ]
        text = "can write to the system's files"
        early = self._unless_early(badness)
        return self._graded("ProtectSystem", 1000, early, text, "ProtectSystem=strict")

    def _home(self) -> Point:
        value = sandbox.PROTECT_HOME.of(self._values)
        badness = {"no": 10, "read-only": 5, "tmpfs": 1, "yes": 0}[value]
        text = "sees home folders"
        early = self._unless_early(badness)
        return self._graded("ProtectHome", 1000, early, text, "ProtectHome=yes")

    def _root_directory(self) -> Point:
        badness = self._unless_early(int(sandbox.ROOT_DIRECTORY.of(self._values) in ("", "/")))
        text = "runs in the host's root"
        return self._graded("RootDirectory=/RootImage", 200, badness, text, "RootDirectory=...", 1)

    def _umask(self) -> Point:
        mask = d.UMASK.of(self._values)
        bits = ((0o002, 10), (0o004, 5), (0o020, 2), (0o040, 1))
        badness = next((bad for bit, bad in bits if not mask & bit), 0)
        return self._graded("UMask", 100, badness, "its files can be read by others", "UMask=0077")

    def _keyring(self) -> Point:
        shared = self._values.get("Service.KeyringMode", "private") != "private"
        return self._yes(shared, "KeyringMode", 1000, "shares keys with other services", "private")

    def _proc(self) -> Point:
        value = sandbox.PROTECT_PROC.of(self._values)
        badness = {"default": 3, "noaccess": 1, "invisible": 0, "ptraceable": 0}[value]
        text = "sees processes of others"
        return self._graded("ProtectProc", 1000, badness, text, "ProtectProc=invisible", 3)

    def _proc_subset(self) -> Point:
        bad = sandbox.PROC_SUBSET.of(self._values) != "pid"
        return self._yes(bad, "ProcSubset", 10, "reads the kernel's state in /proc", "pid")

    def _notify(self) -> Point:
        bad = d.NOTIFY_ACCESS.of(self._values) is NotifyAccess.ALL
        return self._yes(bad, "NotifyAccess", 1000, "any of its processes speaks for it", "main")

    def _ipc(self) -> Point:
        badness = None if self._is_root else int(not REMOVE_IPC.of(self._values))
        return self._graded("RemoveIPC", 100, badness, "can leave IPC objects", "RemoveIPC=yes", 1)

    def _families(self) -> list[Point]:
        rules: tuple[Rule, ...] = sandbox.RESTRICT_ADDRESS_FAMILIES.of(self._values)
        found = fold_filter(rules)
        named = found.items if found else {}
        allows = found.allows if found else False
        known = {name for names, _, _ in FAMILIES for name in names}
        points = []
        for names, weight, text in FAMILIES:
            hit = any(x in named for x in names) if names else any(x not in known for x in named)
            listed = names or (sorted(named.keys() - known) if allows else ())
            value = f"~{' '.join(listed)}" if listed else "AF_UNIX AF_INET AF_INET6"
            if not listed and found:  # a list of what is allowed denies what this one did
                left = [x for x in value.split() if x not in named]
                value = f"\nRestrictAddressFamilies={' '.join(left) or 'none'}"
            point = self._yes(hit is allows, "RestrictAddressFamilies", weight, text, value)
            points.append(point if names else point._replace(name="RestrictAddressFamilies=~…"))
        return points

    def _architectures(self) -> Point:
        given: tuple[str, ...] = sandbox.SYSTEM_CALL_ARCHITECTURES.of(self._values)
        words = set(given)
        badness = 10 if not words else 0 if words == {"native"} else 8
        text, line = "may use other ABIs", "SystemCallArchitectures=native"
        line = f"SystemCallArchitectures=\n{line}" if words else line
        return self._graded("SystemCallArchitectures", 1000, badness, text, line)

    def _calls(self) -> list[Point]:
        rules: tuple[Rule, ...] = sandbox.SYSTEM_CALL_FILTER.of(self._values)
        left = _calls_left(rules) if rules else dict.fromkeys((name for name, _ in GROUPS), 10)
        return [
            Point(f"SystemCallFilter=~@{group}", weight, left[group], 10,
                  f"may make calls of @{group}", f"SystemCallFilter=~@{group}")
            for group, weight in GROUPS
        ]  # fmt: skip

    def _addresses(self) -> Point:
        denied: tuple[str, ...] = resources.IP_ADDRESS_DENY.of(self._values)
        allowed = resources.IP_ADDRESS_ALLOW.of(self._values)
        if not {"0.0.0.0/0", "::/0"} <= set(denied):
            badness = 10
        else:
            local = [x.startswith("127.") or x == "::1/128" for x in allowed]
            badness = 0 if not local else 2 if all(local) else 5
        line = "IPAddressDeny=any" if badness == 10 else "IPAddressAllow="
        return self._graded("IPAddressDeny", 1000, badness, "reaches any address", line)

    def _devices(self) -> Point:
        closed = resources.DEVICE_POLICY.of(self._values) in ("closed", "strict")
        allowed = {rule.device for rule in resources.DEVICE_ALLOW.of(self._values)}
        badness = 10 if not closed else 5 if allowed else 0
        line = "DeviceAllow=" if closed else "DevicePolicy=closed"
        line = "" if allowed == {"char-rtc"} else line  # ProtectClock= brings it along
        return self._graded("DeviceAllow", 1000, badness, "reaches device nodes", line)


def _calls_left(rules: tuple[Rule, ...]) -> dict[str, int]:
    from gitproc.units.syscall_groups import effective, members  # large, and few units need it

    found = effective(rules)
    if found is None or not (found.allows or found.items):
        return dict.fromkeys((name for name, _ in GROUPS), 10)
    bad = 9 if found.allows else 10
    return {
        group: bad if any((x in found.items) is found.allows for x in members(f"@{group}")) else 0
        for group, _ in GROUPS
    }
