"""Sockets as `status` and `list-sockets` show them: where they listen, what they start, who is connected."""

from __future__ import annotations

from typing import Any

from gitproc.core.listening import Listening
from gitproc.core.states import ActiveState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units.directives_socket import ACCEPT
from gitproc.units.socket_rules import listens_in_order
from gitproc.units.unit import Unit

_KINDS = {"stream": "Stream", "datagram": "Datagram", "seqpacket": "SequentialPacket"}


def socket_record(state: UnitState, unit: Unit | None) -> dict[str, Any] | None:
    """What `status` says of a socket beyond other units; None for another kind."""
    if unit is None or unit.kind != "socket":
        return None
    memory = state.listening or Listening()
    found: dict[str, Any] = {
        "listen": [
            {"address": each.text, "type": _KINDS.get(each.kind, each.kind.upper())}
            for each in listens_in_order(unit.values, unit.settings)
        ],
        "accept": unit[ACCEPT],
    }
    if unit[ACCEPT]:
        found["accepted"] = memory.accepted
        found["connections"] = len(memory.connections)
        found["refused"] = memory.refused
    return found


def sockets(world: World) -> list[dict[str, Any]]:
    """Every address that sockets of the commit in force, or of what runs, listen on; by address."""
    names = {name for name in world.units if name.endswith(".socket")}
    if world.desired is not None:
        names |= {name for name in world.desired.units if name.endswith(".socket")}
    found = []
    for name in names:
        state = world.units.get(name) or UnitState(name)
        unit = state.unit if state.unit is not None and not state.down else None
        record = socket_record(state, unit or world.wanted_unit(name))
        for each in record["listen"] if record is not None else ():
            found.append(
                {
                    "listen": each["address"],
                    "type": each["type"],
                    "unit": name,
                    "activates": sorted(world.graph.triggers.of(name)),
                    "active_state": state.active.value,
                    "open": state.active is ActiveState.ACTIVE,
                }
            )
    return sorted(found, key=lambda x: (x["listen"], x["unit"]))
