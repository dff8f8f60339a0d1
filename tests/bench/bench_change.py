"""One changed unit of many: from the moment the branch names the commit to the new process's exec."""

import statistics
import time

import pytest

from tests.bench.report import detail, held, row, spent

ROUNDS = 15
pytestmark = pytest.mark.bench


@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [1000, 10_000])
def test_change(constellation, count):
    """All units are loaded; only the changed one runs, so that the machine is at rest."""
    files = constellation.files(count, enabled=False)
    name = f"u{count // 2:05d}"
    path = next(each for each in files if name in each)
    files[path] = constellation.text(name, "Environment=ROUND=0")
    sha = constellation.repository.commit(files)
    begun = constellation.move(sha)
    loaded = constellation.stamps.wait([name]) - begun
    constellation.settle()
    commits = []
    for number in range(ROUNDS):
        changed = {path: constellation.text(name, f"Environment=ROUND={number + 1}")}
        sha = constellation.repository.commit(changed, sha)
        commits.append(sha)
    before = constellation.cpu_seconds()
    times = []
    for sha in commits:
        begun = constellation.move(sha)
        times.append(constellation.stamps.wait([name]) - begun)
        time.sleep(0.2)
    median, worst = statistics.median(times) * 1000, max(times) * 1000
    row(
        f"one changed unit of {count}, ref moved -> new process exec'd, median",
        f"{median:.1f} ms (worst of {ROUNDS}: {worst:.1f})",
        baseline="tree diff 0.5 ms + inotify 0.4 ms + 5 ms of waiting for more",
        goal="20 ms", command=f"'change and {count}'",
    )  # fmt: skip
    detail(f"{spent(before, constellation.cpu_seconds())} for {ROUNDS}")
    detail(f"first load, push -> exec: {loaded:.2f} s; {held(constellation.descriptors())}")
