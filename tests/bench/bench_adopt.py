"""The manager is killed with -9 at a thousand services: how long until its successor has them all."""

import statistics
import subprocess
import sys
import time

import pytest

from tests.bench.report import row

COUNT = 1000
ROUNDS = 5
pytestmark = pytest.mark.bench


@pytest.mark.timeout(300)
def test_adopt(constellation):
    constellation.start(COUNT)
    constellation.settle()
    before = {unit["name"]: unit["main_pid"] for unit in constellation.call("list")["units"]}
    bare, taken = [], []
    for _ in range(ROUNDS):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-I", "-c", "import asyncio, json, logging"], check=True)
        bare.append(time.monotonic() - begun)
        executed, answered = constellation.kill_manager()
        taken.append(answered - executed)
        units = constellation.call("list")["units"]
        assert {unit["name"]: unit["main_pid"] for unit in units} == before
        time.sleep(1.5)  # until it has looked at the repository, too
    median, floor = statistics.median(taken) * 1000, statistics.median(bare) * 1000
    row(
        f"manager killed with -9 at {COUNT}: exec of the next -> all adopted, answering",
        f"{median:.0f} ms (worst of {ROUNDS}: {max(taken) * 1000:.0f})",
        baseline=f"{floor:.0f} ms, python -I -c 'import asyncio, json, logging'",
        goal="150 ms", command="adopt",
    )  # fmt: skip
