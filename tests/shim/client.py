"""A shim of one's own, and a plain blocking client that speaks its protocol."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitproc.shim import protocol

SHIM = Path(__file__).resolve().parents[2] / "gitproc" / "shim"
DEADLINE = 60.0  # seconds
NOBODY = 65534


def until(check: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """The first true value of `check`, which is tried until the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"never came true: {check}"
        time.sleep(0.005)
    return value


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def open_fds(pid: int) -> int:
    """How many descriptors a process has open."""
    return len([*Path(f"/proc/{pid}/fd").iterdir()])


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
    except OSError:
        return ""


def text_of(path: Path) -> str:
    """What a file holds; "" while it is not there."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


class Client:
    """One connection; messages that nobody waits for are kept in order."""

    def __init__(self, path: Path, hello: bool = True) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.kept: list[tuple[Any, ...]] = []
        self.fds: dict[Any, list[int]] = {}
        self.request = 0
        self.welcome: tuple[Any, ...] = ()
        try:
            self.sock.connect(str(path))
            if hello:
                self.send("hello", protocol.VERSION)
                self.welcome = self.expect("welcome")
        except (OSError, EOFError):  # nobody there, or just ending
            self.close()
            raise

    def close(self) -> None:
        self.sock.close()
        for fds in self.fds.values():
            protocol.close_all(fds)
        self.fds.clear()

    def send(self, *message: Any, fds: tuple[int, ...] = ()) -> None:
        packet = protocol.encode(message)
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                protocol.send(self.sock, packet, fds)
                return
            except BlockingIOError:
                self.pump(0.01)
                assert time.monotonic() < deadline

    def pump(self, seconds: float) -> bool:
        """Read what is there into `kept`; False after `seconds` without anything."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        received = protocol.receive(self.sock)
        if received is None:
            raise EOFError("the shim hung up")
        message, fds = received
        if fds:
            self.fds.setdefault(message[:2], []).extend(fds)
        self.kept.append(message)
        return True

    def expect(self, *start: Any, seconds: float = DEADLINE) -> tuple[Any, ...]:
        """The first message that starts like this; others wait."""
        deadline = time.monotonic() + seconds
        seen = 0
        while True:
            for index in range(seen, len(self.kept)):
                if self.kept[index][: len(start)] == start:
                    return self.kept.pop(index)
            seen = len(self.kept)
            left = deadline - time.monotonic()
            assert left > 0 and self.pump(left), f"no {start}, but {self.kept}"

    def list(self) -> list[tuple[Any, ...]]:
        self.request += 1
        self.send("list", self.request)
        rows: list[tuple[Any, ...]] = []
        while True:
            page = self.expect("table", self.request)
            rows.extend(page[4])
            if page[3]:
                return rows

    def ask(self, cookie: str, *argv: str, give: tuple[int, ...] = (), **spec: Any) -> int:
        self.request += 1
        spec = {"path": argv[0], "argv": list(argv), "env": ["PATH=/usr/bin:/bin"], **spec}
        self.send("spawn", self.request, cookie, spec, fds=give)
        return self.request

    def start(
        self, cookie: str, *argv: str, give: tuple[int, ...] = (), **spec: Any
    ) -> tuple[int, int]:
        """Spawn and wait for exec; (id, pid)."""
        request = self.ask(cookie, *argv, give=give, **spec)
        started = self.expect("started", request)
        self.expect("executed", started[2])
        return started[2], started[3]

    def exit_of(self, id: int) -> tuple[Any, ...]:
        """(code, status) of the exit of this process, which is acknowledged."""
        deadline = time.monotonic() + DEADLINE
        while True:
            exited = self.expect("exited", seconds=deadline - time.monotonic())
            if exited[2] == id:
                self.send("ack", [exited[1]])
                return exited[5:7]
            self.kept.append(exited)
            self.pump(0.05)

    def run(self, cookie: str, script: str, **spec: Any) -> tuple[str, tuple[Any, ...]]:
        """Run a shell script, set up by this spec: (its output, (code, status))."""
        reading, writing = os.pipe()
        outputs: dict[str, Any] = {"output": {"fd": 0}}
        request = self.ask(cookie, "/bin/sh", "-c", script, give=(writing,), **{**outputs, **spec})
        os.close(writing)
        started = self.expect("started", request)
        with os.fdopen(reading, "rb") as pipe:
            text = pipe.read().decode()
        return text, self.exit_of(started[2])

    def fails(self, cookie: str, *argv: str, **spec: Any) -> tuple[str, int, tuple[Any, ...]]:
        """A spawn whose set-up fails: (step, errno, (code, status))."""
        request = self.ask(cookie, *argv, **spec)
        id = self.expect("started", request)[2]
        failed = self.expect("setup_failed", id)
        return failed[2], failed[3], self.exit_of(id)


class Shim:
    """A running shim in a directory of its own."""

    def __init__(self, directory: Path, *arguments: str, **options: Any) -> None:
        self.directory = directory
        self.socket = directory / "shim.sock"
        self.notify = directory / "notify"
        self.clients: list[Client] = []
        python, code = options.pop("python", sys.executable), options.pop("code", SHIM)
        command = [
            *options.pop("prefix", ()), python, "-I", "-S", str(code), "--socket", str(self.socket),
            "--notify", str(self.notify), "--title", "gitproc-shim", *arguments,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, **options)
        self.pid = self.process.pid
        until(lambda: self.socket.exists() or self.process.poll() is not None)

    def connect(self, listed: bool = True) -> Client:
        """A new manager; `listed`: exits flow."""
        client = until(self._try)
        self.clients.append(client)
        if listed:
            client.list()
        return client

    def _try(self) -> Client | None:
        try:
            return Client(self.socket)
        except (ConnectionRefusedError, FileNotFoundError):
            return None

    @property
    def logger(self) -> int:
        """Pid of its logger."""
        return until(
            lambda: next((p for p in children_of(self.pid) if title(p) == "gitproc-logger"), 0)
        )

    def other_logger(self, than: int) -> int:
        """Pid of the logger that has replaced this one."""
        until(lambda: self.logger != than)
        return self.logger

    def end(self) -> None:
        """Kill what is left of its services, and have it end."""
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            family = [pid for pid in children_of(self.pid) if title(pid) != "gitproc-logger"]
            for pid in family:
                with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                    family.extend(children_of(pid))
            for pid in reversed(family):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            until(lambda: not any(title(pid) for pid in family))
            try:
                client = Client(self.socket)
            except (OSError, EOFError):  # it is ending by itself
                pass
            else:
                client.send("shutdown")
                self.process.wait(DEADLINE)
                client.close()
        self.process.wait(DEADLINE)
