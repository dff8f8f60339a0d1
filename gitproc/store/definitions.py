"""Kept definitions: what a running instance was started from, so that it is stopped by the same
text.

One file per fingerprint, shared by all instances that have it. They are replaced atomically but
not fsynced: they matter as long as instances run, and no instance outlives a loss of power. Hence
a file found on disk is believed only after it has been read whole.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitproc.errors import StateError
from gitproc.store import files

_log = logging.getLogger(__name__)
_SUFFIX = ".json"


class Definitions:
    """The folder of kept definitions (`STATE/definitions`)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, fingerprint: str, frozen: dict[str, Any]) -> None:
        """Keep a frozen unit, in place of one of the same fingerprint. StateError if the disk refuses."""
        if self.get(fingerprint) == frozen:
            return
        data = json.dumps({"fingerprint": fingerprint, "unit": frozen}).encode("ascii")
        path = self._path(fingerprint)
        try:
            try:
                files.replace(path, data, durable=False)
            except FileNotFoundError:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                files.replace(path, data, durable=False)
        except OSError as error:
            raise StateError(f"cannot write {path}: {error.strerror}", path=str(path)) from error

    def get(self, fingerprint: str) -> dict[str, Any] | None:
        """The frozen unit; None if it is not kept, or damaged (then with a warning in the log)."""
        path = self._path(fingerprint)
        try:
            content = json.loads(path.read_bytes())
            if content["fingerprint"] != fingerprint:
                raise ValueError("holds another definition")
            unit = content["unit"]
            if not isinstance(unit, dict):
                raise ValueError("holds no unit")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("cannot use kept definition %s: %s", path, error)
            return None
        return unit

    def drop(self, fingerprint: str) -> None:
        """Forget one that nothing will ask for again."""
        with suppress(OSError):
            self._path(fingerprint).unlink()

    def prune(self, keep: set[str]) -> int:
        """Forget every definition but those of `keep`; returns how many went."""
        try:
            names = list(self.directory.iterdir())
        except FileNotFoundError:
            return 0
        removed = 0
        for path in names:
            if path.name.removesuffix(_SUFFIX) not in keep or path.suffix != _SUFFIX:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _path(self, fingerprint: str) -> Path:
        if not fingerprint.isalnum():
            raise ValueError(f"not a fingerprint: {fingerprint!r}")
        return self.directory / (fingerprint + _SUFFIX)
