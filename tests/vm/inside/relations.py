"""Inside the machine: systemd itself, held against the tables of what units mean for one another."""

from pathlib import Path

from tests.core.relations_table import ALONG, APART, CHOICES, FAMILY, REFUSED
from tests.e2e.life_table import LOST, losing
from tests.vm.inside.exec_directives import UNITS, systemctl
from tests.vm.inside.machine import wait_for


def renamed(text, case):
    """The letters of a case, as names of its own."""
    for letter in "abcdefghix":
        text = text.replace(f"{letter}.service", f"rel{case}-{letter}.service")
    return text


def written(case, units):
    for letter, relations in units.items():
        body = f"[Unit]\n{relations}\n[Service]\nExecStart=/bin/sleep 1000\n"
        (UNITS / f"rel{case}-{letter}.service").write_text(renamed(body, case))


def running(case):
    """The letters of the services of a case that run."""
    shown = systemctl("list-units", "--plain", "--no-legend", "--state=active", f"rel{case}-*")
    return "".join(sorted(line.split(".")[0][-1] for line in shown.splitlines()))


def test_what_a_start_leaves_out_and_what_is_refused():
    cases = [*CHOICES, *((x, units, "", "") for x, units in REFUSED)]
    for number, (x, units, _, _) in enumerate(cases):
        written(number, {"x": x, **units})
    systemctl("daemon-reload")
    wrong = []
    for number, (x, units, runs, _) in enumerate(cases):
        systemctl("start", f"rel{number}-x")
        if running(number) != runs:
            wrong.append((x, units, runs, running(number)))
    assert wrong == []


def test_who_goes_along_with_what_loses_what_it_is_bound_to():
    case = 100
    written(case, {name[0]: text for name, text in FAMILY.items()})
    systemctl("daemon-reload")
    names = [f"rel{case}-{name[0]}" for name in FAMILY]
    systemctl("start", *names)
    assert running(case) == "abcdefghi"
    systemctl("kill", "--signal=KILL", names[0])
    apart = "".join(name[0] for name in APART)
    wait_for(lambda: running(case) == apart, 30)
    assert set("abcdefghi") - set(apart) == {"a", *(name[0] for name in ALONG)}


def test_a_reload_runs_to_its_end_though_the_service_ends_meanwhile():
    for signal, (runs, state, result) in LOST.items():
        name, file = f"loses-{signal.lower()}", Path(f"/var/tmp/loses-{signal}")
        (UNITS / f"{name}.service").write_text(
            f"[Service]\nExecStart=/bin/sleep 1000\n{losing(signal, file)}\n"
        )
        systemctl("daemon-reload")
        systemctl("start", name)
        systemctl("reload", name)
        wait_for(lambda n=name, s=state: systemctl("is-active", n).strip() == s, 30)
        assert file.read_text().split() == runs.split()
        assert systemctl("show", "--value", "--property=Result", name).strip() == result
