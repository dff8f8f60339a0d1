"""Verdicts: written down and told once, and the way back from a failed commit, over crashes."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from gitproc.core.actions import GoBack
from gitproc.core.events import ApplyAsked, CommitLoaded, OutcomeTold, SyncAsked, Verb
from gitproc.core.status import commits
from gitproc.core.verdicts import VERDICTS_KEPT, astray, failed_record, stand_in_for
from gitproc.core.world import Settings
from tests.core.fake_kernel import RUN, Machine, Program, service

GOOD = {"a.service": service("ExecStart=/bin/run 1"), "b.service": service()}
BAD = {"a.service": service("ExecStart=/bin/false"), "b.service": service()}
WORSE = {"a.service": service("ExecStart=/bin/false 2"), "b.service": service()}


class Holding(Machine):
    """A machine whose manager, coming back, loads what is to be in force, as the daemon does."""

    head = ""
    stumbles = False  # the manager dies before it goes back

    @property
    def in_force(self):
        return self.world.applied.sha if self.world.applied else None

    @property
    def held(self):
        return self.world.held_back.commit.sha if self.world.held_back else None

    def perform(self, action):
        if isinstance(action, GoBack) and self.stumbles:
            self.stumbles = False
            self.crash()
        else:
            super().perform(action)

    def restart_without_looking(self):
        """A new manager, which has not heard of any commit yet."""
        with patch.object(self, "_load_applied", lambda *, again: None):
            self.restart()

    def commit(self, files, sha="", **options):
        self.head = super().commit(files, sha, **options)
        return self.head

    def _load_applied(self, *, again):
        stand_in = stand_in_for(self.world, self.head)
        if stand_in is None:
            super()._load_applied(again=again)
            return
        meta, units = self._commits[stand_in.sha]
        self.mail.append(CommitLoaded(meta, units, again=True, stand_in=True))
        self.deliver()


def machine(policy="hold", **options) -> Holding:
    return Holding(GOOD, settings=Settings(on_failure=policy), **options)


def fell(policy="hold") -> tuple[Holding, str, str]:
    it = machine(policy)
    it.run(6)
    good, bad = it.head, it.commit(BAD)
    it.run(6)
    assert it.verdict(bad) == "failed"
    return it, good, bad


def test_a_failed_commit_is_held_back_for_the_last_good_one():
    it, good, bad = fell()
    b = it.main("b.service").pid
    it.run(6)
    assert it.in_force == good
    assert it.main("a.service").command == "run 1"
    assert (it.sub("a.service"), it.main("b.service").pid) == ("running", b)
    assert it.held == bad
    shown = commits(it.world, bad, "main")
    assert (shown["failed"]["sha"], shown["failed"]["instead"]["sha"]) == (bad, good)
    assert list(shown["failed"]["units"]) == ["a.service"]
    assert it.verdict(good) == "good"
    assert len(it.told("commit.good")) == 1, "it is not judged anew"


def test_keep_leaves_what_failed():
    it, _, bad = fell("keep")
    it.run(6)
    assert (it.in_force, it.sub("a.service")) == (bad, "failed")
    assert it.held is None
    assert it.orders(GoBack) == []


def test_without_a_good_commit_there_is_nothing_to_go_back_to():
    it = Holding(BAD, settings=Settings(on_failure="hold"))
    it.run(6)
    assert it.verdict(it.head) == "failed"
    assert (it.held, it.in_force) == (None, it.head)


def test_revert_is_asked_for():
    it, good, bad = fell("revert")
    [order] = it.orders(GoBack)
    assert (order.to.sha, order.failed.sha, order.revert) == (good, bad, True)


@pytest.mark.parametrize("blow", ["restart", "reboot", "new_shim"])
def test_it_stays_held_back_over_crashes(blow):
    it, good, bad = fell()
    it.run(6)
    if blow == "restart":
        it.crash()
    getattr(it, blow)()
    it.run(10)
    assert it.in_force == good
    assert it.main("a.service").command == "run 1"
    assert it.verdict(bad) == "failed"
    it.post(SyncAsked(99, "op"))
    it.run(10)
    assert it.in_force == good


def test_a_crash_between_the_verdict_and_the_way_back():
    it = machine()
    it.run(6)
    good = it.head
    it.stumbles = True
    bad = it.commit(BAD)
    it.run(6)
    assert not it.manager_up
    it.restart()
    it.run(10)
    assert (it.in_force, it.verdict(bad)) == (good, "failed")
    assert it.main("a.service").command == "run 1"


def test_the_branch_moving_on_ends_it():
    it, _, _ = fell()
    it.run(1)
    next_one = it.commit(GOOD | {"c.service": service()}, incremental=False)
    it.run(6)
    assert it.held is None
    assert it.verdict(next_one) == "good"


def test_a_second_bad_commit_goes_back_just_as_far():
    it, good, _ = fell()
    it.run(1)
    worse = it.commit(WORSE, incremental=False)
    it.run(6)
    assert (it.verdict(worse), it.in_force) == ("failed", good)
    assert it.held == worse


def test_a_unit_that_did_not_change_itself_is_tried_again():
    """b failed in the new commit since a did; its own definition is the same in both."""
    b = service("Restart=no", unit="Requires=a.service\nAfter=a.service")
    it = Holding(
        {"a.service": service("Type=oneshot", "ExecStart=/bin/true"), "b.service": b},
        settings=Settings(on_failure="hold"),
    )
    it.run(6)
    first = it.main("b.service").pid
    bad = it.commit({"a.service": service("Type=oneshot", "ExecStart=/bin/false"), "b.service": b})
    it.run(10)
    assert it.verdict(bad) == "failed"
    assert it.sub("b.service") == "running"
    assert it.main("b.service").pid >= first


def asked_to_apply(it: Holding, sha: str) -> None:
    it.post(ApplyAsked(7, "op", sha))
    assert it.replies[7] == {}
    meta, units = it._commits[sha]
    it.post(CommitLoaded(meta, units, anew=True))


@pytest.mark.parametrize("policy", ["hold", "keep"])
def test_apply_tries_and_judges_it_again(policy):
    it, _, bad = fell(policy)
    it.run(1)
    it.programs["false"] = it.programs["run"]  # what was in the way is gone
    asked_to_apply(it, bad)
    assert commits(it.world, bad, "main")["deploying"]["verdict"] == "deploying"
    it.run(6)
    assert (it.verdict(bad), it.in_force, it.held) == ("good", bad, None)


def test_apply_that_fails_again_is_held_back_again_and_not_told_twice():
    it, good, bad = fell()
    it.run(1)
    assert list(it.world.outbox) == [f"{good}:good", f"{bad}:failed"]
    for delivery in list(it.world.outbox):
        it.post(OutcomeTold(delivery, "", last=True))
    asked_to_apply(it, bad)
    it.run(6)
    assert it.in_force == good
    assert it.held == bad
    assert it.world.outbox == {}


def test_a_crash_between_apply_and_the_look_still_has_it_judged():
    it, _, bad = fell()
    it.run(1)
    it.post(ApplyAsked(7, "op", bad))
    it.crash()
    it.restart()
    meta, units = it._commits[bad]
    it.post(CommitLoaded(meta, units))
    it.run(6)
    assert len(it.told("commit.failed")) == 2


def test_every_end_of_a_commit_is_put_into_the_outbox_once():
    it, good, bad = fell()
    refused = it.commit({"a.service": "[Service]\nExecStrat=/bin/run\n"}, incremental=False)
    assert it.verdict(refused) == "refused"
    mended = it.commit(GOOD | {"c.service": service()}, incremental=False)
    newest = it.commit(GOOD | {"d.service": service()}, incremental=False)
    it.run(6)
    expected = [
        f"{good}:good", f"{bad}:failed", f"{refused}:refused", f"{mended}:superseded",
        f"{newest}:good",
    ]  # fmt: skip
    assert list(it.world.outbox) == expected
    it.post(OutcomeTold(expected[0], "command", last=False))
    it.post(OutcomeTold(expected[1], "", last=True))
    it.post(OutcomeTold("somebody:else", "", last=True))
    it.crash()
    it.restart()
    it.run(6)
    assert list(it.world.outbox) == [expected[0], *expected[2:]]
    assert it.world.outbox[expected[0]].told == ["command"]
    failed = it.disk[f"outbox/{expected[2]}"]
    assert "ExecStart" in failed["reason"]
    it.reboot()
    it.run(6)
    assert it.world.outbox[expected[0]].at == 0
    assert list(it.world.outbox) == [expected[0], *expected[2:]]


def test_a_refused_commit_does_not_bring_the_failed_one_back():
    it, good, bad = fell()
    it.run(1)
    refused = it.commit({"a.service": "[Service]\nExecStrat=/bin/run\n"}, incremental=False)
    assert (it.verdict(refused), it.in_force) == ("refused", good)
    assert it.held == bad, "the branch may come back to it"
    assert commits(it.world, refused, "main")["failed"] is None
    it.crash()
    it.restart()
    assert it.in_force == good


# -- which one it goes back to, and who is told -----------------------------------------------------


def test_it_goes_back_to_the_last_good_one():
    it = machine()
    it.run(6)
    second = it.commit(GOOD | {"c.service": service()})
    it.run(6)
    it.commit(BAD)
    it.run(6)
    assert it.in_force == second


def test_what_was_good_once_is_not_its_own_way_back():
    it = machine(programs={"fragile": RUN})
    it.run(6)
    good = it.head
    again = it.commit(GOOD | {"a.service": service("ExecStart=/bin/fragile")})
    it.run(6)
    assert it.verdict(again) == "good"
    it.commit(GOOD | {"a.service": service("ExecStart=/bin/fragile now")}, incremental=False)
    it.programs["fragile"] = Program(lasts=0.1, status=1)
    it.run(6)
    asked_to_apply(it, again)
    it.run(6)
    assert (it.verdict(again), it.held, it.in_force) == ("failed", again, good)


def test_only_the_held_back_commit_has_a_stand_in():
    it, good, bad = fell()
    it.run(1)
    stand_in = stand_in_for(it.world, bad)
    assert stand_in is not None
    assert stand_in.sha == good
    assert stand_in_for(it.world, "f" * 40) is None
    assert astray(it.world) is None, "it is back already"


def test_what_is_in_force_and_held_back_is_to_be_replaced_whatever_the_branch_names():
    it = machine()
    it.run(6)
    good = it.head
    it.stumbles = True
    it.commit(BAD)
    it.run(6)
    replacement = astray(it.world)
    assert replacement is not None
    assert replacement.sha == good


def test_before_the_branch_has_been_looked_at_the_failed_commit_is_shown():
    it, _, bad = fell()
    shown = failed_record(it.world, None)
    assert shown is not None
    assert shown["sha"] == bad


def test_an_outcome_tells_who_settled_and_who_failed_and_nobody_else():
    it, good, bad = fell()
    it.commit(GOOD | {"c.service": service(), "d.service": service("Type=exec")}, incremental=False)
    it.run(1)
    newest = it.commit(GOOD, incremental=False)
    it.run(6)
    units = {delivery: outcome.units for delivery, outcome in it.world.outbox.items()}
    assert units[f"{good}:good"].items() >= {("a.service", "settled"), ("b.service", "settled")}
    assert list(units[f"{bad}:failed"]) == ["a.service"]
    assert "status 1" in units[f"{bad}:failed"]["a.service"]
    [superseded] = [found for name, found in units.items() if name.endswith(":superseded")]
    assert not {"c.service", "d.service"} & superseded.keys(), "they had not settled"
    assert it.verdict(newest) == "good"


def test_a_listener_that_hears_twice_is_noted_once():
    it, good, _ = fell()
    for _ in range(2):
        it.post(OutcomeTold(f"{good}:good", "command", last=False))
    assert it.world.outbox[f"{good}:good"].told == ["command"]
    assert it.disk[f"outbox/{good}:good"]["told"] == ["command"]


def test_coming_back_is_told_once():
    it, good, _ = fell()
    it.run(6)
    for _ in range(2):
        it.crash()
        it.restart()
        it.run(6)
    assert it.told("commit.restored") == [f"commit.restored : back at {good[:12]} change (Ann)"]


def test_a_branch_that_names_the_good_one_itself_is_no_going_back():
    it = machine()
    it.run(6)
    good = it.head
    it.stumbles = True
    it.commit(BAD)
    it.run(6)
    it.restart_without_looking()
    meta, units = it._commits[good]
    it.post(CommitLoaded(meta, units))
    it.run(6)
    assert it.in_force == good
    assert it.told("commit.restored") == []
    assert it.held is None


def test_the_failed_commit_itself_does_not_end_its_being_held_back():
    it, _, bad = fell()
    it.run(1)
    meta, units = it._commits[bad]
    it.post(CommitLoaded(meta, units, again=True))
    assert it.held == bad


class Mending(Holding):
    """What was in the way is gone on the way back."""

    def perform(self, action):
        if isinstance(action, GoBack):
            self.programs["fragile"] = RUN
        super().perform(action)


def test_who_failed_beside_what_changed_is_tried_again_on_the_way_back():
    b = service("ExecStart=/bin/fragile", unit="Requires=a.service\nAfter=a.service")
    it = Mending(
        {"a.service": service("ExecStart=/bin/run 1"), "b.service": b},
        {"fragile": RUN},
        settings=Settings(on_failure="hold"),
    )
    it.run(6)
    it.programs["fragile"] = Program(lasts=0.1, status=1)
    bad = it.commit({"a.service": service("ExecStart=/bin/run 2"), "b.service": b})
    it.run(6)
    assert it.verdict(bad) == "failed"
    assert it.subs() == {"a.service": "running", "b.service": "running"}


def test_applied_again_nothing_waits_for_its_automatic_restart():
    it = Holding({"a.service": service("ExecStart=/bin/false", "Restart=always", "RestartSec=100")})
    it.run(10)
    assert it.spawns() == ["false"]
    asked_to_apply(it, it.head)
    it.run(10)
    assert it.spawns() == ["false", "false"]


def test_applied_again_nobody_is_tried_who_is_held_or_has_done_his_work():
    it = Holding(
        {
            "a.service": service("ExecStart=/bin/stubborn", "TimeoutStopSec=1"),
            "b.service": service("Type=oneshot", "ExecStart=/bin/true"),
        }
    )
    it.run(6)
    it.ask(Verb.STOP, "a.service")
    it.run(6)
    assert it.sub("a.service") == "failed"
    asked_to_apply(it, it.head)
    it.run(6)
    assert it.spawns() == ["stubborn", "true"]
    planned = [line for line in it.told("commit.plan") if "tried again" in line]
    assert planned == []


def test_verdicts_of_commits_that_are_long_past_are_forgotten():
    """Their number is bounded, on disk as well; those of commits that may come back stay."""
    it = machine()
    it.run(6)
    first = it.in_force
    it.commit({**GOOD, "y.service": service()})
    it.run(6)
    good = it.in_force
    wrong = {**GOOD, "a.service": service("Wrong=1")}
    for number in range(VERDICTS_KEPT + 5):
        it.commit({**wrong, "x.service": f"# {number}"}, f"{number:039x}c")
    kept = it.world.verdicts
    assert len(kept) == VERDICTS_KEPT
    assert kept[first] == kept[good] == "good"
    assert f"{6:039x}c" not in kept
    assert kept[f"{7:039x}c"] == kept[it.head] == "refused"
    it.restart()
    assert it.world.verdicts == kept
    again = it.commit({**wrong, "x.service": "# again"}, f"{7:039x}c")  # it is the newest now
    it.commit({**wrong, "x.service": "# another"}, "a" * 40)
    assert again in it.world.verdicts
    assert len(it.world.verdicts) == VERDICTS_KEPT
