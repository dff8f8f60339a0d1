"""The privileges of systemd.exec(5): what a unit forbids, a real program tries in vain, and does without that."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import service, until
from tests.e2e.privileges_table import (
    ATTEMPTS,
    BARREN,
    EPERM,
    FREE,
    PREFIXES,
    WISHES,
    differences,
)

pytestmark = pytest.mark.root

RUN = "/usr/bin/python3 -I -S ${GITPROC_TREE}/attempts.py"


def test_what_is_forbidden_is_tried_in_vain(machine):
    machine.repository.write({"attempts.py": ATTEMPTS})
    cases = [("", *case) for case in WISHES] + PREFIXES
    units = {
        f"c{number}.service": service(f"{prefix}{RUN}", f"Type=oneshot\n{settings}")
        for number, (prefix, settings, _) in enumerate(cases)
    }
    machine.deploy(units)

    def found(number: int) -> dict:
        return json.loads(until(lambda: machine.log(f"c{number}"), f"{cases[number]} speaks"))

    plain = found(0)
    barred = sorted(name for name in FREE if plain[name] != 0)
    assert len(barred) < 5, f"this machine forbids {barred} by itself: the test would say nothing"
    assert all(plain[name] not in (0, EPERM) for name in BARREN)
    problems = [
        (settings, told)
        for number, (_, settings, wanted) in enumerate(cases)
        if (told := differences(found(number), wanted, plain))
    ]
    assert problems == []
