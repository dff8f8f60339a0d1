"""One git process: always the owner's, always with the environment that `trust` builds."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from gitproc.errors import SourceError
from gitproc.source.trust import Trust

_PATIENCE = 60.0  # seconds a single git command may take


class Answer(NamedTuple):
    """Exit status and output of a git command that ended."""

    status: int
    out: bytes
    err: str


class Command:
    """Runs git in one repository."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust

    def popen(
        self,
        *args: str,
        stdin: int | None = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `git ARGS` with pipes; SourceError if the repository is not to be trusted or git is not there."""
        self.trust.check()
        return self._start(args, stdin, subprocess.DEVNULL, environment)

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (0,),
    ) -> Answer:
        """Run `git ARGS` to its end; SourceError if its status is not one of `accept`."""
        self.trust.check()
        process = self._start(args, subprocess.PIPE, subprocess.PIPE, environment)
        try:
            out, err = process.communicate(stdin, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise SourceError(f"git {args[0]} gave no answer for {_PATIENCE:g} s") from None
        finally:
            end(process)
        answer = Answer(process.returncode, out, err.decode(errors="replace").strip())
        if answer.status not in accept:
            raise SourceError(f"git {args[0]} failed: {answer.err or f'status {answer.status}'}")
        return answer

    def text(
        self, *args: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> str:
        """Output of `git ARGS` as text, without the final newline."""
        return (
            self.run(*args, stdin=stdin, environment=environment)
            .out.decode(errors="replace")
            .rstrip("\n")
        )

    def _start(
        self,
        args: tuple[str, ...],
        stdin: int | None,
        stderr: int,
        environment: Mapping[str, str] | None,
    ) -> subprocess.Popen[bytes]:
        work_tree = (environment or {}).get("GIT_WORK_TREE")
        try:
            return subprocess.Popen(
                ("git", *args),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=65536,
                cwd=work_tree or "/",
                umask=0o022,
                env=self.trust.environment(environment),
                **self.trust.identity(),
            )
        except FileNotFoundError as error:
            raise SourceError("cannot run git: it is not installed") from error
        except OSError as error:
            raise SourceError(f"cannot run git: {error.strerror}") from error


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill and reap the process if it still runs, and close its pipes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:
            process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()
