"""Rows of the directive table for what a service may reach: devices and addresses (systemd.resource-control(5))."""

from __future__ import annotations

from typing import Any

from gitproc.units.device_access import DeviceRule, parse_addresses, parse_device_rules
from gitproc.units.directive import Change, Directive
from gitproc.units.rows import exactly, one, several

DEVICE_ALLOW: Directive[tuple[DeviceRule, ...]] = several(
    "Service",
    "DeviceAllow",
    parse_device_rules,
    "Devices that can be used.",
    Change.LIVE,
)
DEVICE_POLICY = one(
    "Service",
    "DevicePolicy",
    exactly("auto", "closed", "strict"),
    "auto",
    "Which devices can be used besides DeviceAllow=.",
    Change.LIVE,
)
IP_ADDRESS_DENY = several(
    "Service",
    "IPAddressDeny",
    parse_addresses,
    "Addresses with which no traffic is allowed.",
    Change.LIVE,
)
IP_ADDRESS_ALLOW = several(
    "Service",
    "IPAddressAllow",
    parse_addresses,
    "Exceptions from IPAddressDeny=.",
    Change.LIVE,
)
ROWS: tuple[Directive[Any], ...] = (DEVICE_ALLOW, DEVICE_POLICY, IP_ADDRESS_DENY, IP_ADDRESS_ALLOW)
