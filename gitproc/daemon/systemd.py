"""How the manager lives under systemd: what it says to it, and where the services live to be safe from its restarts.

systemd owns the cgroup of `gitproc.service` and clears it whenever the service ends, so nothing that should
outlive the manager may be in there; and it cannot start a service again whose cgroup has controllers enabled
below it (219/CGROUP). Shim, logger and services therefore live in a scope of their own, `gitproc-units.scope`,
which systemd makes for us and delegates. Two properties tie the two together:

* the scope is ordered `Before=` the service: when both stop, systemd stops the manager first, and waits;
* it is `PartOf=` the service: a stop of the service ends what is left in the scope, even when the manager is
  dead or hangs. A restart would be passed on too, but systemd starts a scope only once and so leaves it alone;
  `PropagatesStopTo=` and `BindsTo=` would not do: they also stop the scope when the manager crashes.

ExecStop (see `exec_stop`) asks which of the two it is. SIGTERM alone means to the manager: step aside, the
services stay; SIGINT: stop everything in order first.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gitproc.errors import HostError
from gitproc.immutable import immutable

# What systemd gave us for ourselves and nobody below us may take for theirs.
PRIVATE_ENVIRONMENT = (
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "MAINPID",
)
SHIM_CGROUP = "/shim"  # inside the scope, so that no process is in an inner node (cgroups(7))
BUS_TIMEOUT = (
    30.0  # seconds for one question to systemd; it answers in milliseconds unless it is stuck
)

Job = Literal["stop", "restart", ""]


@immutable
class Service:
    """The systemd unit this process is the main process of."""

    name: str
    user: bool  # of a user's systemd rather than the system's

    @property
    def scope(self) -> str:
        """The name of the scope where shim, logger and services live."""
        return f"{self.name.removesuffix('.service')}-units.scope"

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [program, *(["--user"] if self.user else []), *arguments]

    def _ask(self, program: str, *arguments: str) -> str:
        command = self._command(program, *arguments)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=BUS_TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"systemd cannot be asked: {error}") from error
        if done.returncode:
            raise HostError(f"systemd refuses ({' '.join(command)}): {done.stderr.strip()}")
        return done.stdout

    def stop_job(self) -> Job:
        """Which job makes systemd stop the service now; "" when it is none (the manager ended by itself).

        Raises HostError when systemd does not answer.
        """
        for line in self._ask(
            "systemctl", "--no-legend", "--plain", "list-jobs", self.name
        ).splitlines():
            _, unit, kind, *_ = line.split()
            if unit == self.name:
                return "restart" if "restart" in kind else "stop"
        return ""

    def start_shim(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start `argv` in the scope, made now unless services of a dead shim still hold it.

        `argv` begins to run only there; it has none of our descriptors but stdout and stderr, and a session of
        its own. The process is returned for the caller to see it fail; it outlives us. Raises HostError.
        """
        environment = {k: v for k, v in os.environ.items() if k not in PRIVATE_ENVIRONMENT}
        if self._scope_is_active():
            return self._start_in_scope(argv, environment)
        command = self._command(
            "systemd-run",
            "--scope",
            "--quiet",
            "--collect",  # a scope that failed must not keep its name from the next one
            f"--unit={self.scope}",
            "--slice=app.slice" if self.user else "--slice=system.slice",
            "--description=Services run by GitProc",
            "--property=Delegate=yes",
            "--property=TasksMax=infinity",
            f"--property=Before={self.name}",
            f"--property=PartOf={self.name}",
            "--",
            *argv,
        )
        from shutil import which

        if which(command[0]) is None:
            raise HostError("systemd-run is missing: it comes with systemd")
        return _spawn(command, environment, subprocess.DEVNULL)

    def _scope_is_active(self) -> bool:
        state = self._ask("systemctl", "show", "--property=ActiveState", "--value", self.scope)
        return state.strip() in ("active", "deactivating")

    def _start_in_scope(
        self, argv: Sequence[str], environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        # The shell waits to be moved, then becomes the shim: nothing of it is ever forked outside.
        wait = 'read -r go && exec "$@" </dev/null'
        child = _spawn(["/bin/sh", "-c", wait, "sh", *argv], environment, subprocess.PIPE)
        assert child.stdin is not None
        try:
            self._ask(
                "busctl",
                "call",
                "org.freedesktop.systemd1",
                "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager",
                "AttachProcessesToUnit",
                "ssau",
                self.scope,
                SHIM_CGROUP,
                "1",
                str(child.pid),
            )
            child.stdin.write(b"go\n")
        finally:
            child.stdin.close()  # without "go" the shell ends
        return child


def _spawn(
    command: Sequence[str], environment: dict[str, str], stdin: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, env=environment, stdin=stdin, start_new_session=True)
    except OSError as error:
        raise HostError(f"cannot start {command[0]}: {error.strerror}") from error


def service() -> Service | None:
    """The systemd service this process belongs to, or None when systemd did not start it as one.

    A service of GitProc's has NOTIFY_SOCKET and INVOCATION_ID as well; only systemd's children have systemd
    for a parent.
    """
    if not Path("/run/systemd/system").is_dir() or "INVOCATION_ID" not in os.environ:
        return None
    parent = os.getppid()
    try:
        if Path(f"/proc/{parent}/comm").read_text().strip() != "systemd":
            return None
        memberships = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "name=systemd"):
            for part in reversed(path.split("/")):
                if part.endswith(".service"):
                    return Service(part, user=parent != 1)
    return None


class Notifier:
    """Our end of sd_notify(3); without a NOTIFY_SOCKET every call does nothing."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_interval = (
            int(microseconds) / 2e6 if ours and microseconds.isdecimal() else None
        )
        """Seconds between two pings: half of WatchdogSec=; None when systemd wants none."""

    def ready(self, status: str) -> None:
        """The manager answers its socket; with a status line for `systemctl status`."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def ping(self) -> None:
        """The loop still turns (WatchdogSec=)."""
        self._send("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """The services are being stopped."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
                )
                self._socket.setblocking(False)
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            pass  # systemd restarting itself loses a line of status, or one ping of two

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
