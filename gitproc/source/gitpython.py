"""GitPython's command object, and no more of GitPython than that needs.

`import git` brings its index, its references, its submodules and its database of objects along, four megabytes
and 40 ms at every start of the manager, and runs `git version` to see whether there is a git. We ask one
`cat-file` process: `git.cmd` alone is enough. While that is imported, the packages `git` and `gitdb` are
folders to look for modules in, and their own code does not run; afterwards nothing of them is left in
`sys.modules`, so that who imports GitPython elsewhere gets all of it. A version that cannot be had in parts is
imported whole.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

from gitproc.errors import SourceError
from gitproc.source.command import Command

if TYPE_CHECKING:
    import git.cmd

_PACKAGES = ("git", "gitdb")
_lock = threading.Lock()
_class: type[Any] | None = None


def owners_git() -> type[Any]:
    """GitPython's command object, its processes started by `Command`: as the owner, environment clean."""
    global _class
    with _lock:
        if _class is None:
            _class = _define()
    return _class


def _define() -> type[Any]:
    module = _import()

    class OwnersGit(module.Git):  # type: ignore[misc, name-defined]
        """A `git.Git` that starts every process through one Command."""

        GIT_PYTHON_GIT_EXECUTABLE = "git"

        def __init__(self, command: Command) -> None:
            super().__init__(str(command.trust.place.git_dir))
            self._owners_command = command

        def execute(self, command: Sequence[str], *_: Any, **__: Any) -> git.cmd.Git.AutoInterrupt:
            process = self._owners_command.popen(*command[1:])
            return self.AutoInterrupt(process, command)  # type: ignore[no-any-return]

        def start_batch(self) -> git.cmd.Git.AutoInterrupt:
            """The persistent `cat-file --batch`."""
            return self._get_persistent_cmd("cat_file_all", "cat_file", batch=True)  # type: ignore[no-any-return]

    return OwnersGit


def _import() -> Any:
    """The module `git.cmd`. SourceError if GitPython is not there, or will not work here."""
    try:
        return _import_alone()
    except (ImportError, AttributeError, TypeError):
        pass
    try:
        return importlib.import_module("git.cmd")
    except ImportError as error:  # it refuses to be imported where there is no git
        raise SourceError(f"cannot use git: {error}") from error


def _import_alone() -> Any:
    if any(name in sys.modules for name in _PACKAGES):
        return importlib.import_module("git.cmd")
    try:
        for name in _PACKAGES:
            spec = find_spec(name)
            if spec is None:
                raise ImportError(f"there is no {name}")
            sys.modules[name] = module_from_spec(spec)
        return importlib.import_module("git.cmd")
    finally:
        for name in [*sys.modules]:
            if name.partition(".")[0] in _PACKAGES:
                del sys.modules[name]
