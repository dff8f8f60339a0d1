"""`gitproc calendar`: what a calendar expression means, asked of nobody but this machine's clocks and zones."""

from __future__ import annotations

import argparse
import time
from typing import Any

from gitproc.cli import output
from gitproc.errors import UsageError

_MICRO = 1_000_000
_MOST = 10_000  # iterations


def _calendar(args: argparse.Namespace) -> int:
    from gitproc.api.text import Rendered
    from gitproc.api.text_style import moment
    from gitproc.api.text_timers import left
    from gitproc.kernel.clock_watch import find_zone
    from gitproc.units.calendar import parse_calendar
    from gitproc.units.elapse import next_elapse

    now = time.time()
    found: list[dict[str, Any]] = []
    lines: list[str] = []
    for text in args.expressions:
        try:
            spec = parse_calendar(text)
        except ValueError as error:
            raise UsageError(f"{text!r} is no calendar expression: {error}") from None
        zone = find_zone(spec.zone)
        if zone is None:
            raise UsageError(f"this machine does not know the time zone {spec.zone}")
        elapses: list[float] = []
        at = round(now * _MICRO)
        for _ in range(args.iterations):
            after = next_elapse(spec, at, zone)
            if after is None:
                break
            at = after
            elapses.append(after / _MICRO)
        found.append({"expression": text, "normalized": str(spec), "elapses": elapses})
        lines += [""] if lines else []
        if text != str(spec):
            lines.append(f"  Original form: {text}")
        lines.append(f"Normalized form: {spec}")
        for number, elapse in enumerate(elapses, 1):
            label = "Next elapse" if number == 1 else f"Iteration #{number}"
            lines.append(f"{label:>15}: {moment(elapse)}")
            lines.append(f"{'From now':>15}: {left(elapse - now)} left")
        if not elapses:
            lines.append(f"{'Next elapse':>15}: never")
    if args.json:
        output.put_json({"version": 1, "calendars": found})
        return 0
    return output.put(Rendered(0, "".join(f"{line}\n" for line in lines)))


def _iterations(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST}")
    return int(text)


def register(add: Any) -> None:
    """Add the verb."""
    verb = add("calendar", _calendar, "say what calendar expressions mean, and when they elapse")
    verb.add_argument("expressions", nargs="+", metavar="EXPRESSION", help="as in OnCalendar=")
    verb.add_argument(
        "--iterations", type=_iterations, default=1, metavar="N", help="show N elapses (1)"
    )
