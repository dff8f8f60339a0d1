"""Which processes are a unit's where there are no cgroups to tell.

A process belongs to the unit whose spawned process it is, descends from, or shares a session with; one that
left both its parent and its session behind is known by the INVOCATION_ID it inherited. A program that also
cleans its environment escapes: that is what cgroups are for, and `describe()` says so.
"""

from __future__ import annotations

from collections.abc import Collection

from gitproc.kernel import processes


class LooseTracker:
    """Units' processes by family, session and environment. `shim_pid` is the reaper of orphans."""

    def __init__(self, shim_pid: int) -> None:
        self._shim = shim_pid
        self._units: dict[str, tuple[str, set[int]]] = {}

    def attach(self, unit: str, invocation: str, pid: int) -> None:
        """A process was spawned (or adopted) for this instance."""
        known = self._units.get(unit)
        if known is None or known[0] != invocation:
            self._units[unit] = (invocation, {pid})
        else:
            known[1].add(pid)

    def forget(self, unit: str) -> None:
        """The instance is over."""
        self._units.pop(unit, None)

    def units(self) -> list[str]:
        """The units that have processes, as far as was told."""
        return list(self._units)

    def members(self, unit: str) -> list[int]:
        """Every living process of the unit."""
        if unit not in self._units:
            return []
        return [pid for pid, owner in self._owners().items() if owner == unit]

    def unit_of(self, pid: int) -> str | None:
        """The unit a process belongs to."""
        return self._owners((pid,)).get(pid)

    def _owners(self, wanted: Collection[int] | None = None) -> dict[int, str]:
        """The unit of each process, for the processes in question (None: all that live)."""
        roots = {pid: unit for unit, (_, pids) in self._units.items() for pid in pids}
        invocations = {invocation: unit for unit, (invocation, _) in self._units.items()}
        stats: dict[int, processes.Stat | None] = {}
        owners: dict[int, str | None] = {0: None, 1: None, self._shim: None}

        def stat(pid: int) -> processes.Stat | None:
            if pid not in stats:
                stats[pid] = processes.stat(pid)
            return stats[pid]

        def owner(pid: int) -> str | None:
            path = []
            while pid not in owners:
                path.append(pid)
                known = stat(pid)
                if pid in roots:
                    owners[pid] = roots[pid]
                elif known is None:
                    owners[pid] = None
                elif known.session in roots:
                    owners[pid] = roots[known.session]
                elif known.parent in (1, self._shim):
                    own = processes.environment_value(pid, "INVOCATION_ID")
                    owners[pid] = invocations.get(own or "")
                else:
                    pid = known.parent
            found = owners[pid]
            owners.update(dict.fromkeys(path, found))
            return found

        found = {}
        for pid in processes.all_pids() if wanted is None else wanted:
            unit = owner(pid)
            known = stat(pid)
            if unit is not None and known is not None and known.state not in ("Z", "X", "x"):
                found[pid] = unit
        return found
