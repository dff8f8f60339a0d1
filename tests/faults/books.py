"""What can be read from outside after the blows: services' own books, their logs, the event log, /proc.

Everything is read on from where it was read last, so that a long run costs each round the same.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Life:
    """One life of a witness, by its own account."""

    token: str
    pid: int  # as it saw itself: in a PID namespace a small number
    value: str
    end: str = ""  # "term" or "own"; "" while it runs, or if it was killed


class Tail:
    """The whole lines that were added to a file, over one rotation by renaming."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = 0
        self._at = 0

    def lines(self) -> list[bytes]:
        """What is new since the last call."""
        found: list[bytes] = []
        with suppress(FileNotFoundError):
            if self._inode and self.path.stat().st_ino != self._inode:
                old = self.path.with_name(f"{self.path.name}.1")
                if old.stat().st_ino == self._inode:
                    found += self._read(old)
                self._at = 0
            found += self._read(self.path)
        return found

    def unfinished(self) -> bytes:
        """The beginning of a line, at the end of the file."""
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(self._at)
            return file.read().rpartition(b"\n")[2]
        return b""

    def _read(self, path: Path) -> list[bytes]:
        with path.open("rb") as file:
            self._inode = os.fstat(file.fileno()).st_ino
            file.seek(self._at)
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return []
        self._at += len(whole) + 1
        return whole.split(b"\n")


class Books:
    """All books of one machine. `read` them, then look at the fields."""

    def __init__(self, notes: Path, logs: Path) -> None:
        self.notes = notes
        self._logs = logs
        self._tails: dict[Path, Tail] = {}
        self.lives: dict[str, list[Life]] = defaultdict(list)
        self.steps: dict[tuple[str, str], list[str]] = defaultdict(list)  # of (name, token)
        self.twice: list[str] = []
        self.written: dict[tuple[str, str], int] = {}  # (name, token) -> last number in the log
        self.lines = 0
        self.lost: list[str] = []
        self.doubled: list[tuple[str, str, str]] = []  # name, token, what
        self.torn: list[str] = []
        self._cut = self._forgiven = b""

    def _new(self, path: Path) -> list[bytes]:
        return self._tail(path).lines()

    def _tail(self, path: Path) -> Tail:
        return self._tails.setdefault(path, Tail(path))

    def forgive(self) -> None:
        """A full disk may tear lines, and the last of them is seen to end with the next one."""
        self.torn.clear()
        self._cut = b""
        self._forgiven = self._tail(self._logs / "events.log").unfinished()

    def allow_repeated(self) -> None:
        """Who lost the record of a start, and of the end after it, orders it again: two lives of one token."""
        begun = Counter((name, life.token) for name, lives in self.lives.items() for life in lives)
        self.doubled = [x for x in self.doubled if begun[x[:2]] < 2]

    def events(self) -> list[dict[str, Any]]:
        """New entries of the event log.

        A kill may cut a write(2) where a page ends: the next manager writes that line again, whole.
        """
        found = []
        for line in filter(None, self._new(self._logs / "events.log")):
            if self._cut and not line.startswith(self._cut):  # a full disk's: the next begins anew
                self.torn.append(f"events: {self._cut[:100]!r}")
            self._cut = b""
            try:
                found.append(json.loads(line))
            except ValueError:
                self._cut = line if line != self._forgiven else b""
        return found

    def traces(self) -> list[str]:
        """New lines of the manager's log that tell of an exception."""
        new = [x.decode(errors="replace") for x in self._new(self._logs / "daemon.log")]
        return [
            *filter(None, ("\n".join(new[n:][:30]) for n, x in enumerate(new) if "Traceback" in x))
        ]

    def read(self) -> None:
        """Read on in every witness's book."""
        for path in self.notes.glob("*.life"):
            name = path.stem
            for line in self._new(path):
                token, word, *rest = line.decode().split()
                token = token[:16]
                if word == "step":
                    self.steps[name, token].append(rest[0])
                elif word == "begin":
                    self.lives[name].append(Life(token, int(rest[0]), rest[1]))
                elif word == "twice":
                    self.twice.append(f"{name}: {token} began while another ran")
                else:
                    for life in self.lives[name]:
                        if life.token == token:
                            life.end = rest[0]

    def read_logs(self) -> None:
        """Read on in every witness's log, and hold each line against the one before."""
        for path in self.notes.glob("*.life"):
            name = path.stem
            for line in self._new(self._logs / f"{name}.log"):
                self.lines += 1
                words = line.split()
                if len(words) != 2 or len(words[0]) != 16 or not words[1].isdigit():
                    self.torn.append(f"{name}: {line[:100]!r}")
                    continue
                key = (name, words[0].decode())
                number, last = int(words[1]), self.written.get(key, -1)
                self.written[key] = number  # if it is less: another life under the same token
                if number <= last:
                    self.doubled.append((*key, f"{number} after {last}"))
                elif number > last + 1:
                    self.lost.append(f"{name}: {words[0].decode()} {last + 1} to {number - 1}")

    def noted(self) -> dict[tuple[str, str], int]:
        """How far each life had come by its own account; -1 before its first line."""
        found = {}
        for path in self.notes.iterdir():
            name, _, token = path.name.rpartition(".")
            if len(token) == 16:
                found[name, token] = int(path.read_bytes() or b"-1")
        return found

    def forget(self, name: str, token: str) -> None:
        """This life has ended and its lines are checked."""
        (self.notes / f"{name}.{token}").unlink(missing_ok=True)
        self.written.pop((name, token), None)

    def running(self) -> dict[str, list[int]]:
        """PIDs of every witness there is, by name."""
        found: dict[str, list[int]] = defaultdict(list)
        mark = os.fsencode(self.notes)
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if mark in words and b"witness.py" in b" ".join(words[:5]):
                    found[words[words.index(mark) + 1].decode()].append(int(entry.name))
        return found


def token_of(pid: int) -> str:
    """The life that a witness's process is, by what its manager gave it; "" if it is gone."""
    with suppress(OSError):
        for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if word.startswith(b"INVOCATION_ID="):
                return word[14:30].decode()
    return ""
