"""Verbs that only look: status, list and its kin, is-active and its kin, show, cat, events."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from gitproc.api.text import event_line
from gitproc.cli import output
from gitproc.cli.ask import ask, client


def _units(args: argparse.Namespace) -> int:
    return ask(args, args.verb, {"units": args.units} if args.units else {})


def _status(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"units": args.units} if args.units else {}
    return ask(args, "status", params if args.lines is None else {**params, "lines": args.lines})


def _list(args: argparse.Namespace) -> int:
    """The units, by name, kind and state."""
    states = ["failed"] if args.failed else []
    params = {
        "units": args.units,
        "types": [kind for part in args.type for kind in part.split(",")],
        "states": states + [state for part in args.state for state in part.split(",")],
    }
    return _ask(args, "list", {key: value for key, value in params.items() if value})


def _ask(args: argparse.Namespace, method: str, params: Mapping[str, Any]) -> int:
    """Ask for a table."""
    return ask(args, method, params, style=output.style(legend=not args.no_legend, full=args.full))


def _dependencies(args: argparse.Namespace) -> int:
    params = {"unit": args.unit} if args.unit else {}
    flags = {key: True for key in ("reverse", "all", "after", "before") if getattr(args, key)}
    return ask(args, "list-dependencies", {**params, **flags})


def _show(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"units": args.units}
    names = [name for part in (*args.property, *args.only) for name in part.split(",") if name]
    if names:
        params["properties"] = names
    return ask(args, "show", params, style=output.style(value=args.value or bool(args.only)))


def _timers(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"units": args.units} if args.units else {}
    return _ask(args, "list-timers", {**params, "all": True} if args.all else params)


def _sockets(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"units": args.units} if args.units else {}
    return _ask(args, "list-sockets", {**params, "all": True} if args.all else params)


def _why(args: argparse.Namespace) -> int:
    return ask(args, "why", {"unit": args.unit})


def _events(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {} if args.lines is None else {"lines": args.lines}
    return _follow(args, params) if args.follow else ask(args, "events", params)


def _follow(args: argparse.Namespace, params: Mapping[str, Any]) -> int:
    """Print events as they come, until the manager ends the stream or the operator has seen enough."""
    style = output.style()
    with client(args) as connection:
        for item in connection.stream("events", params, output=1):
            if args.json:
                output.put_json(item, line=True)
                continue
            output.put_text(f"{event_line(item, style)}\n")
            sys.stdout.buffer.flush()
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)


def _register_looks(verb: argparse.ArgumentParser) -> None:
    """How a table looks."""
    verb.add_argument("--no-legend", action="store_true", help="neither a head nor a count")
    verb.add_argument("-l", "--full", action="store_true", help="cut nothing to fit the terminal")
    verb.add_argument("--plain", action="store_true", help="accepted: nothing is drawn")


def register(add: Any) -> None:
    """Add the verbs."""
    status = add(
        "status", _status, "show units as they are, or without UNIT the commit and everything"
    )
    status.add_argument(
        "units", nargs="*", metavar="UNIT", help="name, shell-style pattern, or PID of a process"
    )
    status.add_argument("-n", "--lines", type=_count, metavar="N", help="lines of the log (10)")
    status.add_argument("-l", "--full", action="store_true", help="accepted: nothing is ever cut")
    for name, help in (
        ("is-active", "exit 0 if any of the units is active"),
        ("is-failed", "exit 0 if any of the units has failed"),
        ("is-enabled", "exit 0 if the commit has any of the units started"),
    ):
        verb = add(name, _units, help)
        verb.add_argument("units", nargs="+", metavar="UNIT", help="name or shell-style pattern")
    table = add("list", _list, "list units in a table", aliases=("list-units",))
    table.add_argument("units", nargs="*", metavar="UNIT", help="name or shell-style pattern")
    table.add_argument("-t", "--type", action="append", default=[], metavar="TYPE[,TYPE]",
                       help="of these kinds: service, timer, ...")  # fmt: skip
    table.add_argument("--state", action="append", default=[], metavar="STATE[,STATE]",
                       help="in these states: active, failed, running, ...")  # fmt: skip
    table.add_argument("--failed", action="store_true", help="the same as --state=failed")
    table.add_argument("-a", "--all", action="store_true", help="accepted: all are shown")
    _register_looks(table)
    tree = add("list-dependencies", _dependencies, "show what a unit pulls in, as a tree")
    tree.add_argument("unit", nargs="?", metavar="UNIT", help="the default target unless given")
    tree.add_argument("--reverse", action="store_true", help="what pulls it in")
    way = tree.add_mutually_exclusive_group()
    way.add_argument("--after", action="store_true", help="what it is ordered after")
    way.add_argument("--before", action="store_true", help="what is ordered after it")
    tree.add_argument("-a", "--all", action="store_true", help="open all units, not just targets")
    show = add("show", _show, "show properties of units, as Name=value")
    show.add_argument("units", nargs="+", metavar="UNIT")
    show.add_argument(
        "-p", "--property", action="append", default=[], metavar="NAME[,NAME]", help="these alone"
    )
    show.add_argument("--value", action="store_true", help="print values only")
    show.add_argument(
        "-P", dest="only", action="append", default=[], metavar="NAME[,NAME]",
        help="the same as --value --property=NAME",
    )  # fmt: skip
    timers = add("list-timers", _timers, "list timers, the next one to elapse first")
    timers.add_argument("units", nargs="*", metavar="TIMER", help="name or shell-style pattern")
    timers.add_argument("--all", action="store_true", help="those that are not active, too")
    _register_looks(timers)
    sockets = add("list-sockets", _sockets, "list sockets, and what a connection starts")
    sockets.add_argument("units", nargs="*", metavar="SOCKET", help="name or shell-style pattern")
    sockets.add_argument("--all", action="store_true", help="those that are not active, too")
    _register_looks(sockets)
    why = add("why", _why, "say why a unit runs, waits or rests")
    why.add_argument("unit", metavar="UNIT")
    cat = add("cat", _units, "show the files of units, as committed")
    cat.add_argument("units", nargs="+", metavar="UNIT")
    events = add("events", _events, "show what happened: units, commits, operators")
    events.add_argument("-n", "--lines", type=_count, metavar="N", help="the last N events")
    events.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
