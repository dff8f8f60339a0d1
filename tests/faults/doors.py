"""A socket with Accept=yes: who connects is served once or sees the door closed, and nothing stays behind.

In peace it is filled to its MaxConnections=, and what the manager counts is held against what there is.
"""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.harness import until
from tests.faults.books import Tail
from tests.faults.guest import Guest
from tests.faults.oracle import PEACE

if TYPE_CHECKING:
    from tests.faults.soak import Soak

MORE = 2  # connections above MaxConnections= that are tried in peace


@dataclass
class Caller:
    """Who has connected. `answer`: None until it is looked for, then what was said; "" if nothing was."""

    number: str
    how: str
    line: socket.socket
    answer: str | None = None


class Doors(Guest):
    """The door of one machine, its instances, and who stands before it."""

    program = "connection_server.py"

    def __init__(self, soak: Soak) -> None:
        super().__init__(soak)
        self.most = 6
        self.value = 0
        self.callers: list[Caller] = []
        self.served: dict[str, str] = {}  # number -> token
        self.begun: list[str] = []  # tokens
        self.counts: dict[str, int] = {}  # at the end of the last round
        self._tail = Tail(self.notes / "door.served")
        self._next = 0

    def owns(self, name: str) -> bool:
        """The socket or an instance."""
        return name == "door.socket" or name.startswith("door@")

    def files(self) -> dict[str, str]:
        """The socket and the template."""
        return {
            "door.socket": (
                f"[Socket]\nListenStream={self.machine.root}/calls/door\nAccept=yes\n"
                f"MaxConnections={self.most}\nTriggerLimitBurst=0\nPollLimitBurst=0\n"
                "[Install]\nWantedBy=sockets.target\n"
            ),
            "door@.service": (
                f"[Service]\nExecStart={self.command('door')}\nEnvironment=VALUE={self.value}\n"
            ),
        }

    def begin(self) -> None:
        """Nobody stands before it."""
        assert not self.callers
        self.begun.clear()
        self.tried = 0
        self.touched = False  # an operator stopped it, or a commit changed it
        self.limit = self.most  # the highest of this round

    def live(self) -> None:
        """Callers come and go; a change of the door."""
        kind = self.dice.choice(["call", "call", "many", "leave", "change", "verb"])
        if kind == "call":
            self.call(self.dice.choice(["go", "go", "stay", "die"]))
        elif kind == "many":
            for _ in range(12):
                self.call(self.dice.choice(["go", "stay"]))
        elif kind == "leave":
            for caller in self.callers:
                if caller.how == "stay":
                    caller.line.shutdown(socket.SHUT_WR)
                    caller.how = "left"
        elif kind == "change" and self.soak.committing:
            self.touched = True
            self.value += 1
            self.most = self.dice.randint(4, 7)
            self.limit = max(self.limit, self.most)
            self.commit()
        elif kind == "verb":
            self.touched = True
            for verb in ("stop", "start"):
                self.soak.aside(self.machine.ask, verb, units=["door.socket"])
        running = len(self._running())
        assert running <= self.limit, f"{running} instances where {self.limit} may be"

    def call(self, how: str) -> Caller | None:
        """Connect, and say what is wanted."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(PEACE)
        self._next += 1
        try:
            line.connect(str(self.machine.root / "calls/door"))
        except OSError as error:
            line.close()
            soak = self.soak
            assert self.touched or soak.unreachable or soak.forgotten, f"the door: {error}"
            return None
        self.tried += 1
        self.soak.count("connections")
        with suppress(OSError):  # closed already
            line.sendall(f"{self._next} {how}\n".encode())
        self.callers.append(Caller(str(self._next), how, line))
        return self.callers[-1]

    def check(self) -> None:
        """All are answered or turned away; the door holds as many as it may; nothing is left of them."""
        self.machine.rpc("start", units=["door.socket"])
        for caller in self.callers:
            self._listen(caller)
        self._read()
        self._account()
        inside = self._inside()
        until(lambda: self._count("connections") == inside, f"{inside} connections", PEACE)
        self._fill(inside)
        for caller in self.callers:
            caller.line.close()
        self.callers.clear()
        until(lambda: not self._left(), "no instance is left", PEACE)
        self.counts = self._counts()
        self._read()
        self.begun.clear()
        self.tried = 0

    def _listen(self, caller: Caller) -> None:
        if caller.answer is None:
            try:
                caller.answer = caller.line.makefile("rb").readline().decode()
            except ConnectionResetError:
                caller.answer = ""
            except TimeoutError:
                raise AssertionError(f"{caller} is neither served nor turned away") from None

    def _read(self) -> None:
        for line in self._tail.lines():
            token, word, *rest = line.decode().split()
            if word == "begin":
                self.begun.append(token)
            elif word == "serve":
                known = self.served.get(rest[0])
                assert known is None, f"connection {rest[0]} is served by {known} and {token}"
                self.served[rest[0]] = token

    def _account(self) -> None:
        """What callers saw, what instances noted and what the manager counted are one story."""
        for caller in self.callers:
            if caller.answer:
                number, token = caller.answer.split()
                assert number == caller.number, caller
                assert self.served.get(number) == token, f"{caller}: {self.served.get(number)}"
        doubled = [token for token, count in Counter(self.begun).items() if count > 1]
        assert not doubled or self.soak.forgotten, f"instances begun twice: {doubled}"
        before, after = self.counts, self._counts()
        if self.soak.forgotten or self.soak.unreachable or not before:
            return
        accepted = after["accepted"] - before["accepted"]
        refused = after["refused"] - before["refused"]
        text = f"{before}, {after}: {self.tried} connections, {len(self.begun)} instances"
        assert len(self.begun) <= accepted, text
        assert accepted + refused <= self.tried, text

    def _inside(self) -> int:
        """How many callers are being served. Who was killed or stopped has closed."""
        found = 0
        for caller in self.callers:
            if caller.how == "stay" and caller.answer:
                caller.line.setblocking(False)
                try:
                    closed = not caller.line.recv(1)
                except BlockingIOError:
                    closed = False
                except OSError:
                    closed = True
                found += not closed
        return found

    def _fill(self, inside: int) -> None:
        """Exactly as many as may come in do, and the others are turned away."""
        before = self._counts()
        new = [self.call("stay") for _ in range(self.most - inside + MORE)]
        for caller in new:
            assert caller is not None
            self._listen(caller)
        self._read()
        let_in = sum(bool(caller.answer) for caller in new if caller is not None)
        free = self.most - inside
        after = self._counts()
        text = f"{let_in} came in where {free} were free: {before}, {after}"
        assert let_in == free, text
        assert after["connections"] == self.most, text
        assert after["accepted"] - before["accepted"] == free, text
        assert after["refused"] - before["refused"] == MORE, text
        assert len(self._running()) == self.most, text

    def _counts(self) -> dict[str, int]:
        units: list[dict[str, Any]] = self.machine.rpc("status")["units"]
        found: dict[str, int] = next((x["socket"] for x in units if x["name"] == "door.socket"), {})
        return {key: found.get(key, -1) for key in ("accepted", "connections", "refused")}

    def _count(self, what: str) -> int:
        return self._counts()[what]

    def _running(self) -> list[int]:
        found: list[int] = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if b"connection_server.py\0%s" % str(self.notes).encode() in words:
                    found.append(int(entry.name))
        return found

    def _left(self) -> list[str]:
        """What there is still of instances."""
        units = [x["name"] for x in self.machine.rpc("status")["units"]]
        found = [x for x in units if x.startswith("door@")]
        found += [str(x) for x in self.machine.groups() if x.name.startswith("door@")]
        found += map(str, self._running())
        return found + ([str(n)] if (n := self._count("connections")) else [])
