"""Random histories of a machine, and what must hold in each of them, said from the definitions.

A history is a list of happenings drawn from a seed alone: commits (each a one-line edit of the last one, over
a dense graph of few units), ends of processes, verbs, time, crashes of the manager in the midst of its
orders. The `Watcher` looks at every order and every step with an oracle of its own: it reads what units say
of each other from their settings, never from the graph or the states' helpers under test.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gitproc.core.actions import Action, Announce, Record, Spawn
from gitproc.core.events import (
    AdoptionDone,
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
from gitproc.core.states import DOWN, STARTING, STOPPING, UP, SubState
from gitproc.core.world import Settings
from gitproc.units import directives as d
from gitproc.units.loader import UnitSet
from gitproc.units.unit import Unit
from tests.core.fake_kernel import KILL, Machine, Program

NAMES = [f"{letter}.service" for letter in "abcdef"]
TARGET = "group.target"
GUEST = "guest@x.service"
TYPES = ("simple", "simple", "simple", "exec", "notify", "oneshot", "forking")
PROGRAMS = {
    "simple": ("run", "run", "slow", "brood", "quits", "crash", "missing", "lingers"),
    "exec": ("run", "slow", "missing", "crash"),
    "notify": ("notify", "notify", "mute"),
    "oneshot": ("true", "false", "takes"),
    "forking": ("forks", "forks", "false"),
}
# They fail within the order. Who is bound to one of them and not ordered after it may have begun by then or
# not: two runs of one history need not agree about that.
AT_ONCE = ("nobody", "refused")
EXTRA = {
    "quits": Program(lasts=2.0),
    "takes": Program(lasts=1.5),
    "lingers": Program(children=(Program(takes=0.5, on_signal=0),), takes=0.2),
    "reload": Program(lasts=0.3),
    "probe": Program(lasts=0.2),
}
TALE = {
    f"unit.{turn}"
    for turn in ("starting", "started", "stopping", "stopped", "failed", "restarting", "reloaded")
}
RELATIONS = ("Requires", "Wants", "BindsTo", "PartOf", "After", "After", "After", "Conflicts")


@dataclass
class Model:
    """The text of one unit, as choices that an edit changes one of."""

    name: str
    type: str = "simple"
    program: str = "run"
    restart: str = "no"
    relations: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    environment: int = 0
    memory: int = 100
    trigger: int = 0
    pre: bool = False
    post: bool = False
    stop: str = ""
    stop_post: bool = False
    reload: bool = False
    remain: bool = False
    health: bool = False
    installed: bool = True
    there: bool = True

    def text(self) -> str:
        lines = ["[Unit]"]
        for relation, others in sorted(self.relations.items()):
            lines += [f"{relation}={other}" for other in sorted(others)]
        lines += ["[Service]", f"Type={self.type}", f"ExecStart=/bin/{self.program}"]
        lines += [f"Environment=V={self.environment}", f"MemoryMax={self.memory}M"]
        lines += [f"Restart={self.restart}", "TimeoutStopSec=2", "TimeoutStartSec=4"]
        if self.pre:
            lines.append("ExecStartPre=/bin/true")
        if self.post:
            lines.append("ExecStartPost=/bin/true")
        if self.stop:
            lines.append(f"ExecStop=/bin/{self.stop}")
        if self.stop_post:
            lines.append("ExecStopPost=/bin/true")
        if self.reload:
            lines.append("ExecReload=/bin/reload")
        if self.remain:
            lines.append("RemainAfterExit=yes")
        lines.append("[X-GitProc]")
        lines.append("ReloadTriggers=conf")
        if self.health:
            lines += ["HealthCheckExec=/bin/probe", "HealthCheckInterval=3"]
        if self.installed:
            lines += ["[Install]", f"WantedBy={TARGET}"]
        return "\n".join(lines) + "\n"


class Draw:
    """The commits of a history, and whoever makes its choices. `rough`: whatever can happen, happens."""

    def __init__(self, choices: random.Random, *, rough: bool = True) -> None:
        self.random = choices
        self.rough = rough
        order = NAMES[:]
        self.random.shuffle(order)
        self.order = order
        self.models = {name: Model(name) for name in order}
        self.conf = 0
        for name in order:
            for _ in range(self.random.randint(0, 2)):
                self.edit(name)

    def files(self) -> dict[str, str]:
        files = {m.name: m.text() for m in self.models.values() if m.there}
        files[TARGET] = "[Install]\nWantedBy=multi-user.target\n"
        files["guest@.service"] = (
            f"[Unit]\nRequires={self.order[0]}\nAfter={self.order[0]}\n"
            f"[Service]\nExecStart=/bin/run\nEnvironment=V={self.conf}\n"
        )
        files["conf"] = str(self.conf // 2)
        return files

    def plain(self) -> None:
        """Begin with units that say nothing of each other."""
        self.models = {name: Model(name) for name in self.order}

    def edit(self, name: str) -> None:
        """Change one line of one unit."""
        model = self.models.get(name) or self.models[NAMES[0]]
        choose = self.random.choice
        what = choose(
            ("relation",) * 6
            + ("program", "program", "type", "environment", "memory", "restart", "installed")
            + ("there", "pre", "post", "stop", "stop_post", "reload", "remain", "health", "conf")
        )
        match what:
            case "relation":
                relation = choose(RELATIONS)
                if relation == "Conflicts" and self.random.random() < 0.7:
                    relation = "Requires"
                index = self.order.index(model.name)
                earlier = self.order[:index] or self.order
                pool = earlier if self.random.random() < 0.8 else self.order
                other = choose(pool)
                if other != model.name:
                    model.relations[relation] ^= {other}
            case "program":
                at_once = AT_ONCE if self.rough and model.type != "forking" else ()
                model.program = choose(PROGRAMS[model.type] + at_once)
            case "type":
                model.type = choose(TYPES)
                model.program = PROGRAMS[model.type][0]
                model.restart = "no" if model.type == "oneshot" else model.restart
            case "restart":
                allowed = (
                    ("no", "on-failure")
                    if model.type == "oneshot"
                    else ("no", "on-failure", "always")
                )
                model.restart = choose(allowed)
            case "environment" | "memory":
                setattr(model, what, getattr(model, what) + 1)
            case "stop":
                model.stop = choose(("", "true", "false"))
            case "conf":
                self.conf += 1
            case _:
                setattr(model, what, not getattr(model, what))


class Oracle:
    """What the commit in force means, read from its units' settings."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self.after: dict[str, set[str]] = defaultdict(set)
        self.needs: dict[str, set[str]] = defaultdict(set)
        self.bound: dict[str, set[str]] = defaultdict(set)
        self.pulls: dict[str, set[str]] = defaultdict(set)
        self.part: dict[str, set[str]] = defaultdict(set)
        self.rivals: dict[str, set[str]] = defaultdict(set)
        self.units = units
        for name, unit in units.items():
            self.after[name] |= {*unit[d.AFTER]}
            for other in unit[d.BEFORE]:
                self.after[other].add(name)
            self.needs[name] |= {*unit[d.REQUIRES], *unit[d.BINDS_TO]}
            self.bound[name] |= {*unit[d.BINDS_TO]}
            self.pulls[name] |= {*unit[d.REQUIRES], *unit[d.BINDS_TO], *unit[d.WANTS]}
            self.part[name] |= {*unit[d.PART_OF]}
            for other in unit[d.WANTED_BY]:
                self.pulls[other].add(name)
            for other in unit[d.CONFLICTS]:
                self.rivals[name].add(other)
                self.rivals[other].add(name)
        for name in units:
            if name.endswith(".target"):
                members = self.pulls[name] - {o for o in units if name in self.after[o]}
                self.after[name] |= members

    def wanted(self, extra: Iterable[str]) -> set[str]:
        """What the default target (and `extra`) pulls in."""
        found: set[str] = set()
        todo = ["multi-user.target", *extra]
        while todo:
            name = todo.pop()
            if name not in found and name in self.units:
                found.add(name)
                todo += self.pulls[name]
        return found

    def struck(self, roots: Iterable[str]) -> set[str]:
        """Who goes down or up with `roots`, at most: whoever leans on them, and whatever they pull in."""
        found: set[str] = set()
        todo = [*roots]
        while todo:
            name = todo.pop()
            if name in found:
                continue
            found.add(name)
            for other in (*self.units, GUEST):
                if name in self.needs[other] | self.part[other] | self.bound[other]:
                    todo.append(other)
            todo += self.rivals[name]
        return found


