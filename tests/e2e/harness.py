"""A machine of GitProc's: a root directory, a repository in it, the real daemon, and nothing left at the end.

Everything is driven from outside: commits by plain git, questions by the real command line or by a socket
of its own, blows by signals. The daemon is not imported; its configuration is asked for the cgroup's name
alone, so that it can be said that none is left.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from gitproc.daemon.config import load
from tests.e2e.drained import drained

DEADLINE = 60.0  # seconds; two cores may be shared by many
PAUSE = 0.02
COMMAND = [sys.executable, "-I", "-m", "gitproc.cli.main"]
CGROUPS = Path("/sys/fs/cgroup")
WANTED = "[Install]\nWantedBy=multi-user.target\n"
CONFIG = "settle_seconds = 0.3\n"
KEEP = f'{CONFIG}[deploy]\non_failure = "keep"\n'  # what fails on purpose is not held back
IDENTITY = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Outcome(NamedTuple):
    """What a command said."""

    status: int
    out: str
    err: str


def outcome(command: list[str], timeout: float) -> Outcome:
    """Run a command without input, for at most so many seconds."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def service(command: str = "/bin/sleep 1000", settings: str = "", unit: str = "") -> str:
    """A unit file of a service that the default target wants; lines for [Service] and for [Unit]."""
    start = f"ExecStart={command}\n" if command else ""
    return f"[Unit]\n{unit}\n[Service]\n{start}{settings}\n{WANTED}"


#: Fails before it counts as up: one that ends soon after that may have settled well by then.
FAILING = service("/bin/false", "Type=oneshot")


def shell(script: str) -> str:
    """A command line that runs a script without `'` in it."""
    assert "'" not in script
    return f"/bin/sh -c '{script.replace('%', '%%').replace('$', '$$')}'"


def until(condition: Callable[[], Any], what: str = "", deadline: float = DEADLINE) -> Any:
    """Wait for a condition and return its value; fail after the deadline."""
    end = time.monotonic() + deadline
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(PAUSE)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def stopped(pid: int) -> bool:
    """Whether SIGSTOP has come to all of its threads."""
    with suppress(OSError):  # one has just ended
        threads = Path(f"/proc/{pid}/task").iterdir()
        return all((x / "stat").read_text().rpartition(")")[2].split()[0] == "T" for x in threads)
    return False


