"""A thousand services that do nothing: how often we wake, and what that costs."""

import time
from pathlib import Path

import pytest

from tests.bench.report import detail, row

COUNT = 1000
SECONDS = 25.0
pytestmark = pytest.mark.bench


def switches(pid: int) -> int:
    """How often the process' threads have been put on a CPU of their own accord so far."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


@pytest.mark.timeout(300)
def test_idle(constellation):
    constellation.start(COUNT)
    constellation.settle()
    processes = constellation.processes()
    woken = {role: switches(pid) for role, pid in processes.items()}
    used = constellation.cpu_seconds()
    time.sleep(SECONDS)
    spent = {role: seconds - used[role] for role, seconds in constellation.cpu_seconds().items()}
    wakes = {role: switches(pid) - woken[role] for role, pid in processes.items()}
    percent = sum(spent.values()) / SECONDS * 100
    row(
        f"idle for {SECONDS:.0f} s at {COUNT}",
        f"{sum(wakes.values())} wake-ups, {percent:.3f} % CPU",
        goal="0 shorter than 30 s, 0.0 %", command="idle",
    )  # fmt: skip
    detail(", ".join(f"{role} {wakes[role]} ({spent[role] * 1000:.1f} ms)" for role in processes))
