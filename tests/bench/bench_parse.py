"""A thousand units read: parsed, checked, evaluated, their graph built; beside the standard library's parser."""

import configparser
import statistics
import time

import pytest

from gitproc.core import graph_check
from gitproc.units.loader import SourceFile, load
from gitproc.units.parser import parse
from gitproc.units.specifiers import Host
from tests.bench.report import detail, row

COUNT = 1000
ROUNDS = 7
TEXT = """\
[Unit]
Description=Service {0}
After=network.target

[Service]
ExecStart=/usr/bin/env service-{0} --port={1} --name %n
Environment=A={0} B="two words"
Restart=on-failure
RestartSec=2
MemoryMax=64M
User=nobody

[Install]
WantedBy=multi-user.target
"""
pytestmark = pytest.mark.bench


def test_parse():
    files = _files(0)
    ours, graphs, theirs, spent = [], [], [], []
    for number in range(ROUNDS):
        files = _files(number)  # others each time: what is remembered of values must not flatter us
        begun, used = time.perf_counter(), time.process_time()
        units = load(files, Host())
        assert not units.has_errors, units.diagnostics[0]
        ours.append(time.perf_counter() - begun)
        spent.append(time.process_time() - used)
        begun = time.perf_counter()
        assert not graph_check.check(units)
        graphs.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        for file in files:
            reader = configparser.RawConfigParser(strict=False)
            reader.read_string(file.data.decode())
        theirs.append(time.perf_counter() - begun)
    load_ms, graph_ms, floor_ms = (statistics.median(x) * 1000 for x in (ours, graphs, theirs))
    row(
        f"{COUNT} units loaded", f"{load_ms:.0f} ms, graph {graph_ms:.0f} ms",
        baseline=f"{floor_ms:.0f} ms, configparser, which only splits lines",
        goal="50 ms", command="parse",
    )  # fmt: skip
    detail(
        f"{load_ms / COUNT * 1000:.0f} us a unit; the best round took {min(spent) * 1000:.0f} ms of CPU"
    )
    parsed = min(_timed(lambda: [parse(file.data, file.path) for file in files]) for _ in range(5))
    detail(f"of that, cutting files into assignments: {parsed * 1000:.0f} ms")


def _files(series):
    return [
        SourceFile(f"u{n}.service", f"{n:040x}", text.encode(), None)
        for n in range(COUNT)
        for text in [TEXT.format(series * COUNT + n, 8000 + n)]
    ]


def _timed(work):
    begun = time.process_time()
    work()
    return time.process_time() - begun
