"""Shares of a disk: one weight of ours, in the words of the two that share disks out.

The kernel does it by cost (`io.weight`, for disks that `io.cost.qos` names), or the BFQ scheduler does it for the
disks it has, with weights of its own (`io.bfq.weight`, in version 1 `blkio.bfq.weight`). Whose a disk is may change
while units run: both are told, as systemd does it.
"""

from __future__ import annotations

from gitproc.kernel import cgroup_v2
from gitproc.kernel.knobs import Knob
from gitproc.kernel.live_limits import Reading, read

_FILES = ("io.weight", "io.bfq.weight")
#: The weight of everybody, on both scales; the largest on either.
_COMMON = 100
_MOST = 10_000
_MOST_OF_BFQ = 1_000


def bfq_weight(weight: int) -> int:
    """1 to 10000 on BFQ's scale of 1 to 1000: up to 100 the same, above that compressed, as systemd does it."""
    if weight <= _COMMON:
        return weight
    return _COMMON + (weight - _COMMON) * (_MOST_OF_BFQ - _COMMON) // (_MOST - _COMMON)


def told(text: str) -> str:
    """A knob's word as BFQ is told it."""
    return str(bfq_weight(int(text))) if text.isdecimal() else text


def heard(text: str, wanted: str) -> str:
    """BFQ's word as a knob's: the wanted one if that became this, else the next best."""
    if not text.isdecimal() or told(wanted) == text:
        return wanted if text.isdecimal() else text
    weight = int(text)
    scale = (_MOST - _COMMON) // (_MOST_OF_BFQ - _COMMON)
    return str(weight if weight <= _COMMON else _COMMON + (weight - _COMMON) * scale)


def in_our_words(found: Reading, knob: Knob) -> Reading:
    """What BFQ was found to hold, as the knob would say it."""
    by_disk = {
        disk: heard(text, knob.by_disk.get(disk, "")) for disk, text in found.by_disk.items()
    }
    return Reading(heard(found.text, knob.text), by_disk)


def tell(directory: str, knob: Knob) -> None:
    """Set the weights of a unified group.

    FileNotFoundError where nothing shares disks out, OSError where a weight is taken by nobody.
    """
    there = {name: now for name in _FILES if (now := read(directory, name)) is not None}
    if not there:
        raise FileNotFoundError(knob.file)
    refusals: dict[str, list[OSError]] = {}
    for name, now in there.items():
        for disk, text in _lines(name, knob, now).items():
            try:
                cgroup_v2.write(directory, name, f"{disk} {text}")
            except OSError as error:
                refusals.setdefault(disk, []).append(error)
    for errors in refusals.values():
        if len(errors) == len(there):
            raise errors[0]


def _lines(name: str, knob: Knob, now: Reading) -> dict[str, str]:
    """What to write, by disk: the common weight first."""
    found = {"default": now.text, **now.by_disk}
    wanted = {"default": knob.text, **knob.by_disk}
    if name == "io.weight":
        wanted = {disk: wanted.get(disk, "default") for disk in {**wanted, **found}}
        return {disk: text for disk, text in wanted.items() if text != found.get(disk, "default")}
    # With BFQ the common weight ends those of disks, and nothing else does: lifting one of them has it stay.
    wanted = {disk: told(text) for disk, text in wanted.items()}
    return {} if wanted == found else wanted


def hear(directory: str, knob: Knob) -> Reading | None:
    """The weights of a unified group as the knob says them; None where nothing shares disks out."""
    ours, theirs = (read(directory, name) for name in _FILES)
    if theirs is not None:
        theirs = in_our_words(theirs, knob)
    if ours is None or theirs is None:
        return ours or theirs
    return Reading(ours.text, {**theirs.by_disk, **ours.by_disk})
