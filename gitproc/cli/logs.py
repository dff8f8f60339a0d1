"""`gitproc logs`: what units wrote, with journalctl's words. Patterns are searched for here, not in the manager."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from gitproc.api.text import Rendered
from gitproc.api.text_logs import FORMS, cut, journal_entry, log_line, log_lines
from gitproc.cli import output
from gitproc.cli.ask import client
from gitproc.errors import UsageError
from gitproc.units.scalars import parse_boolean
from gitproc.units.streams import parse_level
from gitproc.units.wildcards import is_pattern

_ALL = 1_000_000_000  # lines
_Test = Callable[[Mapping[str, Any]], bool]


def _logs(args: argparse.Namespace) -> int:
    if args.reverse and args.follow:
        raise UsageError(
            "what is followed has no end to begin with: --reverse or --follow, not both"
        )
    units = [*args.units, *args.unit]
    params: dict[str, Any] = {"units": units} if units else {}
    since = args.since or ("boot" if args.boot else None)
    params |= {key: at for key, at in (("since", since), ("until", args.until)) if at}
    wanted = _test(args)
    lines = args.lines if not args.pager_end or args.lines is not None else 1000
    form = args.output or ("cat" if len(units) == 1 and not is_pattern(units[0]) else "short")
    if args.follow:
        return _follow(args, params if lines is None else {**params, "lines": lines}, form, wanted)
    if wanted is not None:
        params["lines"] = _ALL
    elif lines is not None:
        params["lines"] = lines
    with client(args) as connection:
        found = connection.call("logs", params)
    said = list(found["lines"])
    more = cut(found, len(said), "shown" if wanted is None else "looked at")
    if wanted is not None:
        said = [line for line in said if wanted(line)]
        said = said if lines is None else said[-lines:] if lines else []
    if args.reverse:
        said.reverse()
    if args.json:
        output.put_json({**found, "lines": said})
        return 0
    if form == "json":
        text = [json.dumps(journal_entry(line)) for line in said]
    else:
        text = log_lines(said, form, output.style(), utc=args.utc)
    return output.put(Rendered(0, "".join(f"{line}\n" for line in text), more), quiet=args.quiet)


def _follow(
    args: argparse.Namespace, params: Mapping[str, Any], form: str, wanted: _Test | None
) -> int:
    """Print lines as they come, until the operator has seen enough."""
    style = output.style()
    with client(args) as connection:
        for item in connection.stream("logs", params, output=1):
            if wanted is not None and not wanted(item):
                continue
            if args.json:
                output.put_json(item, line=True)
                continue
            if form == "json":
                line = json.dumps(journal_entry(item))
            else:
                line = log_line(item, form, style, utc=args.utc)
            output.put_text(f"{line}\n")
            sys.stdout.buffer.flush()
    return 0


def _test(args: argparse.Namespace) -> _Test | None:
    """Which lines are wanted; None for all."""
    pattern, levels = _pattern(args.grep, args.case_sensitive), args.priority
    if pattern is None:
        return None if levels is None else lambda line: line["priority"] in levels
    search = pattern.search
    if levels is None:
        return lambda line: search(str(line["text"])) is not None
    return lambda line: line["priority"] in levels and search(str(line["text"])) is not None


def _pattern(text: str | None, case_sensitive: bool | None) -> re.Pattern[str] | None:
    """As journalctl has it: a pattern without capitals finds both cases unless told otherwise."""
    if text is None:
        return None
    matters = text != text.lower() if case_sensitive is None else case_sensitive
    try:
        return re.compile(text, 0 if matters else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{text!r} is no pattern: {error}") from None


def _count(text: str) -> int:
    if text == "all":
        return _ALL
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)


def _levels(text: str) -> range:
    """A level and all that matter more, or `LEVEL..LEVEL`."""
    first, dots, last = text.partition("..")
    try:
        levels = sorted((parse_level(first), parse_level(last))) if dots else [0, parse_level(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return range(levels[0], levels[1] + 1)


def _truth(text: str) -> bool:
    try:
        return parse_boolean(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def register(add: Any) -> None:
    """Add the verb."""
    verb = add("logs", _logs, "show what units wrote")
    verb.add_argument(
        "units", nargs="*", metavar="UNIT", help="name or shell-style pattern (all units)"
    )
    verb.add_argument(
        "-u", "--unit", action="append", default=[], metavar="UNIT", help="the same"
    )  # fmt: skip
    verb.add_argument(
        "-n", "--lines", type=_count, nargs="?", const=10, metavar="N",
        help="the last N lines (100), or all",
    )  # fmt: skip
    verb.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    verb.add_argument("-r", "--reverse", action="store_true", help="the newest first")
    times = "5min ago, yesterday, 14:30, 2024-05-31 14:30"
    verb.add_argument("-S", "--since", metavar="TIME", help=times)
    verb.add_argument("-U", "--until", metavar="TIME", help="likewise")
    verb.add_argument("-b", "--boot", action="store_true", help="since the machine was started")
    verb.add_argument("-g", "--grep", metavar="PATTERN", help="lines with this regular expression")
    verb.add_argument(
        "--case-sensitive", type=_truth, nargs="?", const=True, metavar="BOOL",
        help="whether case matters (if PATTERN has capitals)",
    )  # fmt: skip
    verb.add_argument(
        "-p", "--priority", type=_levels, metavar="LEVEL",
        help="lines of a level and above: err, 3; or warning..err",
    )  # fmt: skip
    verb.add_argument("-o", "--output", choices=FORMS, metavar="FORM", help=", ".join(FORMS))
    verb.add_argument("--utc", action="store_true", help="times in UTC")
    verb.add_argument("-e", "--pager-end", action="store_true", help="the last 1000 lines")
    for flags, why in (
        (("-x", "--catalog"), "there is no catalog, see `gitproc why`"),
        (("-a", "--all"), "every character is shown"),
        (("-l", "--full"), "nothing is ever cut"),
        (("--no-hostname",), "there is one host"),
    ):
        verb.add_argument(*flags, action="store_true", help=f"accepted: {why}")
