"""Services held in every state of their life while the manager dies, or both programs are replaced.

Every step of a service writes its name into a trace, and the step a test asks for waits at a gate, a FIFO. So
all services stand each in another state when the blow falls; then the gates open, and whatever happened in
between, each must end as it does undisturbed: the same steps, each once, the same result.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.harness import KEEP, Machine, until

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

FREEZER = Path("/sys/fs/cgroup/freezer")
STEP = r"""
echo "$4 $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS" >>"$1"
[ "$3" != "$4" ] || read -r _ <"$2"
[ "$4" != stop-post ] || case $3 in left*)
    /usr/bin/python3 -I -S "$5" "$1" "$2" "$3" left &
    until grep -q "^left" "$1"; do sleep 0.05; done
    [ "$3" != left-frozen ] || until grep -q FROZEN "$2.group/freezer.state"; do sleep 0.05; done
esac
exit 0
"""
# What runs: TRACE GATE HELD [forking | mute | fails | left].
MAIN = r"""
import os, signal, socket, sys, time
trace, gate, held, *how = sys.argv[1:]
left = "left" in how
if held.startswith("left-"):
    held = held.removeprefix("left-") if left else ""

def note(step):
    fd = os.open(trace, os.O_WRONLY | os.O_APPEND)
    os.write(fd, (step + "\n").encode())
    os.close(fd)

def pause(step):
    if step == held:
        open(gate).close()

def tell(*lines):
    if not left and "mute" not in how and "forking" not in how:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto("\n".join(lines).encode(), os.environ["NOTIFY_SOCKET"])

def terminate(signo, frame):
    note("TERM")
    if held not in ("abort", "frozen"):
        pause("term")
        os._exit(0)

def abort(signo, frame):
    note("ABRT")
    pause("abort")
    os._exit(1)

def reload(signo, frame):
    note("HUP")
    pause("reload-signal")
    tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
    pause("reload-notify")
    tell("READY=1")

signal.signal(signal.SIGTERM, terminate)
signal.signal(signal.SIGABRT, abort)
signal.signal(signal.SIGHUP, reload)
note("left" if left else "main")
if held == "frozen":
    open(gate + ".group/tasks", "w").write(str(os.getpid()))
    open(gate + ".group/freezer.state", "w").write("FROZEN")
if "fails" in how and open(trace).read().count("main") == 1:
    sys.exit(3)
if "forking" in how and os.fork():
    pause("start")
    os._exit(0)
if "forking" not in how:
    pause("start")
tell("READY=1")
while True:
    time.sleep(0.2)
    if held == "silence" and not os.path.exists(gate + ".open"):
        tell("WATCHDOG=1")
