"""Ends with somebody in the way: clients on the line, processes that may not be killed."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.e2e.harness import DEADLINE, alive, service, until

pytestmark = pytest.mark.root


def pids_of(machine):
    try:
        return (machine.group_of("a") / "cgroup.procs").read_text().split()
    except (IndexError, OSError):
        return []


def test_an_end_with_clients_on_the_line_is_no_error(machine):
    machine.deploy({"a.service": service()})
    clients = [machine.follow(*words) for words in (["events", "-f"], ["logs", "-f", "a"]) * 3]
    said = (machine.logs / "daemon.log").read_text
    try:
        for client in clients[::2]:
            assert client.stdout is not None
            assert client.stdout.readline()
        before = machine.manager
        os.kill(before, signal.SIGTERM)
        until(lambda: machine.manager != before, "there is another manager")
        machine.ready()
        late = machine.follow("events", "-f")
        clients.append(late)
        assert late.stdout is not None
        assert late.stdout.readline()
        machine.stop()
        for client in clients:
            client.wait(DEADLINE)
    finally:
        for client in clients:
            client.kill()
            client.wait()
            assert client.stdout is not None
            client.stdout.close()
    assert "Traceback" not in said() + machine.said()
    assert "CancelledError" not in said() + machine.said()


def test_who_may_not_be_killed_must_have_ended_before_a_new_start(machine):
    notes = machine.root / "pid"
    script = machine.root / "stubborn.sh"
    script.write_text(
        f"(trap '' TERM; echo $BASHPID >{notes}; while :; do sleep 0.1; done) &\nexec sleep 1000\n"
    )
    settings = "SendSIGKILL=no\nTimeoutStopSec=1"
    machine.deploy({"a.service": service(f"/bin/bash {script}", settings)})
    until(lambda: notes.exists() and notes.read_text().strip(), "the stubborn one runs")
    left = int(notes.read_text())
    try:
        machine.rpc("stop", units=["a"])
        assert alive(left)
        outcome = machine.rpc("start", units=["a"])["units"]["a.service"]
        assert outcome["result"] == "failed"
        named = re.search(
            r"processes of an earlier instance still run \((.*)\)", outcome["message"]
        )
        assert named and str(left) in named[1].split(", "), outcome
    finally:
        os.kill(left, signal.SIGKILL)
    until(lambda: not pids_of(machine), "it has ended")
    notes.unlink()
    outcome = machine.rpc("start", units=["a"])["units"]["a.service"]
    until(lambda: notes.exists() and notes.read_text().strip(), f"it runs again: {outcome}")
    os.kill(int(notes.read_text()), signal.SIGKILL)
    assert outcome["result"] == "done"
