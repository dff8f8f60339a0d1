"""A machine of which much is asked, and that checks whether all is well when it rests."""

from __future__ import annotations

from collections.abc import Mapping

from gitproc.core.actions import Announce, Record, Spawn
from gitproc.core.events import (
    Event,
    ExitCode,
    Exited,
    OutOfMemory,
    ProbeFailed,
    Process,
    Slot,
    Spawned,
    TreeEmptied,
    Verb,
)
from gitproc.core.states import DOWN, STARTING, UP, Result, SubState
from gitproc.units import directives as d
from tests.core.drawn import AT_ONCE, GUEST, MARK
from tests.core.fake_kernel import KILL
from tests.core.oracle import Oracle
from tests.core.order_watcher import Fault, OrderWatcher

__all__ = ["Fault", "Watcher"]


class Watcher(OrderWatcher):
    """A machine that is told of every happening, and looked at when it has come to rest."""

    # -- happenings ------------------------------------------------------------------------------

    def edit(self, files: Mapping[str, str]) -> None:
        """A commit."""
        old = dict(self.oracle.units)
        former = self.oracle.wanted(self._demanded())
        self.causes += 1
        everything = self.excused
        self.excused = {*self.everyone, *everything}  # until its units are known
        before = len(self.actions)
        sha = self.commit(files)
        refused = self.world.refused is not None and self.world.refused.commit.sha == sha
        stopped = [
            a.unit
            for _, a in self.actions[before:]
            if isinstance(a, Announce) and a.kind == "unit.stopping"
        ]
        if refused:
            spawned = [a for _, a in self.actions[before:] if isinstance(a, Spawn)]
            if stopped or spawned:
                self.fail(f"a refused commit did something: {stopped} {spawned}")
            self.excused = everything
            return
        new = self.oracle.units
        changed = {
            name
            for name in old.keys() | new.keys() | {GUEST}
            if (old.get(name) is None or new.get(name) is None)
            or old[name].fingerprint != new[name].fingerprint
            or old[name].settings != new[name].settings
        }
        struck = Oracle(old).struck(changed | (former ^ self.oracle.wanted(self._demanded())))
        struck |= self.oracle.struck(changed | (former ^ self.oracle.wanted(self._demanded())))
        self.excused = everything | struck
        for name in stopped:
            if name not in self.excused:
                self.fail(f"{name} was stopped by a commit that does not concern it: {changed}")

    def _demanded(self) -> list[str]:
        return [name for name, state in self.world.units.items() if state.demanded]

    def order(self, verb: Verb, name: str) -> None:
        """An operator's verb."""
        if self.world.desired is None or not (
            name in self.world.desired.units or name in self.world.units or name == GUEST
        ):
            return
        concerned = {name}
        if verb in (Verb.START, Verb.RESTART, Verb.TRY_RESTART):
            concerned |= self.oracle.wanted([name]) - self.oracle.wanted([])
            todo = [name]
            while todo:
                for other in self.oracle.pulls[todo.pop()] - concerned:
                    concerned.add(other)
                    todo.append(other)
        self.excuse(*concerned)
        number = self.ask(verb, name, signal=KILL)
        if self.manager_up:
            self.requests.append((number, verb, name))

    def end(self, name: str, status: int) -> None:
        """The main process of a unit ends by itself."""
        state = self.world.units.get(name)
        self.excuse(name)
        if state is not None and state.main is not None and state.main.pid:
            self.exit(self.procs[state.main.pid], status)

    def strike(self, name: str) -> None:
        """The OOM killer."""
        state = self.world.units.get(name)
        self.excuse(name)
        if state is not None and self.manager_up:
            for proc in self.alive(name)[:1]:
                self.run_out_of_memory(proc)
                self.deliver()

    def stale(self, name: str, which: int) -> None:
        """News of an instance that is long gone."""
        ghost = Process(name, "0" * 32, Slot.MAIN, 1, "")
        events: list[Event] = [
            Exited(ghost, ExitCode.EXITED, 1),
            Spawned(ghost, 1, 1),
            TreeEmptied(name, "0" * 32),
            OutOfMemory(name, "0" * 32),
            ProbeFailed(name, "0" * 32, "late"),
        ]
        before = len(self.actions)
        self.post(events[which % len(events)])
        news = [a for _, a in self.actions[before:]]
        if any(
            not isinstance(a, Announce | Record)
            or (isinstance(a, Record) and a.key.startswith("unit/"))
            for a in news
        ):
            self.fail(f"stale news of {name} did something: {news}")

    # -- at rest ---------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """After enough time: every wanted unit is up as wanted, or there is a reason that can be said."""
        self.run(60.0)
        world = self.world
        assert world.desired is not None
        if self.mail or world.touched or world.queue:
            self.fail("never comes to rest")
        held = {name for name, state in world.units.items() if state.hold is not None}
        down = self._leaning(held)
        wanted = self.oracle.wanted(self._demanded())
        for name in sorted(wanted):
            unit = world.wanted_unit(name)
            if unit is None or unit.masked:
                continue
            state = self.state(name)
            if name in down:
                if state.sub not in DOWN:
                    self.fail(f"{name} leans on {held}, which is held, and is {state.sub}")
                continue
            if state.sub in UP:
                if state.unit is None or state.unit.fingerprint != unit.fingerprint:
                    self.fail(f"{name} is up with another definition than the commit's")
                for other in self.oracle.bound[name]:
                    it = self.state(other)
                    coming = it.sub in STARTING or self.is_open({other})
                    if not (it.sub in UP or it.finished or coming):
                        self.fail(f"{name} is up, and is bound to {other}, which is {it.sub}")
                if (
                    unit.kind == "service"
                    and state.sub is SubState.RUNNING
                    and not self.alive(name)
                ):
                    self.fail(f"{name} is running without a process")
            elif state.sub in DOWN and not self._excusable(name, set()):
                self.fail(
                    f"{name} is {state.sub} ({state.waits_for} {state.waits_because}) for no reason"
                )
            if state.sub in UP and name not in self.restless():
                self._check_lasting(name, down)
        for name, state in world.units.items():
            if name not in wanted and state.sub not in DOWN:
                self.fail(f"{name} is {state.sub} and nothing wants it")
            if state.sub in DOWN and self.alive(name):
                self.fail(f"{name} is {state.sub} and has processes")
        if world.deploy is not None and not self.is_open(world.deploy.pending):
            waiting = self.subs(*sorted(world.deploy.pending))
            self.fail(f"the commit in force has no verdict yet: {waiting}")
        for number, verb, name in self.requests:
            if number not in self.replies and not self.is_open({name}):
                self.fail(f"{verb} {name} was never answered")
        self.excused = {n for n in self.excused if self.state(n).sub not in UP | DOWN}
        self.excused |= self.restless()

    def _check_lasting(self, name: str, down: set[str]) -> None:
        """What must be so as long as a unit is up."""
        oracle = self.oracle
        for other in oracle.upheld[name]:
            state = self.state(other)
            unit = self.world.wanted_unit(other)
            if unit is None or other in down or other in self.skipped or state.sub not in DOWN:
                continue
            if state.result in (Result.START_LIMIT_HIT, Result.ASSERT, Result.EXEC_CONDITION):
                continue
            if other in self.restless() or state.sub is SubState.AUTO_RESTART:
                continue
            if self.is_open({other}):
                continue
            gates = (oracle.needs[other] & oracle.after[other]) | oracle.bound[other]
            gates |= oracle.requisite[other]
            rivals = oracle.rivals[other]
            if not any(self.state(o).sub in DOWN for o in gates) and not rivals:
                self.fail(f"{name} is up and upholds {other}, which is {state.sub}")
        users = {o for o in oracle.units if name in oracle.pulls[o] | oracle.requisite[o]}
        if name in oracle.unneeded and all(self.state(o).sub in DOWN for o in users):
            if not any(self.state(o).sub is SubState.AUTO_RESTART for o in users):
                self.fail(f"{name} is up, and nobody who needs it is")

    def is_open(self, pending: set[str]) -> bool:
        """Whether nobody can say yet what becomes of these units of a commit."""
        return False

    def mark(self, there: bool) -> None:
        """What conditions ask for comes, or goes: whoever starts from now on finds it so."""
        (self.unmet.discard if there else self.unmet.add)(MARK)

    def restless(self) -> set[str]:
        """Units whose program ends again and again, and who is bound to them."""
        ending = {"quits", "crash", "false", "missing", "mute", "takes", *AT_ONCE}
        if self.programs["probe"].status:
            ending.add("probe")
        timed = {
            name
            for name, unit in self.oracle.units.items()
            if unit.has(d.WATCHDOG_SEC)
            or unit.has(d.RUNTIME_MAX_SEC)
            or name in self.oracle.unneeded
        }
        roots = {
            name
            for name, unit in self.oracle.units.items()
            for command in (*unit[d.EXEC_START], unit[d.HEALTH_CHECK_EXEC])
            if command is not None
            if command.path.rpartition("/")[2] in ending
        }
        return self.oracle.struck(roots | timed)

    def _leaning(self, held: set[str]) -> set[str]:
        found = set(held)
        while True:
            more = {
                name
                for name in {*self.oracle.units, GUEST} - found
                if found
                & (
                    self.oracle.needs[name]
                    | self.oracle.part[name]
                    | self.oracle.stopped_with[name]
                )
            }
            if not more:
                return found
            found |= more

    def _excusable(self, name: str, seen: set[str]) -> bool:
        """Whether a wanted unit that is down has a reason: it has ended, restarts, or needs one that is down."""
        if name in seen:
            return False
        seen.add(name)
        state = self.state(name)
        unit = self.world.wanted_unit(name)
        if state.sub is SubState.AUTO_RESTART:
            return True
        if unit is not None and state.done == unit.fingerprint:
            return True
        oracle = Oracle({**self.oracle.units, **({name: unit} if unit is not None else {})})
        users = {o for o in oracle.units if name in oracle.pulls[o] | oracle.requisite[o]}
        if name in oracle.unneeded and all(self.state(o).sub in DOWN for o in users):
            return True
        gates = (oracle.needs[name] & oracle.after[name]) | oracle.bound[name]
        gates |= oracle.requisite[name]
        wanted = self.oracle.wanted(self._demanded())
        unwanted = {o for o in oracle.requisite[name] if o not in wanted}
        if state.taken_along and name in self._leaning({state.taken_along}):
            gates.add(state.taken_along)
        if any(
            self.state(o).sub in DOWN and (o in unwanted or self._excusable(o, seen)) for o in gates
        ):
            return True
        if name == GUEST and any(o not in self.oracle.units for o in gates):
            return True  # a commit is not refused for what an operator alone has asked for
        return any(self.state(o).sub in STARTING for o in oracle.after[name] | gates)
