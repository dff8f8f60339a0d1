"""Where the machine keeps its cgroups, which place in them is ours, and what a unit's group is called.

Four layouts exist: pure v2, hybrid (v1 controllers beside a v2 tree without them), v1 alone, and none
(no right to write there). Groups are made below the delegated unit of systemd in which the shim lives,
else below the root; nothing above that place is ever written. Names follow systemd's escaping, so no
unit name can meet a file that the kernel puts into every group.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum

from gitproc.errors import HostError
from gitproc.immutable import field, immutable
from gitproc.pattern import pattern
from gitproc.units import names

_VALID_NAME = pattern(r"[A-Za-z0-9:_.\\@~-]{1,255}")
_V1_USED = ("memory", "cpu", "pids", "freezer", "cpuset", "blkio", "devices")
_KERNEL_FILES = pattern(
    r"(?:tasks|notify_on_release|release_agent)$|[._]|cgroup\."
    r"|(?:blkio|cpu|cpuacct|cpuset|devices|dmem|freezer|hugetlb|io|irq|memory|misc|net_cls|net_prio"
    r"|perf_event|pids|rdma)\."
)


class Kind(StrEnum):
    """Which hierarchies the machine offers."""

    V2 = "v2"
    HYBRID = "hybrid"
    V1 = "v1"
    NONE = "none"


def bare_name(unit: str) -> str:
    """What a unit's log and group are called: `nginx` for nginx.service, else the full name.

    HostError for a name that systemd would not accept either: it must never be joined to a path.
    """
    if not _VALID_NAME.fullmatch(unit) or unit in (".", ".."):
        raise HostError(f"not a unit name: {unit!r}")
    return names.bare_name(unit)


def group_name(unit: str) -> str:
    """The directory name of a unit's group: `bare_name`, escaped as systemd does (cg_escape)."""
    bare = bare_name(unit)
    return f"_{bare}" if _KERNEL_FILES.match(bare) else bare


def unit_name(group: str) -> str:
    """Inverse of `group_name`."""
    bare = group.removeprefix("_")
    return bare if bare.endswith(names.UNIT_SUFFIXES) else f"{bare}.service"


@immutable
class Layout:
    """The hierarchies of this machine as the shim's process sees them.

    `v2_mount` is the mount point of the unified tree ("" if none), `v2_parent` the path below it where
    our base may be made ("/" or the delegated unit). `v1` maps a controller to its mount point, `v1_parent`
    to the path below it. `roots` is what a mount shows of its hierarchy where that is not all (containers),
    by controller ("" is v2). `delegated`: `v2_parent` is ours alone.
    """

    kind: Kind
    v2_mount: str = ""
    v2_parent: str = "/"
    v1: Mapping[str, str] = field(default_factory=dict)
    v1_parent: Mapping[str, str] = field(default_factory=dict)
    roots: Mapping[str, str] = field(default_factory=dict)
    delegated: bool = False
    reason: str = ""

    def below_mount(self, controller: str, path: str) -> str | None:
        """A path of /proc/PID/cgroup as one below the mount point; None if the mount does not show it."""
        root = self.roots.get(controller, "")
        if not f"{path}/".startswith(f"{root}/"):
            return None
        return path[len(root) :] or "/"


def detect(
    pid: int | str = "self",
    *,
    scope: str = "gitproc-units.scope",
    v1: bool = True,
    v2: bool = True,
) -> Layout:
    """Read the layout from /proc as process `pid` has it.

    `scope`: the scope that was made for us, known by its name where systemd does not mark it as delegated
    (a user's systemd cannot). `v1`, `v2`: leave a version out of account.
    """
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = file.read()
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            membership = parse_membership(file.read())
    except OSError as error:
        return Layout(Kind.NONE, reason=f"cannot read /proc/{pid}: {error.strerror}")
    points, roots = parse_mounts(mounts)
    seen = Layout(Kind.NONE, roots=roots)
    own = {name: seen.below_mount(name, membership.get(name, "/")) or "/" for name in points}
    v2_mount = points.pop("", "") if v2 else ""
    points.pop("", None)
    v2_parent, delegated = _delegated(v2_mount, own[""], scope) if v2_mount else ("/", False)
    if v2_mount and not _may_write(v2_mount + v2_parent):
        v2_mount = ""
    parents = {
        name: _v1_parent(mount, own[name], v2_parent, scope) for name, mount in points.items()
    }
    writable = {
        name: mount for name, mount in points.items() if v1 and _may_write(mount + parents[name])
    }
    if not v2_mount and not writable:
        reason = "no cgroup tree may be written" if own else "no cgroup tree is mounted"
        return Layout(Kind.NONE, reason=reason)
    kind = Kind.V1 if not v2_mount else Kind.HYBRID if writable else Kind.V2
    return Layout(
        kind,
        v2_mount,
        v2_parent,
        writable,
        {name: parents[name] for name in writable},
        roots,
        delegated,
    )


def parse_membership(text: str) -> dict[str, str]:
    """/proc/PID/cgroup as controller -> path; "" is the unified tree, `name=x` a named hierarchy."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def parse_mounts(mountinfo: str) -> tuple[dict[str, str], dict[str, str]]:
    """Mount point and, where it is not all of the hierarchy, its root, by controller ("" is v2).

    The first mount of a hierarchy counts.
    """
    points, roots = dict[str, str](), dict[str, str]()
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if len(fields) < 5 or len(tail) < 3 or tail[0] not in ("cgroup", "cgroup2"):
            continue
        root, point = (
            re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), field)
            for field in fields[3:5]
        )
        names = [""] if tail[0] == "cgroup2" else [x for x in tail[2].split(",") if x in _V1_USED]
        for name in names:
            if name not in points:
                points[name] = point
                if root != "/":
                    roots[name] = root
    return points, roots


def _delegated(mount: str, own: str, scope: str) -> tuple[str, bool]:
    """The delegated unit of systemd that holds `own`, or the root.

    systemd marks what it hands over with an extended attribute. A user's whole session manager is marked
    as well; what is below that belongs to it, not to us.
    """
    path = own
    while path not in ("/", "") and "/../" not in f"{path}/":
        if os.path.basename(path) == scope:
            return path, True
        if _marked(mount + path):
            if re.fullmatch(r"user@\d+\.service", os.path.basename(path)):
                break
            return path, True
        path = os.path.dirname(path)
    return "/", False


def _marked(directory: str) -> bool:
    for attribute in ("trusted.delegate", "user.delegate"):
        try:
            if os.getxattr(directory, attribute) == b"1":
                return True
        except OSError:
            continue
    return False


def _v1_parent(mount: str, own: str, v2_parent: str, scope: str) -> str:
    """The delegated unit in a v1 hierarchy, where systemd made it there as well; else the root."""
    if v2_parent != "/" and f"{own}/".startswith(f"{v2_parent}/"):
        return v2_parent
    if v2_parent == "/":
        return _delegated(mount, own, scope)[0]
    return "/"


def _may_write(directory: str) -> bool:
    """Whether groups can be made in `directory`: as root, only a read-only mount forbids it."""
    return os.access(directory, os.W_OK | os.X_OK) and os.access(
        os.path.join(directory, "cgroup.procs"), os.W_OK
    )
