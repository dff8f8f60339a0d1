"""OOMPolicy=: the kernel ends a child that eats too much; what becomes of its parent, the main process."""

from __future__ import annotations

import pytest

from tests.e2e.harness import service, until

pytestmark = pytest.mark.root

MAIN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (print("TERM", flush=True), os._exit(0)))
if os.fork() == 0:
    bytearray(1 << 28)
os.wait()
print("child gone", flush=True)
while True: time.sleep(100)
"""
ENDS = {
    "continue": ("running", "success", "child gone"),
    "stop": ("failed", "oom-kill", "TERM"),
    "kill": ("failed", "oom-kill", ""),
}


def test_what_follows_when_a_process_of_a_unit_is_killed_for_memory(machine):
    machine.repository.write({"main.py": MAIN})
    run = "/usr/bin/python3 -I -S ${GITPROC_TREE}/main.py"
    limits = "MemoryMax=32M\nMemorySwapMax=0"
    machine.commit(
        {f"{policy}.service": service(run, f"OOMPolicy={policy}\n{limits}") for policy in ENDS}
    )
    for policy, (state, result, told) in ENDS.items():
        name = f"{policy}.service"
        until(lambda name=name: machine.events("unit.oom-kill", name), f"{name}: it is said")
        unit = machine.wait(policy, state)
        assert (unit["sub_state"], unit["result"]) == (state, result), policy
        if policy != "kill":
            until(lambda name=policy, word=told: word in machine.log(name), f"{policy}: {told}")
            continue
        assert "TERM" not in machine.log(policy)
        assert (unit["exec_main_code"], unit["exec_main_status"]) == ("killed", 9)
