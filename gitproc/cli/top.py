"""`top`: who uses what, again and again; a live table on a terminal, plain text elsewhere."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from gitproc.api.text_top import HEADS, KEYS, rows, top
from gitproc.cli import output
from gitproc.cli.ask import client
from gitproc.cli.keys import Keys

_SORTS = {key[0]: key for key in KEYS}


def _top(args: argparse.Namespace) -> int:
    if args.json:
        with client(args) as connection:
            output.put_json(connection.call("top", {}))
        return 0
    style = output.style()
    try:
        if style.width and args.iterations is None:
            from gitproc.cli.render import live

            with Keys() as keys:
                live(HEADS, _frames(args, keys))
            return 0
        for now, before in _looks(args):
            output.put_text("\n".join(top(now, style, before, args.sort)) + "\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass  # the way out
    return 0


def _frames(args: argparse.Namespace, keys: Keys) -> Iterator[tuple[list[tuple[str, ...]], str]]:
    """The rows of each look and what stands below them, again when a key sorts them another way; until `q`."""
    sort, pair = args.sort, None
    with client(args) as connection:
        before = connection.call("top", {})
        while True:
            end = time.monotonic() + args.delay
            while key := keys.wait(end - time.monotonic()):
                if key in "qQ":
                    return
                sort = _SORTS.get(key, sort)
                if pair is not None:
                    yield _frame(pair, sort)
            pair = connection.call("top", {}), before
            yield _frame(pair, sort)
            before = pair[0]


def _frame(
    pair: tuple[dict[str, Any], dict[str, Any]], sort: str
) -> tuple[list[tuple[str, ...]], str]:
    said = f"by {sort}; keys: {', '.join(f'{key} {name}' for key, name in _SORTS.items())}, q quit"
    return [x.cells() for x in rows(*pair, sort)], said


def _looks(args: argparse.Namespace) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of an answer and the one before, as many as are asked for."""
    left = args.iterations or (0 if output.style().width else 1)
    with client(args) as connection:
        before = connection.call("top", {})
        while True:
            time.sleep(args.delay)
            now = connection.call("top", {})
            yield now, before
            before, left = now, left - 1
            if left == 0:
                return


def _iterations(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of iterations")
    return int(text)


def _delay(text: str) -> float:
    try:
        delay = float(text)
    except ValueError:
        delay = 0.0
    if not 0.1 <= delay <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a delay from 0.1 to 3600 seconds")
    return delay


def register(add: Any) -> None:
    """Add the verb."""
    verb = add("top", _top, "show what units and slices use, again and again")
    verb.add_argument("-s", "--sort", choices=KEYS, default="cpu", help="the most of this first")
    verb.add_argument(
        "-n", "--iterations", type=_iterations, metavar="N", help="this often, as plain text"
    )
    verb.add_argument(
        "-d", "--delay", type=_delay, default=1.0, metavar="SECONDS", help="between looks (1)"
    )
