"""Daemons whose shipped units confine them, unchanged and without exceptions in the configuration: all is in force."""

from __future__ import annotations

import pytest

from tests.e2e.debian_daemons import FLEET, PREPARE
from tests.e2e.private import PrivateMachine
from tests.e2e.test_real_daemons import works

pytestmark = [pytest.mark.root, pytest.mark.debian]

#: What the kernel says of their main processes: capabilities that can be had at most, and whether calls are filtered.
CONFINED = {
    "redis-server": (0, {"NoNewPrivs": "1", "Seccomp": "2"}),
    "memcached": (1 << 6 | 1 << 7 | 1 << 24, {"NoNewPrivs": "1", "Seccomp": "2"}),
}


def test_memcached_and_redis_are_confined_and_work():
    members = [x for x in FLEET if x.name in CONFINED and x.installed]
    assert len(members) == len(CONFINED)
    with PrivateMachine() as machine:
        machine.start()
        assert (done := machine.inside(PREPARE)).status == 0, done
        machine.deploy({name: text for x in members for name, text in x.shipped().items()})
        for member in members:
            works(machine, member)
            pid = machine.unit(member.name)["main_pid"]
            lines = machine.read(f"/proc/{pid}/status").splitlines()
            status = {name: value.strip() for name, _, value in (x.partition(":") for x in lines)}
            most, wanted = CONFINED[member.name]
            assert {name: status[name] for name in wanted} == wanted, member.name
            assert int(status["CapBnd"], 16) & ~most == 0, member.name
