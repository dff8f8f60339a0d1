"""Writes the `gitproc` command itself: a script whose interpreter starts without `site`.

pip's console script lets Python import `site`, `os` and `re` before it comes to us, which doubles the time of
a fast verb. Ours starts with `-IS`: isolated (no PYTHON* variables, no current directory on the path: it runs
as root) and without site, which only the slow path then imports. `python -m gitproc.cli.launcher` puts it
beside the running interpreter, in the place of pip's; a console script works as well, only slower.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gitproc

_LONGEST = 250  # bytes of a #! line that every supported kernel reads (BINPRM_BUF_SIZE is 256)

_SCRIPT = """\
#!{python} -IS
import sys
sys.path.append({parent!r})
from gitproc.cli import fast
status = fast.run(sys.argv[1:])
if status is None:
    import site
    site.main()
    from gitproc.cli.main import main
    status = main()
    sys.exit(status)
import posix
posix._exit(status)
"""


def script(python: str, parent: str) -> str:
    """The launcher's text, for an interpreter and the directory that holds the package."""
    line = f"#!{python} -IS"
    if len(line.encode()) > _LONGEST or " " in python or "\n" in python:
        raise ValueError(f"cannot start {python} from a script: its path is too long or has spaces")
    return _SCRIPT.format(python=python, parent=parent)


def install(target: Path, python: str = sys.executable) -> Path:
    """Write the launcher to `target` (replaced atomically, mode 0755). Raises ValueError or OSError."""
    text = script(python, str(Path(gitproc.__file__).resolve().parent.parent))
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o755)
    temporary.replace(target)
    return target


if __name__ == "__main__":
    named = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(sys.executable).with_name("gitproc")
    print(install(named))
