"""What a command costs, whole process, beside the bare interpreter, with a hundred services up.

Rounds are interleaved, so that a busy machine is busy for every row; read the ratios.
"""

import statistics
import subprocess
import sys
import time

import pytest

from tests.bench.report import detail, row
from tests.cli.command import Command

ROUNDS = 30
COUNT = 100
BARE = "python -I -S -c pass"
pytestmark = pytest.mark.bench


@pytest.mark.timeout(120)
def test_command_line(constellation, tmp_path):
    constellation.start(COUNT)
    constellation.settle()
    gitproc = Command(tmp_path)

    def words(*verb):
        return gitproc.words("--root", constellation.root, *verb)

    commands = {
        BARE: [sys.executable, "-I", "-S", "-c", "pass"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "gitproc status UNIT": words("status", "u00050"),
        "gitproc status": words("status"),
        "gitproc is-active UNIT": words("is-active", "u00050"),
        "gitproc logs UNIT": words("logs", "u00050"),
        "gitproc plan (slow path)": words("plan"),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=gitproc.environment)
            times[name].append(time.perf_counter() - begun)
    median = {name: statistics.median(values) * 1000 for name, values in times.items()}
    status = median["gitproc status UNIT"]
    row(
        "gitproc status UNIT, whole process", f"{status:.1f} ms",
        baseline=f"{median[BARE]:.1f} ms, {BARE}: {status / median[BARE]:.2f} x",
        goal="2 x bare", command="command_line",
    )  # fmt: skip
    for name, value in median.items():
        detail(f"{name:28} {value:6.1f} ms   {value / median[BARE]:4.2f} x")
