"""Verbs that change what runs: start, stop, restart, reload and their kin, kill, reset-failed."""

from __future__ import annotations

import argparse
from typing import Any

from gitproc.cli.ask import ask


def _job(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"units": args.units}
    if args.no_block:
        params["wait"] = False
    return ask(args, args.verb, params, timeout=None)


def _kill(args: argparse.Namespace) -> int:
    params = {"units": args.units, "signal": args.signal, "whom": args.kill_whom}
    return ask(args, "kill", params)


def _reset(args: argparse.Namespace) -> int:
    return ask(args, "reset-failed", {"units": args.units})


def register(add: Any) -> None:
    """Add the verbs."""
    for name, help in (
        ("start", "start units and what they require; ends a hold"),
        ("stop", "stop units and hold them until start, or until a commit changes them"),
        ("restart", "stop, then start units"),
        ("reload", "ask units to read their configuration again"),
        ("try-restart", "restart units that run"),
        ("reload-or-restart", "reload units that can, restart the others"),
        ("try-reload-or-restart", "the same for units that run"),
    ):
        verb = add(name, _job, help)
        verb.add_argument("units", nargs="+", metavar="UNIT")
        verb.add_argument("--no-block", action="store_true", help="do not wait for the outcome")
    kill = add("kill", _kill, "send a signal to processes of units")
    kill.add_argument("units", nargs="+", metavar="UNIT")
    kill.add_argument("-s", "--signal", default="SIGTERM", help="name or number (SIGTERM)")
    kill.add_argument(
        "--kill-whom", "--kill-who", choices=("main", "control", "all"), default="all",
        help="which processes (all)",
    )  # fmt: skip
    reset = add("reset-failed", _reset, "forget failures and start limits of units, or of all")
    reset.add_argument("units", nargs="*", metavar="UNIT")
