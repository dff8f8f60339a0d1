"""1000 services: from the push until all are exec'd; replaced when killed; stopped in order."""

import pytest

from tests.bench.floor import Floor, restart_seconds
from tests.bench.report import detail, held, row, spent

COUNT = 1000
LAYERS = 10
RESTARTS = 100
pytestmark = pytest.mark.bench


@pytest.mark.timeout(300)
def test_start_restart_stop(constellation, program, stamps):
    with Floor(program, stamps, COUNT) as floor:
        floor_restart = floor.restart_seconds(RESTARTS)
        floor_stop = floor.stop_seconds()
    stamps.pids.clear()
    before = constellation.cpu_seconds()
    started = constellation.start(COUNT)
    after = constellation.cpu_seconds()
    row(
        f"all of {COUNT} exec'd, from the push (cgroup, log pipe, journal)", f"{started:.2f} s",
        baseline=f"{floor.start_seconds:.2f} s, C fork+exec: {started / floor.start_seconds:.1f} x",
        goal="2.0 s, then 1.1 s", command="start",
    )  # fmt: skip
    detail(spent(before, after))
    detail(held(constellation.descriptors()))
    constellation.settle()
    detail(f"{spent(after, constellation.cpu_seconds())} more until the commit is good")
    before = constellation.cpu_seconds()
    replaced = restart_seconds(stamps, constellation.names, RESTARTS)
    row(
        f"kill -9 -> replacement exec'd, {COUNT} up, median", f"{replaced * 1000:.2f} ms",
        baseline=f"{floor_restart * 1000:.2f} ms, C wait+fork+exec: {replaced / floor_restart:.1f} x",
        goal="3 ms", command="start",
    )  # fmt: skip
    detail(f"{spent(before, constellation.cpu_seconds())} for {RESTARTS}")
    stopped = constellation.stop()
    row(
        f"stop all {COUNT}, SIGTERM -> last one ended", f"{stopped:.3f} s",
        baseline=f"{floor_stop:.3f} s, C kill+wait: {stopped / floor_stop:.1f} x",
        goal="0.3 s", command="start",
    )  # fmt: skip


@pytest.mark.timeout(300)
def test_stop_in_layers(constellation):
    files = {}
    for path, text in constellation.files(COUNT).items():
        number = int(path[-12:-8])
        if number % LAYERS:
            text = text.replace("[Service]", f"After=u{number - 1:05d}.service\n\n[Service]")
        files[path] = text
    started = constellation.push(files)
    constellation.settle()
    stopped = constellation.stop()
    row(
        f"{COUNT} in {COUNT // LAYERS} chains of {LAYERS}, each After= the one before",
        f"start {started:.2f} s, stop {stopped:.3f} s", goal="stop 0.3 s", command="layers",
    )  # fmt: skip
