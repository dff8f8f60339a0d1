"""systemd.unit(5), "Conditions and Asserts": each is met on a real machine, and is not (conditions_table).

A program is started exactly where it should; what is not met is skipped, or fails where it was asserted.
"""

from __future__ import annotations

import sys

import pytest

from tests.e2e.conditions_table import DRESS, HOLDS, MANAGER, TOGETHER
from tests.e2e.harness import KEEP, service, until
from tests.e2e.private import PrivateMachine

pytestmark = pytest.mark.root


@pytest.fixture
def machine():
    with PrivateMachine(config=KEEP) as machine:
        dress = [sys.executable, "-I", "-S", "-c", DRESS, str(machine.root)]
        machine.prefix += [*dress, *MANAGER]
        yield machine.start()


def test_each_condition_lets_start_and_keeps_from_starting(machine):
    ran = machine.root / "ran"
    ran.mkdir()
    lines = {
        f"{prefix}-{kind}": [f"{prefix}{kind}={value}" for value in values]
        for kind, values in HOLDS.items()
        for prefix in ("Condition", "Assert")
    }
    lines.update({f"Condition-{name}": list(both) for name, both in TOGETHER.items()})
    asked = {
        f"{name}-{word}": text.replace("{root}", str(machine.root))
        for name, both in lines.items()
        for word, text in zip(("yes", "no"), both, strict=True)
    }
    asked["Requires-MountsFor-yes"] = f"RequiresMountsFor={machine.root}/bare"
    asked["Requires-MountsFor-no"] = f"RequiresMountsFor={machine.root}/absent/below"
    machine.commit(
        {
            f"{name}.service": service(f"/bin/touch {ran}/{name}", "Type=oneshot", line)
            for name, line in asked.items()
        }
    )
    starts = {name for name in asked if name.endswith("yes")}
    ends = {
        "Condition": ("inactive", "success"),
        "Assert": ("failed", "assert"),
        "Requires": ("failed", "dependency"),
    }
    expected = {name: ends[name.partition("-")[0]] for name in asked.keys() - starts}
    expected.update(dict.fromkeys(starts, ("inactive", "success")))

    def settled():
        skipped = {x["unit"].removesuffix(".service") for x in machine.events("unit.skipped")}
        units = machine.units()
        failed = {name for name in asked if units.get(name, {}).get("active_state") == "failed"}
        started = {x.name for x in ran.iterdir()}
        return skipped | failed | started >= asked.keys()

    until(settled, "each is started or not", 40)
    wrong = {asked[name] for name in {x.name for x in ran.iterdir()} ^ starts}
    assert wrong == set(), "started, and should not be; or the other way round"

    def states():
        units = machine.units()
        return {name: (units[name]["active_state"], units[name]["result"]) for name in asked}

    until(lambda: expected.items() <= states().items(), "each is as it should be")
    missing = (
        f"RequiresMountsFor={machine.root}/absent/below (of /etc/fstab: {machine.root}/absent)"
    )
    name = "Requires-MountsFor-no"
    assert machine.unit(name)["conditions"]["missing"] == [missing]
    said = machine.gitproc("status", name).out
    assert "Result: dependency" in said and missing in said and "not mounted" in said
    told = machine.events("unit.failed", f"{name}.service")[-1]
    assert told["data"]["result"] == "dependency" and f"not mounted: {missing}" in told["message"]
    started = machine.gitproc("start", name)
    assert started.status != 0 and "file system that is not mounted" in started.err
    assert "dependency" in machine.gitproc("show", "-p", "Result", name).out
