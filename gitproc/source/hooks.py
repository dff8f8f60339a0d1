"""The hooks of pushes: installed where no pusher can write, and made known to the repository.

They lie in the daemon's state directory, not in the repository, and are launchers of a few lines with
absolute paths: nothing of a pusher's environment or of the repository decides what runs. What somebody else
has set up (another core.hooksPath, hooks in the repository) is never undone silently.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from gitproc.errors import SourceError, StateError
from gitproc.source.command import Command
from gitproc.source.place import Place
from gitproc.source.trust import Trust

NAMES = ("pre-receive", "post-receive")
SETTINGS = (
    ("receive.advertisePushOptions", "true", "pushes may carry options (git push -o ...)"),
    # Git itself would refuse before it asks us; the hook refuses it unless -o force is given.
    ("receive.denyDeleteCurrent", "ignore", ""),
)

_SCRIPT = """\
#!/bin/sh
# Written by gitproc: has the daemon check a push ({name}). `gitproc init` writes it anew.
exec {command} hook {name}
"""


def write(directory: Path, command: Sequence[str]) -> bool:
    """Write the launchers of `command` to `directory` (0755); False if they were as they should be.

    StateError if they cannot be written, or if somebody else owns what is there.
    """
    changed = False
    words = shlex.join(command)
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        _own(directory)
        for name in NAMES:
            file = directory / name
            text = _SCRIPT.format(command=words, name=name)
            if file.is_file() and not file.is_symlink() and file.read_text() == text:
                _own(file)
                continue
            temporary = directory / f".{name}.{os.getpid()}"
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(0o755)
            temporary.replace(file)
            changed = True
    except OSError as error:
        raise StateError(f"cannot write the hooks to {directory}: {error.strerror}") from error
    return changed


def _own(path: Path) -> None:
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise StateError(f"{path} belongs to uid {found.st_uid}: remove it, and run `gitproc init`")
    if found.st_mode & 0o777 != 0o755:
        path.chmod(0o755)


def register(place: Place, directory: Path, *, force: bool = False) -> list[str]:
    """Have the repository use the hooks in `directory`; each thing done or worth knowing, for people.

    SourceError if it uses those of another directory already and `force` is not given.
    """
    command = Command(Trust(place))
    steps: list[str] = []
    known = _get(command, "core.hooksPath")
    if known != str(directory):
        if known and not force:
            raise SourceError(
                f"{place.path} has hooks of its own in {known} (core.hooksPath), which would run no more: "
                "run `gitproc init --force` if that is meant"
            )
        command.run("config", "--local", "--replace-all", "core.hooksPath", str(directory))
        was = f"; those in {known} run no more" if known else ""
        steps.append(f"pushes are checked by the hooks in {directory} (core.hooksPath){was}")
        inside = [] if known else _own_hooks(place)
        if inside:
            names = ", ".join(inside)
            steps.append(
                f"hooks in {place.git_dir / 'hooks'} run no more while that is set: {names}"
            )
    for key, value, said in SETTINGS:
        if not _get(command, key):
            command.run("config", "--local", key, value)
            steps += [f"{said} ({key}={value})"] if said else []
    return steps


def _get(command: Command, key: str) -> str:
    answer = command.run("config", "--local", "--get", key, accept=(0, 1))
    return answer.out.decode(errors="replace").rstrip("\n")


def _own_hooks(place: Place) -> list[str]:
    folder = place.git_dir / "hooks"
    try:
        return sorted(
            entry.name
            for entry in folder.iterdir()
            if entry.suffix != ".sample" and entry.is_file() and os.access(entry, os.X_OK)
        )
    except OSError:
        return []
