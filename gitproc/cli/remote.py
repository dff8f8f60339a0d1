"""`-H USER@HOST`: the same command line, run by ssh over there."""

from __future__ import annotations

import os
import shlex
import sys
from typing import NoReturn

from gitproc.errors import HostError, UsageError


def without_host(words: list[str]) -> list[str]:
    """The command line without `-H HOST` in any of its spellings."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in {"-H", "--host"}:
            skip = True
        elif not word.startswith(("-H", "--host=")):
            kept.append(word)
    return kept


def ssh_command(host: str, words: list[str], *, terminal: bool) -> list[str]:
    """What is executed. Every word is quoted for the shell at the other end."""
    if host.startswith("-") or not host.strip():
        raise UsageError(f"{host!r} is not a host")
    there = shlex.join(["gitproc", *without_host(words)])
    return ["ssh", *(["-t"] if terminal else []), "--", host, there]


def run_there(host: str, words: list[str]) -> NoReturn:
    """Become ssh; its exit status is the remote command's (255: ssh itself failed)."""
    command = ssh_command(host, words, terminal=sys.stdin.isatty() and sys.stdout.isatty())
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise HostError(f"cannot run ssh: {error.strerror}") from error
