"""Verbs about GitProc itself: init, daemon, doctor."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from gitproc.api import text
from gitproc.cli import output
from gitproc.cli.ask import ask, client
from gitproc.daemon.config import Config, load
from gitproc.daemon.paths import HOOKS
from gitproc.errors import DaemonError
from gitproc.source.place import Place

_REMOTE = "production"


def _init(args: argparse.Namespace) -> int:
    from gitproc.source.repository import prepare

    root = Path(args.root) if args.root else None
    config = load(Path(args.config) if args.config else None, root, args.user)
    path = Path(args.path) if args.path else config.repository
    branch = args.branch or config.branch
    made = prepare(path, branch, args.bare, args.owner)
    steps = [*made.steps, *_hooks(config, made.place, force=args.force)]
    if args.json:
        body = {"path": str(made.place.path), "created": made.created, "steps": steps}
        output.put_json({**body, "branch": branch, "owner": made.owner.name})
        return 0
    lines = steps or [f"{made.place.path} is ready, nothing to do"]
    if args.path and path.resolve() != config.repository.resolve():
        lines.append(f'set `repository = "{path.resolve()}"` in config.toml: it is not the default')
    if made.created and not args.bare:
        daemon = "gitproc daemon" + (f" --root {args.root}" if args.root else "")
        lines.append(f"next: commit unit files to {branch} in {made.place.path}, then `{daemon}`")
    lines += _client_commands(config, made.place.path, args.root)
    return output.put(text.Rendered(0, "".join(f"{line}\n" for line in lines)), quiet=args.quiet)


def _hooks(config: Config, place: Place, *, force: bool) -> list[str]:
    from gitproc.daemon.receive_pack import hook_command
    from gitproc.source import hooks

    folder = config.state_dir / HOOKS
    hooks.write(folder, hook_command(config))
    return hooks.register(place, folder, force=force)


def _client_commands(config: Config, path: Path, root: str) -> list[str]:
    """What a member of the group does to push from another machine."""
    if config.user_mode:
        return []
    option = f" --root {Path(root).absolute()}" if root else ""
    return [
        f"to push from elsewhere, as root or a member of the group {config.group}:",
        f"  git remote add {_REMOTE} ssh://USER@{os.uname().nodename}{path}",
        f"  git config remote.{_REMOTE}.receivepack 'gitproc{option} receive-pack'",
    ]


def _daemon(args: argparse.Namespace) -> int:
    from gitproc.daemon.daemon import main

    return main(args.rest)


def _reexec(args: argparse.Namespace) -> int:
    return ask(args, "daemon-reexec", {})


def _doctor(args: argparse.Namespace) -> int:
    from gitproc.cli.render import doctor

    try:
        with client(args) as connection:
            result = connection.call("doctor")
    except DaemonError as error:
        words, _, advice = error.message.partition("? ")
        check = {"name": "daemon", "state": "fail", "detail": words, "advice": advice}
        result = {"checks": [check]}
    if os.geteuid() == 0:
        result["checks"].append(_private_networks())
    rendered = text.render("doctor", {}, result, output.style())
    if args.json:
        output.put_json(result)
    elif not (output.style().width and doctor(result)):
        output.put(rendered, quiet=args.quiet)
    return rendered.status


def _private_networks() -> dict[str, str]:
    """Tried here rather than asked for: it takes a package that is too large for the manager."""
    from gitproc.kernel.namespaces import try_network

    try:
        problem = try_network()
    except ImportError as error:
        problem = f"not tried: {error}"
    state = "warn" if problem else "ok"
    advice = "units with PrivateNetwork=yes may fail to start here" if problem else ""
    detail = problem or "made, and the loopback is up"
    return {"name": "private networks", "state": state, "detail": detail, "advice": advice}


def _hook(args: argparse.Namespace) -> int:
    from gitproc.cli.hook import HOOKS as KNOWN

    return KNOWN[args.name](args)


def _receive_pack(args: argparse.Namespace) -> int:
    from gitproc.cli.receive_pack import receive_pack

    return receive_pack(args)


def register(add: Any) -> None:
    """Add the verbs."""
    init = add("init", _init, "make the repository of desired state, or take over the one there")
    init.add_argument("path", nargs="?", metavar="DIR", help="where (as configured)")
    init.add_argument("--branch", metavar="NAME", help="its branch (as configured)")
    init.add_argument("--bare", action="store_true", help="without a work tree")
    init.add_argument("--owner", metavar="USER", help="whose it shall be (the caller's)")
    init.add_argument("--force", action="store_true", help="replace a foreign core.hooksPath")
    add("daemon", _daemon, "run the manager here; Ctrl-C stops everything in order")
    add(
        "daemon-reexec", _reexec, "replace shim and manager by the programs installed; units run on"
    )
    add("doctor", _doctor, "check the host and the manager, and say what to do")
    verb = add("receive-pack", _receive_pack, "take a push for `git push`, over ssh")
    verb.add_argument("path", metavar="PATH", help="the repository, as it is configured")
    hook = add("hook", _hook, "what git runs on a push")
    hook.add_argument("name", choices=("pre-receive", "post-receive"))
