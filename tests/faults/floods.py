"""A service that floods its log while those who move its lines are killed.

It comes to its end, every line is there once and in order, or is counted by who had to drop it, and the log
keeps to its size.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness import until
from tests.faults.guest import Guest

if TYPE_CHECKING:
    from tests.faults.soak import Soak

LINES, BLOCKS = (20_000, 60_000, 200_000), (1, 40, 400)
"""How much, and how many lines in one write(2)."""
SIZE, FILES = 1 << 20, 3
"""Of [logs]: bytes until a log is rotated, and rotated files."""
SLACK = (64 << 10) + (64 << 10)  # bytes: to the end of a line, and what was in the pipe by then
LINE = 16 + 1 + 7 + 1  # bytes
LIMIT = 500  # lines a second of the one that is limited
PATIENCE = 60.0  # seconds until a flood is over


class Floods(Guest):
    """`flood` writes as much as a round says; `limited` may not have all of it in its log."""

    program = "flood.py"

    def __init__(self, soak: Soak) -> None:
        super().__init__(soak)
        self.lines, self.block = LINES[0], BLOCKS[0]
        self._before = b""  # the end of the log when it began

    def owns(self, name: str) -> bool:
        """One of the two."""
        return name in ("flood", "limited")

    def files(self) -> dict[str, str]:
        """They are started by the blow, and by nobody else."""
        rate = f"LogRateLimitIntervalSec=1s\nLogRateLimitBurst={LIMIT}\n"
        return {
            f"{name}.service": (
                f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nEnvironmentFile=-{self._file()}\n"
                f"ExecStart={self.command(name, '$LINES', '$BLOCK')}\n{more}"
            )
            for name, more in (("flood", ""), ("limited", rate))
        }

    def _file(self) -> Path:
        return self.machine.root / "flood.env"

    def start(self, name: str, lines: int = 0) -> None:
        """Let it begin; how much it writes is drawn if it is not said."""
        self._before = self._text(name)[-200:]
        self.lines, self.block = lines or self.dice.choice(LINES), self.dice.choice(BLOCKS)
        self._file().write_text(f"LINES={self.lines}\nBLOCK={self.block}\n")
        (self.notes / f"{name}.flood").unlink(missing_ok=True)
        answer = self.machine.rpc("start", units=[name])["units"][f"{name}.service"]
        assert answer["result"] == "done", answer
        self.soak.count("floods")

    def progress(self, name: str) -> tuple[str, int, bool]:
        """Its token, how far it has come, whether that is its end."""
        path = self.notes / f"{name}.flood"
        words = path.read_text().split() if path.exists() else []
        return (words[0], int(words[1]), len(words) > 2) if len(words) > 1 else ("", 0, False)

    def over(self, name: str) -> None:
        """Wait until it has come to its end by itself."""
        until(lambda: self.progress(name)[2], f"{name} comes to its end", PATIENCE)
        self.machine.ready()
        until(lambda: not self.machine.unit(name).get("main_pid"), f"{name} is seen to have ended")

    def written(self, name: str) -> tuple[list[int], list[bytes]]:
        """The numbers of the present instance's lines in its log, and all that is no such line."""
        token = self.progress(name)[0].encode()
        numbers, others = [], []
        text = self._text(name)
        first = text.find(token)
        for line in text[first:].split(b"\n") if first >= 0 else ():
            if line.startswith(token + b" ") and len(line) == LINE - 1:
                numbers.append(int(line[17:]))
            elif line:
                others.append(line)
        return numbers, others

    def bytes_written(self, name: str) -> int:
        """How much of its log is the present instance's, if that is less than a log may be."""
        text = self._text(name)
        return len(text[text.rindex(self._before) :] if self._before else text) - len(self._before)

    def _text(self, name: str) -> bytes:
        """What its log has in all its parts, oldest first; it may not be too large."""
        base = self.machine.logs / f"{name}.log"
        rotated = [base.with_name(f"{base.name}.{n}") for n in range(FILES + 2, 0, -1)]
        parts = [path for path in (*rotated, base) if path.exists()]
        sizes = {path.name: path.stat().st_size for path in parts}
        assert len(parts) <= FILES + 1, sizes
        assert max(sizes.values(), default=0) <= SIZE + SLACK, sizes
        return b"".join(path.read_bytes() for path in parts)

    def complete(self, name: str) -> str:
        """What is missing of the log; nothing but what rotation has taken may be. Empty if nothing is."""
        numbers, others = self.written(name)
        if others:
            return f"{name}: {len(others)} that are no lines, as {others[0][:100]!r}"
        if not numbers or numbers[-1] != self.lines - 1:
            return f"{name}: {numbers[-1:]} is the last of {self.lines}"
        if numbers != [*range(numbers[0], self.lines)]:
            wrong = [b for a, b in itertools.pairwise(numbers) if b != a + 1]
            return f"{name}: not in order at {wrong[:5]}"
        kept = len(numbers) * LINE
        if numbers[0] and kept < FILES * SIZE - SLACK:
            return f"{name}: begins with {numbers[0]}, and has {kept} bytes"
        return ""
