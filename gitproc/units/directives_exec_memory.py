"""Rows of the directive table for memory: where it comes from, and what of it a core dump holds (systemd.exec(5))."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Change, Directive, Repeat, Support
from gitproc.units.rows import exactly, one
from gitproc.units.scalars import parse_cpu_set
from gitproc.units.words import split_words

_DUMPED = (
    "private-anonymous", "shared-anonymous", "private-file-backed", "shared-file-backed",
    "elf-headers", "private-huge", "shared-huge", "private-dax", "shared-dax",
)  # fmt: skip
_MASKS = {
    **{name: 1 << bit for bit, name in enumerate(_DUMPED)},
    "default": 0x33,
    "all": 0xFFFF_FFFF,
}
NUMA_POLICIES = ("default", "preferred", "bind", "interleave", "local")
"""In the order of the kernel's numbers."""
ALL_NODES = -1


def parse_coredump_filter(value: str) -> tuple[int, ...]:
    """Bits of /proc/PID/coredump_filter (core(5)), by name, `default`, `all`, or as a hexadecimal number."""
    masks = []
    for word in split_words(value):
        mask = _MASKS.get(word)
        if mask is None:
            try:
                mask = int(word, 16) if word[:1].isalnum() and "_" not in word else -1
            except ValueError:
                mask = -1
        if not 0 <= mask <= _MASKS["all"]:
            known = ", ".join(_MASKS)
            raise ValueError(f"'{word}' is neither one of {known} nor a hexadecimal number")
        masks.append(mask)
    return tuple(masks)


def parse_nodes(value: str) -> frozenset[int]:
    """NUMA nodes: `0-1 3`, or `all`, which is ALL_NODES."""
    return frozenset({ALL_NODES}) if value == "all" else parse_cpu_set(value)


COREDUMP_FILTER: Directive[tuple[int, ...]] = Directive(
    "Service",
    "CoredumpFilter",
    parse_coredump_filter,
    (),
    Repeat.LIST,
    Change.RESTART,
    Support.ENFORCED,
    "What of its memory a core dump holds: private-anonymous ... (core(5)), default, all, a mask.",
)
NUMA_POLICY = one(
    "Service",
    "NUMAPolicy",
    exactly(*NUMA_POLICIES),
    "default",
    "Nodes that memory comes from: default, preferred, bind, interleave, local.",
)
NUMA_MASK: Directive[frozenset[int]] = Directive(
    "Service",
    "NUMAMask",
    parse_nodes,
    frozenset(),
    Repeat.LIST,
    Change.RESTART,
    Support.ENFORCED,
    "The nodes of NUMAPolicy=: 0-1 3, or all.",
)

ROWS: tuple[Directive[Any], ...] = (COREDUMP_FILTER, NUMA_POLICY, NUMA_MASK)
