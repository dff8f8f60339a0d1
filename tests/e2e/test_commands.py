"""systemd.service(5), "Exec...=" and "NotifyAccess=": what runs, what follows, and who is listened to (life_table)."""

from __future__ import annotations

import pytest

from tests.e2e.harness import KEEP, WANTED, until
from tests.e2e.life_table import BEGIN, CASES, HEARD, SAY, SPEAKERS, commands, speaker, told

pytestmark = pytest.mark.root


def test_commands_run_in_order_and_what_fails_ends_the_start(machines):
    machine = machines(config=KEEP)
    files = {name: machine.root / name for name in CASES}
    machine.commit(
        {f"{x}.service": f"[Service]\n{commands(x, file)}\n{WANTED}" for x, file in files.items()}
    )
    for name, (_, _, runs, (state, result)) in CASES.items():
        until(lambda n=name, all_=runs: len(told(files[n])) >= len(all_), f"all of {name} run")
        unit = machine.wait(name, state)
        assert (told(files[name]), unit["result"]) == (runs, result), name
    assert machine.gitproc("reload", "stays").status == 0
    assert machine.gitproc("stop", "stays").status == 0
    assert told(files["stays"]) == f"{BEGIN} post reload stop after"


def test_of_whom_words_are_taken(machine):
    machine.repository.write({"say.py": SAY})
    run = "/usr/bin/python3 -I -S ${GITPROC_TREE}/say.py"
    all_ = [(access, who) for access in HEARD for who in SPEAKERS]
    machine.deploy(
        {
            f"{access}-{who}.service": "[Service]\n"
            f"{speaker(run, access, who, machine.root / f'{access}-{who}')}\n{WANTED}"
            for access, who in all_
        }
    )
    for access, who in all_:
        name = f"{access}-{who}"
        until((machine.root / name).exists, f"{name} has spoken")
        wanted = "heard" if who in HEARD[access] else ""
        until(lambda n=name, w=wanted: machine.unit(n)["status_text"] == w, f"{name}: {wanted}")
