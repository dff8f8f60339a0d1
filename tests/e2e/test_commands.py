"""systemd.service(5), "Exec...=": which commands run, in which order, and what follows when one of them fails.

Every command writes its name, and ends with the status that the case has for it.
"""

from __future__ import annotations

import pytest

from tests.e2e.harness import CONFIG, WANTED, shell, until

pytestmark = pytest.mark.root

KEEP = f'{CONFIG}[deploy]\non_failure = "keep"\n'  # what fails here fails on purpose
BEGIN = "condition pre-1 pre-2 main"
SUCCESS = ("dead", "success")
FAILED = ("failed", "exit-code")
STAYS = "Type=oneshot\nRemainAfterExit=yes"
#: What ends how, settings -> what runs, state and result.
CASES: dict[str, tuple[dict[str, int], str, str, tuple[str, str]]] = {
    "well": ({}, "Type=oneshot", f"{BEGIN} post stop after", SUCCESS),
    "stays": ({}, STAYS, f"{BEGIN} post", ("exited", "success")),
    "skipped": ({"condition": 1}, STAYS, "condition after", ("dead", "exec-condition")),
    "broken": ({"condition": 255}, STAYS, "condition after", FAILED),
    "unprepared": ({"pre-1": 1}, STAYS, "condition pre-1 after", FAILED),
    "half": ({"pre-2": 1}, STAYS, "condition pre-1 pre-2 after", FAILED),
    "fails": ({"main": 1}, STAYS, f"{BEGIN} after", FAILED),
    "late": ({"post": 1}, STAYS, f"{BEGIN} post after", FAILED),
    "forgiven": (
        {"-pre-1": 1, "-main": 1, "-post": 1},
        STAYS,
        f"{BEGIN} post",
        ("exited", "success"),
    ),
    "unstopped": ({"stop": 1}, "Type=oneshot", f"{BEGIN} post stop after", FAILED),
    "unforgiven": ({"-stop": 1, "after": 1}, "Type=oneshot", f"{BEGIN} post stop after", FAILED),
    "exits": ({}, "Type=exec", f"{BEGIN} post stop after", SUCCESS),
    "crashes": ({"main": 1}, "Type=exec", f"{BEGIN} post after", FAILED),
}
COMMANDS = {
    "condition": "ExecCondition",
    "pre-1": "ExecStartPre",
    "pre-2": "ExecStartPre",
    "main": "ExecStart",
    "post": "ExecStartPost",
    "reload": "ExecReload",
    "stop": "ExecStop",
    "after": "ExecStopPost",
}


def test_commands_run_in_order_and_what_fails_ends_the_start(machines):
    machine = machines(config=KEEP)

    def lines(name: str) -> str:
        ends, settings, _, _ = CASES[name]
        found = [settings]
        for word, directive in COMMANDS.items():
            mark = "-" if f"-{word}" in ends else ""
            status = ends.get(mark + word, 0)
            last = (
                "sleep 0.5; " if word == "main" and "exec" in settings else ""
            )  # for who is quick
            script = f"echo {word} >>{machine.root}/{name}; {last}exit {status}"
            found.append(f"{directive}={mark}{shell(script)}")
        return "\n".join(found)

    def told(name: str) -> str:
        file = machine.root / name
        return " ".join(file.read_text().split()) if file.exists() else ""

    machine.commit({f"{x}.service": f"[Service]\n{lines(x)}\n{WANTED}" for x in CASES})
    for name, (_, _, runs, (state, result)) in CASES.items():
        until(lambda n=name, all_=runs: len(told(n)) >= len(all_), f"all of {name} run")
        unit = machine.wait(name, state)
        assert (told(name), unit["result"]) == (runs, result), name
    assert machine.gitproc("reload", "stays").status == 0
    assert machine.gitproc("stop", "stays").status == 0
    assert told("stays") == f"{BEGIN} post reload stop after"
