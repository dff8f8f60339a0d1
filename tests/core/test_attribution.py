"""Which commit last changed a unit: by its effective definition, said when it fails, kept over crashes."""

from __future__ import annotations

from gitproc.core.actions import Announce
from gitproc.core.attribution import record
from gitproc.core.status import unit_status
from gitproc.core.world import Settings
from tests.core.fake_kernel import Machine, service

FIRST = {
    "a.service": service("MemoryMax=1G"),
    "b.service": service(),
    "t@.service": service(install=False),
}


def applied(it: Machine) -> str:
    """The commit in force."""
    assert it.world.applied is not None
    return it.world.applied.sha


def change(it, name):
    found = record(it.world.changes.get(name))
    return (found["sha"], found["differences"], found["rollback"]) if found else None


def test_the_commit_that_changed_it_is_named_when_it_fails():
    it = Machine(FIRST)
    it.run(6)
    good = it.world.goods[0].sha
    bad = it.commit({**FIRST, "a.service": service("MemoryMax=256M", "ExecStart=/bin/run 2")})
    it.run(1)
    it.kill(it.main("a.service"), 9)
    it.run(1)
    [line] = it.told("unit.failed")
    assert f"; last changed by {bad[:12]} change (Ann, 1970-01-01 00:00 UTC): " in line
    assert "MemoryMax 1G → 256M" in line
    assert line.endswith(f"; to go back: gitproc rollback {good[:12]}")
    [event] = [a for _, a in it.actions if isinstance(a, Announce) and a.kind == "unit.failed"]
    assert dict(event.data)["change"]["sha"] == bad
    assert unit_status(it.world, "a.service", 0.0)["change"]["sha"] == bad


def test_a_loop_is_attributed_once_when_it_begins():
    it = Machine({"a.service": service("ExecStart=/bin/false", "Restart=always", "RestartSec=3")})
    it.run(20)
    lines = it.told("unit.restarting")
    assert ["last changed by" in line for line in lines[:4]] == [False, True, False, False]
    assert ": new" in lines[1]


def test_drop_ins_and_other_units_count_by_their_effect():
    it = Machine(FIRST)
    it.run(1)
    first = applied(it)
    assert change(it, "a.service") == (first, [], None)
    # A comment, another unit: nothing that a does is different.
    it.commit({**FIRST, "a.service": "# said\n" + FIRST["a.service"], "c.service": service()})
    assert change(it, "a.service")[0] == first
    second = it.commit({**FIRST, "service.d/all.conf": "[Service]\nTasksMax=7\n"})
    assert change(it, "a.service") == (second, ["TasksMax (unset) → 7"], None)
    assert change(it, "b.service")[0] == second
    assert change(it, "c.service") is None


def test_it_is_kept_over_crashes_and_a_boot():
    it = Machine(FIRST)
    it.run(6)
    good = applied(it)
    second = it.commit({**FIRST, "a.service": service("MemoryMax=2G")})
    it.run(6)
    expected = (second, ["MemoryMax 1G → 2G"], good)
    for blow in (it.crash, it.reboot):
        blow()
        if blow == it.crash:
            it.restart()
        it.run(6)
        assert change(it, "a.service") == expected
        assert change(it, "b.service")[0] == good


def test_records_of_commits_that_changed_nothing_any_more_go():
    it = Machine({"a.service": service("MemoryMax=1G")})
    for number in range(2, 6):
        it.commit({"a.service": service(f"MemoryMax={number}G")})
        it.run(1)
    kept = [key for key in it.disk if key.startswith("changed/")]
    assert kept == [f"changed/{applied(it)}"]
    it.commit({"b.service": service()})
    it.run(1)
    assert [key for key in it.disk if key.startswith("changed/")] == [f"changed/{applied(it)}"]


def test_going_back_is_a_change_too():
    it = Machine(FIRST, settings=Settings(on_failure="hold"))
    it.run(6)
    good = applied(it)
    bad = it.commit({**FIRST, "a.service": service("ExecStart=/bin/false", "MemoryMax=1G")})
    it.run(6)
    assert it.verdict(bad) == "failed"
    assert change(it, "a.service")[0] == good
    assert change(it, "a.service")[2] is None, "it does not lead back to itself"
    assert change(it, "b.service")[0] == good
    it.crash()
    it.restart(again=True)
    assert change(it, "b.service")[0] == good


class Blind(Machine):
    """A machine whose manager, coming back, does not find what it had applied."""

    def _load_applied(self, *, again):
        self.deliver()


def test_a_manager_that_comes_back_to_another_commit_compares_with_what_runs():
    c = {"c.service": service(install=False)}
    it = Blind(FIRST | c)
    it.run(6)
    first = applied(it)
    it.crash()
    it.restart()
    second = it.commit(FIRST | c | {"a.service": service("MemoryMax=2G")}, incremental=False)
    assert change(it, "a.service") == (second, ["MemoryMax 1G → 2G"], first)
    assert change(it, "b.service")[0] == first
    assert change(it, "c.service")[0] == first, "nobody can tell whether it is new"


def test_records_keep_the_order_of_the_commits():
    it = Machine({"a.service": service(install=False)})
    second = it.commit({"a.service": service(install=False), "b.service": service(install=False)})
    third = it.commit({"a.service": service("MemoryMax=2G", install=False)})
    numbers = [it.disk[f"changed/{sha}"]["number"] for sha in (third,)]
    assert f"changed/{second}" not in it.disk
    fourth = it.commit(
        {"a.service": service("MemoryMax=2G", install=False), "c.service": service(install=False)}
    )
    numbers.append(it.disk[f"changed/{fourth}"]["number"])
    assert numbers[0] < numbers[1]


def test_of_many_differences_the_first_are_told():
    it = Machine(FIRST)
    it.run(6)
    changes = [
        f"{name}=7" for name in ("LimitNPROC", "Nice", "OOMScoreAdjust", "TasksMax", "UMask")
    ]
    it.commit({**FIRST, "a.service": service(*changes, "MemoryMax=2G", "ExecStart=/bin/run 2")})
    it.run(1)
    assert len(change(it, "a.service")[1]) == 7
    it.kill(it.main("a.service"), 9)
    it.run(1)
    [line] = it.told("unit.failed")
    shown = line.partition("): ")[2].partition("; to go back")[0].split("; ")
    assert len(shown) == 6
    assert shown[-1] == "and 2 more"
