"""Asking the manager: the client for these options, and the common way from a method to printed text."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from gitproc.api import text
from gitproc.api.client import Client
from gitproc.api.text_style import Style
from gitproc.cli import output
from gitproc.cli.fast import READ_TIMEOUT
from gitproc.cli.where import socket_path

Shower = Callable[[Mapping[str, Any]], bool]


def socket_of(args: argparse.Namespace) -> str:
    """The manager's socket for these options. Raises ConfigError if only the configuration knows."""
    path = socket_path(args.root, args.user, args.config, args.socket)
    if path is None:
        from pathlib import Path

        from gitproc.daemon.config import load

        config = Path(args.config) if args.config else None
        path = str(load(config, Path(args.root) if args.root else None, args.user).socket)
    return path


def client(args: argparse.Namespace, timeout: float | None = READ_TIMEOUT) -> Client:
    """A connection to the manager; `timeout` in seconds for each answer (None: for ever)."""
    return Client(socket_of(args), timeout)


def ask(
    args: argparse.Namespace,
    method: str,
    params: Mapping[str, Any],
    *,
    timeout: float | None = READ_TIMEOUT,
    style: Style | None = None,
    shower: Shower | None = None,
) -> int:
    """Call a method and print its result: JSON, a table on a terminal (`shower`), or the plain text."""
    with client(args, timeout) as connection:
        result = connection.call(method, params)
    rendered = text.render(method, params, result, style or output.style())
    if args.json:
        output.put_json(result)
        return rendered.status
    if shower is not None and not args.quiet and output.style().width and shower(result):
        rendered = rendered._replace(out="")
    return output.put(rendered, quiet=args.quiet)
