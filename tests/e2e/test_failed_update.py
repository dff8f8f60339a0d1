"""Update=overlap and commits that fail, on a real machine: the branch goes back or stays; no client notices."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.harness import Machine, alive, service, until
from tests.e2e.test_overlap import SERVER, Clients, Site

pytestmark = pytest.mark.root


@pytest.fixture(params=["revert"])
def machine(request):
    config = f'settle_seconds = 0.1\n[deploy]\non_failure = "{request.param}"\n'
    with Machine(config=config) as machine:
        (machine.root / "server.py").write_text(SERVER)
        yield machine.start()


def head(machine: Machine) -> str:
    return machine.git("rev-parse", "main", cwd=machine.repository.path)


def reverted(machine: Machine, bad: str) -> str:
    """Waits for the commit that takes another one back, and for its verdict."""
    found: str = until(lambda: (at := head(machine)) != bad and at, "a revert commit")
    machine.verdict(found)
    assert machine.git("rev-parse", f"{found}^", cwd=machine.repository.path) == bad
    return found


def test_a_failed_update_is_reverted_and_the_old_one_has_never_been_touched(machine):
    site = Site(machine, "web")
    good = site.deploy("v1")
    pid, _ = site.ask()
    with Clients(site) as clients:
        bad = site.commit("broken")
        sha = reverted(machine, bad)
        site.gone()
        assert site.status["main_pid"] == pid
        assert alive(pid)
        bad = site.commit("mute", 0, 0, more="TimeoutStartSec=5\nTimeoutStopSec=1")
        site.role("updating")
        machine.kill_manager()
        sha = reverted(machine, bad)
        site.gone()
        assert site.status["main_pid"] == pid
        trees = {machine.git("rev-parse", f"{x}^{{tree}}") for x in (good, sha)}
        assert len(trees) == 1
        site.deploy("v2")
        until(lambda: clients.answers[-1] == "v2", "the next commit overlaps as ever")
    assert clients.errors == []
    assert set(clients.answers) == {"v1", "v2"}
    assert len(machine.events("unit.update-failed", "web.service")) == 2


def test_what_has_taken_over_in_a_commit_that_fails_elsewhere_is_overlapped_back(machine):
    site, flag = Site(machine, "web"), machine.root / "flag"
    machine.deploy(site.files("v1", 0, 0.3))
    with Clients(site) as clients:
        job = service(
            f"/bin/sh -c 'until test -e {flag}; do sleep 0.1; done; exit 3'", "Type=oneshot"
        )
        bad = machine.commit({**site.files("v2", 0, 0.3), "job.service": job})
        until(lambda: "v2" in clients.answers, "it takes over")
        site.gone()
        flag.touch()
        reverted(machine, bad)
        until(lambda: clients.answers[-1] == "v1", "it is taken back")
        site.gone()
    assert clients.errors == []
    assert list(dict.fromkeys(clients.answers)) == ["v1", "v2"]
    assert len(machine.events("unit.swapped", "web.service")) == 2


@pytest.mark.parametrize("machine", ["keep"], indirect=True)
def test_where_a_failed_commit_stays_the_old_one_is_restarted_by_its_own_definition(machine):
    site = Site(machine, "web")
    more = "Restart=always\nRestartSec=0"
    site.deploy("v1", more=more)
    site.deploy("broken", more=more, verdict="failed")
    for blow in range(3):
        pid, version = site.ask()
        assert version == "v1"
        if blow == 2:
            machine.kill_manager(wait=False)
        os.kill(pid, signal.SIGKILL)
        until(lambda p=pid: (site.status["main_pid"] or p) != p, "another one")
    assert site.ask()[1] == "v1"
    assert site.second["role"] == "failed"
    assert machine.log("web").count("begins broken") == 1
    assert "outdated" in machine.gitproc("diff").out
    machine.gitproc("restart", "--no-block", "web.service")
    until(lambda: machine.log("web").count("begins broken") > 1, "an operator has it by force")
    site.deploy("v3", more=more)
    assert site.ask()[1] == "v3"


def test_who_follows_a_restart_is_left_alone_unless_it_says_otherwise(machine):
    site = Site(machine, "web")
    followers = {
        "part.service": service(unit="PartOf=web.service\nAfter=web.service"),
        "needs.service": service(unit="Requires=web.service\nAfter=web.service"),
        "bound.service": service(unit="BindsTo=web.service\nAfter=web.service"),
        "follows.service": service() + "[X-GitProc]\nRestartTriggers=web.service\n",
    }
    machine.deploy({**site.files("v1"), **followers})
    before = machine.pids()
    with Clients(site) as clients:
        site.deploy("v2")
        site.gone()
    assert clients.errors == []
    after = machine.pids()
    changed = {name for name in before if before[name] != after.get(name)}
    assert {x.removesuffix("~") for x in changed} == {"web", "follows"}
