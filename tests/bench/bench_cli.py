"""What a command costs, whole process, beside the bare interpreter: `pytest -m bench -s tests/bench/bench_cli.py`.

Rounds are interleaved, so that a busy machine is busy for every row; read the ratios.
"""

import statistics
import subprocess
import sys
import time

import pytest

from tests.api.example_manager import Running
from tests.cli.command import Command

ROUNDS = 40


@pytest.mark.bench
def test_start_up(tmp_path):
    (tmp_path / "run").mkdir()
    gitproc = Command(tmp_path)
    commands = {
        "python -I -S -c pass": [sys.executable, "-I", "-S", "-c", "pass"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "gitproc status UNIT": gitproc.words("--root", tmp_path, "status", "web"),
        "gitproc status": gitproc.words("--root", tmp_path, "status"),
        "gitproc start UNIT": gitproc.words("--root", tmp_path, "start", "web"),
        "gitproc logs UNIT": gitproc.words("--root", tmp_path, "logs", "web"),
        "gitproc plan (slow path)": gitproc.words("--root", tmp_path, "plan"),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with Running(tmp_path / "run/gitproc.sock"):
        for _ in range(ROUNDS):
            for name, words in commands.items():
                begun = time.perf_counter()
                subprocess.run(
                    words, stdout=subprocess.DEVNULL, check=True, env=gitproc.environment
                )
                times[name].append(time.perf_counter() - begun)
    floor = statistics.median(times["python -I -S -c pass"])
    print()
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:28} {median * 1000:6.1f} ms   {median / floor:4.2f} x")
