"""What confinement costs a start: the time from the order to exec, with one thing asked for and without."""

from __future__ import annotations

import statistics
import time

import pytest

from gitproc.kernel.launch import LaunchContext
from gitproc.kernel.spec_privileges import privileges_of
from gitproc.units.specifiers import Host
from tests.bench.report import row
from tests.kernel.parts import unit
from tests.shim.client import Shim

ROUNDS = 150
pytestmark = pytest.mark.bench

HARDENED = """
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
MemoryDenyWriteExecute=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
"""
CASES = {
    "nothing": "",
    "NoNewPrivileges=": "NoNewPrivileges=yes",
    "CapabilityBoundingSet= of one": "CapabilityBoundingSet=CAP_CHOWN",
    "one filter (LockPersonality=)": "LockPersonality=yes",
    "SystemCallFilter=@system-service": "SystemCallFilter=@system-service",
    "ten of them, as hardened units have": HARDENED,
}


@pytest.mark.timeout(120)
def test_cost_of_a_start(tmp_path):
    shim = Shim(tmp_path)
    client = shim.connect()
    context = LaunchContext(Host())
    specs = {name: privileges_of(unit(text), context, []) for name, text in CASES.items()}
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    try:
        for number in range(ROUNDS):
            for name, spec in specs.items():
                begun = time.perf_counter()
                id, _ = client.start(f"{name}{number}", "/bin/true", **spec)
                taken[name].append(time.perf_counter() - begun)
                client.exit_of(id)
    finally:
        shim.end()
    plain = statistics.median(taken["nothing"])
    for name, times in taken.items():
        found = statistics.median(times)
        more = f"{(found - plain) * 1e6:+.0f} us" if name != "nothing" else ""
        row(
            f"a start with {name}, order -> exec",
            f"{found * 1000:.2f} ms",
            baseline=more,
            command="cost_of",
        )


def test_cost_of_compiling():
    context = LaunchContext(Host())
    privileges_of(unit("LockPersonality=yes"), context, [])  # the library is loaded
    made = unit(f"{HARDENED}SystemCallFilter=~@chown")
    begun = time.perf_counter()
    privileges_of(made, context, [])
    first = time.perf_counter() - begun
    again = min(_timed(made, context) for _ in range(100))
    none = min(_timed(unit(""), context) for _ in range(100))
    row(
        "filters of a hardened unit, first of its kind", f"{first * 1000:.1f} ms", command="cost_of"
    )
    row(
        "the same again, and a unit without any",
        f"{again * 1e6:.0f} us, {none * 1e6:.1f} us",
        command="cost_of",
    )


def _timed(made, context):
    begun = time.perf_counter()
    privileges_of(made, context, [])
    return time.perf_counter() - begun
