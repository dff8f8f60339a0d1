"""Memory of shim, logger and manager (PSS: shared pages are shared out), by number of services."""

from pathlib import Path

import pytest

from tests.bench.report import detail, row

ROLES = ("shim", "logger", "manager")
pytestmark = pytest.mark.bench


def memory(processes: dict[str, int]) -> dict[str, tuple[int, int]]:
    """PSS and private kB of each."""
    found = {}
    for role, pid in processes.items():
        numbers: dict[str, int] = {}
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            words = line.split()
            numbers[words[0].rstrip(":")] = int(words[1])
        private = numbers["Private_Clean"] + numbers["Private_Dirty"]
        found[role] = (numbers["Pss"], private)
    return found


@pytest.mark.timeout(300)
def test_memory(constellation):
    total = {}
    for count in (100, 1000):
        constellation.start(count)
        constellation.settle()
        found = memory(constellation.processes())
        total[count] = sum(pss for role, (pss, _) in found.items() if role in ROLES)
        parts = [f"{role} {pss / 1024:.1f} ({private / 1024:.1f} private)"
                 for role, (pss, private) in found.items()]  # fmt: skip
        row(
            f"PSS of shim + logger + manager at {count}", f"{total[count] / 1024:.1f} MiB",
            goal="32 MiB at 100", command="memory",
        )  # fmt: skip
        detail("MiB: " + ", ".join(parts))
    each = (total[1000] - total[100]) / 900
    row("each further service", f"{each:.1f} KiB", goal="10 KiB", command="memory")
