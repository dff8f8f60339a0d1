"""Where a command's memory comes from, and what of it is dumped, as the shim's spec says it (systemd.exec(5))."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitproc.kernel.launch import LaunchError
from gitproc.units import directives_exec_memory as e
from gitproc.units.scalars import parse_cpu_set
from gitproc.units.unit import Unit

_NODES = Path("/sys/devices/system/node")


def memory_of(unit: Unit) -> dict[str, Any]:
    """The keys of the spec for what the unit sets. LaunchError: NUMAMask= does not fit NUMAPolicy=."""
    spec: dict[str, Any] = {}
    if unit[e.COREDUMP_FILTER]:
        mask = 0
        for part in unit[e.COREDUMP_FILTER]:
            mask |= part
        spec["coredump_filter"] = mask
    if unit.has(e.NUMA_POLICY):
        spec["numa"] = [e.NUMA_POLICIES.index(unit[e.NUMA_POLICY]), _wanted(unit)]
    return spec


def nodes_of(unit: Unit) -> frozenset[int]:
    """The nodes of NUMAMask=, `all` being those that there are."""
    nodes = unit[e.NUMA_MASK]
    return _listed(_NODES / "online") if e.ALL_NODES in nodes else nodes


def processors_of(unit: Unit) -> frozenset[int]:
    """The processors of these nodes."""
    return frozenset().union(*(_listed(_NODES / f"node{x}/cpulist") for x in nodes_of(unit)))


def _wanted(unit: Unit) -> list[int]:
    """Nodes, as the policy takes them: bind and interleave some, preferred one or none, the others none."""
    policy, nodes = unit[e.NUMA_POLICY], sorted(nodes_of(unit))
    if policy in ("default", "local"):
        return []
    if (not nodes and policy != "preferred") or (policy == "preferred" and len(nodes) > 1):
        count = "no node" if not nodes else "several nodes"
        raise LaunchError("NUMA_POLICY", f"NUMAPolicy={policy} with {count} in NUMAMask=")
    return nodes


def _listed(path: Path) -> frozenset[int]:
    try:
        return parse_cpu_set(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return frozenset()
