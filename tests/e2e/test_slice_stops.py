"""What lies in a slice needs it: one stop, one start, one restart is for all of it, and a mask keeps all out."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.harness import service, shell, until

pytestmark = pytest.mark.root

INSIDE = ("front", "back", "x@1")


def guest(slice_name):
    return service(settings=f"Slice={slice_name}").partition("[Install]")[0]


def states(machine):
    units = machine.units()
    return [units[name]["active_state"] if name in units else "inactive" for name in INSIDE]


def test_a_slice_stops_starts_and_restarts_with_all_that_lies_in_it(machine):
    machine.deploy(
        {
            "front.service": service(settings="Slice=web-shop.slice"),
            "back.service": service(settings="Slice=web.slice", unit="DefaultDependencies=no"),
            "apart.service": service(settings="Slice=mail.slice"),
            "x@.service": guest("web-%i.slice"),
        }
    )
    assert machine.gitproc("start", "x@1").status == 0
    groups = [machine.group_of(x) for x in (*INSIDE, "web-shop.slice", "web-1.slice", "web.slice")]
    apart = machine.pids()["apart"]

    assert machine.gitproc("stop", "web.slice").status == 0
    assert states(machine) == ["inactive"] * 3
    until(lambda: not any(x.exists() for x in groups), "nothing is left of them")
    machine.kill_manager()
    held = "needs web.slice, which is held"
    until(lambda: machine.unit("front").get("reason") == held, "the next manager knows of the hold")
    assert states(machine) == ["inactive"] * 3
    [drift] = [x for x in machine.gitproc("diff").out.splitlines() if "web" in x]
    assert "web.slice" in drift
    shown = machine.gitproc("list-dependencies", "--reverse", "web.slice").out
    assert "back.service" in shown and "web-shop.slice" in shown

    assert machine.gitproc("start", "web.slice").status == 0
    for name in INSIDE:
        machine.wait(name)
    before = machine.pids()
    assert machine.gitproc("restart", "web.slice").status == 0
    until(lambda: states(machine) == ["active"] * 3, "all are back")
    after = machine.pids()
    assert all(before[name] != after[name] for name in INSIDE)
    assert before["apart"] == after["apart"] == apart


def test_nothing_is_started_in_a_masked_slice(machine, tmp_path):
    path = tmp_path / "s"
    listens = f"[Socket]\nListenStream={path}\nAccept=yes\n[Install]\nWantedBy=sockets.target\n"
    files = {
        "x@.service": guest("web-%i.slice"),
        "s.socket": listens,
        "s@.service": guest("web-2.slice"),
        "web-2.slice": "",
    }
    machine.deploy(files)
    assert machine.gitproc("start", "x@1").status == 0
    failed = machine.gitproc("start", "x@2")
    assert failed.status == 1
    assert "it needs web-2.slice, which is masked" in failed.err
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(path))
            assert client.recv(1) == b"", "it is closed"
    told = machine.events("unit.not-triggered")
    assert all("needs web-2.slice, which is masked" in x["message"] for x in told) and told
    assert machine.wait("s.socket", "listening")
    lies_in = {"y.service": service(settings="Slice=web-2.slice")}
    machine.deploy(lies_in, "refused")


def test_a_start_during_a_stop_is_no_restart(machine, tmp_path):
    go = tmp_path / "go"
    traps = "; ".join(f'trap "echo {x}; exit 0" {x}' for x in ("INT", "USR1"))
    run = shell(f"{traps}; echo ready; while :; do sleep 0.2; done")
    settings = "\n".join(
        (
            f"ExecStop={shell(f'until [ -e {go} ]; do sleep 0.05; done')}",
            "KillMode=mixed",
            "KillSignal=SIGINT",
            "RestartKillSignal=SIGUSR1",
        )
    )
    machine.deploy({"a.service": service(run, settings)})

    def said(*lines):
        until(lambda: machine.log("a").splitlines() == [*lines], f"{lines}: {machine.log('a')}")

    said("ready")
    asked = [machine.follow("stop", "a")]
    machine.wait("a", "stop")
    asked.append(machine.follow("start", "a"))
    until(
        lambda: any("start a" in x["message"] for x in machine.events("operator.asked")),
        "the start has been asked",
    )
    for client in asked:  # they would ask the next manager, too
        client.kill()
        client.communicate()
    machine.kill_manager()
    machine.wait("a", "stop")
    go.touch()
    said("ready", "INT", "ready")
    machine.wait("a", "running")
    assert machine.gitproc("restart", "a").status == 0
    said("ready", "INT", "ready", "USR1", "ready")
