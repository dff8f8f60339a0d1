"""What a failed commit leads to, with the real manager and real git: hold, revert, keep, apply, rollback."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import CONFIG, FAILING, KEEP, service, shell, until

pytestmark = pytest.mark.root


def fails_once(flag) -> str:
    """A service whose start fails when there is the flag, and not before."""
    return service(shell(f"until test -e {flag}; do sleep 0.02; done; false"), "Type=oneshot")


def commits(machine):
    return machine.status()["commit"]


def in_force(machine):
    return (commits(machine)["applied"] or {}).get("sha")


def test_a_failed_commit_is_held_back_until_asked_for(machine):
    good = machine.deploy({"a.service": service(), "b.service": service()})
    pids = machine.pids()
    bad = machine.deploy({"a.service": FAILING}, "failed")
    until(lambda: in_force(machine) == good, "the good one is in force again")
    machine.wait("a")
    assert machine.pids()["b"] == pids["b"]
    shown = commits(machine)
    assert (shown["head"], shown["failed"]["sha"]) == (bad, bad)
    assert "exited with status 1" in shown["failed"]["units"]["a.service"]
    text = machine.gitproc("status").out
    assert "Failed: " in text
    assert "held back; `gitproc apply` tries it again" in text
    assert machine.git("rev-parse", "HEAD") == bad, "the branch is left alone"
    assert machine.gitproc("sync").status == 0
    machine.kill_manager()
    machine.wait("a")
    machine.stop()
    machine.start()
    machine.wait("a")
    assert in_force(machine) == good
    assert len(machine.events("commit.failed")) == 1
    assert machine.gitproc("apply", good[:10]).status == 2
    assert f"gitproc rollback {good[:10]}" in machine.gitproc("apply", good[:10]).err
    assert machine.gitproc("apply", bad[:10]).status == 0
    until(lambda: len(machine.events("commit.failed")) == 2, "it was tried again")
    until(lambda: in_force(machine) == good, "and is held back again")
    machine.wait("a")
    mended = machine.deploy({"a.service": service("/bin/sleep 500")})
    assert commits(machine)["failed"] is None
    assert machine.gitproc("apply").out.startswith(f"In force already: {mended[:10]}")


def test_apply_succeeds_once_the_cause_is_gone(machine, tmp_path):
    machine.deploy({"a.service": service()})
    flag = machine.root / "flag"
    needs = f"ExecStartPre=/usr/bin/test -e {flag}"
    bad = machine.deploy({"a.service": service(settings=needs)}, "failed")
    until(lambda: in_force(machine) != bad, "it is held back")
    flag.touch()
    assert machine.gitproc("apply").out.startswith(f"Trying again: {bad[:10]}")
    until(lambda: (commits(machine)["applied"] or {}).get("verdict") == "good", "it is good now")
    assert in_force(machine) == bad
    assert commits(machine)["failed"] is None


def test_a_manager_killed_on_the_way_back(machines):
    """Killed again and again around the verdict: in the end the good commit is in force."""
    machine = machines()
    good = machine.deploy({"a.service": service(settings="TimeoutStopSec=2")})
    for number in range(3):
        bad = machine.commit({"a.service": service(f"/bin/false {number}", "Type=oneshot")})
        until(lambda n=number: machine.events("commit.failed")[n:], "the verdict")
        machine.kill_manager()
        until(lambda: in_force(machine) == good, "the good one is in force")
        machine.wait("a")
        until(lambda b=bad: (commits(machine)["failed"] or {}).get("sha") == b, "it is held back")
    assert len(machine.events("commit.failed")) == 3


def test_keep_leaves_it(machines):
    machine = machines(config=KEEP)
    machine.deploy({"a.service": service()})
    bad = machine.deploy({"a.service": FAILING}, "failed")
    machine.wait("a", "failed")
    assert (in_force(machine), commits(machine)["failed"]) == (bad, None)


@pytest.mark.parametrize("bare", [False, True])
def test_revert_commits_the_way_back(machines, bare):
    machine = machines(config=CONFIG + '[deploy]\non_failure = "revert"\n', bare=bare)
    good = machine.deploy({"a.service": service(), "b.service": service()})
    bad = machine.commit({"a.service": FAILING, "c.service": service()})
    where = machine.repository.path

    def head():
        return machine.git("rev-parse", "main", cwd=where)

    until(lambda: head() not in (bad, good), "a revert commit")
    reverted = head()
    machine.verdict(reverted)
    assert machine.git("rev-parse", f"{reverted}^", cwd=where) == bad
    trees = {machine.git("rev-parse", f"{x}^{{tree}}", cwd=where) for x in (good, reverted)}
    assert len(trees) == 1
    text = machine.git("log", "-1", "--format=%B", reverted, cwd=where)
    assert f"Failed-Commit: {bad}" in text
    assert "Failed-Unit: a.service: main process" in text
    machine.wait("a")
    assert sorted(machine.pids()) == ["a", "b"]
    assert commits(machine)["failed"] is None
    if not bare:
        assert machine.git("status", "--porcelain") == ""


def test_revert_with_work_in_the_way_holds_instead(machines):
    machine = machines(config=CONFIG + '[deploy]\non_failure = "revert"\n')
    good = machine.deploy({"a.service": service()})
    flag = machine.root / "flag"
    machine.commit({"a.service": fails_once(flag)})
    machine.repository.write({"a.service": service("/bin/sleep 7")})
    flag.touch()
    until(lambda: commits(machine)["failed"], "it is held back")
    until(lambda: in_force(machine) == good, "the good one is in force again")
    assert "sleep 7" in (machine.repository.path / "a.service").read_text()


def test_rollback_goes_back_from_a_commit_held_back_to_the_one_in_force(machine):
    machine.deploy({"a.service": service()})
    good = machine.deploy({"a.service": service("/bin/sleep 500")})
    bad = machine.deploy({"a.service": FAILING}, "failed")
    until(lambda: in_force(machine) == good, "it is held back")
    status, out, _ = machine.gitproc("rollback")
    assert status == 0
    assert out.startswith(f"Rolled back to {good[:10]}")
    assert "git pull --rebase" in out
    assert machine.git("diff", good, "HEAD") == ""
    assert machine.git("rev-parse", "HEAD^") == bad


def test_a_dry_run_shows_the_plan_and_commits_nothing(machine):
    first = machine.deploy({"a.service": service(settings="MemoryMax=64M")})
    second = machine.deploy({"a.service": service(settings="MemoryMax=32M")})
    status, out, _ = machine.gitproc("rollback", "--dry-run", first)
    assert status == 0
    assert out.startswith(f"Would roll back to {first[:10]}")
    assert "MemoryMax: 32M -> 64M" in out
    assert "pull" not in out
    assert machine.git("rev-parse", "HEAD") == second


def test_single_units_are_rolled_back(machine):
    first = machine.deploy(
        {
            "a.service": service("/bin/sleep 100", "Environment=X=1", "") + "[X-GitProc]\n"
            "RestartTriggers=conf/a.conf\n",
            "conf/a.conf": "one",
            "b.service": service("/bin/sleep 100"),
        }
    )
    second = machine.deploy(
        {
            "a.service.d/new.conf": "[Service]\nEnvironment=Y=2\n",
            "conf/a.conf": "two",
            "b.service": service("/bin/sleep 200"),
        }
    )
    b = machine.pids()["b"]
    status, out, err = machine.gitproc("rollback", first, "a.service")
    assert status == 0, err
    assert out.startswith(f"Rolled back a.service to {first[:10]}")
    assert machine.git("log", "-1", "--format=%s") == 'Roll back a.service to "change"'
    changed = machine.git("diff", "--name-status", second, "HEAD").split()
    assert changed == ["D", "a.service.d/new.conf", "M", "conf/a.conf"]
    assert machine.git("show", "HEAD:conf/a.conf") == "one"
    machine.verdict(machine.git("rev-parse", "HEAD"))
    assert machine.pids()["b"] == b
    assert machine.git("status", "--porcelain") == ""
    assert machine.gitproc("rollback", first, "zzz.service").status != 0


def test_what_would_be_refused_as_a_push_is_refused_as_a_rollback(machine):
    broken = machine.commit({"a.service": "[Service]\nExecStrat=/bin/true\n"})
    machine.verdict(broken, "refused")
    good = machine.deploy({"a.service": service()})
    status, _, err = machine.gitproc("rollback", broken)
    assert status != 0
    assert "would be refused" in err
    assert "a.service:2" in err
    assert machine.git("rev-parse", "HEAD") == good


def test_json(machine):
    machine.deploy({"a.service": service()})
    found = json.loads(machine.gitproc("apply", "--json").out)
    assert (found["version"], found["result"]) == (1, "in-force")


def test_a_refused_commit_right_behind_a_failed_one(machine):
    """It moves the branch on and is not put in force: the failed one must not stay so either."""
    good = machine.deploy({"a.service": service()})
    flag = machine.root / "flag"
    machine.repository.write({"a.service": fails_once(flag)})
    machine.git("commit", "-qam", "fails")
    until(lambda: commits(machine)["deploying"], "it is being deployed")
    refused = machine.deploy({"a.service": "[Service]\nExecStrat=/x\n"}, "refused")
    flag.touch()
    until(lambda: machine.events("commit.failed"), "it fails")
    until(lambda: in_force(machine) == good, "the good one is in force")
    machine.wait("a")
    machine.kill_manager()
    machine.wait("a")
    until(lambda: commits(machine)["refused"], "the manager has looked")
    assert commits(machine)["refused"]["sha"] == refused
    assert (in_force(machine), commits(machine)["failed"]) == (good, None)
