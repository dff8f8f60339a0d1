"""Pages that are played: every `console` block of a page is run, in order, and has to print what the page shows.

A block holds commands (`$ `, continued by `> `) and their output, in which a line `...` stands for any lines.
A block of another language whose fence names a file (```` ```ini web.service ````) writes that file into the
directory the shell is in. A `console second-terminal` block runs in a shell of its own, which keeps its last
command in the foreground. What differs from one run to the next (ids, PIDs, times, sizes, places) is compared
by kind, ids and PIDs also by identity: a page that shows the same PID twice is true only if it was the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.harness import free_port

PROJECT = Path(__file__).resolve().parents[2]
PORT = "8080"  # that pages use; another one is taken when they are played
HOME = "/home/ada"  # that pages show
DEADLINE = 60.0  # seconds a command may take to print what the page says
LOOKS = re.compile(
    r"^\s*(gitproc (?!(--user )?(init|start|stop|restart|rollback|apply|sync|kill|import))|git (log|status))"
)

_FENCE = re.compile(r"^```(\w+)?[ ]?(.*)$")


@dataclass
class Step:
    """One command with the output the page shows, or one file; `start` and `end` are lines of that output."""

    kind: str  # "command", "second" or "file"
    text: str
    shown: list[str] = field(default_factory=list)
    name: str = ""
    start: int = 0
    end: int = 0


def steps(page: str) -> list[Step]:
    """What a page asks its reader to do, in order."""
    found: list[Step] = []
    language = info = ""
    inside = False
    for number, line in enumerate(page.splitlines()):
        fence = _FENCE.match(line)
        if fence:
            inside = not inside
            language, info = (fence[1] or "", fence[2].strip()) if inside else ("", "")
            if inside and info and language != "console":
                found.append(Step("file", "", name=info))
            continue
        if not inside:
            continue
        if language != "console":
            if info:
                found[-1].text += f"{line}\n"
        elif line.startswith("$ "):
            kind = "second" if info == "second-terminal" else "command"
            found.append(Step(kind, line[2:], start=number + 1, end=number + 1))
        elif line.startswith("> ") and not found[-1].shown:
            found[-1].text += f"\n{line[2:]}"
            found[-1].start = found[-1].end = number + 1
        else:
            found[-1].shown.append(line)
            found[-1].end = number + 1
    return found


_KINDS = [
    (re.compile(r"\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+"), "DATE"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d \w+"), "DATE"),
    (re.compile(r"\b[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d\b"), "DATE"),
    (re.compile(r"\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d"), "DATE"),
    (
        re.compile(r"\bjust now\b|\b\d+(\.\d+)?(us|ms|s|min|h|d|w)( \d+(ms|s|min|h|d))*\b( ago)?"),
        "T",
    ),
    (re.compile(r"\b\S+ \(uid \d+\)"), "WHO"),
    (re.compile(r"<gitproc@[^>]*>"), "<gitproc@HOST>"),
    (re.compile(r"CGroup: \S+"), "CGroup: PATH"),
    (re.compile(r"[-─]{4,}"), "RULE"),
    (re.compile(r"\bpython3\.\d+"), "python3"),
]
_SIZE = re.compile(r"\b\d+(\.\d+)?[KMG]\b")
_SIZED = re.compile(r"Memory: \S+|peak: \S+|(?:running|exited|start) +\d+ +\S+")
_ID = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b")  # one in thirty short ids has no letter
_PID = re.compile(r"((?:PID:? |PID=|process |[├└]─|(?:running|reload|start) +))(\d+)")


def normal(lines: list[str], names: dict[str, str]) -> list[str]:
    """Lines without what differs from run to run; `names` remembers ids and PIDs over a page."""

    def named(kind: str, text: str) -> str:
        return names.setdefault(text, f"{kind}{len(names)}")

    result = []
    for line in lines:
        line = _SIZED.sub(lambda m: _SIZE.sub("SIZE", m[0]), line)
        line = _PID.sub(lambda m: m[1] + (named("PID", m[2]) if m[2] != "0" else "0"), line)
        line = _ID.sub(lambda m: named("ID", m[0][:7]), line)
        for pattern, word in _KINDS:
            line = pattern.sub(word, line)
        result.append(re.sub(r"\s+", " ", line).strip())
    return result


def matches(shown: list[str], got: list[str]) -> bool:
    """Whether normal lines agree, `...` standing for any number of lines."""
    if "..." not in shown:
        return shown == got
    head = shown.index("...")
    if shown[:head] != got[:head]:
        return False
    rest = shown[head + 1 :]
    return any(matches(rest, got[at:]) for at in range(head, len(got) + 1))


class Shell:
    """A bash that keeps its directory, its aliases and its variables."""

    def __init__(self, home: Path, directory: Path) -> None:
        path = f"{PROJECT}/.venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        environment = {
            "HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "TZ": "UTC",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
            "GIT_CONFIG_NOSYSTEM": "1", "XDG_RUNTIME_DIR": str(home / "run"),
            **{key: value for key, value in os.environ.items() if key == "GITPROC_TEST_SESSION"},
        }  # fmt: skip
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
        self._write("shopt -s expand_aliases\n")

    def _write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def begin(self, command: str) -> None:
        """Run a command and do not wait for it."""
        self._write(f"{command}\n")

    def run(self, command: str) -> str:
        """Run a command and return what it printed, on both streams."""
        mark = f"--- {time.monotonic_ns()}"
        self._write(f"{{\n{command}\n}} </dev/null\nprintf '%s\\n' '{mark}'\n")
        assert self.process.stdout is not None
        data, deadline = b"", time.monotonic() + DEADLINE
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not data.endswith(f"{mark}\n".encode()):
                if not selector.select(deadline - time.monotonic()):
                    raise TimeoutError(f"{command}: still running; printed {data.decode()!r}")
                chunk = os.read(self.process.stdout.fileno(), 65536)
                assert chunk, f"the shell ended in {command!r}: {data.decode()!r}"
                data += chunk
        return data.decode()[: -len(mark) - 1]

    def close(self) -> None:
        """End the shell and what it left running, at the latest with force."""
        deadline = time.monotonic() + DEADLINE / 3
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
            while True:
                self.process.poll()  # reaps the shell; the group is gone when nobody is left in it
                os.killpg(self.process.pid, 0)
                if time.monotonic() > deadline:
                    os.killpg(self.process.pid, signal.SIGKILL)
                time.sleep(0.05)
        self.process.wait(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Stage:
    """A home directory, its manager, and the shells in which a page is played."""

    def __init__(self, home: Path, *manager: str) -> None:
        self.home = home
        self.manager = [f"{PROJECT}/.venv/bin/gitproc", *manager]
        self.port = str(free_port())
        (home / "run").mkdir(exist_ok=True)
        self.shell = Shell(home, PROJECT)
        self.shells = [self.shell]
        self.managed = False  # whether a manager has answered yet

    def real(self, text: str) -> str:
        """A page's text as it is played here."""
        return text.replace(PORT, self.port)

    def shown(self, text: str) -> list[str]:
        """What was printed here, as pages show it."""
        text = text.replace(self.port, PORT).replace(str(self.home), HOME)
        text = text.replace(f"@{socket.gethostname()}>", "@host>")
        return [line.rstrip() for line in text.splitlines()]

    def status(self) -> dict:
        """What the manager says of itself; {} when there is none."""
        ask = [*self.manager, "--json", "status"]
        done = subprocess.run(
            ask, capture_output=True, text=True, check=False, env=self._environment()
        )
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home / "run")}

    def settle(self) -> None:
        """Wait until the manager has nothing left to do for the branch's commit."""
        deadline = time.monotonic() + DEADLINE
        while (status := self.status()) or self.managed:
            self.managed = True
            if not status:  # it was killed, and comes back
                assert time.monotonic() < deadline, "the manager is gone"
                time.sleep(0.05)
                continue
            commit, units = status["commit"], status["units"]
            seen = ("applied", "refused", "failed")
            known = {(commit.get(key) or {}).get("sha") for key in seen}
            moving = {"activating", "deactivating", "reloading"}
            if (
                commit["head"] in known | {None}
                and not commit["deploying"]
                and not any(unit["active_state"] in moving for unit in units)
                and not any((unit["health"] or {}).get("state") == "starting" for unit in units)
            ):
                return
            assert time.monotonic() < deadline, f"never at rest: {status}"
            time.sleep(0.05)

    def play(self, step: Step) -> str:
        """Do one step; what it printed."""
        if step.kind == "file":
            directory = self.shell.run("pwd").strip()
            Path(directory, step.name).write_text(self.real(step.text))
            return ""
        if step.kind == "second":
            if len(self.shells) == 1:
                self.shells.append(Shell(self.home, PROJECT))
            self.shells[1].begin(self.real(step.text))
            deadline = time.monotonic() + DEADLINE
            while "daemon" in step.text and not self.managed:
                self.managed = bool(self.status())
                assert time.monotonic() < deadline, "the manager does not answer"
                time.sleep(0.05)
            return ""
        printed = self.shell.run(self.real(step.text))
        self.settle()
        return printed

    def close(self) -> None:
        """Stop the manager with all its units, then the shells."""
        if self.managed:
            with contextlib.suppress(AssertionError):  # whatever the page did, it has to end
                self.settle()
            self._end(self.status()["daemon"]["shim_pid"])
        for shell in self.shells:
            shell.close()
        subprocess.run(["chmod", "-R", "u+w", self.home], check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def _end(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)
        line = Path(f"/proc/{pid}/cmdline")
        deadline = time.monotonic() + DEADLINE
        with contextlib.suppress(FileNotFoundError):
            while line.read_bytes():  # nothing: a zombie, which has ended
                assert time.monotonic() < deadline, "the manager does not end"
                time.sleep(0.05)


@contextlib.contextmanager
def stage(home: Path, *manager: str) -> Iterator[Stage]:
    """A stage that is cleared at the end."""
    it = Stage(home, *manager)
    try:
        yield it
    finally:
        it.close()
