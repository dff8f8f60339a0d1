"""The entry point: the fast path first, then the slow one, and every failure in words with its exit status.

Exit statuses: 0 done; 1 failed; 2 usage; 3 not active; 4 unknown unit; 5 a verb on an unknown unit; 78 the
configuration is wrong; 130 interrupted; 141 the reader of our output went away.
"""

from __future__ import annotations

import sys

from gitproc.cli import fast


def main(argv: list[str] | None = None) -> int:
    """Run one command (`argv` without the program's name) and return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    status = fast.run(words)
    return slow(words) if status is None else status


def slow(words: list[str]) -> int:
    """Run one command with everything Python has; what the fast path prints is printed here alike."""
    import contextlib

    from gitproc.api import text
    from gitproc.cli import output
    from gitproc.cli.arguments import parse
    from gitproc.errors import GitProcError

    verb, as_json = "", "--json" in words
    try:
        try:
            args = parse(words)
            verb, as_json = args.verb, args.json
            status: int = args.run(args)
        except GitProcError as error:
            failed = text.failure(verb, error)
            if as_json:
                output.put_json(output.error_body(error))
                failed = failed._replace(err="")
            status = output.put(failed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return fast.INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return fast.BROKEN_PIPE
    except OSError as error:
        if error.filename is not None:
            sys.stderr.write(f"gitproc: {error.filename}: {error.strerror}\n")
            return 1
        _give_up_output()
        with contextlib.suppress(OSError):
            sys.stderr.write(f"gitproc: cannot write the output: {error.strerror}\n")
        return 1
    return status


def _give_up_output() -> None:
    """Python would complain when it flushes standard output at exit."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
