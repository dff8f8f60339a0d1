"""The shim is killed: services that listen on sockets of units run on, and so do their sockets."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.harness import alive, free_port, until
from tests.e2e.test_sockets import SERVER, ask, server, socket_unit, state_of

pytestmark = pytest.mark.root


def test_who_listens_is_reached_after_the_shim_was_killed(machine):
    (machine.root / "server.py").write_text(SERVER)
    used, idle, port = machine.root / "used", machine.root / "idle", free_port()
    listens = f"ListenStream={used}\nListenStream=127.0.0.1:{port}"
    machine.deploy(
        {
            "a.socket": socket_unit(listens),
            "a.service": server(machine),
            "b.socket": socket_unit(f"ListenStream={idle}"),
            "b.service": server(machine),
        }
    )
    pid = ask(used)[0]
    manager = machine.manager
    machine.shim.kill()
    machine.shim.wait()
    until(lambda: not alive(manager), "the manager leaves")
    machine.start()
    tcp = ("127.0.0.1", port)
    assert ask(used)[0] == ask(tcp, family=socket.AF_INET)[0] == pid
    assert state_of(machine, "a.socket") == ("active", "running")
    assert [x["unit"] for x in machine.events("unit.socket-lost")] == ["b.socket"]
    assert alive(ask(idle)[0])

    machine.kill_manager()
    assert ask(used)[0] == pid
    ask(used, "end")
    until(lambda: state_of(machine, "a.socket")[1] == "listening", "the service has ended")
    successor = ask(tcp, family=socket.AF_INET)[0]
    assert successor != pid
    assert ask(used)[0] == successor
