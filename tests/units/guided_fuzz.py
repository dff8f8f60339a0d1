"""Fuzzing that follows the branches it reaches (atheris, libFuzzer), for longer than tests may take: `make fuzz`.

    python -m tests.units.guided_fuzz TARGET [libFuzzer's options]

A target gets any bytes. It raises nothing but errors of ours, in a second at most; whatever else is kept by
libFuzzer as `crash-...`, in the folder it is run in.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import atheris

with atheris.instrument_imports(include=["gitproc"]):
    from gitproc.core import graph_check
    from gitproc.kernel.notify_socket import parse_fields
    from gitproc.units.calendar import parse_calendar
    from gitproc.units.directives import SECTIONS, TABLE
    from gitproc.units.elapse import next_elapse
    from gitproc.units.environment import parse_environment_file
    from gitproc.units.loader import SourceFile, load
    from gitproc.units.specifiers import Host
    from gitproc.units.timespan import parse_span

KINDS = sorted(SECTIONS)
ZONES = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/Havana"))
YEAR = 365 * 86400 * 1_000_000  # microseconds


def unit(data: bytes) -> None:
    """A file of some kind, from its bytes to the graph."""
    kind = KINDS[data[0] % len(KINDS)] if data else "service"
    units = load([SourceFile(f"a.{kind}", "0" * 40, data[1:], None)], Host())
    assert all("\n" not in one.message for one in units.diagnostics)
    graph_check.check(units)


def calendar(data: bytes) -> None:
    """An expression, its normal form, which means the same, and when it elapses."""
    text = data[1:].decode("utf-8", "replace")
    try:
        found = parse_calendar(text)
    except ValueError:
        return
    assert str(parse_calendar(str(found))) == str(found)
    zone = ZONES[data[0] % len(ZONES)]
    after = 50 * YEAR
    for _ in range(3):
        elapse = next_elapse(found, after, zone)
        if elapse is None:
            break
        assert elapse > after
        after = elapse


def environment(data: bytes) -> None:
    """A file that EnvironmentFile= names."""
    try:
        found = parse_environment_file(data.decode("utf-8", "surrogateescape"))
    except ValueError:
        return
    assert all(name for name, _ in found)


def notify(data: bytes) -> None:
    """A datagram of sd_notify(3)."""
    assert all(name for name, _ in parse_fields(data))


def span(data: bytes) -> None:
    """A time span."""
    try:
        assert parse_span(data.decode("utf-8", "replace")) >= 0
    except ValueError:
        return


TARGETS = {one.__name__: one for one in (unit, calendar, environment, notify, span)}


def main() -> None:
    """Fuzz one target until libFuzzer's options end it."""
    name, *options = sys.argv[1:]
    with tempfile.NamedTemporaryFile("w", suffix=".dict", encoding="ascii") as words:
        for key in (*TABLE, *(f"[{x}]\n" for x in {row.section for row in TABLE.values()})):
            word = key if key.startswith("[") else f"{key.rpartition('.')[2]}="
            escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\x0a")
            words.write(f'"{escaped}"\n')
        words.flush()
        options = [f"-dict={words.name}", "-timeout=1", *options]
        atheris.Setup([str(Path(sys.argv[0])), *options], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
