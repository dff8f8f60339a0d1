"""Rules that are asked of the units that set something they are about find what they find when asked of all."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import pytest

from gitproc.units import assembly, service_rules
from gitproc.units.directives import EXEC_START
from tests.e2e import exec_table, limits_table, privileges_table, sandbox_table
from tests.units.trees import texts, tree

DEBIAN = json.loads((Path(__file__).parents[1] / "data/debian.json").read_text(encoding="utf-8"))
EVER = frozenset({EXEC_START.key})
"""What all of the units below set."""
FOUND_IN_DEBIAN = [
    f"[{key.partition('.')[0]}]\n{key.partition('.')[2]}={text}\n"
    for key, values in DEBIAN["values"].items()
    for text, _ in values
]
TRIED = [
    f"[Service]\n{settings}\n"
    for settings in chain(
        (settings for settings, _ in (*sandbox_table.DENIED, *sandbox_table.NEWER)),
        (settings for settings, _ in (*privileges_table.WISHES, *exec_table.WISHES)),
        (more for _, more, _ in sandbox_table.GRANTED),
        (limit for _, limit, _ in limits_table.DENIED),
    )
]
ODD = [
    f"[{section}]\n{line}\n"
    for section, line in (
        ("Unit", "DefaultInstance=x"),
        ("Service", "HealthCheckURL=http://127.0.0.1/"),
        ("X-GitProc", "HealthCheckTCP=127.0.0.1:1\nHealthCheckExec=/bin/true"),
        ("X-GitProc", "Update=overlap"),
        ("X-GitProc", "Update=overlap\n[Service]\nType=forking"),
        ("X-GitProc", "RestartTriggers=gone.conf"),
        ("X-GitProc", "ReloadTriggers=gone.conf"),
        ("Service", "RestartSteps=3"),
        ("Service", "RuntimeRandomizedExtraSec=3"),
        ("Service", "WatchdogSec=3\nNotifyAccess=none"),
        ("Service", "Type=simple\nPIDFile=/run/x.pid"),
        ("Service", "KillMode=none"),
        ("Service", "Type=forking\nPrivatePIDs=yes"),
        ("Service", "StandardInputText=x"),
        ("Service", "SystemCallFilter=gone_call"),
        ("Service", "Type=dbus"),
    )
]  # fmt: skip
OWN = (f"{text}[Service]\nExecStart=/bin/sleep 1\n" for text in (*FOUND_IN_DEBIAN, *TRIED, *ODD))
FILES = {f"u{number}.service": text for number, text in enumerate(OWN)}


def test_nothing_is_found_by_asking_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tree(FILES, "*")
    with monkeypatch.context() as everybody:
        for module, name in (
            (service_rules, "_SETTLED_BY"),
            (service_rules, "_SAYS_OF"),
            (assembly, "_SAYS_OF"),
        ):
            assert getattr(module, name).isdisjoint(EVER)
            everybody.setattr(module, name, EVER)
        all_asked = tree(FILES, "*")
    assert texts(asked) == texts(all_asked)
    for name, unit in asked.units.items():
        assert dict(unit.values) == dict(all_asked.units[name].values), FILES[name]
