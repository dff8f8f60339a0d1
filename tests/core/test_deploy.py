"""Commits: taken whole or not at all, and judged once by what becomes of the units they touch."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Announce, Publish, Record
from gitproc.core.events import CommitLoaded, Verb
from tests.core.fake_kernel import Machine, Program, service

BOTH = "Requires=a.service\nAfter=a.service"


def machine_of(run: float = 10.0, **units: str) -> Machine:
    machine = Machine({f"{name}.service": text for name, text in units.items()})
    machine.run(run)
    return machine


def test_a_commit_is_good_when_its_units_have_been_up_for_five_seconds():
    machine = Machine({"a.service": service("Type=notify", "ExecStart=/bin/notify")})
    sha = machine.world.applied.sha if machine.world.applied else ""
    machine.run(5.9)
    assert machine.verdict(sha) is None
    machine.run(0.2)
    assert machine.verdict(sha) == "good"
    assert [x.sha for x in machine.world.goods] == [sha]


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (("Type=oneshot", "ExecStart=/bin/true"), "good"),
        (("Type=oneshot", "ExecStart=/bin/true", "RemainAfterExit=yes"), "good"),
        (("ExecStart=/bin/true",), "good"),
        (("Type=oneshot", "ExecStart=/bin/false"), "failed"),
        (("ExecStart=/bin/crash",), "failed"),
        (("ExecStart=/bin/crash", "Restart=always"), "failed"),
        (("ExecStart=/bin/crash", "Restart=always", "RestartSec=5"), "failed"),
        (("ExecStart=/bin/missing",), "failed"),
        (("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=3"), "failed"),
    ],
)
def test_verdicts(lines, verdict):
    machine = Machine({"a.service": service(*lines), "b.service": service()})
    machine.run(60)
    assert list(machine.world.verdicts.values()) == [verdict]


def test_a_restart_or_two_are_forgiven():
    machine = Machine({"a.service": service("ExecStart=/bin/crash", "Restart=always")})
    machine.run(0.3)
    machine.programs["crash"] = Program()
    machine.run(10)
    assert machine.state("a.service").restarts == 2
    assert list(machine.world.verdicts.values()) == ["good"]


def test_restarts_before_the_commit_are_not_held_against_it():
    machine = Machine(
        {"a.service": service("ExecStart=/bin/crash", "Restart=always", "RestartSec=4")}
    )
    machine.run(60)
    machine.programs["crash"] = Program()
    machine.run(10)
    assert machine.state("a.service").restarts > 10
    lines = ("ExecStart=/bin/crash", "Restart=always", "RestartSec=4", "MemoryMax=1G")
    sha = machine.commit({"a.service": service(*lines)})
    machine.run(10)
    assert machine.verdict(sha) == "good"


def test_a_unit_that_another_takes_along_again_and_again_is_judged_some_day():
    """It fails by nothing of its own, so no restart of it is counted."""
    flaps = service("ExecStart=/bin/crash", "Restart=always", "RestartSec=4")
    machine = machine_of(60, a=flaps)
    sha = machine.commit(
        {"a.service": flaps, "b.service": service(unit="BindsTo=a.service\nAfter=a.service")}
    )
    machine.run(15)
    assert machine.verdict(sha) is None
    machine.run(30)
    assert machine.verdict(sha) == "failed"
    assert "b.service: came up 6 times, and never for 5 s" in machine.told("commit.failed")[-1]


def test_work_that_is_done_is_done_whatever_changes_in_a_running_process():
    """A migration must not run twice because somebody gave it more memory, or described it better."""
    lines = ("Type=oneshot", "ExecStart=/bin/true")
    machine = machine_of(a=service(*lines))
    for more in ("Nice=0", "MemoryMax=1G", "MemoryMax=1024M", "X-Note=1"):
        text = service(*lines, more, unit=f"Description={more} is better")
        sha = machine.commit({"a.service": text})
        machine.run(5)
        assert machine.verdict(sha) == "good"
        machine.crash()
        machine.restart()
        machine.run(5)
    assert machine.spawns() == ["true"]
    machine.commit({"a.service": service("Type=oneshot", "ExecStart=/bin/true again")})
    machine.run(5)
    assert machine.spawns() == ["true", "true again"]


@pytest.mark.parametrize("kind", ["simple", "oneshot\nRemainAfterExit=yes"])
def test_what_failed_is_tried_again_with_other_limits(kind):
    text = service(f"Type={kind}", "ExecStart=/bin/crash")
    machine = machine_of(a=text)
    machine.run(5)
    machine.programs["crash"] = Program() if kind == "simple" else Program(lasts=1)
    sha = machine.commit({"a.service": text.replace("[Service]", "[Service]\nMemoryMax=1G")})
    machine.run(10)
    assert machine.verdict(sha) == "good"
    assert machine.sub("a.service") == ("running" if kind == "simple" else "exited")


def test_a_unit_kept_down_by_a_requirement_that_failed_fails_the_commit():
    machine = machine_of(a=service("Type=oneshot", "ExecStart=/bin/false"))
    sha = machine.commit(
        {
            "a.service": service("Type=oneshot", "ExecStart=/bin/false"),
            "b.service": service(unit=BOTH),
        }
    )
    machine.run(1)
    assert machine.verdict(sha) == "failed"
    assert "needs a.service" in machine.told("commit.failed")[-1]


def test_a_health_check_must_have_passed_once():
    own = "HealthCheckURL=http://127.0.0.1/\nHealthCheckInterval=3"
    for healthy, verdict in ((True, "good"), (False, "failed")):
        machine = Machine({"a.service": service(own=own)})
        machine.healthy["a.service"] = healthy
        machine.run(5.5)
        assert list(machine.world.verdicts.values()) == (["good"] if healthy else [])
        machine.run(30)
        assert list(machine.world.verdicts.values()) == [verdict]


def test_a_newer_commit_supersedes_one_that_has_not_settled():
    machine = machine_of(1, a=service())
    first = machine.world.applied
    second = machine.commit({"a.service": service("Environment=A=1")})
    machine.run(10)
    assert first is not None
    assert (machine.verdict(first.sha), machine.verdict(second)) == ("superseded", "good")


def test_a_commit_heard_of_twice_still_has_to_prove_itself():
    machine = Machine({"a.service": service("ExecStart=/bin/crash")})
    applied = machine.world.applied
    assert applied is not None and machine.world.desired is not None
    machine.post(CommitLoaded(applied, machine.world.desired, frozenset()))
    assert machine.verdict(applied.sha) is None
    machine.run(5)
    assert machine.verdict(applied.sha) == "failed"


def test_a_commit_that_touches_nothing_is_good_at_once_and_starts_nothing():
    machine = machine_of(a=service())
    sha = machine.commit({"a.service": service(unit="Description=x")})
    assert machine.verdict(sha) == "good"
    assert machine.spawns() == ["run"]


REFUSED = {
    "a typo": {"a.service": service("Enviroment=A=1")},
    "a cycle": {
        "a.service": service(unit="After=b.service"),
        "b.service": service(unit="After=a.service"),
    },
    "a missing requirement": {"a.service": service(unit="Requires=gone.service")},
    "a conflict": {"a.service": service(unit="Conflicts=b.service"), "b.service": service()},
}


def test_a_commit_that_masks_the_slice_of_a_unit_is_refused():
    files = {"a.service": service("Slice=s-t.slice")}
    machine = machine_of(a=files["a.service"])
    sha = machine.commit({**files, "s.slice": ""})
    machine.run(1)
    assert machine.verdict(sha) == "refused"
    assert [proc.command for proc in machine.alive()] == ["run"]


@pytest.mark.parametrize("files", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("incremental", [True, False])
def test_a_refused_commit_changes_nothing(files, incremental):
    machine = machine_of(a=service(), c=service(unit=BOTH))
    graph = {name: tuple(edges) for name, edges in machine.world.graph.declared.items()}
    applied, pulled = machine.world.applied, machine.world.pulled
    mark = len(machine.actions)
    sha = machine.commit(files, incremental=incremental)
    machine.run(30)
    news = [action for _, action in machine.actions[mark:]]
    assert all(isinstance(x, Announce | Record) for x in news)
    assert not [x for x in news if isinstance(x, Record) and x.key.startswith("unit/")]
    assert machine.verdict(sha) == "refused"
    assert machine.world.refused is not None and machine.world.refused.diagnostics
    assert (machine.world.applied, machine.world.pulled) == (applied, pulled)
    assert {n: tuple(e) for n, e in machine.world.graph.declared.items()} == graph
    good = machine.commit({"a.service": service("Environment=A=1")})
    machine.run(10)
    assert machine.verdict(good) == "good"
    assert machine.world.refused is None


def test_a_refusal_is_told_error_by_error():
    machine = machine_of(a=service())
    machine.commit({"a.service": service("Enviroment=A=1")}, sha="f" * 40)
    (told,) = machine.told("commit.refused")
    first, *errors = told.splitlines()
    assert first.startswith("commit.refused : refused ffffffffffff")
    assert [x.partition(": ")[0] for x in errors] == ["a.service:5"]


def test_very_many_errors_are_counted_and_the_first_ones_told():
    machine = machine_of(a=service())
    wrong = service(*(f"Nope{n}=1" for n in range(50)))
    sha = machine.commit({f"a{n}.service": wrong for n in range(40)})
    machine.run(1)
    news = (x for _, x in machine.actions if isinstance(x, Announce))
    (told,) = (x for x in news if x.kind == "commit.refused")
    assert told.message.endswith("and 1900 more: `gitproc verify` shows all")
    assert len(dict(told.data)["diagnostics"]) == 100
    refused = machine.world.refused
    assert refused is not None and refused.commit.sha == sha
    assert len(refused.diagnostics) == 1000
    assert "2000 errors" in machine.world.outbox[f"{sha}:refused"].reason


def test_the_stop_is_by_the_old_definition_and_the_start_by_the_new():
    machine = machine_of(a=service("ExecStop=/bin/true old", "Environment=A=1"))
    machine.commit({"a.service": service("ExecStop=/bin/true new", "ExecStart=/bin/run new")})
    machine.run(10)
    assert machine.spawns() == ["run", "true old", "run new"]


def test_what_a_commit_does_not_touch_goes_on_undisturbed():
    machine = machine_of(a=service(), b=service(), c=service(unit="After=a.service"))
    before = {n: machine.state(n).invocation for n in ("b.service", "c.service")}
    machine.commit(
        {
            "a.service": service("Environment=A=1"),
            "b.service": service(),
            "c.service": service(unit="After=a.service"),
        }
    )
    machine.run(10)
    assert {n: machine.state(n).invocation for n in before} == before
    assert machine.spawns("a.service") == ["run", "run"]


def test_a_removed_unit_is_stopped_and_forgotten():
    machine = machine_of(a=service(), b=service(unit="Wants=a.service"))
    machine.commit({"b.service": service(unit="Wants=a.service")})
    machine.run(10)
    assert list(machine.subs()) == ["b.service"]
    assert [proc.unit for proc in machine.alive()] == ["b.service"]
    assert "unit/a.service" not in machine.disk


def test_a_unit_removed_while_the_manager_was_down_is_stopped():
    machine = machine_of(a=service(), b=service())
    machine.crash()
    machine._load_applied = lambda **_: machine.deliver()  # type: ignore[method-assign]
    machine.restart()
    machine.commit({"b.service": service()}, incremental=False)
    machine.run(10)
    assert [proc.unit for proc in machine.alive()] == ["b.service"]


def test_a_commit_in_force_again_is_not_judged_again():
    machine = machine_of(a=service())
    machine.reboot()
    machine.programs["run"] = Program(lasts=0.1, status=1)
    machine.run(10)
    assert list(machine.world.verdicts.values()) == ["good"]


def test_a_deploy_goes_on_over_a_crash_of_the_manager():
    machine = machine_of(2, a=service(), b=service())
    machine.crash()
    machine.run(1)
    machine.restart()
    machine.run(10)
    assert list(machine.world.verdicts.values()) == ["good"]


def test_a_deploy_is_not_judged_before_the_commit_is_known_again_nor_by_a_shutdown():
    machine = Machine(
        {
            "a.service": service("Type=notify", "ExecStart=/bin/mute"),
            "b.service": service(install=False),
        }
    )
    machine.run(1)
    machine.crash()
    machine.exit(machine.main("a.service"), 1)
    loads = machine._load_applied
    machine._load_applied = lambda **_: machine.deliver()  # type: ignore[method-assign]
    machine.restart()
    machine.run(10)
    assert machine.world.verdicts == {}
    loads(again=True)
    machine.run(1)
    assert list(machine.world.verdicts.values()) == ["failed"]
    machine = machine_of(1, a=service())
    machine.shutdown()
    machine.run(10)
    assert machine.exited
    assert machine.world.verdicts == {}


def test_a_hold_in_the_midst_of_a_deploy_is_no_failure():
    machine = machine_of(1, a=service(), b=service(unit=BOTH))
    machine.ask(Verb.STOP, "a.service")
    machine.run(10)
    assert list(machine.world.verdicts.values()) == ["good"]


def test_a_repointed_default_target_changes_what_runs():
    files = {
        "a.service": service(install=False) + "[Install]\nWantedBy=one.target\n",
        "b.service": service(install=False) + "[Install]\nWantedBy=two.target\n",
        "one.target": "[Install]\nAlias=default.target\n",
        "two.target": "",
    }
    files["two.target"] = "[Unit]\nDescription=two\n"
    machine = Machine(files)
    machine.run(10)
    assert machine.subs()["a.service"] == "running"
    files["one.target"] = "[Unit]\nDescription=one\n"
    files["two.target"] = "[Install]\nAlias=default.target\n"
    machine.commit(files)
    machine.run(10)
    assert [proc.unit for proc in machine.alive()] == ["b.service"]


def test_publishing_comes_before_anything_runs():
    machine = machine_of(a=service())
    kinds = [type(a) for _, a in machine.actions]
    assert Publish in kinds
    first = min(i for i, (_, a) in enumerate(machine.actions) if type(a).__name__ == "Spawn")
    assert kinds.index(Publish) < first
