"""One git process: always the owner's, always with the environment that `trust` builds."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping

from gitproc.errors import SourceError
from gitproc.immutable import NamedTuple
from gitproc.source.trust import Trust

_PATIENCE = 60.0  # seconds a single git command may take
_MOST = 64 << 20  # bytes that one may print: who pushes says how long a message is
_MOST_SAID = 64 << 10  # bytes of its errors that are read
_BLOCK = 1 << 16


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
        """Run `git ARGS` to its end; SourceError if its status is not one of `accept`, or it prints too much."""
        self.trust.check()
        with _scratch(stdin) as given, _scratch() as said:
            process = self._start(args, given, said, environment)
            try:
                out = _output(process, args[0])
            finally:
                end(process)
            err = os.pread(said, _MOST_SAID, 0)
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


@contextlib.contextmanager
def _scratch(data: bytes = b"") -> Iterator[int]:
    """A file in memory, at its beginning: neither side of it ever waits for the other."""
    try:
        fd = os.memfd_create("gitproc-git", os.MFD_CLOEXEC)
    except OSError as error:
        raise SourceError(f"cannot run git: {error.strerror}") from error
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _output(process: subprocess.Popen[bytes], name: str) -> bytes:
    """All that it prints, once it has ended. SourceError."""
    assert process.stdout is not None
    fd, deadline = process.stdout.fileno(), time.monotonic() + _PATIENCE
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    blocks: list[bytes] = []
    size = 0
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        block = os.read(fd, _BLOCK)
        if not block:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
                return b"".join(blocks)
            break
        blocks.append(block)
        size += len(block)
        if size > _MOST:
            raise SourceError(f"git {name} prints more than {_MOST >> 20} MiB")
    raise SourceError(f"git {name} gave no answer for {_PATIENCE:g} s")


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