"""


class Case(NamedTuple):
    """A way to be in a state: `held` is the step that waits, `verb` what leads there after the start.

    `end`: how it must come out, where it is not as it is undisturbed (a state of rest and a result).
    """

    held: str = ""
    settings: str = ""
    verb: str = ""
    end: tuple[str, str] = ("running", "success")
    how: str = ""


STOPPED = ("dead", "success")
ABORTED = "TimeoutStopFailureMode=abort\nTimeoutStopSec=4\nTimeoutAbortSec=60"
CASES = {
    "condition": Case("condition"),
    "start-pre": Case("start-pre"),
    "start": Case("start"),
    "start forking": Case("start", "Type=forking", how="forking"),
    "start oneshot": Case("two", "Type=oneshot\nRemainAfterExit=yes", end=("exited", "success")),
    "start-post": Case("start-post"),
    "running": Case("silence", "WatchdogSec=6", end=("failed", "watchdog")),
    "exited": Case("", "Type=oneshot\nRemainAfterExit=yes", end=("exited", "success")),
    "reload": Case("reload", "ExecReload=reload", "reload"),
    "reload-signal": Case("reload-signal", "Type=notify-reload", "reload"),
    "reload-notify": Case("reload-notify", "Type=notify-reload", "reload"),
    "stop": Case("stop", verb="stop", end=STOPPED),
    "stop-sigterm": Case("term", verb="stop", end=STOPPED),
    "stop-watchdog": Case("abort", ABORTED, "stop", ("failed", "timeout")),
    "stop-sigkill": Case(
        "frozen",
        "TimeoutStartFailureMode=kill\nTimeoutStartSec=5\nTimeoutStopSec=60",
        end=("failed", "timeout"),
        how="mute",
    ),
    "stop-post": Case("stop-post", verb="stop", end=STOPPED),
    "final-sigterm": Case("left-term", verb="stop", end=STOPPED),
    "final-watchdog": Case("left-abort", ABORTED, "stop", ("failed", "timeout")),
    "final-sigkill": Case("left-frozen", "TimeoutStopSec=8", "stop", ("failed", "timeout")),
    "auto-restart": Case(
        "", "Restart=on-failure\nRestartSec=1h", end=("auto-restart", "exit-code"), how="fails"
    ),
    "failed": Case("", how="fails", end=("failed", "exit-code")),
}
if not FREEZER.is_dir():  # nobody else keeps a process from being killed
    CASES = {name: case for name, case in CASES.items() if not case.held.endswith("frozen")}


class Walk:
    """All the cases once, on a machine that has had others; `mark` tells their names apart."""

    def __init__(self, machine: Machine, mark: str) -> None:
        self.machine = machine
        self.names = {f"{state.replace(' ', '-')}.{mark}": state for state in CASES}
        self.home = machine.root / mark
        self.home.mkdir()
        self.asked: list[subprocess.Popen[str]] = []

    def text(self, name: str) -> str:
        """The unit file of a case."""
        case = CASES[self.names[name]]
        gate = f"{self.home / name} {self.gate(name)} {case.held or '-'}"
        step = f"/bin/sh ${{GITPROC_TREE}}/step.sh {gate}"
        main = "${GITPROC_TREE}/main.py"
        oneshot = "Type=oneshot" in case.settings
        starts = (
            [f"{step} {x}" for x in ("one", "two", "three")]
            if oneshot
            else [f"/usr/bin/python3 -I -S {main} {gate} {case.how}"]
        )
        lines = [
            f"ExecCondition={step} condition",
            f"ExecStartPre={step} start-pre",
            *(f"ExecStart={x}" for x in starts),
            f"ExecStartPost={step} start-post",
            f"ExecStop={step} stop",
            f"ExecStopPost={step} stop-post {main}",
            case.settings.replace("ExecReload=reload", f"ExecReload={step} reload"),
        ]
        kind = "" if "Type=" in case.settings else "Type=notify"
        return "\n".join(
            [
                "[Service]",
                kind,
                "LimitCORE=0",
                *lines,
                "[Install]",
                "WantedBy=multi-user.target",
                "",
            ]
        )

    def gate(self, name: str) -> Path:
        """Where its step waits."""
        return self.home / f"{name}.gate"

    def prepare(self) -> None:
        """Commit all of them, and lead each into its state."""
        for name, state in self.names.items():
            (self.home / name).touch()
            os.mkfifo(self.gate(name))
            if CASES[state].held.endswith("frozen"):
                self.group(name).mkdir()
                self.gate(name).with_suffix(".gate.group").symlink_to(self.group(name))
        self.machine.commit({f"{name}.service": self.text(name) for name in self.names})
        hasty = [name for name, state in self.names.items() if state == "final-sigkill"]
        calm = [name for name in self.names if name not in hasty]
        until(
            lambda: self.all_in(self.asked_to("reload") + self.asked_to("stop"), "running"),
            "up",
            120,
        )
        self.ask("reload", self.asked_to("reload"))
        self.ask("stop", [name for name in self.asked_to("stop") if name in calm])
        until(lambda: self.all_in(calm), "they stand", 120)
        self.ask("stop", hasty)  # this state does not last
        try:
            until(lambda: self.all_in(calm + hasty), "all stand", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.standing()}") from None

    def asked_to(self, verb: str) -> list[str]:
        """The services that a verb leads to where they are to be."""
        return [name for name, state in self.names.items() if CASES[state].verb == verb]

    def ask(self, verb: str, names: list[str]) -> None:
        """Have it done, without waiting for the outcome."""
        if names:
            self.asked.append(self.machine.follow(verb, *names))

    def group(self, name: str) -> Path:
        """A group of its own in which no process can be killed."""
        return FREEZER / f"{self.machine.group}-{name}"

    def all_in(self, names: list[str], state: str = "") -> bool:
        """Whether they are all in that state, or each in its own."""
        units = self.machine.units()
        wanted = {name: state or self.names[name].split()[0] for name in names}
        return {name: units.get(name, {}).get("sub_state") for name in names} == wanted

    def standing(self) -> dict[str, tuple[str, ...]]:
        """Where each stands, by state, instance and processes."""
        keys = ("sub_state", "invocation", "main_pid", "control_pid", "result")
        units = self.machine.units()
        return {name: tuple(str(units[name][key]) for key in keys) for name in self.names}

    def release(self) -> None:
        """Open all gates."""
        for name, state in self.names.items():
            held = CASES[state].held
            if held.endswith("frozen"):
                (self.group(name) / "freezer.state").write_text("THAWED")
            elif held == "silence":
                Path(f"{self.gate(name)}.open").touch()
            elif held:
                until(lambda name=name: self._opened(name), f"{name} waits at its gate")

    def _opened(self, name: str) -> bool:
        with suppress(OSError):  # nobody is there yet
            os.close(os.open(self.gate(name), os.O_WRONLY | os.O_NONBLOCK))
            return True
        return False

    def outcome(self) -> dict[str, tuple[object, ...]]:
        """How each came out, once all are at rest; then all are stopped. State -> result and trace."""
        for name, state in self.names.items():
            self.machine.wait(name, CASES[state].end[0])
        keys = ("sub_state", "result", "exec_main_code", "exec_main_status", "restarts")
        units = self.machine.units()
        found = {name: [units[name][key] for key in keys] for name in self.names}
        self.machine.rpc("stop", units=list(self.names))
        return {
            state: (*found[name], *(self.home / name).read_text().splitlines())
            for name, state in self.names.items()
        }

    def close(self) -> None:
        """Let everybody go."""
        for client in self.asked:
            client.kill()
            client.communicate()
        for name in self.names:
            self._opened(name)
            with suppress(OSError):
                (self.group(name) / "freezer.state").write_text("THAWED")
        for name in self.names:
            if self.group(name).is_dir():
                until(lambda name=name: self._removed(name), f"{name} is out of its group")

    def _removed(self, name: str) -> bool:
        with suppress(OSError):
            self.group(name).rmdir()
        return not self.group(name).exists()


@pytest.fixture(scope="module")
def shared():
    """A machine for all walks."""
    with Machine(config=KEEP) as machine:
        machine.repository.write({"main.py": MAIN, "step.sh": STEP})
        yield machine.start()


@contextmanager
def walk(machine: Machine, mark: str) -> Iterator[Walk]:
    """Every service in its state."""
    found = Walk(machine, mark)
    try:
        found.prepare()
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def undisturbed(shared):
    """How each case comes out when nobody harms the manager."""
    with walk(shared, "undisturbed") as found:
        found.release()
        outcome = found.outcome()
    assert {state: told[:2] for state, told in outcome.items()} == {
        state: case.end for state, case in CASES.items()
    }
    return outcome


def test_in_every_state_the_manager_may_be_killed(shared, undisturbed):
    with walk(shared, "killed") as found:
        before = found.standing()
        shared.kill_manager()
        assert found.standing() == before
        found.release()
        assert found.outcome() == undisturbed


def test_what_ends_while_no_manager_is_there_is_not_missed(shared, undisturbed):
    with walk(shared, "unseen") as found:
        shared.kill_manager(wait=False)
        found.release()
        shared.ready()
        assert found.outcome() == undisturbed


def test_in_every_state_both_programs_may_be_replaced(shared, undisturbed):
    with walk(shared, "replaced") as found:
        before, manager = found.standing(), shared.manager
        assert shared.gitproc("daemon-reexec").status == 0
        until(lambda: shared.manager != manager, "another manager")
        shared.ready()
        assert found.standing() == before
        found.release()
        assert found.outcome() == undisturbed
