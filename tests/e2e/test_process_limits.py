"""Limits of processes, LimitCPU= and its kin: what is over them is tried in vain, and done without them."""

from __future__ import annotations

import pytest

from tests.e2e.harness import service, until
from tests.e2e.limits_table import DENIED, TRIES

pytestmark = pytest.mark.root


def test_what_is_over_a_limit_is_tried_in_vain(machine):
    machine.repository.write({"tries.py": TRIES})
    run = "/usr/bin/python3 -I -S ${GITPROC_TREE}/tries.py"
    machine.commit({
        f"{kind}{number}.service": service(f"{run} {what}", f"Type=oneshot\n{text}")
        for number, (settings, limit, what) in enumerate(DENIED)
        for kind, text in (("w", settings), ("l", f"{settings}\n{limit}"))
    })  # fmt: skip

    def ended(name: str) -> dict:
        return until(
            lambda: (x := machine.unit(name)).get("exec_main_code") and x.get("sub_state") in ("dead", "failed") and x,
            f"{name} ends", 40,
        )  # fmt: skip

    problems = [
        (settings, limit, what, machine.log(f"{kind}{number}"))
        for number, (settings, limit, what) in enumerate(DENIED)
        for kind, well in (("w", True), ("l", False))
        if ((end := ended(f"{kind}{number}"))["result"] == "success") is not well
        or end["exec_main_status"] >= 200
    ]
    assert problems == []
