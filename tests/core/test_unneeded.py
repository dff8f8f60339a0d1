"""StopWhenUnneeded=: what runs for others goes when the last of them does, in whatever way that happens."""

from __future__ import annotations

from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, service

SHARED = service(unit="StopWhenUnneeded=yes", install=False)


def machine_of(**units: str) -> Machine:
    files = {f"{name}.service": text for name, text in units.items()}
    machine = Machine({"shared.service": SHARED, **files})
    machine.run(1)
    assert machine.sub("shared.service") == "running"
    return machine


def test_who_only_starts_beside_it_needs_it_too():
    machine = machine_of(
        a=service(unit="Requisite=shared.service\nAfter=shared.service"),
        b=service(unit="Wants=shared.service"),
    )
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    for name, state in (("b.service", "running"), ("a.service", "dead")):
        machine.ask(Verb.STOP, name)
        machine.run(1)
        assert machine.sub("shared.service") == state


def test_who_waits_to_start_needs_it_until_it_must_not_start():
    never = service("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=infinity")
    machine = machine_of(
        a=service(unit="Wants=shared.service\nRequires=other.service\nAfter=never.service"),
        never=never,
        other=service(),
    )
    machine.ask(Verb.STOP, "other.service")
    machine.run(1)
    assert machine.sub("a.service") == "dead"
    assert machine.sub("shared.service") == "dead"
    machine.ask(Verb.START, "other.service")
    machine.run(1)
    assert machine.sub("shared.service") == "running"
