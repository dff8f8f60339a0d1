"""Callers of the socket who may only look, and want more than that: the manager's time or its memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gitproc.kernel.processes import descendants, title
from tests.e2e.harness import CONFIG, DEADLINE, Machine, service

pytestmark = [pytest.mark.root, pytest.mark.timeout(90)]

LINES = 1_500_000
MOST_MEMORY = 96 << 20  # bytes that one question may cost


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def test_a_log_of_short_lines_does_not_fill_the_managers_memory(machine):
    machine.deploy({"web.service": service()})
    (machine.logs / "web.log").write_bytes(b"\n" * LINES + b"the last\n")
    before = _peak(machine.manager)
    done = machine.gitproc("logs", "web", "--since", "@0")
    assert _peak(machine.manager) - before < MOST_MEMORY
    assert done.out.endswith("the last\n")
    assert "web.log" in done.err  # says where the rest is
    assert len(machine.rpc("logs", unit="web", lines=900_000_000)["lines"]) < LINES


def test_many_events_do_not_either(machine):
    machine.deploy({"web.service": service()})
    line = json.dumps({"time": 1.0, "kind": "unit.started", "unit": "web.service", "message": "",
                       "data": {}, "who": ""}) + "\n"  # fmt: skip
    log = machine.logs / "events.log"
    log.write_text(line * 100_000 + log.read_text())
    assert len(machine.rpc("events", lines=900_000_000)["events"]) <= 10_000


def test_a_request_full_of_patterns_does_not_stop_the_manager(machine):
    machine.deploy({f"web{n}.service": service() for n in range(20)})
    patterns = [f"*{n}" for n in range(9_000)]
    request = {"jsonrpc": "2.0", "id": 1, "method": "list", "params": {"units": patterns}}
    with socket.socket(socket.AF_UNIX) as hostile:
        hostile.settimeout(DEADLINE)
        hostile.connect(str(machine.socket))
        hostile.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        answer = json.loads(hostile.makefile("rb").readline())
    assert "patterns" in answer["error"]["message"]
    long = machine.ask("list", units=["*a" * 2000])
    assert "patterns" in long["error"]["message"]
    many = machine.ask("show", units=[f"u{n}" for n in range(20_000)])
    assert "list" in many["error"]["message"]
    before = time.monotonic()
    machine.rpc("ping")
    assert time.monotonic() - before < 10


class _Question(contextlib.AbstractContextManager["_Question"]):
    """A request whose answer is not waited for."""

    def __init__(self, machine: Machine, method: str, **params: Any) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE)
        self._socket.connect(str(machine.socket))
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        self._lines = self._socket.makefile("rb")

    def line(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines.readline())
        return found

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()


def test_a_question_that_takes_long_keeps_nobody_else_waiting(machine):
    machine.deploy({"web.service": service()})
    git = next(p for p in descendants(machine.manager) if "cat-file" in title(p))
    os.kill(git, signal.SIGSTOP)  # a repository on a disk that does not answer
    try:
        with _Question(machine, "doctor") as asked:
            before = time.monotonic()
            machine.rpc("ping")
            assert time.monotonic() - before < 15
            os.kill(git, signal.SIGCONT)
            checks = asked.line()["result"]["checks"]
            assert {"name": "repository", "state": "ok"}.items() <= checks[2].items()
    finally:
        os.kill(git, signal.SIGCONT)
    log = machine.logs / "events.log"
    told = log.rename(log.with_name("told"))
    os.mkfifo(log)  # who opens it waits
    streams = (
        {"method": "events"},
        {"method": "deploy", "sha": machine.git("rev-parse", "HEAD")},
    )
    with contextlib.ExitStack() as stack:
        followed = [stack.enter_context(_Question(machine, **x, follow=True)) for x in streams]
        before = time.monotonic()
        machine.rpc("ping")
        assert time.monotonic() - before < 15
        told.rename(log.with_name("events.log.1"))
        with log.open("wb"):
            log.unlink()
        for one in followed:
            assert one.line()["params"]["item"]["kind"]


#: Arguments: the socket's folder and name. Asks more than one user may, and says what comes back.
READER = """
import json, os, socket, sys
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
def ask(connection, method):
    request = {"jsonrpc": "2.0", "id": method, "method": method, "params": {}}
    connection.sendall(json.dumps(request).encode() + b"\\n")
def answer():
    return json.loads(answers.readline())
held = []
for count in (8, 8, 8):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[2])
    answers = connection.makefile("rb")
    for number in range(count):
        ask(connection, "doctor")
    held.append((connection, answers))
    if len(held) < 3:
        ask(connection, "ping")  # answered when the others are asked
        assert answer()["id"] == "ping"
print(json.dumps([answer()["error"]["message"] for _ in range(8)]), flush=True)
versions = []
for _, answers in held[:2]:
    versions += [answer()["result"]["version"] for _ in range(8)]
print(json.dumps(versions))
"""


def test_one_reader_cannot_take_all_questions(machines):
    """It is told so, and root is answered at once, whatever the reader's questions wait for."""
    machine = machines(config=f"{CONFIG}readers = true\n")
    machine.deploy({"web.service": service()})
    git = next(p for p in descendants(machine.manager) if "cat-file" in title(p))
    os.kill(git, signal.SIGSTOP)
    command = [sys.executable, "-I", "-S", "-c", READER, machine.socket.parent, machine.socket.name]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    try:
        refused = json.loads(reader.stdout.readline())
        assert refused == ["busy: 16 questions wait already for you; try again later"] * 8
        assert machine.rpc("events", lines=1)["events"]
        assert machine.rpc("logs", unit="web")["lines"] == []
        os.kill(git, signal.SIGCONT)
        assert json.loads(reader.stdout.readline()) == [1] * 16
    finally:
        os.kill(git, signal.SIGCONT)
        reader.kill()
        reader.communicate()
