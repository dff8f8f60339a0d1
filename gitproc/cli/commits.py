"""Verbs about commits: verify, plan, sync, apply, diff, rollback, history."""

from __future__ import annotations

import argparse
from typing import Any

from gitproc.api import text
from gitproc.cli import output
from gitproc.cli.ask import ask
from gitproc.units.names import UNIT_SUFFIXES


def _verify(args: argparse.Namespace) -> int:
    from gitproc.cli.verify import verify

    result = verify(args)
    rendered = text.render("verify", {}, result, output.style())
    if args.json:
        output.put_json(result)
        return rendered.status
    return output.put(rendered, quiet=args.quiet)


def _plan(args: argparse.Namespace) -> int:
    return ask(args, "plan", {"rev": args.rev} if args.rev else {})


def _sync(args: argparse.Namespace) -> int:
    return ask(args, "sync", {}, timeout=None)


def _apply(args: argparse.Namespace) -> int:
    return ask(args, "apply", {"sha": args.sha} if args.sha else {}, timeout=None)


def _rollback(args: argparse.Namespace) -> int:
    words = list(args.what)
    params: dict[str, Any] = {"dry_run": True} if args.dry_run else {}
    if words and not words[0].endswith(UNIT_SUFFIXES):
        params["sha"] = words.pop(0)
    if words:
        params["units"] = words
    return ask(args, "rollback", params, timeout=None)


def _history(args: argparse.Namespace) -> int:
    from gitproc.cli.render import history

    params: dict[str, Any] = {"lines": args.lines}
    if args.unit:
        params["unit"] = args.unit
    return ask(args, "history", params, shower=None if args.unit else history)


def _diff(args: argparse.Namespace) -> int:
    return ask(args, "diff", {})


def register(add: Any) -> None:
    """Add the verbs."""
    verify = add("verify", _verify, "check unit files or a commit; nothing is touched")
    verify.add_argument(
        "targets", nargs="*", metavar="REV|PATH",
        help="files or directories on disk, or a revision of the repository (the branch)",
    )  # fmt: skip
    verify.add_argument(
        "--allow-unenforced", action="append", default=[], metavar="NAME",
        help="let this directive go unenforced, as the configuration can; '*': all of them",
    )  # fmt: skip
    verify.add_argument(
        "--no-host", dest="host_facts", action="store_false",
        help="say nothing of programs, users and files that this host has not",
    )  # fmt: skip
    plan = add("plan", _plan, "show what a commit would do to what runs")
    plan.add_argument("rev", nargs="?", metavar="REV", help="the branch's commit by default")
    add("sync", _sync, "reconcile now, and try again what gave up")
    apply = add("apply", _apply, "try the branch's commit again, and judge it anew")
    apply.add_argument("sha", nargs="?", metavar="SHA", help="to be sure which one is meant")
    add("diff", _diff, "show what is not as the commit says, and exit 1 if anything is not")
    rollback = add("rollback", _rollback, "commit the tree of an earlier commit, and apply it")
    rollback.add_argument(
        "what", nargs="*", metavar="[SHA] [UNIT...]",
        help="the last good commit by default; only the files of these units (NAME.service)",
    )  # fmt: skip
    rollback.add_argument("--dry-run", action="store_true", help="show the plan, commit nothing")
    history = add("history", _history, "show commits and how they went")
    history.add_argument(
        "unit", nargs="?", metavar="UNIT", help="what changed UNIT and happened to it"
    )
    history.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="at most N (20)")
