"""A thousand units: files parsed into checked names and typed values; then all that it takes to load them, whose parts
are verified against one another, and their graph; beside the standard library's parser."""

import configparser
import statistics
import time

import pytest

from gitproc.core import graph_check
from gitproc.units.file_check import check_file
from gitproc.units.loader import SourceFile, load
from gitproc.units.parser import parse
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit
from tests.bench.report import detail, row

COUNT = 1000
ROUNDS = 9
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
DISTINCT = """\
[Unit]
Description=Service {0}
After=network-{0}.service

[Service]
ExecStart=/usr/lib/service-{0}/run --port={1} --name %n
Environment=A={0} B="two words" C{0}=3
Restart=on-failure
RestartSec={1}ms
MemoryMax={0}K
User=user-{0}

[Install]
WantedBy=group-{0}.target
"""
"""Whatever can differ does: nothing that is remembered of one unit helps with another."""
pytestmark = pytest.mark.bench


def test_parse():
    files = _files(0)
    ours, graphs, theirs, spent = [], [], [], []
    for number in range(ROUNDS):
        files = _files(number)  # others each time: what is remembered of values must not flatter us
        units = None  # nor does taking the former round down count
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
        f"{load_ms / COUNT * 1000:.0f} us a unit; the best round took {min(spent) * 1000:.0f} ms of CPU;"
        f" {_repeated(TEXT):.0%} of the assignments stand in other units, too"
    )
    distinct = min(_timed(_load, _files(n, DISTINCT)) for n in range(1, ROUNDS))
    detail(
        f"of units of which each is another, {_repeated(DISTINCT):.0%} repeated:"
        f" {distinct * 1000:.0f} ms of CPU"
    )
    cut = min(_timed(_cut, _files(ROUNDS + n)) for n in range(5))
    values = min(_timed(_parse, _files(2 * ROUNDS + n)) for n in range(5))
    row(
        f"{COUNT} units parsed, CPU: names checked, values typed",
        f"{values * 1000:.0f} ms",
        baseline=f"{cut * 1000:.0f} ms, cutting files into assignments",
        goal="-",
        command="parse",
    )


def _load(files):
    units = load(files, Host())
    assert not units.has_errors, units.diagnostics[0]
    return units


def _repeated(text):
    """Which part of the assignments of all files is not new."""
    lines = [line for file in _files(0, text) for line in file.data.splitlines() if b"=" in line]
    return 1 - len({*lines}) / len(lines)


def _cut(files):
    for file in files:
        parse(file.data, file.path)


def _parse(files):
    for file in files:
        Unit(file.path, file.path, check_file(file, "service").settings, Host())


def _files(series, text=TEXT):
    return [
        SourceFile(f"u{n}.service", f"{n:040x}", filled.encode(), None)
        for n in range(COUNT)
        for filled in [text.format(series * COUNT + n + 1, 8000 + n)]
    ]


def _timed(work, files):
    begun = time.process_time()
    made = work(files)
    spent = time.process_time() - begun
    del made  # taking it down does not count
    return spent
