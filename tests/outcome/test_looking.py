"""Questions about units: why, what drifts, what happened, and what `sync` and `resync` do about it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.e2e.harness import CONFIG, FAILING, KEEP, service, shell, until

pytestmark = pytest.mark.root


def test_why_gives_reasons(machine):
    machine.deploy(
        {
            "a.service": service(),
            "b.service": service(unit="Requires=a.service\nAfter=a.service"),
        }
    )
    status, out, _ = machine.gitproc("why", "a")
    assert status == 0
    assert out.startswith("● a.service runs: active (running)")
    assert "multi-user.target wants it" in out
    machine.gitproc("stop", "a")
    assert "stopped it: a hold" in machine.gitproc("why", "a.service").out
    assert "needs a.service, which is held" in machine.gitproc("why", "b").out
    found = json.loads(machine.gitproc("why", "--json", "b").out)
    assert (found["version"], found["verdict"]) == (1, "rests")
    assert machine.gitproc("why", "zzz").status != 0


def limit_file(machine, name, v1, v2):
    group = machine.group_of(name, v1.split(".", 1)[0])
    return next(file for file in (group / v1, group / v2) if file.exists())


@pytest.fixture
def limited(machine):
    machine.deploy({"a.service": service(settings="MemoryMax=64M\nTasksMax=20\nCPUQuota=50%")})
    return machine


def test_limits_changed_by_hand_are_drift_and_healed_by_sync(limited):
    assert limited.gitproc("diff") == (0, "everything is as the commit says\n", "")
    memory = limit_file(limited, "a", "memory.limit_in_bytes", "memory.max")
    tasks = limit_file(limited, "a", "pids.max", "pids.max")
    memory.write_text("33554432")
    tasks.write_text("max")
    status, out, _ = limited.gitproc("diff")
    assert status == 1
    assert "limit a.service: MemoryMax is 32M, and 64M in the commit" in out
    assert "TasksMax is infinity, and 20 in the commit" in out
    assert "CPUQuota" not in out
    pid = limited.pids()["a"]
    assert "a.service" in limited.gitproc("sync").out
    assert (memory.read_text().strip(), tasks.read_text().strip()) == ("67108864", "20")
    assert limited.gitproc("diff").status == 0
    assert limited.pids()["a"] == pid
    [event] = limited.events("unit.limits-changed", "a.service")
    assert "set again" in event["message"]
    assert event["who"].startswith("root")


def test_a_quota_changed_by_hand(limited):
    quota = limit_file(limited, "a", "cpu.cfs_quota_us", "cpu.max")
    quota.write_text("20000")
    assert "CPUQuota is 20%, and 50% in the commit" in limited.gitproc("diff").out


def test_diff_shows_holds_failures_and_extras(machine):
    machine.deploy(
        {
            "a.service": service(),
            "c.service": "[Service]\nExecStart=/bin/sleep 1000\n",
            "e.service": service(settings="Restart=no"),
        }
    )
    machine.gitproc("stop", "a")
    machine.gitproc("start", "c")
    os.kill(machine.pids()["e"], signal.SIGKILL)
    machine.wait("e", "failed")
    found = json.loads(machine.gitproc("diff", "--json").out)
    kinds = {x["unit"]: (x["kind"], x["heal"]) for x in found["drifts"]}
    assert kinds == {
        "a.service": ("held", "gitproc start a.service"),
        "c.service": ("extra", "gitproc stop c.service"),
        "e.service": ("failed", "gitproc sync"),
    }
    assert machine.gitproc("sync").status == 0
    machine.wait("e")


def test_resync_heals_at_the_slow_poll(machines):
    machine = machines(config=CONFIG + 'poll_interval = 1\nresync = "heal"\n')
    flag = machine.root / "flag"
    machine.deploy(
        {
            "a.service": service(settings="TasksMax=20"),
            "b.service": service(
                shell(f"test -e {flag} && exit 0; echo up; exec sleep 1000"), "Restart=no"
            ),
        }
    )
    tasks = limit_file(machine, "a", "pids.max", "pids.max")
    until(lambda: machine.log("b") == "up\n", "it is up")
    tasks.write_text("max")
    os.kill(machine.pids()["b"], signal.SIGKILL)
    until(lambda: tasks.read_text().strip() == "20", "the limit is set again")
    until(lambda: machine.log("b") == "up\nup\n", "it is started again")
    machine.wait("b")
    flag.touch()  # from here on it ends with success, and that is left alone
    os.kill(machine.pids()["b"], signal.SIGKILL)
    machine.wait("b", "inactive")
    told = machine.events("operator.asked")
    assert [x["message"] for x in told[:1]] == ["gitproc tries again: b.service"]
    assert len(told) == 2


def test_the_failure_names_the_commit(machine):
    good = machine.deploy({"a.service": service(settings="MemoryMax=64M")})
    bad = machine.commit(
        {"a.service": service("/bin/false", settings="Type=oneshot\nMemoryMax=32M")}, "Save memory"
    )
    [event] = until(lambda: machine.events("unit.failed", "a.service"), "it fails")
    assert f"last changed by {bad[:12]} Save memory (Ada <ada@example.org>, 20" in event["message"]
    assert "MemoryMax 64M → 32M" in event["message"]
    assert f"gitproc rollback {good[:12]}" in event["message"]
    assert event["data"]["change"]["differences"]
    until(lambda: "Save memory" in machine.said(), "the terminal has it, too")


def test_status_of_a_failed_unit_names_it_too(machines):
    machine = machines(config=KEEP)
    good = machine.deploy({"a.service": service()})
    bad = machine.deploy({"a.service": FAILING}, "failed")
    machine.kill_manager()
    text = machine.gitproc("status", "a").out
    assert f"Changed by: {bad[:10]} change" in text
    assert "ExecStart /bin/sleep 1000 → /bin/false" in text
    assert f"to go back: gitproc rollback {good[:12]}" in text


def test_history_of_a_unit_joins_commits_and_what_happened(machine):
    machine.deploy({"a.service": service(settings="Restart=always\nRestartSec=0.1")})
    machine.deploy({"b.service": service()})
    os.kill(machine.pids()["a"], signal.SIGKILL)
    until(lambda: machine.unit("a").get("restarts"), "it is restarted")
    machine.wait("a")
    second = machine.deploy({"service.d/all.conf": "[Service]\nEnvironment=X=1\n"})
    machine.gitproc("restart", "a")
    found = json.loads(machine.gitproc("history", "--json", "a").out)
    commits = [x["sha"] for x in found["entries"]]
    assert commits[0] == second, "its own files did not change, and it did"
    assert len(commits) == 2, "the commit that brought b is not among them"
    kinds = [x["kind"] for x in reversed(found["timeline"])]
    wanted = ["commit", "unit.main-exited", "unit.restarting", "commit", "operator.asked"]
    places = iter(kinds)
    assert all(kind in places for kind in wanted), kinds
    text = machine.gitproc("history", "a").out
    assert "Environment (unset) → X=1" in text
    assert "killed by signal 9" in text
    assert machine.gitproc("history", "zzz").status != 0


def test_history_is_newest_first(machine):
    commits = [machine.deploy({"a.service": service(f"/bin/sleep {n}")}) for n in (10, 20, 30)]
    entries = machine.rpc("history")["entries"]
    assert [x["sha"] for x in entries] == commits[::-1]
    assert [x["verdict"] for x in entries] == ["good"] * 3