def free_port() -> int:
    """A TCP port nobody listens on, and that the kernel gives to no connection on its way out."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, first), min(100, max(first - 10_000, 0))):
        with socket.socket() as found, suppress(OSError):
            found.bind(("", port))
            return port
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Repository:
    """The desired state; a bare one has a clone beside it that is pushed from."""

    def __init__(self, path: Path, work: Path, *, bare: bool, branch: str) -> None:
        self.path, self.bare, self.branch = path, bare, branch
        self.work = work if bare else path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", branch, *(["--bare"] if bare else []), cwd=path)
        if bare:
            self.git("clone", "-q", str(path), str(work), cwd=path.parent)
            self.git("checkout", "-q", "-B", branch)
        else:
            self.git("config", "receive.denyCurrentBranch", "updateInstead")

    def git(self, *args: str, cwd: Path | None = None, check: bool = True) -> str:
        """Run git in the work tree (or `cwd`) and return what it prints."""
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or self.work,
            env=IDENTITY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            umask=0o022,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, files: Mapping[str, str | None]) -> None:
        """Write files into the work tree; None removes one."""
        for name, text in files.items():
            file = self.work / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Commit changed files, push them if the repository is bare; the commit's id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        if self.bare:
            self.git("push", "-q", "--force", "origin", f"HEAD:{self.branch}")
        return self.git("rev-parse", "HEAD")


class Machine:
    """One root, its repository and its daemon. `start` it; `close`, or the end of `with`, fails if anything is left."""

    def __init__(
        self,
        *,
        bare: bool = False,
        branch: str = "main",
        config: str = CONFIG,
    ) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="gitproc-e2e-"))
        self.root.chmod(0o755)  # services of other users work below it
        etc = self.root / "etc/gitproc"
        etc.mkdir(parents=True)
        self.config_file = etc / "config.toml"
        self.config_file.write_text(config)
        self.repository = Repository(
            etc / "services", self.root / "clone", bare=bare, branch=branch
        )
        self.commit = self.repository.commit
        self.git = self.repository.git
        self.socket = self.root / "run/gitproc.sock"
        self.state = self.root / "var/lib/gitproc"
        self.logs = self.root / "var/log/gitproc"
        self.group = load(None, self.root).cgroup_root
        self.shim: subprocess.Popen[bytes] | None = None
        self.mounts: list[Path] = []
        self.prefix: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the daemon ------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Self:
        """Start the daemon in the foreground of a process of its own; wait until it answers."""
        self._said = (self.root / "said").open("ab")
        self.shim = subprocess.Popen(
            [*self.prefix, *COMMAND, "daemon", "--root", str(self.root)],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
        )
        self._said.close()
        if wait:
            until(self.answers, f"the daemon answers\n{self.said()}")
        return self

    def said(self) -> str:
        """What the daemon wrote to its terminal."""
        file = self.root / "said"
        return file.read_text()[-4000:] if file.exists() else ""

    def answers(self) -> bool:
        """Whether a manager serves the socket."""
        try:
            self.rpc("ping")
        except OSError:
            return False
        return True

    @property
    def manager(self) -> int:
        """The PID of the manager; waits for one that is just being started."""
        return int(until(self._manager_pid, "there is a manager"))

    def _manager_pid(self) -> int:
        # The shim's command line names it as well, and so does that of whom the shim has just forked.
        lines = {pid: _line(pid) for pid in self._children()}
        found = (pid for pid, x in lines.items() if "gitprocd" in x and "gitproc-shim" not in x)
        return next(found, 0)

    @property
    def logger(self) -> int:
        """The PID of the logger."""
        return int(
            until(
                lambda: next((p for p in self._children() if "logger" in _line(p)), 0),
                "there is a logger",
            )
        )

    def _children(self) -> list[int]:
        if self.shim is None:
            return []
        pid = self.shim.pid
        with suppress(OSError):
            return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def kill_manager(self, *, wait: bool = True) -> int:
        """Kill the manager with SIGKILL; wait until the next one answers. The killed one's PID."""
        pid = self.manager
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), "the manager dies")
        if wait:
            self.ready()
        return pid

    def ready(self) -> None:
        """Wait until a manager answers."""
        until(self.answers, "a manager answers")

    def stop(self, signo: int = signal.SIGTERM) -> None:
        """Stop the daemon and with it all units; it must end well."""
        assert self.shim is not None
        self.shim.send_signal(signo)
        assert self.shim.wait(DEADLINE) == 0, self.said()
        self.shim = None

    def close(self) -> None:
        """Stop and remove everything; fail if anything had to be removed by force."""
        try:
            if self.shim is not None and self.shim.poll() is None:
                self.stop()
            left = self.left()
            said = self.said()
        finally:
            self._force()
            shutil.rmtree(self.root)
        assert left == [], f"{left}\n{said}"

    def left(self) -> list[str]:
        """What is left of a daemon that has ended: groups and their processes, sockets, mounts."""
        found = [f"{x}: {(x / 'cgroup.procs').read_text().split()}" for x in self.groups()]
        found += [str(x) for x in (self.root / "run").rglob("*") if x.is_socket()]
        root = str(self.root)
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if root in (line := _line(int(entry.name))):
                    found.append(f"process {entry.name}: {line}")
        return found

    def groups(self) -> list[Path]:
        """The cgroups named after the root, in every hierarchy, innermost first."""
        walk = os.walk(CGROUPS, topdown=False)  # lets groups of others vanish under its feet
        return [Path(at) for at, _, _ in walk if self.group in Path(at).parts]

    def _force(self) -> None:
        if self.shim is not None:
            with suppress(ProcessLookupError):
                self.shim.kill()
            self.shim.wait()
        for group in self.groups():
            with suppress(OSError):
                for pid in (group / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)

            def removed(group: Path = group) -> bool:
                with suppress(OSError):
                    group.rmdir()
                return not group.exists()

            until(removed, f"{group} can be removed")
        for mount in self.mounts:
            subprocess.run(["umount", "-l", str(mount)], check=False)

    # -- asking ----------------------------------------------------------------------------------

    def gitproc(self, *args: str, timeout: float = 2 * DEADLINE) -> Outcome:
        """Run the command line against this root."""
        return outcome([*COMMAND, "--root", str(self.root), *args], timeout)

    def follow(self, *args: str) -> subprocess.Popen[str]:
        """Run the command line and leave it running, its output in a pipe."""
        return subprocess.Popen(
            [*COMMAND, "--root", str(self.root), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer to one request. OSError if nobody answers."""
        with self.asking(method, **params) as answer:
            return answer()

    @contextmanager
    def asking(self, method: str, **params: Any) -> Iterator[Callable[[], dict[str, Any]]]:
        """A request that has been sent; what waits for its whole answer. OSError if nobody answers."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps(request).encode() + b"\n")

            def answer() -> dict[str, Any]:
                with connection.makefile("rb") as answers:
                    line = answers.readline()
                if not line:
                    raise ConnectionResetError("hung up")
                found: dict[str, Any] = json.loads(line)
                return found

            yield answer

    def rpc(self, method: str, **params: Any) -> Any:
        """The result of one request. OSError if nobody answers."""
        answer = self.ask(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    def status(self) -> dict[str, Any]:
        """`status` of everything; waits for a manager that is just being started."""

        def asked() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = self.rpc("status")
            except OSError:
                return None
            return found

        result: dict[str, Any] = until(asked, "the manager answers")
        return result

    def units(self) -> dict[str, dict[str, Any]]:
        """Every listed unit's status by its bare name."""
        return {u["name"].removesuffix(".service"): u for u in self.status()["units"]}

    def unit(self, name: str) -> dict[str, Any]:
        """One unit's status; an empty one if it is not listed."""
        return self.units().get(name, {})

    def pids(self) -> dict[str, int]:
        """The main processes of the listed units."""
        return {name: unit["main_pid"] for name, unit in self.units().items()}

    def wait(self, name: str, state: str = "active", deadline: float = DEADLINE) -> dict[str, Any]:
        """Wait until a unit is in an ActiveState or SubState; its status."""
        seen: dict[str, Any] = {}

        def there() -> bool:
            seen.clear()
            seen.update(self.unit(name))
            return state in (seen.get("active_state"), seen.get("sub_state"))

        try:
            until(there, f"{name} becomes {state}", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen}\n{self.said()}") from None
        if state in ("active", "running"):
            until(lambda: self._run(seen.get("main_pid")), f"{name} runs its program", deadline)
        return seen

    def _run(self, *pids: int | None) -> bool:
        """Whether none of these processes still is as the shim has forked it."""
        forked = _line(self.shim.pid) if self.shim is not None else ""
        return not any(pid and forked and _line(pid) == forked for pid in pids)

    def verdict(self, sha: str, verdict: str = "good", deadline: float = DEADLINE) -> None:
        """Wait until a commit is judged, and hold the verdict against what is expected."""

        def judged() -> str | None:
            commit = self.status()["commit"]
            shown = [commit[key] for key in ("applied", "refused", "failed", "last_good")]
            found = [x["verdict"] for x in shown if x and x["sha"] == sha]
            return next((x for x in found if x and x != "deploying"), None)

        try:
            found = until(judged, f"{sha} is judged", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from None
        assert found == verdict, self.said()

    def deploy(self, files: Mapping[str, str | None], verdict: str = "good") -> str:
        """Commit, wait for the verdict, and until what has been started runs its program; the commit's id."""
        sha = self.commit(files)
        self.verdict(sha, verdict)
        until(
            lambda: self._run(*(x.get("main_pid") for x in self.status()["units"])),
            "all run their programs",
        )
        return sha

    def events(self, kind: str = "", unit: str = "") -> list[dict[str, Any]]:
        """The event log on disk, oldest first."""
        try:
            text = (self.logs / "events.log").read_text()
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            with suppress(ValueError):  # it is just being written, or its writer was killed over it
                found.append(json.loads(line))
        return [x for x in found if kind in ("", x["kind"]) and unit in ("", x["unit"])]

    def log(self, name: str) -> str:
        """What a service wrote until now, over all parts of its log."""
        for logger in [x for x in self._children() if "logger" in _line(x)]:
            drained(logger)
        base = self.logs / f"{name}.log"
        parts = [base, *sorted(base.parent.glob(f"{name}.log.[0-9]*"))]
        numbered = {int(x.suffix[1:]): x for x in parts[1:] if x.suffix[1:].isdecimal()}
        ordered = [numbered[n] for n in sorted(numbered, reverse=True)]
        found = b""
        for part in [*ordered, base]:
            with suppress(FileNotFoundError):  # there is none yet, or it is just being renamed
                found += part.read_bytes()
        return found.decode()

    def group_of(self, name: str, controller: str = "") -> Path:
        """The cgroup of a unit: where it is tracked, or in a controller's hierarchy."""
        found = [x for x in self.groups() if x.name == name and self.group in x.parts]
        here = [x for x in found if not controller or f"/{controller}/" in f"{x}/"]
        if not here:  # a pure v2 machine has one for all
            here = [x for x in found if (x / "cgroup.controllers").exists()]
        tracked = [x for x in here if controller or (x / "cgroup.events").exists()]
        return (tracked or here)[0]


def _line(pid: int) -> str:
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    return ""


def made(kind: type[Machine] = Machine, **how: Any) -> Iterator[Callable[..., Machine]]:
    """For a fixture: makes machines, and closes them all."""
    machines: list[Machine] = []

    def make(*, start: bool = True, **options: Any) -> Machine:
        machines.append(kind(**{**how, **options}))
        return machines[-1].start() if start else machines[-1]

    yield make
    failures = []
    for machine in machines:
        try:
            machine.close()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)
