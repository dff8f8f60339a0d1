"""The namespaces of systemd.exec(5), "Sandboxing": what is forbidden fails, and only that."""

from __future__ import annotations

import pytest

from tests.e2e.harness import service, shell, until
from tests.e2e.sandbox_table import DENIED, FAILURES, GRANTED, PRIVILEGED, Place

pytestmark = pytest.mark.root


@pytest.fixture
def place(machine, unique):
    found = Place(str(machine.root), unique)
    yield from (found for _ in found.prepare())


def ended(machine, name):
    """The exit status of a oneshot's script."""

    def over():
        unit = machine.unit(name)
        done = unit.get("sub_state") in ("dead", "failed", "exited")
        return unit if done and unit["exec_main_code"] == "exited" else None

    return until(over, f"{name} ends")["exec_main_status"]


def oneshot(settings, script, mark=""):
    unit = "\n".join(x for x in settings.splitlines() if x.startswith("JoinsNamespaceOf"))
    rest = "\n".join(x for x in settings.splitlines() if not x.startswith("JoinsNamespaceOf"))
    return service(mark + shell(script), f"Type=oneshot\nRemainAfterExit=yes\n{rest}", unit)


def test_what_is_denied_and_what_is_granted(machine, place):
    units, wanted = {}, {}
    for number, (settings, script) in enumerate(DENIED):
        units[f"d{number}"], wanted[f"d{number}"] = (
            (settings, script, ""),
            (False, settings, script),
        )
        units[f"p{number}"] = "", script, ""
        wanted[f"p{number}"] = (True, "", script)
    for number, (settings, more, script) in enumerate(GRANTED):
        units[f"r{number}"] = settings, script, ""
        wanted[f"r{number}"] = (False, settings, script)
        units[f"g{number}"] = f"{settings}\n{more}", script, ""
        wanted[f"g{number}"] = (True, f"{settings}\n{more}", script)
    for number, (settings, script) in enumerate(PRIVILEGED):
        units[f"f{number}"] = settings, script, "+"
        wanted[f"f{number}"] = (True, settings, "+" + script)
    # One after the other: the scripts share what they try.
    names = list(units)
    files = {}
    for before, name in zip(["", *names[:-1]], names, strict=True):
        settings, script, mark = units[name]
        text = oneshot(place.fill(settings), place.fill(script), mark)
        order = f"[Unit]\nAfter={before}.service\n" if before else ""
        files[f"{name}.service"] = order + text
    machine.commit(files)
    assert machine.gitproc("verify").status == 0
    problems = []
    for name in names:
        status = ended(machine, name)
        succeeds, settings, script = wanted[name]
        if (status == 0) is not succeeds or status > 200:
            problems.append((settings, script, status, machine.log(name)))
    assert problems == [], "\n".join(map(str, problems))


def test_what_cannot_be_had_ends_with_the_number_of_its_step(machine, place):
    files = {
        f"e{number}.service": service("/bin/true", f"Type=oneshot\n{place.fill(settings)}")
        for number, (settings, _) in enumerate(FAILURES)
    }
    machine.commit(files)
    for number, (settings, status) in enumerate(FAILURES):
        assert ended(machine, f"e{number}") == status, settings
