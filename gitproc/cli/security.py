"""`security`: how exposed services are, and what would lower it."""

from __future__ import annotations

import argparse
from typing import Any

from gitproc.cli.ask import ask


def _security(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"units": args.units} if args.units else {}
    if args.threshold is not None:
        params["threshold"] = args.threshold
    return ask(args, "security", params)


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a score from 0 to 10")
    return score


def register(add: Any) -> None:
    """Add the verb."""
    verb = add("security", _security, "show how exposed services are, 0 (sealed off) to 10")
    verb.add_argument("units", nargs="*", metavar="UNIT", help="one: every gap, and what closes it")
    verb.add_argument(
        "--threshold", type=_score, metavar="N", help="exit 1 if one is more exposed than this"
    )
