"""Inside the machine: systemd itself, held against the tables of the life that GitProc gives its services."""

from pathlib import Path

import pytest

from tests.e2e.life_table import BEGIN, CASES, HEARD, SAY, SPEAKERS, commands, speaker, told
from tests.vm.inside.exec_directives import UNITS, systemctl
from tests.vm.inside.machine import wait_for

ROOT = Path("/var/tmp/life")
DEAD = ("dead", "success")  # systemd forgets who is down and has not failed


@pytest.fixture(scope="module", autouse=True)
def root():
    ROOT.mkdir()


def shown(name, *properties):
    lines = systemctl("show", name, *(f"--property={x}" for x in properties)).splitlines()
    found = dict(line.split("=", 1) for line in lines)
    return tuple(found[x] for x in properties)


def test_commands_run_in_order_and_what_fails_ends_the_start():
    for name in CASES:
        text = f"[Service]\n{commands(name, ROOT / name)}\n"
        (UNITS / f"life-{name}.service").write_text(text)
    systemctl("daemon-reload")
    systemctl("start", "--no-block", *(f"life-{name}" for name in CASES))
    wrong = []
    for name, (_, _, runs, end) in CASES.items():
        wait_for(lambda n=name, all_=runs: len(told(ROOT / n)) >= len(all_), 60)
        wait_for(lambda n=name, e=end: shown(f"life-{n}", "SubState")[0] in (e[0], "failed"), 60)
        found = (told(ROOT / name), shown(f"life-{name}", "SubState", "Result"))
        if found != (runs, end if end[0] != "dead" else DEAD):
            wrong.append((name, found))
    assert wrong == []
    systemctl("reload", "life-stays")
    systemctl("stop", "life-stays")
    assert told(ROOT / "stays") == f"{BEGIN} post reload stop after"


def test_of_whom_words_are_taken():
    (ROOT / "say.py").write_text(SAY)
    run = f"/usr/bin/python3 -I -S {ROOT}/say.py"
    all_ = [(access, who) for access in HEARD for who in SPEAKERS]
    for access, who in all_:
        text = f"[Service]\n{speaker(run, access, who, ROOT / f'{access}-{who}')}\n"
        (UNITS / f"say-{access}-{who}.service").write_text(text)
    systemctl("daemon-reload")
    names = [f"say-{access}-{who}" for access, who in all_]
    systemctl("start", *names)
    for access, who in all_:
        wait_for((ROOT / f"{access}-{who}").exists, 60)
        said = shown(f"say-{access}-{who}", "StatusText")
        assert said == ("heard" if who in HEARD[access] else "",), (access, who)
    systemctl("stop", *names)
