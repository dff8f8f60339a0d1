"""Which mounts are made of a sandbox's entries: sorted, each place once, only what changes something. Pure.

An entry is (path, kind, optional, source, options). Kinds that put something there: "bind", "bind-ro",
"bind-flat", "bind-flat-ro" (without what is mounted below the source), "tmpfs", "dev", "sysfs", "proc", "cgroup",
"mqueue", "hide" (an inaccessible node), and "bind-bare", "tmpfs-bare" (only where nothing is mounted). Kinds that say
how what is there may be used: "ro", "rw", "noexec", "exec". A "link" (to its source) is no mount, and none of these.
The rules are systemd's: for one place the stricter word counts, and what is hidden has nothing below it; a
place is used as the nearest one above it that says so. What is put into a place that is not to be executed is not
to be either: that is the manual's, where systemd's code forgets it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    Entry = tuple[str, str, bool, str, str]

CONTENTS = (
    "hide", "bind-flat-ro", "bind-flat", "bind-ro", "bind", "dev", "sysfs", "bind-bare", "proc", "cgroup", "tmpfs",
    "tmpfs-bare", "mqueue",
)  # fmt: skip
"""What may be put into a place; the first of these wins where several are."""
_IMPLIED = "sysfs"  # not asked for by its path, so it is no reason to write there


class Point:
    """A place that differs from what is around it. `content`: the entry that fills it, or None.

    `parts`: the names of its path; `read_only`, `no_exec`: in the end, whoever says so; `restricted`: whether
    that differs from the point around it; `optional`: it may be missing.
    """

    __slots__ = ("content", "no_exec", "optional", "parts", "path", "read_only", "restricted")

    def __init__(self, path: str, parts: tuple[str, ...]) -> None:
        self.path = path
        self.parts = parts
        self.content: Entry | None = None
        self.read_only = self.no_exec = self.restricted = False
        self.optional = True

    def __repr__(self) -> str:
        content = self.content[1] if self.content else "-"
        marks = [content, "ro" if self.read_only else "rw"] + ["noexec"] * self.no_exec
        return " ".join([self.path, *marks])


def points(entries: list[Entry]) -> list[Point]:
    """The places of these entries whose paths are plain, from the root downwards; the root always first."""
    grouped: dict[tuple[str, ...], list[Entry]] = {(): []}
    for entry in entries:
        parts = tuple(part for part in entry[0].split("/") if part)
        grouped.setdefault(parts, []).append(entry)
    above: list[Point] = []
    found: list[Point] = []
    for parts in sorted(grouped):
        while above and parts[: len(above[-1].parts)] != above[-1].parts:
            above.pop()
        around = above[-1] if above else None
        if around is not None and around.content is not None and around.content[1] == "hide":
            continue
        point = _point(parts, grouped[parts], around)
        if around is None or point.content is not None or point.restricted:
            above.append(point)
            found.append(point)
    return found


def _point(parts: tuple[str, ...], entries: list[Entry], around: Point | None) -> Point:
    point = Point("/" + "/".join(parts), parts)
    kinds = {entry[1] for entry in entries}
    for kind in CONTENTS:
        if kind in kinds:
            point.content = next(entry for entry in entries if entry[1] == kind)
            break
    point.optional = all(entry[2] for entry in entries)
    content = point.content[1] if point.content else ""
    inherited = around is not None and around.read_only and content in ("", _IMPLIED)
    said = "ro" in kinds or any(kind.endswith("-ro") for kind in kinds)
    point.read_only = said or (inherited and "rw" not in kinds)
    point.no_exec = "noexec" in kinds or (
        around is not None and around.no_exec and "exec" not in kinds
    )
    if content == "hide":
        point.read_only = True
    outer = (around.read_only, around.no_exec) if around is not None else (False, False)
    point.restricted = (point.read_only, point.no_exec) != outer
    return point
