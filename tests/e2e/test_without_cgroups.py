"""A machine that lets us make no cgroups: units' processes are known by their families, over crashes as well."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Machine, alive, service, shell, until

pytestmark = pytest.mark.root

COVERED = ["unshare", "--mount", "sh", "-c",
           'mount -t tmpfs -o ro none /sys/fs/cgroup && exec "$@"', "sh"]  # fmt: skip


@pytest.fixture
def machine():
    with Machine() as machine:
        machine.prefix = COVERED
        yield machine.start()


def test_what_a_killed_manager_knew_is_stopped_by_the_next(machine):
    machine.deploy(
        {"a.service": service(), "b.service": service(shell("sleep 1000 & sleep 2000 & wait"))}
    )
    assert machine.gitproc("doctor").out.count("no cgroups")
    pids = machine.pids()
    machine.kill_manager()
    until(lambda: machine.pids() == pids, "both are known again")
    assert machine.gitproc("stop", "b").status == 0
    assert not alive(pids["b"])
    machine.stop()
    assert not alive(pids["a"])
