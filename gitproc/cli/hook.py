"""`hook pre-receive` and `hook post-receive`: what git runs on a push (githooks(5)).

The first hands the push to the daemon and says what the daemon says, before the branch moves; it decides
nothing itself but while no daemon runs. The second only watches: the daemon deploys what the branch names
whether or not anybody is left to look on.
"""

from __future__ import annotations

import argparse
import base64
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from gitproc.api.client import Client
from gitproc.api.text_changes import plan
from gitproc.api.text_deploy import deploy_lines, undo_line
from gitproc.api.text_status import commit_line, diagnostic_line
from gitproc.api.text_style import Style, safe
from gitproc.cli import output
from gitproc.daemon import push_rules as rules
from gitproc.daemon.config import Config, load
from gitproc.errors import DaemonError, GitProcError, RefusedError, SourceError
from gitproc.source.place import Place, locate
from gitproc.source.quarantine import Quarantine

_PIECE = 512 * 1024  # bytes of one request
_PATIENCE = 120.0  # seconds for one answer
_MOST = 1000  # references that are told of


def _say(*lines: str) -> None:
    for line in lines:
        output.put_text(f"{line}\n")
    sys.stdout.flush()


def _config(args: argparse.Namespace) -> Config:
    root = Path(args.root) if args.root else None
    return load(Path(args.config) if args.config else None, root, args.user)


def _here(config: Config) -> Place:
    """The repository of the push. SourceError if it is not the one the daemon follows."""
    place = locate(config.repository)
    if Path(os.environ.get("GIT_DIR", ".")).resolve() != place.git_dir:
        raise SourceError(
            f"the daemon follows {place.path}, not this repository: set `repository` in config.toml, "
            "or end these hooks by `git config --unset core.hooksPath`"
        )
    return place


def _lines() -> list[tuple[str, str, str]]:
    """Old id, new id and name of every reference of the push; "" for no id."""
    found = []
    for line in sys.stdin.buffer.read().decode("utf-8", "replace").splitlines():
        old, new, ref = line.split(" ", 2)
        found.append((old if old.strip("0") else "", new if new.strip("0") else "", ref))
    return found


def options(environ: Mapping[str, str]) -> list[str]:
    """The push options (`git push -o`)."""
    count = environ.get("GIT_PUSH_OPTION_COUNT", "")
    return [
        environ.get(f"GIT_PUSH_OPTION_{n}", "")[:200]
        for n in range(min(100, int(count) if count.isdecimal() else 0))
    ]


# ------------------------------------------------------------------ pre-receive


def pre_receive(args: argparse.Namespace) -> int:
    """Have the push judged. 0 lets git move the references."""
    try:
        config = _config(args)
        with closing(Quarantine(_here(config), os.environ)) as quarantine:
            updates = _updates(quarantine, _lines(), config.branch, config.policy.max_tree)
            asked = options(os.environ)
            verdict = _judge(config, quarantine, updates, asked)
    except RefusedError as error:
        _refuse(error)
        return 1
    except GitProcError as error:
        _say(f"gitproc: {safe(error.message)}", "gitproc: nothing was changed")
        return 1
    return _accepted(verdict)


def _updates(
    quarantine: Quarantine, lines: Sequence[tuple[str, str, str]], branch: str, most: int
) -> list[rules.Update]:
    ours = f"refs/heads/{branch}"
    found = []
    for old, new, ref in sorted(lines, key=lambda x: (x[2] != ours, x[2] != rules.NOTES, x[2])):
        forward, commits, size = True, 0, 0
        if ref == ours and new:
            forward = not old or quarantine.builds_on(new, old)
            commits = quarantine.count(new, old or None)
            size = quarantine.size(new, most)
        found.append(rules.Update(ref, old, new, forward, commits, size))
    return found


