"""Random lives of a service that overlaps: never three instances, never none without a reason, at last the newest."""

from __future__ import annotations

import random

import pytest

from gitproc.core.events import Verb
from tests.core.fake_kernel import KILL, Machine
from tests.core.test_overlap import HEALTH, SEATS, living, machine_of, update

LINES = ("ExecStop=/bin/true", "ExecStartPre=/bin/true", "Restart=always", "TimeoutStartSec=5")
GENTLE = ("commit", "commit", "bad", "crash", "orders")  # these leave no moment without an instance
ROUGH = ("kill", "verb", "sick", "shim", "stands")


class Life:
    """One life of the service, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.machine: Machine = machine_of(*LINES, own=HEALTH)
        self.number = 1

    def commit(self, command: str = "/bin/notify", back: int = 0) -> None:
        self.number += 1
        update(self.machine, self.number - back, *LINES, own=HEALTH, command=command)

    def happen(self, what: str) -> None:
        machine, chance = self.machine, self.chance
        match what:
            case "commit":
                self.commit(back=chance.randrange(2))
            case "bad":
                self.commit(chance.choice(("/bin/crash", "/bin/mute", "/bin/missing")))
                machine.run(chance.random() * 4)
                self.commit()
            case "stands":  # a bad one that stays in force, whose old instance ends now and then
                self.commit(chance.choice(("/bin/crash", "/bin/missing")))
                machine.run(8)
                if (
                    main := machine.state("a.service").main
                ) is not None and main.pid in machine.procs:
                    machine.kill(machine.procs[main.pid], KILL)
            case "crash" if machine.manager_up:
                machine.crash()
                machine.run(chance.random())
                machine.restart()
            case "orders":
                machine.orders_left = chance.randrange(6)
            case "shim" if machine.manager_up and machine.orders_left is None:
                machine.new_shim(survivors=chance.random() < 0.8)
            case "kill":
                procs = [proc for seat in SEATS for proc in machine.alive(seat)]
                if procs:
                    machine.kill(chance.choice(procs), KILL)
            case "verb" if machine.manager_up:
                verbs = (Verb.STOP, Verb.START, Verb.RESTART, Verb.RELOAD)
                machine.ask(chance.choice(verbs), "a.service")
            case "sick":
                machine.healthy[chance.choice(SEATS)] = chance.random() < 0.5
            case _:
                pass  # the manager is down already


@pytest.mark.parametrize("seed", range(60))
def test_random_lives_end_with_the_newest_instance_alone(seed):
    life = Life(seed)
    machine, gentle = life.machine, seed % 3 == 0
    for _ in range(30):
        life.happen(life.chance.choice(GENTLE if gentle else GENTLE + ROUGH))
        for _ in range(life.chance.randrange(40)):
            machine.run(0.1)
            mains = [x for x in living(machine) if not x.startswith("true")]
            assert len(mains) <= 2
            assert mains or not gentle
    machine.orders_left = None
    machine.run(1)
    machine.healthy.clear()
    life.commit()
    machine.run(1)
    machine.ask(Verb.START, "a.service")
    machine.run(120)
    assert living(machine) == [f"notify {life.number}"]
    assert "a~.service" not in machine.world.units
    assert not machine.world.updating
    assert "unit/a~.service" not in machine.disk
    machine.shutdown()
    machine.run(30)
    assert machine.exited and not machine.alive()
