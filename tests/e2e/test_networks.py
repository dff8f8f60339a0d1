"""Networks of services, as pyroute2 sees them by netlink: it makes them, and it reads them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute, NetNS, netns

from gitproc.kernel.namespaces import try_network
from tests.e2e.harness import service, until

pytestmark = pytest.mark.root
ADDRESS, PEER = "192.0.2.7", "192.0.2.1"
UP = 1
LINK_LOCAL = "fe80:"  # the kernel adds such a one when the link has come up, some time after that
#: What a program finds around it, without netlink.
PROBE = """
import fcntl, json, os, socket, struct, time
found = {}
seen = [name for name in os.listdir('/sys/class/net') if os.path.isdir('/sys/class/net/' + name)]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
    for _, name in socket.if_nameindex():
        try:
            answer = fcntl.ioctl(it, 0x8915, struct.pack('256s', name.encode()))
            found[name] = socket.inet_ntoa(answer[20:24])
        except OSError:
            found[name] = ''
print(json.dumps([found, sorted(seen)]), flush=True)
time.sleep(1000)
"""
CONFINED = "ProtectSystem=strict\nProtectKernelTunables=yes\nProtectControlGroups=yes"
RUN = "/usr/bin/python3 -I -S ${GITPROC_TREE}/probe.py"


def interfaces(network: str) -> dict[str, tuple[bool, set[str]]]:
    """The interfaces of a network (a name, or a path): whether up, and the addresses given to them."""
    with NetNS(network, flags=0) as there:
        found: dict[int, tuple[str, bool, set[str]]] = {
            x["index"]: (x.get_attr("IFLA_IFNAME"), bool(x["flags"] & UP), set()) for x in there.get_links()
        }  # fmt: skip
        for each in there.get_addr():
            if not (address := each.get_attr("IFA_ADDRESS")).startswith(LINK_LOCAL):
                found[each["index"]][2].add(address)
    return {name: (up, addresses) for name, up, addresses in found.values()}


def number(network: str) -> int:
    return Path(network).stat().st_ino


def of_process(pid: int) -> dict[str, tuple[bool, set[str]]]:
    return interfaces(f"/proc/{pid}/ns/net")


@pytest.fixture
def named(unique) -> Iterator[str]:
    """A named network with one end of a veth pair, whose other end is in a second one."""
    name, other = unique, f"{unique}-peer"
    made = []
    try:
        for each in (name, other):
            netns.create(each)
            made.append(each)
        with NetNS(other, flags=0) as there:
            there.link(
                "add", ifname="outer", kind="veth", peer={"ifname": "inner", "net_ns_fd": name}
            )
            _address(there, "outer", PEER)
        with NetNS(name, flags=0) as there:
            _address(there, "inner", ADDRESS)
        yield name
    finally:
        for each in made:
            netns.remove(each)


def _address(there: NetNS, interface: str, address: str) -> None:
    [index] = there.link_lookup(ifname=interface)
    there.addr("add", index=index, address=address, prefixlen=24)
    there.link("set", index=index, state="up")


def test_a_network_can_be_tried():
    """What `gitproc doctor` says of this host."""
    assert try_network() == ""


def test_a_service_sees_the_network_it_is_put_into_and_no_other(machine, named):
    """NetworkNamespacePath= by name, PrivateNetwork=, JoinsNamespaceOf=, and none of it."""
    machine.repository.write({"probe.py": PROBE})
    joins = "JoinsNamespaceOf=alone.service\nAfter=alone.service"
    units = {
        "named": service(RUN, f"NetworkNamespacePath=/run/netns/{named}"),
        "alone": service(RUN, "PrivateNetwork=yes"),
        "joined": service(RUN, "PrivateNetwork=yes", joins),
        "apart": service(RUN, "PrivateNetwork=yes"),
        "plain": service(RUN),
        "shared-mounts": service(RUN, "PrivateNetwork=yes\nPrivateMounts=no"),
        "confined": service(RUN, f"NetworkNamespacePath=/run/netns/{named}\n{CONFINED}"),
    }
    machine.deploy({f"{name}.service": text for name, text in units.items()})
    pids = machine.pids()
    said, in_sys = {}, {}
    for name in units:
        told = until(lambda name=name: machine.log(name), f"{name} speaks")
        said[name], in_sys[name] = json.loads(told)

    seen = of_process(pids["named"])
    assert seen == interfaces(named)
    assert seen["inner"][0]
    assert ADDRESS in seen["inner"][1]
    assert said["named"] == {"lo": "", "inner": ADDRESS}
    assert number(f"/proc/{pids['named']}/ns/net") == number(f"/run/netns/{named}")

    for name in ("alone", "joined", "apart"):
        assert of_process(pids[name]) == {"lo": (True, {"127.0.0.1", "::1"})}, name
        assert said[name] == {"lo": "127.0.0.1"}
    networks = {name: number(f"/proc/{pid}/ns/net") for name, pid in pids.items()}
    assert networks["alone"] == networks["joined"]
    assert len({networks[name] for name in ("named", "alone", "apart", "plain")}) == 4

    with IPRoute() as here:
        ours = {x.get_attr("IFLA_IFNAME") for x in here.get_links()}
    assert said["plain"].keys() == ours == {name for _, name in socket.if_nameindex()}
    assert "inner" not in ours

    # /sys shows the interfaces of the same network, unless the service has the host's mounts.
    assert in_sys == {
        "named": ["inner", "lo"], "confined": ["inner", "lo"], "alone": ["lo"], "joined": ["lo"], "apart": ["lo"],
        "plain": sorted(ours), "shared-mounts": sorted(ours),
    }  # fmt: skip

    # What is put into a network while it is used is there for all that share it, and goes with the last of them.
    with NetNS(f"/proc/{pids['alone']}/ns/net", flags=0) as there:
        there.link("add", ifname="late", kind="bridge")
    assert of_process(pids["joined"]).keys() == {"lo", "late"}
    assert of_process(pids["apart"]).keys() == {"lo"}
    assert machine.gitproc("restart", "joined").status == 0
    assert of_process(machine.pids()["joined"]).keys() == {"lo", "late"}
    assert machine.gitproc("stop", "alone", "joined").status == 0
    assert machine.gitproc("start", "alone").status == 0
    assert of_process(machine.pids()["alone"]).keys() == {"lo"}
    assert machine.gitproc("stop", "named").status == 0
    assert "inner" in interfaces(named)
