"""What a group may reach, decided in the kernel: devices and addresses, by programs attached to the group.

The programs need no manager: they stay with the group through any crash, and processes cannot leave them. A
program's name holds a digest of what it allows, by which the one that is attached is known for the right one.
Without them devices are left to the v1 controller; addresses have nobody else to guard them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from hashlib import sha256

from gitproc.immutable import NamedTuple
from gitproc.kernel import bpf
from gitproc.kernel.bpf import Assembler, Hook, Kind
from gitproc.kernel.device_nodes import Node, Nodes, nodes_of
from gitproc.units import directives_resources as r
from gitproc.units.control import own
from gitproc.units.directives_access import ROWS
from gitproc.units.unit import Unit

_NAMES = {Hook.DEVICE: "gp_dev_", Hook.INGRESS: "gp_in_", Hook.EGRESS: "gp_out_"}
_DIRECTIVE = {
    Hook.DEVICE: "DevicePolicy",
    Hook.INGRESS: "IPAddressDeny",
    Hook.EGRESS: "IPAddressDeny",
}
_OF_SERVICES = frozenset(row.key for row in ROWS)
_ACCESS = {"m": 1, "r": 2, "w": 4}
_KINDS = {"b": 1, "c": 2}
_PROTOCOL = 16  # in struct __sk_buff
#: Bytes of an address, its protocol, where it stands in a packet that comes in, and in one that goes out.
_FAMILIES = ((4, 0x0800, 12, 16), (16, 0x86DD, 8, 24))


class Addresses(NamedTuple):
    """Networks whose traffic is allowed, whatever the others say, and those whose is denied."""

    allow: tuple[str, ...]
    deny: tuple[str, ...]


def addresses_of(unit: Unit, above: Sequence[Unit]) -> Addresses | None:
    """The lists of a unit, joined with those of its slices (systemd.resource-control(5)); None: no filter."""
    units = (unit, *above)
    deny = dict.fromkeys(x for one in units for x in own(one, r.IP_ADDRESS_DENY))
    if not deny:
        return None
    allow = dict.fromkeys(x for one in units for x in own(one, r.IP_ADDRESS_ALLOW))
    return Addresses(tuple(allow), tuple(deny))


def device_rules(unit: Unit) -> Nodes | None:
    """The devices that the unit may use, and what is odd about its rules; None: all."""
    rules = own(unit, r.DEVICE_ALLOW)
    return nodes_of(own(unit, r.DEVICE_POLICY), rules)


def allowed_nodes(unit: Unit) -> tuple[Node, ...] | None:
    """The devices that the unit may use; None: all."""
    found = device_rules(unit)
    return found.allowed if found is not None else None


def device_program(nodes: Iterable[Node]) -> bytes:
    """1 for what is allowed of the devices, else 0."""
    it = Assembler()
    it.load(2, 1, 0)
    it.move(3, 2)
    it.shift(3, 16)  # what is to be done
    it.mask(2, 0xFFFF)  # to what kind of device
    it.load(4, 1, 4)
    it.load(5, 1, 8)
    for number, node in enumerate(nodes):
        other = f"other {number}"
        it.unless(2, _KINDS[node.kind], other)
        if node.access != "rwm":
            it.move(1, 3)
            it.mask(1, sum(_ACCESS[letter] for letter in node.access))
            it.unless_same(1, 3, other)
        it.unless(4, node.major, other)
        if node.minor is not None:
            it.unless(5, node.minor, other)
        it.end(1)
        it.label(other)
    it.end(0)
    return it.code()


def address_program(hook: Hook, tables: Sequence[tuple[int, int]]) -> bytes:
    """1 for a packet from (or to) an allowed address, else 0.

    `tables`: for each family, descriptors of what is allowed and what is denied; -1 for none.
    """
    it = Assembler()
    it.move(6, 1)
    it.load(7, 6, _PROTOCOL)
    for (size, protocol, incoming, outgoing), (allow, deny) in zip(_FAMILIES, tables, strict=True):
        other = f"other {size}"
        it.unless(7, socket.htons(protocol), other)
        it.move(1, 6)
        it.set(2, incoming if hook is Hook.INGRESS else outgoing)
        it.move(3, 10)
        it.add(3, -size)
        it.set(4, size)
        it.call(bpf.LOAD_BYTES)
        it.unless(0, 0, "deny")
        it.store(10, -size - 4, size * 8)
        for table, verdict in ((allow, "allow"), (deny, "deny")):
            if table >= 0:
                it.table(1, table)
                it.move(2, 10)
                it.add(2, -size - 4)
                it.call(bpf.LOOKUP)
                it.unless(0, 0, verdict)
        it.label(other)
    it.label("allow")
    it.end(1)
    it.label("deny")
    it.end(0)
    return it.code()


def name_of(hook: Hook, what: object) -> str:
    """What the program that does this is called."""
    return _NAMES[hook] + sha256(repr(what).encode()).hexdigest()[:8]


def asks_nothing(unit: Unit) -> bool:
    """Whether a service sets nothing of this: the common case."""
    return _OF_SERVICES.isdisjoint(unit.values)


def wanted(unit: Unit, above: Sequence[Unit]) -> tuple[bool, bool]:
    """Whether the unit's devices are guarded, and whether its addresses are."""
    devices = own(unit, r.DEVICE_POLICY) != "auto" or bool(own(unit, r.DEVICE_ALLOW))
    return devices, unit.kind != "slice" and addresses_of(unit, above) is not None


