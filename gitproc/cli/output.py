"""What commands write: rendered text or JSON, bytes of services exactly as they were."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from gitproc.api.text import Rendered, Style
from gitproc.cli.fast import terminal
from gitproc.errors import GitProcError

VERSION = 1  # of the JSON output


def style(*, value: bool = False, legend: bool = True, full: bool = False) -> Style:
    """How standard output wants its text."""
    width, color = terminal()
    return Style(width, color, value, legend, full)


def put(rendered: Rendered, *, quiet: bool = False) -> int:
    """Write both texts (errors also if quiet) and return the exit status."""
    if not quiet:
        put_text(rendered.out)
    if rendered.err:
        sys.stdout.flush()
        sys.stderr.buffer.write(rendered.err.encode("utf-8", "surrogateescape"))
        sys.stderr.buffer.flush()
    return rendered.status


def put_text(text: str) -> None:
    """Write text to standard output."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))


def put_json(value: Any, *, line: bool = False) -> None:
    """Write `{"version":1,...}`, indented, or on one line for streams."""
    body = value if isinstance(value, Mapping) else {"result": value}
    indent = None if line else 2
    put_text(json.dumps({"version": VERSION, **body}, indent=indent, default=str) + "\n")
    if line:
        sys.stdout.buffer.flush()


def error_body(error: GitProcError) -> dict[str, Any]:
    """An error as `--json` shows it."""
    body = {"code": error.rpc_code, "message": error.message, "data": error.data}
    return {"error": body, "exit": error.exit_status}
