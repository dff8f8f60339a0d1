"""Random histories of a machine, and what must hold in each of them, said from the definitions.

A history is a list of happenings drawn from a seed alone: commits (each a one-line edit of the last one, over
a dense graph of few units), ends of processes, verbs, time, crashes of the manager in the midst of its
orders. The `Watcher` looks at every order and every step with an oracle of its own: it reads what units say
of each other from their settings, never from the graph or the states' helpers under test.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from gitproc.core.actions import Announce
from gitproc.core.events import (
    Verb,
)
from gitproc.core.states import UP, SubState
from tests.core.drawn import GUEST, NAMES, Draw
from tests.core.fake_kernel import Program
from tests.core.watcher import Fault, Watcher


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


def crash_changes_nothing(seed: int, length: int = 15, *, rich: bool = False) -> None:
    """The same history with and without crashes of the manager does the same to each unit."""
    ends = []
    for crashes in (False, True):
        draw = Draw(random.Random(seed), rough=False, rich=rich)
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
    kinds = KINDS + (ROUGH if draw.rough else ()) + (("mark",) * 2 if draw.rich else ())
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
        case "mark":
            machine.mark(bool(number % 2))
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
            machine.excuse(*machine.everyone)
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


def history(seed: int, length: int = 40, *, rich: bool = False) -> Watcher:
    """Play the history of a seed; Fault if something that must hold did not."""
    draw = Draw(random.Random(seed), rich=rich)
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
            if mode in ("crash", "rich-crash"):
                crash_changes_nothing(seed, rich=mode == "rich-crash")
            elif mode == "plan":
                judged += plan_is_kept(seed)
            else:
                history(seed, rich=mode == "rich")
        except Exception as error:
            faults += 1
            print(f"seed {seed}: {type(error).__name__} {error}"[:600])
    print(
        f"{last - first} histories, {faults} faults, {judged} plans, {time.monotonic() - began:.1f} s"
    )
    sys.exit(bool(faults))