def names_for(unit: Unit, above: Sequence[Unit]) -> dict[Hook, str]:
    """The program that each hook of the unit's group should have; "" for none."""
    nodes = allowed_nodes(unit)
    lists = addresses_of(unit, above) if unit.kind != "slice" else None
    return {
        Hook.DEVICE: "" if nodes is None else name_of(Hook.DEVICE, nodes),
        **{x: "" if lists is None else name_of(x, lists) for x in (Hook.INGRESS, Hook.EGRESS)},
    }


def apply(directory: str, unit: Unit, above: Sequence[Unit], hooks: Iterable[Hook]) -> None:
    """Have the group's programs be the unit's. OSError as the kernel answers."""
    wanted = names_for(unit, above)
    group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for hook in hooks:
            now = bpf.attached(group, hook)
            ours = {x: name for x, name in now.items() if name.startswith(_NAMES[hook])}
            if wanted[hook] and wanted[hook] not in ours.values():
                program = _load(hook, unit, above, wanted[hook])
                try:
                    bpf.attach(group, hook, program)
                finally:
                    os.close(program)
            bpf.detach(group, hook, [x for x, name in ours.items() if name != wanted[hook]])
    finally:
        os.close(group)


def differences(directory: str, unit: Unit, above: Sequence[Unit]) -> list[str]:
    """Programs that should be there and are not, one sentence each."""
    wanted = {hook: name for hook, name in names_for(unit, above).items() if name}
    if not wanted:
        return []
    try:
        group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        missing = [x for x, name in wanted.items() if name not in bpf.attached(group, x).values()]
    except OSError:
        return []
    finally:
        os.close(group)
    return list(dict.fromkeys(f"{_DIRECTIVE[x]} is not in force" for x in missing))


def _load(hook: Hook, unit: Unit, above: Sequence[Unit], name: str) -> int:
    if hook is Hook.DEVICE:
        return bpf.load(Kind.CGROUP_DEVICE, device_program(allowed_nodes(unit) or ()), name)
    lists = addresses_of(unit, above) or Addresses((), ())
    tables: list[tuple[int, int]] = []
    try:
        for size, *_ in _FAMILIES:
            allow = _table(size, lists.allow)
            tables.append((allow, -1))
            tables[-1] = (allow, _table(size, lists.deny))
        return bpf.load(Kind.CGROUP_SKB, address_program(hook, tables), name)
    finally:
        for descriptor in (x for pair in tables for x in pair if x >= 0):
            os.close(descriptor)


def _table(size: int, networks: Iterable[str]) -> int:
    from ipaddress import ip_network  # few units need it, and it is large

    found = [ip_network(text) for text in networks]
    entries = [
        (x.network_address.packed, x.prefixlen) for x in found if x.max_prefixlen == size * 8
    ]
    return bpf.prefix_table(size, entries) if entries else -1
