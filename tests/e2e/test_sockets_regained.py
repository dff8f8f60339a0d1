"""Services that listen on sockets of units run on when the shim is killed, and so do their sockets."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from gitproc.errors import StateError
from gitproc.store.state_manager import StateManager
from tests.e2e.harness import alive, free_port, until
from tests.e2e.test_sockets import SERVER, ask, server, socket_unit, state_of

pytestmark = pytest.mark.root


def kill_shim(machine):
    manager = machine.manager
    machine.shim.kill()
    machine.shim.wait()
    until(lambda: not alive(manager), "the manager leaves")


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
    kill_shim(machine)
    machine.start()
    tcp = ("127.0.0.1", port)
    assert ask(used)[0] == ask(tcp, family=socket.AF_INET)[0] == pid
    lost = {x["unit"] for x in machine.events("unit.socket-lost")}
    assert lost == {"a.socket", "b.socket"}
    assert alive(ask(idle)[0])

    kill_shim(machine)
    state = StateManager(machine.state)

    def records():
        with suppress(StateError):  # a thread of the manager has it still
            return state.load()
        return {}

    assert "unit/a.socket" in until(records, "the records can be read")
    state.put("unit/a.socket", None)  # as after a journal that was cut
    state.checkpoint()
    state.close()
    machine.start()
    machine.wait("a.socket")
    assert ask(used)[0] == ask(tcp, family=socket.AF_INET)[0] == pid

    machine.kill_manager()
    assert ask(used)[0] == pid
    ask(used, "end")
    until(lambda: state_of(machine, "a.socket")[1] == "listening", "the service has ended")
    successor = ask(tcp, family=socket.AF_INET)[0]
    assert successor != pid
    assert ask(used)[0] == successor
