"""Which devices and which addresses a service may use: DeviceAllow=, IPAddressAllow= and IPAddressDeny=."""

from __future__ import annotations

from gitproc.immutable import NamedTuple
from gitproc.pattern import pattern
from gitproc.units.paths import parse_path
from gitproc.units.words import split_words

_GROUP = pattern(r"(?:char|block)-\S+")  # /proc/devices has names like /dev/console
_MAPPED = 96  # bits before an IPv4 address in an IPv6 one
_WORDS = {
    "any": ("0.0.0.0/0", "::/0"),
    "localhost": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/64"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
}


class DeviceRule(NamedTuple):
    """A device node, or all of a kind (`char-pts`, wildcards allowed), and what of `rwm` may be done."""

    device: str
    access: str = "rwm"


def parse_device_rules(text: str) -> tuple[DeviceRule, ...]:
    """`NODE [rwm]`: a path below /dev, `char-KIND` or `block-KIND` (systemd.resource-control(5))."""
    words = split_words(text)
    if not 1 <= len(words) <= 2:
        raise ValueError(f"'{text}' is not a device and what may be done with it (rwm)")
    device, access = words[0], words[1] if len(words) == 2 else "rwm"
    if not access or access.strip("rwm"):
        raise ValueError(f"'{access}' is not made of r, w and m")
    if not _GROUP.fullmatch(device):
        device = parse_path(device)
        if not device.startswith("/dev/"):
            raise ValueError(f"'{device}' is neither below /dev nor char-KIND nor block-KIND")
    return (DeviceRule(device, "".join(x for x in "rwm" if x in access)),)


def parse_addresses(text: str) -> tuple[str, ...]:
    """Addresses with their prefix length, normalised: `10.1.2.3/8` is `10.0.0.0/8`.

    An IPv4 address in the clothes of IPv6 is one of IPv4: that is what its packets are, whatever socket sends them.
    """
    from ipaddress import IPv6Network, ip_network  # few units need it, and it is large

    found: list[str] = []
    for word in split_words(text):
        if word in _WORDS:
            found += _WORDS[word]
            continue
        try:
            network = ip_network(word, strict=False)
            if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED:
                plain = network.network_address.ipv4_mapped
                network = ip_network((plain, network.prefixlen - _MAPPED)) if plain else network
            found.append(str(network))
        except ValueError:
            message = f"'{word}' is neither an address, nor one with a prefix, nor"
            raise ValueError(f"{message} {', '.join(_WORDS)}") from None
    return tuple(found)
