"""Values of resource control that are no plain sizes: weights, devices with a value, controllers, slices.

systemd.resource-control(5). Old spellings of weights are kept as they are written and turned into the scale
of today by `weight_of_shares` and `weight_of_block_io`, as systemd does on a unified cgroup tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gitproc.immutable import NamedTuple
from gitproc.units.names import is_valid_slice
from gitproc.units.paths import is_normalized, parse_path
from gitproc.units.scalars import parse_boolean, parse_unsigned
from gitproc.units.sizes import parse_size
from gitproc.units.timespan import parse_microseconds, parse_span
from gitproc.units.words import split_words

V = TypeVar("V")

IDLE = 0
"""CPUWeight=idle: runs only where nothing else wants to."""
CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
"""The controllers that can be handed over, or kept from units below."""
_NOT_CONTROLLERS = ("cpuacct", "blkio", "devices", "bpf-firewall", "bpf-devices", "bpf-foreign",
                    "bpf-socket-bind", "bpf-restrict-network-interfaces")  # fmt: skip
_DEEPEST = 1024  # bytes of a slice's path, which is to leave room for what units nest in it


class ForDevice(NamedTuple):
    """A value for the disk behind a path: a block device, or the one that a file lies on."""

    path: str
    value: int | None


def parse_weight(text: str) -> int:
    """A share among siblings, 1 to 10000; 100 is everybody's."""
    return parse_unsigned(text, 1, 10_000)


def parse_cpu_weight(text: str) -> int:
    """As parse_weight; `idle` is `IDLE`."""
    return IDLE if text == "idle" else parse_weight(text)


def parse_cpu_shares(text: str) -> int:
    """The scale of CPUShares=: 2 to 262144, 1024 is everybody's."""
    return parse_unsigned(text, 2, 262_144)


def parse_block_io_weight(text: str) -> int:
    """The scale of BlockIOWeight=: 10 to 1000, 500 is everybody's."""
    return parse_unsigned(text, 10, 1_000)


def weight_of_shares(shares: int) -> int:
    """CPUWeight= for CPUShares=."""
    return min(max(shares * 100 // 1024, 1), 10_000)


def weight_of_block_io(weight: int) -> int:
    """IOWeight= for BlockIOWeight=."""
    return min(max(weight * 100 // 500, 1), 10_000)


def parse_period(text: str) -> float:
    """CPUQuotaPeriodSec=: seconds, drawn into what the kernel takes (1 ms to 1 s)."""
    return min(max(parse_span(text), 0.001), 1.0)


def _rate(text: str) -> int | None:
    if text == "infinity":
        return None
    rate = parse_size(text, 1000)
    if rate == 0:
        raise ValueError("a rate of 0 would leave nothing to run with")
    return rate


def _target(text: str) -> int | None:
    return parse_microseconds(text, 1)


def _for_device(parse: Callable[[str], int | None]) -> Callable[[str], tuple[ForDevice, ...]]:
    def parse_pair(text: str) -> tuple[ForDevice, ...]:
        words = split_words(text)
        if len(words) != 2:
            raise ValueError(f"'{text}' is not a device (or a path on it) and a value")
        path = parse_path(words[0])
        if not is_normalized(path):
            raise ValueError(f"'{path}' is not a plain path")
        return (ForDevice(path, parse(words[1])),)

    return parse_pair


parse_device_rates = _for_device(_rate)
"""`PATH RATE`: a number per second (K, M, G, T, by 1000), or `infinity`."""
parse_device_weights = _for_device(parse_weight)
"""`PATH WEIGHT`."""
parse_device_old_weights = _for_device(lambda text: weight_of_block_io(parse_block_io_weight(text)))
"""`PATH WEIGHT` on the scale of BlockIODeviceWeight=, as one of IODeviceWeight=."""
parse_device_targets = _for_device(_target)
"""`PATH SPAN`: microseconds."""


def parse_slice(text: str) -> str:
    """The name of a slice (systemd.slice(5))."""
    if not is_valid_slice(text):
        raise ValueError(f"'{text}' is not the name of a slice (such as web.slice, web-shop.slice)")
    parts = text.removesuffix(".slice").split("-")
    path = sum(len("-".join(parts[: count + 1])) + len("/.slice") for count in range(len(parts)))
    if path > _DEEPEST:
        raise ValueError(
            f"the path of its group would take {path} bytes, and it is to fit into {_DEEPEST}"
        )
    return text


def parse_controllers(text: str) -> tuple[str, ...]:
    """Names of controllers. What only v1 has, or is no controller to the kernel, is passed over."""
    found = []
    for word in split_words(text):
        if word in CONTROLLERS:
            found.append(word)
        elif word not in _NOT_CONTROLLERS:
            raise ValueError(f"'{word}' is no controller ({', '.join(CONTROLLERS)})")
    return tuple(found)


def parse_delegate(text: str) -> tuple[str, ...] | None:
    """The controllers that a service gets to manage itself: all for `yes`, None for `no`."""
    try:
        return CONTROLLERS if parse_boolean(text) else None
    except ValueError:
        return parse_controllers(text)


def parse_subgroup(text: str) -> str:
    """The name of one group."""
    if "/" in text or text[:1] in ("", ".", "_") or text.startswith("cgroup.") or len(text) > 255:
        raise ValueError(f"'{text}' cannot name a group")
    return text
