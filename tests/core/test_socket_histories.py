"""Random lives of two sockets: whoever connects is served, or there is a reason that can be said."""

from __future__ import annotations

import random

import pytest

from gitproc.core.events import Verb
from gitproc.core.states import DOWN
from tests.core.fake_kernel import KILL, Machine, Program, service

SOCKETS = ("a.socket", "b.socket")
NAMES = (*SOCKETS, "a.service")
PROGRAMS = {"serve": Program(ready=0.3, takes=0.3, on_signal=0), "brief": Program(lasts=0.5)}
HAPPENINGS = (
    ("connect",) * 6 + ("commit",) * 4 + ("verb",) * 3
    + ("kill", "kill", "end", "crash", "orders", "shim", "condition")
)  # fmt: skip


class Life:
    """A machine with a.socket for a.service, and b.socket for an instance of b@.service each time."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.there = dict.fromkeys((*SOCKETS, "a.service", "b@.service", "c.service"), True)
        self.choices: dict[str, int] = dict.fromkeys(self.there, 0)
        self.machine = Machine(self.files(), PROGRAMS)
        self.machine.run(1)

    def files(self) -> dict[str, str]:
        """What the commit of the moment has; a.service is one of several services."""
        a, b, port = (self.choices[x] for x in ("a.service", "b@.service", "a.socket"))
        order = ("", "BindsTo=a.socket\nAfter=a.socket", "Requires=c.service\nAfter=c.service")
        own = "Update=overlap" if a % 2 else ""
        text = {
            "a.socket": f"[Socket]\nListenStream=/run/a{port % 2}\nBacklog={port}\nFlushPending=yes\n",
            "b.socket": "[Socket]\nListenStream=/run/b\nAccept=yes\nMaxConnections=3\n",
            "a.service": service(
                f"ExecStart=/bin/serve {a}",
                "Type=notify",
                "Restart=on-failure" if a % 3 else "Restart=no",
                unit=f"{order[a % 3]}\nConditionPathExists=/mark\nStartLimitBurst=4",
                install=a % 5 == 4,
                own=own,
            ),
            "b@.service": service(
                f"ExecStart=/bin/{'run' if b % 2 else 'brief'} {b}",
                unit="PartOf=b.socket" if b % 3 else "",
                install=False,
            ),
            "c.service": service(f"ExecStart=/bin/run {self.choices['c.service']}", install=False),
        }
        wanted = "[Install]\nWantedBy=sockets.target\n"
        there = {name: text[name] for name in text if self.there[name]}
        return {n: t + (wanted if n in SOCKETS else "") for n, t in there.items()}

    def commit(self) -> None:
        name = self.chance.choice(sorted(self.there))
        if self.chance.random() < 0.25:
            self.there[name] = not self.there[name]
        else:
            self.choices[name] += 1
        self.machine.commit(self.files())

    def happen(self, what: str) -> None:
        machine, chance = self.machine, self.chance
        match what:
            case "connect":
                name = chance.choice(SOCKETS)
                if name in machine.sockets.held:
                    machine.sockets.connect(name, str(chance.randrange(9)))
            case "commit":
                self.commit()
            case "verb" if machine.manager_up and machine.world.desired is not None:
                verb = chance.choice((Verb.STOP, Verb.START, Verb.RESTART, Verb.RESET_FAILED))
                name = chance.choice([*NAMES, *machine.subs()])
                if name in machine.world.units and "~" not in name:
                    machine.ask(verb, name)
            case "kill" | "end" if procs := machine.alive():
                proc = chance.choice(procs)
                if what == "kill":
                    machine.kill(proc, KILL)
                else:
                    machine.exit(proc)
            case "crash" if machine.manager_up:
                machine.crash()
                machine.run(chance.random())
                machine.restart()
            case "orders":
                machine.orders_left = chance.randrange(6)
            case "shim" if machine.manager_up and machine.orders_left is None:
                machine.new_shim(survivors=chance.random() < 0.8)
            case "condition":
                (machine.unmet.discard if "/mark" in machine.unmet else machine.unmet.add)("/mark")
            case _:
                pass

    def check(self) -> None:
        """At rest: what is up is as it should be, and nobody waits at a door that would open."""
        machine, world = self.machine, self.machine.world
        for name, state in world.units.items():
            if state.sub in DOWN:
                assert not machine.alive(state.seat), name
            if name.endswith(".socket"):
                assert state.up == (name in machine.sockets.held), (name, state.sub)
        assert machine.sockets.held <= world.units.keys()
        waiting = [x for x, count in machine.sockets.waiting.items() if count]
        for name in waiting:
            assert name == "a.socket", "with Accept=yes nobody waits"
            a = machine.state("a.service")
            stopped = a.hold is not None or "a.service" in world.blocked
            unmet = "/mark" in machine.unmet
            gone = world.wanted_unit("a.service") is None
            served = not a.down
            assert stopped or unmet or gone or served or machine.sub(name) == "failed", (
                machine.subs()
            )


@pytest.mark.parametrize("seed", range(40))
def test_whoever_connects_is_served_or_there_is_a_reason(seed):
    life = Life(seed)
    machine = life.machine
    for _ in range(25):
        life.happen(life.chance.choice(HAPPENINGS))
        machine.run(life.chance.choice((0.0, 0.005, 0.1, 1.0, 4.0)))
    machine.orders_left = None
    machine.run(60)
    life.check()
    machine.shutdown()
    machine.run(30)
    assert machine.exited and not machine.alive()
    assert not machine.sockets.held
