"""`-H USER@HOST`: the same command line, run by ssh over there."""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import NoReturn

from gitproc.errors import HostError, UsageError

_AMONG_FLAGS = re.compile(
    r"-([aflq]*)H(.*)", re.DOTALL
)  # `-qH HOST`: flags have no value of their own


def without_host(words: list[str]) -> list[str]:
    """The command line without `-H HOST` in any of its spellings: else the other end would go on to itself."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == "--host":
            skip = True
        elif found := _AMONG_FLAGS.fullmatch(word):
            kept += [f"-{found[1]}"] if found[1] else []
            skip = not found[2]
        elif not word.startswith("--host="):
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
