"""As the first process of a container: `gitproc daemon` is PID 1 of a PID namespace of its own.

`unshare` stays outside and ends with the daemon's exit status; it does not pass on signals, so the daemon gets
them itself, by the PID it has outside.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.harness import COMMAND, DEADLINE, Machine, alive, service, shell, until

pytestmark = pytest.mark.root
NAMESPACE = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"]


class Container(Machine):
    """A machine whose daemon is PID 1."""

    def start(self, *, wait: bool = True) -> Self:
        self.prefix = NAMESPACE
        return super().start(wait=wait)

    @property
    def first(self) -> int:
        """The PID, out here, of the namespace's first process."""
        assert self.shim is not None
        pid = self.shim.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return int(until(lambda: children.read_text().split(), "there is a first process")[0])

    def inside(self) -> list[int]:
        """Every process of the namespace, by its PID out here."""
        space = Path(f"/proc/{self.first}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "ns/pid").readlink() == space:
                    found.append(int(entry.name))
        return found

    def stop(self, signo: int = signal.SIGTERM) -> None:
        assert self.shim is not None
        os.kill(self.first, signo)
        assert self.shim.wait(DEADLINE) == 0, self.said()
        self.shim = None


@pytest.fixture
def container():
    with Container() as machine:
        yield machine.start()


def children(pid):
    """Its children, those that ended and are not reaped among them."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_the_daemon_is_the_first_process_and_answers(container):
    container.deploy({"a.service": service()})
    status = Path(f"/proc/{container.first}/status").read_text()
    assert "NSpid:\t" in status
    assert next(x for x in status.splitlines() if x.startswith("NSpid:")).split()[-1] == "1"
    assert container.unit("a")["main_pid"] > 1
    assert container.gitproc("is-active", "a").status == 0


def test_orphans_of_any_process_are_reaped(container):
    container.deploy({"a.service": service()})
    before = children(container.first)
    target = ["nsenter", "--target", str(container.first), "--pid", "--mount"]
    subprocess.run(
        [*target, "/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done"], check=True
    )
    orphans = set(children(container.first)) - set(before)
    assert len(orphans) == 9
    for pid in orphans:
        os.kill(int(pid), signal.SIGKILL)
    until(lambda: children(container.first) == before, "the orphans are reaped")


def test_sigterm_stops_everything_in_order_and_exits_with_0(container):
    order = container.root / "order"
    said = shell(f"echo %n >> {order}").replace("%%n", "%n")
    container.deploy(
        {
            "a.service": service(settings=f"ExecStopPost={said}"),
            "b.service": service(
                settings=f"ExecStopPost={said}", unit="Requires=a.service\nAfter=a.service"
            ),
        }
    )
    pids = container.inside()
    container.stop()
    assert order.read_text().split() == ["b.service", "a.service"]
    assert not any(map(alive, pids))


def test_a_killed_manager_comes_back_and_the_services_stay(container):
    container.deploy({"a.service": service()})
    pid = container.unit("a")["main_pid"]
    manager = next(
        int(x)
        for x in children(container.first)
        if b"gitprocd" in (line := Path(f"/proc/{x}/cmdline").read_bytes())
        and b"gitproc-shim" not in line
    )
    os.kill(manager, signal.SIGKILL)
    until(lambda: not alive(manager), "the manager dies")
    until(container.answers, "a manager answers")
    assert container.unit("a")["main_pid"] == pid


def test_a_wrong_configuration_ends_the_container_with_its_status():
    with Container() as machine:
        machine.config_file.write_text("no_such_key = 1\n")
        done = subprocess.run(
            [*NAMESPACE, *COMMAND, "daemon", "--root", str(machine.root)],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 78, done.stderr
        assert "no_such_key" in done.stderr