class Fault(AssertionError):
    """Something that must always hold did not."""


class Watcher(Machine):
    """A machine that checks each order as it is given."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.oracle = Oracle({})
        self._seen: UnitSet | None = None
        self._repeating = False  # orders that a crash swallowed, decided before it
        self.excused: set[str] = {*NAMES, TARGET, GUEST}
        self.causes = 0  # counts what came from outside
        self.stops: dict[str, int] = {}
        self.births: dict[str, list[str]] = defaultdict(list)
        self.tale: dict[str, list[str]] = defaultdict(list)  # of each unit's ups and downs
        self.began: set[str] = set()
        self.requests: list[tuple[int, Verb, str]] = []
        super().__init__(programs=EXTRA, settings=Settings())
        self.emptied_first = bool(seed % 2)  # nobody promises an order

    def fail(self, text: str) -> None:
        raise Fault(f"seed {self.seed}, at {self.now:.3f}: {text}\n  {self.subs()}")

    def crash(self) -> None:
        super().crash()
        self.requests.clear()  # nobody waits for an answer of the one that died

    # -- looking at orders -----------------------------------------------------------------------

    def _turn(self, event: Event) -> None:
        self._repeating = isinstance(event, AdoptionDone)
        super()._turn(event)
        if self.world.desired is not None and self.world.desired is not self._seen:
            self._seen = self.world.desired
            guest = self._seen.resolve(GUEST)
            units = {**self._seen.units, **({GUEST: guest} if guest is not None else {})}
            self.oracle = Oracle(units)
        if self.doubles():
            self.fail(f"two instances of {self.doubles()}")

    def perform(self, action: Action) -> None:
        match action:
            case Spawn(process, unit) if process.slot is not Slot.HEALTH:
                if process.invocation not in self.began:
                    self.began.add(process.invocation)
                    if not self._repeating:
                        self._check_start(unit)
                if process not in self.shim.born and process not in self.shim.pending:
                    self.births[unit.name].append(action.command.path)
            case Announce(kind, name) if kind in TALE:
                if kind == "unit.stopping":
                    self._check_stop(name)
                self.tale[name].append(kind)
            case _:
                pass
        super().perform(action)

    def _check_start(self, unit: Unit) -> None:
        name = unit.name
        units = self.world.units
        oracle = Oracle({**(self.world.desired.units if self.world.desired else {}), name: unit})
        for other in oracle.needs[name] & oracle.after[name]:
            state = units.get(other)
            if state is None or not (state.sub in UP or state.finished):
                self.fail(f"{name} starts before {other}, which it needs and comes after, is up")
        for other in oracle.after[name]:
            state = units.get(other)
            if state is not None and state.sub in STARTING | STOPPING:
                self.fail(f"{name} starts while {other}, which it comes after, is {state.sub}")
        for other in oracle.rivals[name]:
            state = units.get(other)
            if state is not None and state.sub not in DOWN:
                self.fail(f"{name} starts while its rival {other} is {state.sub}")

    def _check_stop(self, name: str) -> None:
        if name not in self.excused:
            self.fail(f"{name} is stopped, and nothing that happened concerns it: {self.excused}")
        for other in self.oracle.after[name]:
            state = self.world.units.get(other)
            if (
                state is not None
                and state.sub in STOPPING
                and state.ordered_stop
                and self.stops.get(other) == self.causes
            ):
                self.fail(f"{name} begins to stop while {other}, which it comes after, stops")
        self.stops[name] = self.causes

    def excuse(self, *roots: str) -> None:
        """Something from outside concerns these units."""
        self.causes += 1
        self.excused |= self.oracle.struck(roots)

    # -- happenings ------------------------------------------------------------------------------

    def edit(self, files: Mapping[str, str]) -> None:
        """A commit."""
        old = dict(self.oracle.units)
        former = self.oracle.wanted(self._demanded())
        self.causes += 1
        everything = self.excused
        self.excused = {*NAMES, TARGET, GUEST, *everything}  # until its units are known
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
        if self.mail or world.queue:
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
                    if not (it.sub in UP or it.finished or it.sub in STARTING):
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
        for name, state in world.units.items():
            if name not in wanted and state.sub not in DOWN:
                self.fail(f"{name} is {state.sub} and nothing wants it")
            if state.sub in DOWN and self.alive(name):
                self.fail(f"{name} is {state.sub} and has processes")
        if world.deploy is not None:
            waiting = self.subs(*sorted(world.deploy.pending))
            self.fail(f"the commit in force has no verdict yet: {waiting}")
        for number, verb, name in self.requests:
            if number not in self.replies:
                self.fail(f"{verb} {name} was never answered")
        self.excused = {n for n in self.excused if self.state(n).sub not in UP | DOWN}
        self.excused |= self.restless()

    def restless(self) -> set[str]:
        """Units whose program ends again and again, and who is bound to them."""
        ending = {"quits", "crash", "false", "missing", "mute", "takes", *AT_ONCE}
        if self.programs["probe"].status:
            ending.add("probe")
        roots = {
            name
            for name, unit in self.oracle.units.items()
            for command in (*unit[d.EXEC_START], unit[d.HEALTH_CHECK_EXEC])
            if command is not None
            if command.path.rpartition("/")[2] in ending
        }
        return self.oracle.struck(roots)

    def _leaning(self, held: set[str]) -> set[str]:
        found = set(held)
        while True:
            more = {
                name
                for name in {*self.oracle.units, GUEST} - found
                if (self.oracle.needs[name] | self.oracle.part[name]) & found
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
        gates = (oracle.needs[name] & oracle.after[name]) | oracle.bound[name]
        if any(self.state(o).sub in DOWN and self._excusable(o, seen) for o in gates):
            return True
        if name == GUEST and any(o not in self.oracle.units for o in gates):
            return True  # a commit is not refused for what an operator alone has asked for
        return any(self.state(o).sub in STARTING for o in oracle.after[name] | gates)


@dataclass(frozen=True)
class Happening:
    """One thing that happens; `number` chooses within it."""

    kind: str
    unit: str
    number: int
    seconds: float


def settled(machine: Watcher) -> dict[str, tuple[str, str, str]]:
    """Where every unit stands: sub-state, definition, hold."""
    return {
        name: (
            state.sub.value,
            state.unit.fingerprint if state.unit is not None else "",
            state.hold.fingerprint if state.hold is not None else "",
        )
        for name, state in machine.world.units.items()
        if state.unit is not None or state.hold is not None
    }


def crash_changes_nothing(seed: int, length: int = 15) -> None:
    """The same history with and without crashes of the manager does the same to each unit."""
    ends = []
    for crashes in (False, True):
        draw = Draw(random.Random(seed), rough=False)
        machine = Watcher(seed)
        script = happenings(draw, length)
        chance = random.Random(seed)
        machine.edit(draw.files())
        for happening in script:
            prepare(draw, happening)
            play(machine, draw.files(), happening)
            crash = chance.random() < 0.5
            if machine.world.desired is not None and crash and crashes:
                machine.crash()
                machine.restart(exits_first=chance.random() < 0.5)
            elif crash:
                chance.random()
        machine.run(60.0)
        ends.append(machine)
    agree(*ends)


def agree(calm: Watcher, crashed: Watcher) -> None:
    """Both have done the same to each unit; Fault if not."""
    for what, one, other in (
        ("commands run", calm.births, crashed.births),
        ("tale", calm.tale, crashed.tale),
        ("states", settled(calm), settled(crashed)),
    ):
        shown = [
            (n, one.get(n), other.get(n)) for n in {**one, **other} if one.get(n) != other.get(n)
        ]
        if shown:
            raise Fault(f"seed {calm.seed}: crashes changed the {what}: {shown}")


def plan_is_kept(seed: int, edits: int = 12) -> int:
    """From rest to rest, a commit does what its plan said, and nothing else. Returns the commits judged."""
    draw = Draw(random.Random(seed), rough=False)
    machine = Watcher(seed)
    machine.edit(draw.files())
    judged = 0
    for _ in range(edits):
        machine.run(60.0)
        name = draw.random.choice(NAMES)
        if draw.random.random() < 0.3:
            machine.order(draw.random.choice((Verb.START, Verb.STOP)), name)
            machine.run(60.0)
        before = {name: (s.invocation, s.sub) for name, s in machine.world.units.items()}
        draw.edit(name)
        mark = len(machine.actions)
        refused = machine.world.refused
        machine.edit(draw.files())
        machine.run(60.0)
        if machine.world.refused is not refused or not all(s in UP for _, s in before.values()):
            continue  # what ends by itself, or failed, is nothing that a plan can foretell
        judged += 1
        news = [a for _, a in machine.actions[mark:] if isinstance(a, Announce)]
        planned = {a.unit: a.message.partition(":")[0] for a in news if a.kind == "commit.plan"}
        _compare(machine, seed, planned, before)
    return judged


def _compare(
    machine: Watcher, seed: int, planned: dict[str, str], before: dict[str, tuple[str, SubState]]
) -> None:
    restless = machine.restless()
    for name in sorted(before.keys() | machine.world.units.keys() | planned.keys()):
        if not name.endswith(".service") or name in restless:
            continue
        state = machine.state(name)
        old = before.get(name)
        fresh = bool(state.invocation) and state.invocation != (old[0] if old is not None else "")
        was_up = old is not None and old[1] in UP
        if fresh:
            done = "restart" if was_up else "start"
        elif was_up and state.sub not in UP:
            done = "stop"
        else:
            done = "nothing"
        said = planned.get(name, "nothing")
        if said in ("none", "live", "reload"):
            said = "nothing"
        if done != said:
            why = f"{state.sub} {state.waits_for} {state.message}"
            raise Fault(
                f"seed {seed}: the plan for {name} was {said}, what happened is {done} ({why})"
            )


KINDS = ("commit",) * 8 + ("verb",) * 4 + ("exit",) * 3 + ("time",) * 6
ROUGH = ("crash",) * 2 + ("mid-crash",) * 2 + ("oom", "stale", "new-shim", "health", "rest", "rest")
WAITS = (0.0, 0.0005, 0.02, 0.15, 1.0, 2.5, 7.0)  # seconds
VERBS = (
    Verb.START,
    Verb.STOP,
    Verb.RESTART,
    Verb.TRY_RESTART,
    Verb.RELOAD,
    Verb.KILL,
    Verb.RESET_FAILED,
)


def happenings(draw: Draw, count: int) -> list[Happening]:
    """The script of a history."""
    kinds = KINDS + (ROUGH if draw.rough else ())
    return [
        Happening(
            draw.random.choice(kinds),
            draw.random.choice(NAMES if draw.random.random() < 0.93 else [GUEST]),
            draw.random.randrange(1000),
            draw.random.choice(WAITS),
        )
        for _ in range(count)
    ]


def prepare(draw: Draw, happening: Happening) -> None:
    """Somebody edits, where it is a commit that happens."""
    if happening.kind == "commit":
        draw.edit(happening.unit)


def play(machine: Watcher, files: Mapping[str, str], happening: Happening) -> None:
    """Let one thing happen; `files` are those of the branch."""
    name, number = happening.unit, happening.number
    while not machine.manager_up:
        machine.run(0.1)
    match happening.kind:
        case "commit":
            machine.edit(files)
        case "verb":
            machine.order(VERBS[number % len(VERBS)], name)
        case "exit":
            machine.end(name, (0, 1, 3)[number % 3])
        case "oom":
            machine.strike(name)
        case "stale":
            machine.stale(name, number)
        case "health":
            machine.programs["probe"] = Program(lasts=0.2, status=number % 2)
            machine.excuse(*NAMES)
        case "crash":
            machine.crash()
            machine.run(happening.seconds)
            machine.restart(exits_first=bool(number % 2))
        case "mid-crash":
            machine.orders_left = number % 4
            machine.causes += 1
        case "new-shim":
            machine.excuse(*NAMES, TARGET, GUEST)
            machine.new_shim(survivors=bool(number % 2))
        case "rest":
            machine.at_rest()
        case _:  # only time passes
            pass
    if happening.kind != "crash":
        machine.run(happening.seconds)


def begin(draw: Draw, seed: int) -> Watcher:
    """A machine after its first commit."""
    machine = Watcher(seed)
    machine.edit(draw.files())
    if machine.world.desired is None:  # it was refused
        draw.plain()
        machine.edit(draw.files())
    return machine


def finish(machine: Watcher) -> None:
    """Whatever has happened, it comes to rest."""
    machine.orders_left = None
    machine.at_rest()


def history(seed: int, length: int = 40) -> Watcher:
    """Play the history of a seed; Fault if something that must hold did not."""
    draw = Draw(random.Random(seed))
    script = happenings(draw, length)
    machine = begin(draw, seed)
    for happening in script:
        prepare(draw, happening)
        play(machine, draw.files(), happening)
    finish(machine)
    return machine


if __name__ == "__main__":
    import sys
    import time

    first, last = map(int, sys.argv[1].split(":"))
    mode = sys.argv[2] if len(sys.argv) > 2 else ""
    judged = 0
    faults = 0
    began = time.monotonic()
    for seed in range(first, last):
        try:
            if mode == "crash":
                crash_changes_nothing(seed)
            elif mode == "plan":
                judged += plan_is_kept(seed)
            else:
                history(seed)
        except Exception as error:
            faults += 1
            print(f"seed {seed}: {type(error).__name__} {error}"[:600])
    print(
        f"{last - first} histories, {faults} faults, {judged} plans, {time.monotonic() - began:.1f} s"
    )
    sys.exit(bool(faults))
