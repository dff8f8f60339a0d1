"""Verbs about GitProc itself: init, daemon, doctor."""

from __future__ import annotations

import argparse
from typing import Any

from gitproc.api import text
from gitproc.cli import output
from gitproc.cli.ask import client
from gitproc.errors import DaemonError


def _init(args: argparse.Namespace) -> int:
    from pathlib import Path

    from gitproc.daemon.config import load
    from gitproc.source.repository import prepare

    root = Path(args.root) if args.root else None
    config = load(Path(args.config) if args.config else None, root, args.user)
    path = Path(args.path) if args.path else config.repository
    branch = args.branch or config.branch
    made = prepare(path, branch, args.bare, args.owner)
    if args.json:
        body = {"path": str(made.place.path), "created": made.created, "steps": list(made.steps)}
        output.put_json({**body, "branch": branch, "owner": made.owner.name})
        return 0
    lines = list(made.steps) or [f"{made.place.path} is ready, nothing to do"]
    if args.path and path.resolve() != config.repository.resolve():
        lines.append(f'set `repository = "{path.resolve()}"` in config.toml: it is not the default')
    if made.created and not args.bare:
        lines.append(
            f"next: commit unit files to {branch} in {made.place.path}, then `gitproc daemon`"
        )
    return output.put(text.Rendered(0, "".join(f"{line}\n" for line in lines)), quiet=args.quiet)


def _daemon(args: argparse.Namespace) -> int:
    from gitproc.daemon.daemon import main

    return main(args.rest)


def _doctor(args: argparse.Namespace) -> int:
    from gitproc.cli.render import doctor

    try:
        with client(args) as connection:
            result = connection.call("doctor")
    except DaemonError as error:
        words, _, advice = error.message.partition("? ")
        check = {"name": "daemon", "state": "fail", "detail": words, "advice": advice}
        result = {"checks": [check]}
    rendered = text.render("doctor", {}, result, output.style())
    if args.json:
        output.put_json(result)
    elif not (output.style().width and doctor(result)):
        output.put(rendered, quiet=args.quiet)
    return rendered.status


def register(add: Any) -> None:
    """Add the verbs."""
    init = add("init", _init, "make the repository of desired state, or take over the one there")
    init.add_argument("path", nargs="?", metavar="DIR", help="where (as configured)")
    init.add_argument("--branch", metavar="NAME", help="its branch (as configured)")
    init.add_argument("--bare", action="store_true", help="without a work tree")
    init.add_argument("--owner", metavar="USER", help="whose it shall be (the caller's)")
    add("daemon", _daemon, "run the manager here; Ctrl-C stops everything in order")
    add("doctor", _doctor, "check the host and the manager, and say what to do")
