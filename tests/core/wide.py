"""Histories of more than services: sockets that start them, paths that do, and units of the host's that they need."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from gitproc.core.actions import Action, Spawn
from gitproc.core.events import Slot
from gitproc.core.foreign import FRESH
from gitproc.core.host_unit import HostUnit
from gitproc.core.listening import listening_of
from gitproc.core.states import DOWN, UP, SubState
from gitproc.core.unit_state import UnitState
from tests.core.drawn import NAMES, Draw
from tests.core.histories import Happening, happenings, play
from tests.core.histories import finish as come_to_rest
from tests.core.watcher import Watcher

SERVED = NAMES[:4]  # that may have a socket
WATCHED = NAMES[2:]  # that may have a path
MATE, MOUNT = "beside.service", "there.mount"  # which the host has
SOCKETS = {name: name.replace(".service", ".socket") for name in SERVED}
PATHS = {name: name.replace(".service", ".path") for name in WATCHED}
STANDS = {
    "active": SubState.RUNNING,
    "activating": SubState.START,
    "inactive": SubState.DEAD,
    "failed": SubState.FAILED,
}
LATE = (
    FRESH + 1.0
)  # seconds for which an answer of the host's counts, and some for the answer itself


@dataclass
class Starter:
    """The text of a socket or a path, as choices that an edit changes one of."""

    there: bool = False
    number: int = 0
    limit: int = 0
    kind: str = "PathExists"
    part: bool = False

    def text(self, service: str) -> str:
        name = service.removesuffix(".service")
        lines = ["[Unit]"] + [f"PartOf={service}"] * self.part
        if self.kind == "ListenStream":
            lines += ["[Socket]", f"ListenStream=/run/{name}.{self.number}"]
        else:
            lines += ["[Path]", f"{self.kind}=/{name}"]
        if self.limit:
            lines += ["TriggerLimitIntervalSec=10", f"TriggerLimitBurst={self.limit}"]
        target = "sockets" if self.kind == "ListenStream" else "paths"
        return "\n".join((*lines, "[Install]", f"WantedBy={target}.target", ""))


class WideDraw(Draw):
    """Commits of services, of what starts them, and of what they need of the host."""

    def __init__(self, choices: random.Random, *, rough: bool = True, rich: bool = False) -> None:
        self.starters = {
            **{name: Starter(kind="ListenStream") for name in SOCKETS.values()},
            **{name: Starter() for name in PATHS.values()},
        }
        super().__init__(choices, rough=rough, rich=rich)
        for starter in self.starters.values():
            starter.there = choices.random() < 0.5

    def files(self) -> dict[str, str]:
        found = super().files()
        for service, name in (*SOCKETS.items(), *PATHS.items()):
            if self.starters[name].there and service in found:
                found[name] = self.starters[name].text(service)
        return found

    def plain(self) -> None:
        super().plain()
        for starter in self.starters.values():
            starter.part = False

    def edit(self, name: str) -> None:
        choose = self.random.choice
        what = choose(("service",) * 6 + ("starter",) * 3 + ("host",) + ("install",))
        model = self.models.get(name) or self.models[NAMES[0]]
        if what == "starter":
            starter = self.starters[choose(sorted(self.starters))]
            change = choose(("there", "there", "number", "limit", "kind", "part"))
            if change == "number":
                starter.number += 1
            elif change == "limit":
                starter.limit = choose((0, 0, 3))
            elif change == "kind" and starter.kind != "ListenStream":
                starter.kind = choose(("PathExists", "PathChanged", "PathModified"))
            elif change in ("there", "part"):
                setattr(starter, change, not getattr(starter, change))
        elif what == "host":
            model.relations[choose(("Requires", "BindsTo", "After"))] ^= {choose((MATE, MOUNT))}
        elif what == "install":
            model.installed = not model.installed
        else:
            super().edit(name)


class WideWatcher(Watcher):
    """Watches over these, too."""

    everyone = Watcher.everyone | {*SOCKETS.values(), *PATHS.values()}

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.host_units = {MATE: HostUnit("loaded", "active"), MOUNT: HostUnit("loaded", "active")}
        self.host_was_up = dict.fromkeys(self.host_units, 0.0)  # when it ceased to be

    # -- what happens ------------------------------------------------------------------------------

    def perform(self, action: Action) -> None:
        super().perform(action)
        if isinstance(action, Spawn) and action.process.slot is Slot.MAIN:
            self.sockets.waiting.pop(SOCKETS.get(action.unit.name, ""), None)  # it serves them

    def come(self, service: str) -> None:
        """Somebody connects."""
        name = SOCKETS.get(service, "")
        if name in self.sockets.held:
            self.excuse(name)
            self.sockets.connect(name)
            self.deliver()

    def occupy(self, service: str, taken: bool) -> None:
        """Somebody else has the address of a socket that is not open, or has it no more."""
        name = SOCKETS.get(service, "")
        (self.sockets.taken.add if taken else self.sockets.taken.discard)(name)

    def touch(self, service: str, number: int) -> None:
        """The path that may start a service comes to be, is written, or goes."""
        self.excuse(PATHS.get(service, service))
        self.write(f"/{service.removesuffix('.service')}", str(number) if number % 3 else "")

    def host_changes(self, number: int) -> None:
        """A unit of the host's changes its state."""
        assert self.host_units is not None
        name = (MATE, MOUNT)[number % 2]
        state = ("active", "inactive", "active", "failed", "activating")[number // 2 % 5]
        if self.host_units[name].up and state != "active":
            self.host_was_up[name] = self.now
        self.host_units[name] = HostUnit("loaded", state)
        oracle = self.oracle
        leaning = [x for x in oracle.units if name in oracle.needs[x] | oracle.after[x]]
        self.excuse(*leaning)

    # -- what must hold ----------------------------------------------------------------------------

    def standing(self, name: str) -> UnitState | None:
        if self.host_units is None or name not in self.host_units:
            return super().standing(name)
        up = self.host_units[name].up or self.now - self.host_was_up[name] < LATE
        return UnitState(name, SubState.RUNNING if up else SubState.DEAD)

    def state(self, name: str) -> UnitState:
        if self.host_units is None or name not in self.host_units:
            return super().state(name)
        return UnitState(name, STANDS[self.host_units[name].active])

    def restless(self) -> set[str]:
        there = {
            name
            for service, name in PATHS.items()
            if self.paths.get(f"/{service.removesuffix('.service')}")
        }
        waiting = {name for name in SOCKETS.values() if self.sockets.waiting[name]}
        return super().restless() | self.oracle.struck(there | waiting)

    def is_open(self, pending: set[str]) -> bool:
        return all(self._leans_on_host(name, set()) for name in pending)

    def _leans_on_host(self, name: str, seen: set[str]) -> bool:
        """Whether it, or what it needs, waits for a unit of the host's that is down."""
        if self.host_units is not None and name in self.host_units:
            return self.state(name).sub is not SubState.RUNNING
        if name in seen or self.state(name).sub in UP:
            return False
        seen.add(name)
        others = self.oracle.needs[name] | self.oracle.after[name]
        others |= {self.state(name).taken_along} - {""}
        return any(self._leans_on_host(other, seen) for other in others)

    def _excusable(self, name: str, seen: set[str]) -> bool:
        return self._leans_on_host(name, set()) or super()._excusable(name, seen)

    def at_rest(self) -> None:
        super().at_rest()
        held = {name for name, state in self.world.units.items() if state.hold is not None}
        down = self._leaning(held)
        for service, name in SOCKETS.items():
            self._check_socket(service, name, down)
        for service, name in PATHS.items():
            self._check_path(service, name)

    def _check_socket(self, service: str, name: str, down: set[str]) -> None:
        state = self.state(name)
        if (state.sub in UP) is not (name in self.sockets.held):
            self.fail(f"{name} is {state.sub}, and held are {self.sockets.held}")
        if state.sub not in UP:
            return
        it, unit = self.state(service), self.world.wanted_unit(service)
        if (state.sub is SubState.RUNNING) is (it.sub in DOWN):
            self.fail(f"{name} is {state.sub} while {service} is {it.sub}")
        idle = it.sub in (SubState.DEAD, SubState.FAILED) and it.activation is None
        if unit is None or not idle or service in down:
            return
        if service in self.oracle.wanted(self._demanded()) and it.done != unit.fingerprint:
            return  # it is to start, and waits
        if name not in self.sockets.watched and listening_of(state).resume_at is None:
            self.fail(f"nobody watches {name}, and {service} is {it.sub}")

    def _check_path(self, service: str, name: str) -> None:
        state, it = self.state(name), self.state(service)
        if state.sub not in UP:
            if name in self._path_units:
                self.fail(f"{name} is {state.sub}, and watched")
            return
        resting = it.sub in (SubState.DEAD, SubState.FAILED) and it.activation is None
        if state.sub is SubState.WAITING:
            if name not in self._path_units:
                self.fail(f"{name} waits, and nobody watches")
            if not resting and it.activation is None:
                self.fail(f"{name} waits while {service} is {it.sub}")
            there = self.paths.get(f"/{service.removesuffix('.service')}")
            exists = any("Exists" in x.key for x in self.oracle.units[name].settings)
            if there and exists and not state.message:
                self.fail(f"what {name} waits for is there, and {service} is {it.sub}")
        elif resting:
            self.fail(f"{name} is {state.sub}, and {service} is {it.sub}")


def script(draw: Draw, count: int) -> list[Happening]:
    """The script of a history: what befalls services, and what befalls the rest."""
    choose = draw.random.choice
    kinds = ("come",) * 5 + ("touch",) * 4 + ("host",) * 3 + ("occupy",)
    found = []
    for happening in happenings(draw, count):
        if draw.random.random() < 0.4:
            name = choose(NAMES)
            happening = Happening(choose(kinds), name, happening.number, happening.seconds)
        found.append(happening)
    return found


def play_wide(machine: WideWatcher, files: Mapping[str, str], happening: Happening) -> None:
    """Let one thing happen."""
    while not machine.manager_up:
        machine.run(0.1)
    name, number = happening.unit, happening.number
    match happening.kind:
        case "come":
            machine.come(name)
        case "touch":
            machine.touch(name, number)
        case "host":
            machine.host_changes(number)
        case "occupy":
            machine.occupy(name, number % 3 == 0)
        case _:
            play(machine, files, happening)
            return
    machine.run(happening.seconds)


def begin_wide(draw: Draw, seed: int) -> WideWatcher:
    """A machine after its first commit."""
    machine = WideWatcher(seed)
    machine.edit(draw.files())
    if machine.world.desired is None:
        draw.plain()
        machine.edit(draw.files())
    return machine


def wide_history(seed: int, length: int = 40, *, rich: bool = False) -> WideWatcher:
    """Play the history of a seed; Fault if something that must hold did not."""
    draw = WideDraw(random.Random(seed), rich=rich)
    plot = script(draw, length)
    machine = begin_wide(draw, seed)
    for happening in plot:
        if happening.kind == "commit":
            draw.edit(happening.unit)
        play_wide(machine, draw.files(), happening)
    come_to_rest(machine)
    return machine


if __name__ == "__main__":
    import sys

    first, last = map(int, sys.argv[1].split(":"))
    faults = 0
    for number in range(first, last):
        try:
            wide_history(number, rich="rich" in sys.argv[2:])
        except Exception as error:
            faults += 1
            print(f"seed {number}: {type(error).__name__} {error}"[:600])
    print(f"{last - first} histories, {faults} faults")
    sys.exit(bool(faults))
