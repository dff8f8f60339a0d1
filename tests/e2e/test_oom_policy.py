"""OOMPolicy=: the kernel ends a child that eats too much; what becomes of its parent, the main process."""

from __future__ import annotations

import pytest

from tests.e2e.harness import service, until

pytestmark = pytest.mark.root

MAIN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"TERM\\n"), os._exit(0)))
# Until the child's memory is given back, whoever wants a page is killed too.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
if os.fork() == 0:
    bytearray(1 << 28)
os.wait()
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
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
            until(lambda name=policy, word=told: word in machine.log(name), f"{told} of {unit}")
            continue
        assert "TERM" not in machine.log(policy)
        assert (unit["exec_main_code"], unit["exec_main_status"]) == ("killed", 9)


LATER = MAIN.replace(
    "if os.fork",
    "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})\nprint('waits', flush=True)\n"
    "signal.sigwait({signal.SIGUSR1})\nif os.fork",
)


def test_another_policy_holds_without_a_restart(machine):
    machine.repository.write({"main.py": LATER})
    run = "/usr/bin/python3 -I -S ${GITPROC_TREE}/main.py"
    limits = "MemoryMax=32M\nMemorySwapMax=0"
    policies = {"continue": "kill", "kill": "continue"}
    machine.deploy({f"{x}.service": service(run, f"OOMPolicy={x}\n{limits}") for x in policies})
    pids = machine.pids()
    machine.deploy(
        {f"{x}.service": service(run, f"OOMPolicy={y}\n{limits}") for x, y in policies.items()}
    )
    assert machine.pids() == pids
    for name in policies:
        until(lambda name=name: "waits" in machine.log(name), f"{name} waits")
        assert machine.gitproc("kill", "-s", "USR1", name).status == 0
    assert machine.wait("continue", "failed")["exec_main_status"] == 9
    until(lambda: "child gone" in machine.log("kill"), "its main process has outlived it")
    assert machine.pids()["kill"] == pids["kill"]
