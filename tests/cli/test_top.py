"""`gitproc top` on a terminal, as a person sees it: drawn, sorted by keys, changing, and gone without a trace."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.harness import COMMAND, DEADLINE, Machine, service, shell

pytestmark = pytest.mark.root
SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A command on a pseudo terminal, and all it has written there."""

    def __init__(self, machine: Machine, *words: str) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        self.written = b""
        self.process = subprocess.Popen(
            [*COMMAND, "--root", str(machine.root), *words],
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, start_new_session=True,
            preexec_fn=self._control,  # noqa: PLW1509 - one thread here
            env={"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
        )  # fmt: skip

    def _control(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal

    def press(self, keys: bytes) -> None:
        """As if somebody had typed that."""
        os.write(self.ours, keys)

    def until(self, seen: Any, what: str) -> None:
        """Read until `seen(units of the newest whole table in their order, line below)`."""
        end = time.monotonic() + DEADLINE
        while not (self.tables() and seen(*self.tables()[-1])):
            assert time.monotonic() < end, f"{what}: waited in vain for it in\n{self.text()}"
            self._read(0.2)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        try:
            self.written += os.read(self.ours, 65536)
        except OSError:  # nobody has the other end any more
            return False
        return True

    def text(self) -> str:
        """What was written, without what only moves and colours."""
        return SEQUENCE.sub(b"", self.written).decode().replace("\r", "")

    def tables(self) -> list[tuple[list[str], str]]:
        """Units in their order, and what stands below: of each table that is there as a whole."""
        found = []
        for text in self.text().split("UNIT ")[1:]:
            lines = [line.strip() for line in text.split("\n")[2:]]
            below = next((n for n, line in enumerate(lines) if line.startswith("by ")), -1)
            if below >= 0 and lines[below].endswith("q quit"):
                found.append(([line.split()[0] for line in lines[:below] if line], lines[below]))
        return found

    def ended(self) -> int:
        """Its exit status; it leaves the terminal as it was."""
        assert self.process.wait(DEADLINE) is not None
        while self._read(0):
            pass
        assert termios.tcgetattr(self.theirs) == self.before
        assert self.written.count(HIDE) == self.written.count(SHOW) > 0
        assert self.written.rfind(SHOW) > self.written.rfind(HIDE)
        return self.process.returncode


@contextmanager
def top(machine: Machine, *words: str) -> Iterator[Terminal]:
    terminal = Terminal(machine, "top", *words)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.theirs)
        os.close(terminal.ours)


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    try:
        yield made.start()
    finally:
        made.close()


def test_a_live_view_is_drawn_sorted_and_left_behind_clean(machine):
    eats = "/usr/bin/python3 -I -S -c 'x = bytearray(30 << 20); import time; time.sleep(1000)'"
    many = shell("sleep 1000 & sleep 1000 & sleep 1000 & sleep 1000 & wait")
    machine.deploy({
        "a-plain.service": service(), "b-many.service": service(many), "c-eats.service": service(eats, "MemoryMax=1G"),
    })  # fmt: skip

    def order(key: str, *names: str) -> Any:
        def seen(units: list[str], said: str) -> bool:
            ours = [x.removesuffix(".service") for x in units if x.endswith(".service")]
            return said.startswith(f"by {key};") and ours[: len(names)] == list(names)

        return seen

    with top(machine, "-d", "0.5", "-s", "name") as view:
        view.until(order("name", "a-plain", "b-many", "c-eats"), "drawn")
        view.press(b"t")
        view.until(order("tasks", "b-many"), "sorted by tasks")
        view.press(b"m")
        view.until(order("memory", "c-eats"), "sorted by memory")
        view.press(b"?n")
        view.until(order("name", "a-plain", "b-many", "c-eats"), "sorted by name")
        machine.deploy({"0-new.service": service()})
        view.until(order("name", "0-new", "a-plain"), "it changes")
        view.press(b"q")
        assert view.ended() == 0

    for end in (lambda x: x.press(b"\x03"), lambda x: os.kill(x.process.pid, signal.SIGTERM)):
        with top(machine, "-d", "0.5") as view:
            view.until(lambda units, said: said.startswith("by cpu;") and units, "drawn")
            end(view)
            assert view.ended() == 0


def test_another_manager_is_asked_on_and_none_is_waited_for_no_longer_than_somebody_likes(machine):
    with top(machine, "-d", "0.5") as view:
        view.until(lambda units, said: units, "drawn")
        machine.kill_manager()
        before = len(view.tables())
        view.until(lambda units, said: len(view.tables()) > before + 1, "it goes on")
        machine.stop()
        view.press(b"\x03")
        assert view.ended() == 0