def _judge(
    config: Config, quarantine: Quarantine, updates: list[rules.Update], asked: list[str]
) -> Mapping[str, Any]:
    try:
        client = Client(str(config.socket), _PATIENCE)
    except DaemonError as error:
        if config.policy.when_down == "accept":
            from gitproc.cli.hook_alone import judge_alone

            _say(f"gitproc: {safe(error.message)}")
            return judge_alone(config, quarantine, updates, asked)
        raise DaemonError(
            f"{error.message}; a push is checked by the daemon "
            '(`when_down = "accept"` in section [policy] of config.toml lets the hook check it alone)'
        ) from error
    with client:
        return _ask(client, quarantine, updates, asked)


def _ask(
    client: Client, quarantine: Quarantine, updates: list[rules.Update], asked: list[str]
) -> Mapping[str, Any]:
    answer = client.call(
        "push-begin",
        {
            "updates": [
                {
                    "ref": x.ref,
                    "old": x.old,
                    "new": x.new,
                    "forward": x.forward,
                    "commits": x.commits,
                    "size": x.size,
                }
                for x in updates[:_MOST]
            ],
            "options": asked,
            "ticket": os.environ.get("GITPROC_PUSH_TICKET", ""),
        },
    )
    token = answer.get("token")
    while want := answer.get("want"):
        for piece in _pieces(quarantine.supply(want, answer["limit"])):
            data = base64.b64encode(piece).decode("ascii")
            client.call("push-objects", {"token": token, "data": data})
        answer = client.call("push-check", {"token": token})
    found: Mapping[str, Any] = answer
    return found


def _pieces(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that fit into requests."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= _PIECE:
            yield bytes(held[:_PIECE])
            del held[:_PIECE]
    if held:
        yield bytes(held)


def _refuse(error: RefusedError) -> None:
    found = error.data.get("diagnostics") or []
    _say(*(diagnostic_line(one) for one in found))
    if not found:
        _say(f"gitproc: {safe(error.message)}")
    _say(f"gitproc: {safe(error.message)}; nothing was changed")


def _accepted(verdict: Mapping[str, Any]) -> int:
    _say(*(diagnostic_line(one) for one in verdict.get("diagnostics") or ()))
    if not verdict.get("deploys"):
        return 0
    count = int(verdict.get("commits") or 0)
    if count > 1:
        _say(f"gitproc: {count} commits; what counts is the last one")
    if not verdict.get("accepted"):
        _say(*plan(verdict, Style()))
        _say(f"gitproc: `-o {rules.PLAN}` only shows; nothing was changed")
        return 1
    units = int(verdict.get("units") or 0)
    commit = commit_line(verdict.get("commit") or {}, Style(), 0).partition(" (")[0]
    _say(f"gitproc: {commit}: {units} unit{'s' * (units != 1)}, no errors")
    return 0


# ------------------------------------------------------------------ post-receive


def post_receive(args: argparse.Namespace) -> int:
    """Tell the pusher how the deploy goes, until the commit is judged."""
    try:
        config = _config(args)
        sha = next((new for _, new, ref in _lines() if ref == f"refs/heads/{config.branch}"), "")
        if sha:
            _watch(args, config, sha)
    except GitProcError as error:
        _say(f"gitproc: {safe(error.message)}")
    return 0


def _watch(args: argparse.Namespace, config: Config, sha: str) -> None:
    command = shlex.join(["gitproc", *(["--root", args.root] if args.root else [])])
    if rules.ASYNC in options(os.environ) or not config.policy.follow:
        _say(f"gitproc: {sha[:12]} is being deployed; see `{command} events -f`")
        return
    with Client(str(config.socket)) as client:
        limit = int(config.policy.follow) or 1
        for item in client.stream("deploy", {"sha": sha, "limit": limit}, output=1):
            _say(*deploy_lines(item, Style()))
            if item.get("last"):
                if item["kind"] == "deploy.timeout":
                    _say(f"gitproc: it goes on without you; see `{command} status`")
                if item.get("reverted"):
                    _say(
                        f"gitproc: {config.branch} goes back, too: `git pull --rebase` before you push"
                    )
                _say(*undo_line(item, command))


HOOKS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "pre-receive": pre_receive,
    "post-receive": post_receive,
}
