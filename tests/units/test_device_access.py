"""Addresses as a filter of packets meets them."""

from __future__ import annotations

import pytest

from gitproc.units.device_access import parse_addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.1.2.3/8 ::1", ("10.0.0.0/8", "::1/128")),
        ("::ffff:192.0.2.1", ("192.0.2.1/32",)),
        ("::ffff:10.1.2.3/104", ("10.0.0.0/8",)),
        ("::ffff:0:0/96", ("0.0.0.0/0",)),
        ("::ffff:0:0/95", ("::fffe:0:0/95",)),
        ("64:ff9b::192.0.2.1", ("64:ff9b::c000:201/128",)),
        ("any", ("0.0.0.0/0", "::/0")),
    ],
)
def test_an_address_of_ipv4_is_one_however_it_is_written(text, found):
    assert parse_addresses(text) == found
