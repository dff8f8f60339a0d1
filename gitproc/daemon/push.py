"""A push, judged by the daemon before the branch moves.

The hook opens a push, is told which objects are wanted, sends them in pieces, and asks for the verdict, which
may be that further objects are wanted (`gitproc/source/pushed.py` says why). A push belongs to the
connection that opened it, and is forgotten when nothing is heard of it for a while: pushes are bounded in
number, in bytes and in time. What is accepted here is compiled once more when the branch has moved; the
judgement promises, the branch decides.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gitproc.api.caller import Caller
from gitproc.core import plan
from gitproc.core.events import CommitMeta
from gitproc.core.records import commit_record
from gitproc.core.states import SubState
from gitproc.daemon import push_rules as rules
from gitproc.daemon.compiling import Compiled, compile_commit, plan_for, plan_record
from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.errors import DaemonError, GitProcError, RefusedError, UsageError
from gitproc.immutable import field, mutable
from gitproc.source.pushed import MAX_OBJECT, MAX_PUSH, LackingError, Pushed
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import UnitSet

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_PUSHES = 16
MAX_PER_USER = 4
MAX_BYTES = 2 * MAX_PUSH  # of all pushes together
PATIENCE = 60.0  # seconds between two requests of a push
_REMEMBERED = 64  # accepted commits
_WANTED = 5000  # objects asked for in one answer


@mutable
class _Push:
    caller: Caller
    who: str
    updates: Sequence[rules.Update]
    options: Sequence[str]
    update: rules.Update
    problems: list[Diagnostic]
    base: tuple[str, UnitSet] | None
    pushed: Pushed = field(default_factory=Pushed)
    alarm: asyncio.TimerHandle | None = None
    busy: bool = False


class Pushes:
    """All pushes that are being judged. Used from the loop's thread.

    `pushers`: who pushes, by the ticket that the daemon gave the git process it runs for them.
    """

    def __init__(self, effects: Effects, desired: Desired, pushers: Mapping[str, str]) -> None:
        self._e = effects
        self._desired = desired
        self._pushes: dict[str, _Push] = {}
        self._loop = asyncio.get_running_loop()
        self._pushers = pushers
        self.methods = {
            "push-begin": self.begin,
            "push-objects": self.objects,
            "push-check": self.check,
        }
        self.accepted: dict[str, float] = {}
        """When commits were accepted lately (seconds since 1970)."""

    # -- the hook's requests ---------------------------------------------------------------------

    async def begin(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Open a push: `token` and the first objects to `want`, or `accepted`. RefusedError."""
        updates = [rules.Update(**one) for one in params["updates"]]
        options = params.get("options", [])
        who = self._pushers.get(params.get("ticket", "")) or f"{caller.name} (uid {caller.uid})"
        if self._e.world.stopping:
            raise DaemonError("the daemon is stopping all units: push again when it is back")
        git = await self._thread(self._desired.git)
        head = await self._thread(git.head)
        problems = rules.judge(updates, options, git.branch, head)
        update = rules.deployed(updates, git.branch)
        if update is not None:
            problems += rules.too_large(update.size, self._e.config.policy.max_tree)
        if update is None or not update.new:
            if problems:
                raise self._refused(who, updates, problems)
            self._tell("accepted", who, updates, "")
            return {"accepted": True, "deploys": False}
        self._make_room(caller)
        world = self._e.world
        base = None
        if world.desired is not None and world.applied is not None:
            base = (world.applied.sha, world.desired)
        push = _Push(caller, who, updates, options, update, problems, base)
        token = os.urandom(16).hex()
        self._pushes[token] = push
        self._wait(token, push)
        return {"accepted": False, "token": token, **self._want(push, [update.new], MAX_OBJECT)}

    async def objects(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Take in a piece of what was wanted."""
        token, push = self._find(params, caller)
        try:
            data = base64.b64decode(params["data"], validate=True)
        except binascii.Error:
            raise UsageError("push-objects: data is not base64") from None
        if sum(x.pushed.bytes for x in self._pushes.values()) + len(data) > MAX_BYTES:
            self._forget(token)
            raise DaemonError("too much is being pushed at once: try again later")
        try:
            push.pushed.feed(data)
        except GitProcError as error:
            raise self._end(token, push, [rules.problem(error.message)]) from error
        self._wait(token, push)
        return {}

    async def check(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """The verdict: what is wanted further, or the plan. RefusedError with every diagnostic."""
        token, push = self._find(params, caller)
        if push.busy:
            raise UsageError("push-check: it is being checked")
        push.busy = True
        try:
            commit, compiled, said = await self._thread(lambda: self._compile(push))
        except LackingError as lacking:
            push.busy = False
            self._wait(token, push)
            if unsent := push.pushed.asked.intersection(lacking.names):
                missing = rules.problem(f"the push lacks object {min(unsent)}")
                raise self._end(token, push, [missing]) from None
            return {"accepted": False, **self._want(push, lacking.names, lacking.limit)}
        except GitProcError as error:
            raise self._end(token, push, [*push.problems, rules.problem(error.message)]) from error
        finally:
            push.busy = False
        entries = [] if compiled.errors else plan_for(self._e.world, compiled)
        problems = [*push.problems, *compiled.errors, *self._removals(push, entries)]
        if not compiled.errors:
            problems += self._exposure(compiled)
        if problems:
            raise self._end(token, push, problems, commit)
        self._forget(token)
        self.accepted.pop(commit.sha, None)
        self.accepted[commit.sha] = time.time()
        while len(self.accepted) > _REMEMBERED:
            del self.accepted[next(iter(self.accepted))]
        only_plan = rules.PLAN in push.options
        counts = _counts(entries)
        self._tell("planned" if only_plan else "accepted", push.who, push.updates, counts, commit)
        return {
            "accepted": not only_plan,
            "deploys": True,
            "commit": commit_record(commit),
            "commits": push.update.commits,
            "units": compiled.count,
            "actions": plan_record(entries),
            "diagnostics": [x.as_dict() for x in said],
        }

    def _compile(self, push: _Push) -> tuple[CommitMeta, Compiled, list[Diagnostic]]:
        """In a thread. Third: the warnings about files that the push changes."""
        base = push.base
        commit, change = self._desired.git().read_pushed(
            push.update.new, base[0] if base else None, push.pushed
        )
        compiled = compile_commit(
            change,
            base[1] if base else None,
            self._e.host,
            self._desired.options,
            self._e.world.settings.default_target,
            user_mode=self._e.config.user_mode,
        )
        said = compiled.warnings
        if not change.full:
            said = [x for x in said if x.location.file in change.files]
        return commit, compiled, said

    def _removals(self, push: _Push, entries: Sequence[plan.PlanEntry]) -> list[Diagnostic]:
        states = self._e.world.units
        running = [
            name
            for name, state in states.items()
            if not state.down and state.unit is not None and state.unit.fragment
        ]
        ended = [x.unit for x in entries if x.action is plan.PlannedAction.STOP]
        services = [x for x in ended if states[x].sub is not SubState.DEAD]
        most = self._e.config.policy.max_removals
        return rules.mass_removal(services, len(running), push.options, most)

    def _exposure(self, compiled: Compiled) -> list[Diagnostic]:
        most = self._e.config.policy.max_exposure
        return rules.exposure(self._e.world.desired, compiled.units, most)

    def hung_up(self, caller: Caller) -> None:
        """Forget what this caller has begun."""
        for token in [x for x, push in self._pushes.items() if push.caller is caller]:
            self._forget(token)

    # -- bounds ----------------------------------------------------------------------------------

    def _make_room(self, caller: Caller) -> None:
        same = sum(1 for push in self._pushes.values() if push.caller.uid == caller.uid)
        if len(self._pushes) >= MAX_PUSHES or (caller.uid != 0 and same >= MAX_PER_USER):
            raise DaemonError("too many pushes are being checked: try again later")

    def _find(self, params: Mapping[str, Any], caller: Caller) -> tuple[str, _Push]:
        token = params["token"]
        push = self._pushes.get(token)
        if push is None or push.caller is not caller:
            raise UsageError("no such push: it took too long, or is somebody else's; push again")
        return token, push

    def _want(self, push: _Push, names: Sequence[str], limit: int) -> dict[str, Any]:
        wanted = list(names)[:_WANTED]
        push.pushed.asked.update(wanted)
        return {"want": wanted, "limit": limit}

    def _wait(self, token: str, push: _Push) -> None:
        if push.alarm is not None:
            push.alarm.cancel()
        push.alarm = self._loop.call_later(PATIENCE, self._forget, token)

    def _forget(self, token: str) -> None:
        push = self._pushes.pop(token, None)
        if push is not None and push.alarm is not None:
            push.alarm.cancel()

    # -- what is told ----------------------------------------------------------------------------

    def _end(
        self,
        token: str,
        push: _Push,
        problems: Sequence[Diagnostic],
        commit: CommitMeta | None = None,
    ) -> RefusedError:
        self._forget(token)
        return self._refused(push.who, push.updates, problems, commit)

    def _refused(
        self,
        who: str,
        updates: Sequence[rules.Update],
        problems: Sequence[Diagnostic],
        commit: CommitMeta | None = None,
    ) -> RefusedError:
        count = f"{len(problems)} error{'s' if len(problems) != 1 else ''}"
        self._tell("refused", who, updates, count, commit, problems)
        return RefusedError(
            f"the push is refused: {count}",
            diagnostics=[x.as_dict() for x in problems],
            commit=commit_record(commit),
        )

    def _tell(
        self,
        kind: str,
        who: str,
        updates: Sequence[rules.Update],
        counts: str,
        commit: CommitMeta | None = None,
        problems: Sequence[Diagnostic] = (),
    ) -> None:
        refs = ", ".join(_described(x) for x in updates[:5])
        if len(updates) > 5:
            refs += f" and {len(updates) - 5} more"
        words = {"refused": "was refused", "planned": "asked for the plan of"}.get(kind, "pushed")
        message = f"{who} {words} {refs}" + (f": {counts}" if counts else "")
        data: dict[str, Any] = {
            "refs": [{"ref": x.ref, "old": x.old, "new": x.new} for x in updates[:100]],
            "commits": sum(x.commits for x in updates),
        }
        if commit is not None:
            data["commit"] = commit.sha
        if problems:
            data["diagnostics"] = [x.as_dict() for x in problems[:100]]
        self._e.events.append(f"push.{kind}", "", message, data, who)
        self._e.events.flush()
        log.info("%s", message)

    async def _thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(None, work)


def _described(update: rules.Update) -> str:
    name = update.ref.removeprefix("refs/heads/")
    if not update.new:
        return f"{name} (deleted)"
    count = (
        f", {update.commits} commit{'s' if update.commits != 1 else ''}" if update.commits else ""
    )
    return f"{name} ({update.new[:12]}{count})"


def _counts(entries: Sequence[plan.PlanEntry]) -> str:
    """`1 start, 2 restart`."""
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.action.value] = counts.get(entry.action.value, 0) + 1
    return ", ".join(f"{n} {action}" for action, n in sorted(counts.items())) or "nothing changes"
