"""The knobs of a group as they are now, to be held against those it should have."""

from __future__ import annotations

from gitproc.immutable import NamedTuple
from gitproc.kernel import cgroup_v2
from gitproc.kernel.knobs import NO_RATE, Knob

_PAGE = 65536  # bytes, the largest page: the kernel rounds memory limits down to whole ones
#: What a line of a disk says when it says nothing.
_SILENT = {"io.max": NO_RATE, "io.latency": "0"}


class Reading(NamedTuple):
    """What a control file holds; `by_disk` as in a knob."""

    text: str
    by_disk: dict[str, str]


def read(directory: str, name: str) -> Reading | None:
    """A control file of the unified tree; None where there is none."""
    found = cgroup_v2.read(directory, name)
    return None if found is None else parse(name, found)


def parse(name: str, text: str) -> Reading:
    """The text of a control file, by disk where it has a line for each."""
    if not name.startswith("io."):
        return Reading(text.strip(), {})
    default, by_disk = "", {}
    for line in text.splitlines():
        disk, _, value = line.partition(" ")
        if disk == "default":
            default = value
        elif ":" in disk:
            by_disk[disk] = value
        else:
            default = disk
    return Reading(default, by_disk)


def is_so(knob: Knob, now: Reading) -> bool:
    """Whether the file holds what it shall, but for the kernel's rounding."""
    if not _same(knob.file, knob.text, now.text):
        return False
    names = knob.by_disk.keys() | now.by_disk.keys()
    return all(
        _pairs(knob.file, knob.by_disk.get(x, "")) == _pairs(knob.file, now.by_disk.get(x, ""))
        for x in names
    )


def _same(name: str, wanted: str, now: str) -> bool:
    if wanted == now or (name.startswith("io.") and not wanted):
        return True
    if name.startswith("memory.") and wanted.isdecimal() and now.isdecimal():
        return abs(int(wanted) - int(now)) < _PAGE
    if name == "cpu.weight" and wanted.isdecimal() and now.isdecimal():
        return abs(int(wanted) - int(now)) <= 1  # shares of v1 are rounded
    return name == "cpu.max" and wanted.startswith("max") and now.startswith("max")


def _pairs(name: str, line: str) -> dict[str, str] | str:
    if "=" not in line and name in _SILENT:
        return {}
    if "=" not in line:
        return line
    pairs = dict(word.partition("=")[::2] for word in line.split())
    return {key: value for key, value in pairs.items() if value != _SILENT.get(name)}


def difference(knob: Knob, now: Reading) -> str:
    """`MemoryMax is 32M, and 64M in the commit`; empty if the file holds what it shall."""
    if is_so(knob, now):
        return ""
    old, new = _text(knob, now.text, now.by_disk), _text(knob, knob.text, dict(knob.by_disk))
    return f"{knob.directive} is {old}, and {new} in the commit"


def _text(knob: Knob, text: str, by_disk: dict[str, str]) -> str:
    if knob.file.startswith("io."):
        lines = [text, *(f"{disk} {line}" for disk, line in sorted(by_disk.items()))]
        return ", ".join(x for x in lines if x) or "not set"
    if knob.file == "cpu.max":
        quota, _, period = text.partition(" ")
        return "infinity" if quota == "max" else f"{int(quota) / int(period or 100_000):.0%}"
    if text == "max":
        return "infinity"
    if knob.file == "cpu.idle":
        return "idle" if text == "1" else "not idle"
    if knob.controller == "memory" and text.isdecimal() and len(text) > 1:
        return _bytes(int(text))
    return text or "not set"


def _bytes(count: int) -> str:
    """As unit files write it, exactly."""
    for suffix in "KMGT":
        if count % 1024 or not count:
            return f"{count}{' KMGT'[' KMGT'.index(suffix) - 1]}".rstrip()
        count //= 1024
    return f"{count}T"
