"""The slow path's command line: argparse, global options before or after the verb, mistakes with a hint."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import NoReturn

import gitproc
from gitproc.cli import (
    calendar,
    commits,
    house,
    journalctl_words,
    logs,
    look,
    security,
    take,
    top,
    units,
)
from gitproc.cli.systemctl_words import instead_of
from gitproc.errors import UsageError

_CHOICE = re.compile(r"argument VERB: invalid choice: '(.*?)' \(choose from (.*)\)", re.DOTALL)

Run = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, and knows what was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        if found := _CHOICE.match(message):
            from difflib import get_close_matches

            verbs = found[2].replace("'", "").split(", ")
            close = get_close_matches(found[1], verbs, 1)
            guess = f"did you mean `gitproc {close[0]}`?" if close else "see `gitproc --help`"
            hint = instead_of(found[1]) or guess
            raise UsageError(f"unknown verb {found[1]!r}: {hint}")
        raise UsageError(f"{message}; see `{self.prog} --help`")


def _globals() -> Parser:
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("global options, before or after the verb")
    group.add_argument("--json", action="store_true", help="print JSON, with a version")
    group.add_argument("--socket", metavar="PATH", help="the manager's socket")
    group.add_argument("--root", metavar="DIR", help="everything of GitProc lies below DIR")
    group.add_argument("--config", metavar="FILE", help="read this config.toml")
    group.add_argument("--user", action="store_true", help="the user's own manager")
    group.add_argument("-H", "--host", metavar="[USER@]HOST", help="run there, over ssh")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    group.add_argument("--no-pager", action="store_true", help="accepted: nothing is ever paged")
    return common


_DEFAULTS = {
    "json": False,
    "socket": "",
    "root": "",
    "config": "",
    "user": False,
    "host": "",
    "quiet": False,
    "no_pager": False,
}


def parser() -> Parser:
    """The whole command line."""
    common = _globals()
    whole = Parser(
        prog="gitproc",
        parents=[common],
        description="The services of this machine are what a git commit says they are.",
        epilog="exit status: 0 done, 1 failed, 2 usage, 3 not active, 4 or 5 no such unit",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"gitproc {gitproc.__version__}")
    verbs = whole.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)

    def add(name: str, run: Run, help: str, *, aliases: tuple[str, ...] = ()) -> Parser:
        verb: Parser = verbs.add_parser(
            name,
            parents=[common],
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            aliases=aliases,
            allow_abbrev=False,
        )
        verb.set_defaults(run=run, verb=name)
        return verb

    for module in (units, look, logs, top, security, calendar, commits, take, house):
        module.register(add)
    return whole


def parse(words: list[str]) -> argparse.Namespace:
    """The options of a command line, all global ones present. Raises UsageError; exits for --help."""
    whole = parser()
    args, unknown = whole.parse_known_args(words)
    if args.verb == "daemon":  # its own options are its own business
        args.rest = list(words)
        args.rest.remove("daemon")
    elif unknown:
        said = f"unknown argument{'s' * (len(unknown) > 1)} {' '.join(unknown)}"
        hint = journalctl_words.instead_of(unknown) if args.verb == "logs" else ""
        if hint:
            raise UsageError(f"{said}: {hint}")
        whole.error(said)
    for name, value in _DEFAULTS.items():
        if not hasattr(args, name):
            setattr(args, name, value)
    if args.host:
        from gitproc.cli.remote import run_there

        args.run = lambda _: run_there(args.host, words)
    return args
