"""Command lines: the options of `gitproc daemon`, and how shim and manager are started with them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gitproc.daemon import config as configuration
from gitproc.daemon.config import Config
from gitproc.immutable import NamedTuple

_PACKAGE = Path(__file__).resolve().parents[1]
SHIM_SOCKET = "shim.sock"
NOTIFY_SOCKET = "notify"


class Options(NamedTuple):
    """The options of `gitproc daemon`."""

    config: str | None = None
    root: str | None = None
    user: bool = False
    exec_stop: bool = False


def arguments(args: Sequence[str]) -> Options:
    """The options as people write them."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="gitproc daemon",
        description="Run the services of the repository, here in the foreground. Ctrl-C stops all.",
    )
    parser.add_argument("--config", metavar="FILE", help="read this instead of config.toml")
    parser.add_argument("--root", metavar="DIR", help="put everything of GitProc below DIR")
    parser.add_argument("--user", action="store_true", help="a manager of your own")
    parser.add_argument("--exec-stop", action="store_true", help=argparse.SUPPRESS)
    return Options(**vars(parser.parse_args(args)))


def handed_over(words: Sequence[str]) -> Options:
    """The options as `manager_command` writes them; without argparse, which would cost each start 3 ms."""
    rest = iter(words)
    given = {word[2:]: next(rest) if word in ("--config", "--root") else True for word in rest}
    return Options(**given)  # type: ignore[arg-type]


def read_config(options: Options) -> Config:
    """The configuration that the options name. ConfigError if it is wrong."""
    return configuration.load(
        Path(options.config) if options.config else None,
        Path(options.root) if options.root else None,
        user_mode=options.user or (os.geteuid() != 0 and not options.root),
    )


def shim_command(config: Config) -> list[str]:
    """How a shim is started."""
    return [
        sys.executable,
        "-I",
        "-S",
        str(_PACKAGE / "shim" / "__main__.py"),
        "--title",
        "gitproc-shim",
        "--socket",
        str(config.run_dir / SHIM_SOCKET),
        "--notify",
        str(config.run_dir / NOTIFY_SOCKET),
    ]


def manager_command(options: Options) -> list[str]:
    """How the manager is started; relative paths of the options are made absolute."""
    words = []
    for name, path in (("--config", options.config), ("--root", options.root)):
        if path:
            words += [name, str(Path(path).absolute())]
    if options.user:
        words.append("--user")
    return [sys.executable, "-I", str(_PACKAGE / "daemon" / "gitprocd.py"), *words]
