"""A thousand services that do nothing: how often we wake, and what that costs."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.bench.report import detail, row

COUNT = 1000
SECONDS = 65.0  # two slow polls of the branch, one each 30 s
GLANCE = 0.25  # what happens within one is one occasion: several threads may have to do with it
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
    occasions: list[float] = []
    last = sum(woken.values())
    begun = time.monotonic()
    while (now := time.monotonic()) < begun + SECONDS:
        total = sum(switches(pid) for pid in processes.values())
        if total != last and not (occasions and now - occasions[-1] < 2 * GLANCE):
            occasions.append(now)
        last = total
        time.sleep(GLANCE)
    spent = {role: seconds - used[role] for role, seconds in constellation.cpu_seconds().items()}
    wakes = {role: switches(pid) - woken[role] for role, pid in processes.items()}
    percent = sum(spent.values()) / SECONDS * 100
    between = min((after - before for before, after in pairwise(occasions)), default=SECONDS)
    row(
        f"idle for {SECONDS:.0f} s at {COUNT}",
        f"awake {len(occasions)} times, {between:.0f} s apart at least, {percent:.3f} % CPU",
        goal="no more often than every 30 s, 0.0 %", command="idle",
    )  # fmt: skip
    detail("context switches and CPU: " + ", ".join(
        f"{role} {wakes[role]} ({spent[role] * 1000:.1f} ms)" for role in processes))  # fmt: skip
