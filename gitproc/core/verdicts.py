"""Verdicts: how a commit ended, told once, and what a bad end leads to.

An outcome goes into the outbox in the same step as the verdict and stays there, over crashes, until every
listener has been told. A *failed* commit is held back if the configuration says so: the last good one is
in force in its place, for as long as the branch names the failed one and nobody asks for it again. That is
a fact to be read (`stand_in_for`), not a procedure: a manager killed on the way back goes on where it was.
"""

from __future__ import annotations

from typing import Any

from gitproc.core import records
from gitproc.core.actions import GoBack, Reply
from gitproc.core.commit_states import HeldBack, Outcome
from gitproc.core.events import ApplyAsked, CommitLoaded, CommitMeta, OutcomeTold
from gitproc.core.states import FINE
from gitproc.core.world import World
from gitproc.units.seats import home

VERDICTS_KEPT = 1000


def describe(commit: CommitMeta) -> str:
    """`1a2b3c4d5e6f Subject (Author)`."""
    author = f" ({commit.author})" if commit.author else ""
    return f"{commit.sha[:12]} {commit.subject}{author}".rstrip()


def last_good(world: World, but: str) -> CommitMeta | None:
    """The last commit that settled well and is not `but`."""
    return next((x for x in reversed(world.goods) if x.sha != but), None)


def stand_in_for(world: World, head: str) -> CommitMeta | None:
    """The commit that is to be in force although the branch names `head`; None: `head` itself."""
    held = world.held_back
    return held.to if held is not None and held.commit.sha == head else None


def astray(world: World) -> CommitMeta | None:
    """The commit that is to replace the one in force, which is held back; None if all is well.

    So it is whatever the branch names: a commit that is refused, or none, leaves in force what was.
    """
    held, applied = world.held_back, world.applied
    if held is None or applied is None or applied.sha != held.commit.sha:
        return None
    return held.to


def settle(world: World, verdict: str, reason: str) -> None:
    """The running deploy has come to its end."""
    deploy = world.deploy
    if deploy is None:
        return
    commit = deploy.commit
    world.deploy = None
    results: dict[str, str] = dict.fromkeys(sorted(deploy.touched - deploy.pending), "settled")
    results.update(deploy.failed)
    seconds = round(world.now - deploy.since, 3)
    give(world, commit, verdict, reason, seconds=seconds, units=results)
    world.tell(
        f"commit.{verdict}",
        "",
        f"{describe(commit)} is {verdict}: {reason}",
        commit=commit.sha,
        units=results,
        seconds=seconds,
    )
    if verdict == "failed":
        _hold_back(world, commit, deploy.failed)


def give(
    world: World,
    commit: CommitMeta,
    verdict: str,
    reason: str,
    *,
    seconds: float = 0.0,
    units: dict[str, str] | None = None,
) -> None:
    """Write the verdict down, and have it told unless the same was told of this commit before."""
    if world.verdicts.get(commit.sha) != verdict:
        outcome = Outcome(commit, verdict, reason, seconds, units or {}, world.now)
        world.outbox[outcome.delivery] = outcome
        _record(world, outcome)
    world.verdicts.pop(commit.sha, None)  # the newest is the last one
    world.verdicts[commit.sha] = verdict
    _forget_old(world, commit)


def _forget_old(world: World, newest: CommitMeta) -> None:
    """Of commits that are long past the repository's notes have the verdicts; what may come back is kept."""
    spare = len(world.verdicts) - VERDICTS_KEPT
    if spare <= 0:
        return
    held, deploy = world.held_back, world.deploy
    needed = {x.sha for x in (newest, world.applied, *world.goods) if x is not None}
    needed |= {held.commit.sha} if held is not None else set()
    needed |= {deploy.commit.sha} if deploy is not None else set()
    for sha in [sha for sha in world.verdicts if sha not in needed][:spare]:
        del world.verdicts[sha]
        records.order(world, f"verdict/{sha}", None)


def told(world: World, event: OutcomeTold) -> None:
    """A listener has heard it."""
    outcome = world.outbox.get(event.delivery)
    if outcome is None:
        return
    if event.last:
        del world.outbox[event.delivery]
        records.order(world, f"{records.OUTBOX}{event.delivery}", None)
    elif event.channel not in outcome.told:
        outcome.told.append(event.channel)
        _record(world, outcome)


def _record(world: World, outcome: Outcome) -> None:
    records.order(world, f"{records.OUTBOX}{outcome.delivery}", records.outcome_record(outcome))


def _hold_back(world: World, commit: CommitMeta, failed: dict[str, str]) -> None:
    to = last_good(world, commit.sha)
    if world.settings.on_failure == "keep" or to is None:
        return
    held = HeldBack(commit, to, dict(failed), revert=world.settings.on_failure == "revert")
    world.held_back = held
    text = f"{describe(commit)} is held back for {describe(to)}; `gitproc apply` tries it again"
    world.tell("commit.held-back", "", text, commit=commit.sha, to=to.sha)
    world.do(GoBack(to, commit, held.revert))


def came_in(world: World, event: CommitLoaded, before: CommitMeta | None) -> None:
    """A commit was put in force in place of `before`: does that end or complete a going back?"""
    held = world.held_back
    if held is None or not event.stand_in or event.commit.sha != held.to.sha:
        return
    if before is None or before.sha != held.commit.sha:
        return
    world.tell("commit.restored", "", f"back at {describe(held.to)}", commit=held.to.sha)
    for name in held.units:  # what did not change may have failed for what did
        _try_again(world, name)


def moved_on(world: World, event: CommitLoaded) -> None:
    """Another commit than the one held back is in force, and not only in its place."""
    held = world.held_back
    if held is not None and not event.stand_in and event.commit.sha != held.commit.sha:
        world.held_back = None


def given_up(world: World) -> list[str]:
    """Units that failed and stay down, or are only being tried again and again; they get a new chance."""
    found = []
    for name, state in world.units.items():
        if state.down and state.result not in FINE and state.hold is None:
            _try_again(world, name)
            found.append(home(name))
    return found


def _try_again(world: World, name: str) -> None:
    state = world.units.get(name)
    if state is not None and state.down and state.result not in FINE:
        state.done = ""
        if state.restart_at is not None:
            state.restart_at = world.now
        world.touch(name)


def apply_asked(world: World, event: ApplyAsked) -> None:
    """Nothing holds that commit back any more; it is loaded anew by who asked."""
    text = f"{event.who} asked: apply {event.sha[:12]}"
    world.tell("operator.asked", "", text, who=event.who, commit=event.sha)
    held = world.held_back
    if held is not None and held.commit.sha == event.sha:
        world.held_back = None
    world.do(Reply(event.request, ()))


def failed_record(world: World, head: str | None) -> dict[str, Any] | None:
    """The commit that is held back, for `status`, if it is the one that the branch names.

    `head`: None as long as the branch has not been looked at.
    """
    held = world.held_back
    if held is None or head not in (None, held.commit.sha):
        return None
    found = records.commit_record(held.commit) or {}
    return {
        **found,
        "verdict": "failed",
        "units": dict(held.units),
        "instead": records.commit_record(held.to),
    }
