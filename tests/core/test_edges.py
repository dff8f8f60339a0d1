"""Whom an edge leads to: instances that are named in any way, and further names."""

from __future__ import annotations

import pytest

from tests.core.fake_kernel import Machine, service
from tests.units.trees import Link

WORKER = service("ExecStart=/bin/run %i", install=False)
SOCKET = "[Socket]\nListenStream=/run/%i\nService=a.service\n"
ALIASES = {
    "link": {"real@.service": WORKER, "other@.service": Link("real@.service")},
    "Alias": {"real@.service": f"{WORKER}[Install]\nAlias=other@.service\n"},
}


@pytest.mark.parametrize("relation", ["Requires", "Wants", "BindsTo", "Upholds"])
def test_an_instance_comes_with_who_names_it(relation):
    files = {"a.service": service(unit=f"{relation}=w@1.service"), "w@.service": WORKER}
    machine = Machine(files)
    machine.run(1)
    assert machine.sub("w@1.service") == "running"
    machine.commit({**files, "a.service": service()})
    machine.run(1)
    assert machine.sub("w@1.service") == "dead"


def test_an_instance_of_a_socket_comes_with_its_service():
    machine = Machine({"a.service": service("Sockets=s@1.socket"), "s@.socket": SOCKET})
    machine.run(1)
    assert machine.sub("s@1.socket") == "running"
    assert machine.sub("a.service") == "running"


@pytest.mark.parametrize("how", sorted(ALIASES))
def test_an_instance_of_a_further_name_of_a_template_is_the_templates(how):
    text = service(unit="Wants=other@1.service\nAfter=other@1.service")
    machine = Machine({**ALIASES[how], "a.service": text})
    machine.run(1)
    assert machine.subs() == {"a.service": "running", "real@1.service": "running"}
    assert machine.spawns() == ["run 1", "run"]


@pytest.mark.parametrize("how", sorted(ALIASES))
def test_so_is_one_that_is_started_on_demand(how):
    text = service("ExecStart=/bin/false", unit="OnFailure=other@%n.service")
    machine = Machine({**ALIASES[how], "a.service": text})
    machine.run(1)
    assert machine.subs() == {"a.service": "failed", "real@a.service.service": "running"}
    timer = "[Timer]\nOnActiveSec=1\nUnit=other@2.service\n[Install]\nWantedBy=timers.target\n"
    machine.commit({**ALIASES[how], "t.timer": timer})
    machine.run(200)
    assert machine.sub("real@2.service") == "running"
