"""What services write: how much of a disk that can cost."""

from __future__ import annotations

import os

from gitproc.shim.logfile import LogFile

MOST = 200_000


def test_single_bytes_cost_no_more_disk_than_lines(tmp_path):
    """Each chunk has a time of sixteen bytes, which count as well."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    log = LogFile(str(tmp_path / "web.log"), MOST, 2)
    for _ in range(40_000):
        os.write(writing, b"x")
        log.move(reading)
    log.reopen()
    os.close(reading)
    os.close(writing)
    sizes = [x.stat().st_size for x in tmp_path.glob("web.log*index")]
    assert max(sizes) < MOST + (70 << 10)
    assert sum(x.stat().st_size for x in tmp_path.iterdir() if x.suffix != ".index") == 40_000
