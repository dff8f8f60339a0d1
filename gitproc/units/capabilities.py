"""The capabilities of capabilities(7), by name and number, and the directives that give or take them."""

from __future__ import annotations

from collections.abc import Iterable

from gitproc.units.access_lists import Rule, fold_set, parse_rule
from gitproc.units.words import split_words

CAPABILITIES: tuple[str, ...] = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
    "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""Names by number, as in linux/capability.h."""

ALL = frozenset(CAPABILITIES)
NUMBERS = {name: number for number, name in enumerate(CAPABILITIES)}
NONE: frozenset[str] = frozenset()

_SECURE_BITS = {
    "noroot": 1 << 0,
    "noroot-locked": 1 << 1,
    "no-setuid-fixup": 1 << 2,
    "no-setuid-fixup-locked": 1 << 3,
    "keep-caps": 1 << 4,
    "keep-caps-locked": 1 << 5,
}


def parse_capabilities(text: str) -> tuple[Rule, ...]:
    """One assignment, names in capitals; ValueError names the first that is no capability."""
    rule = parse_rule(text)
    names = tuple(name.upper() for name in rule.items)
    for name, written in zip(names, rule.items, strict=True):
        if name not in ALL:
            raise ValueError(f"'{written}' is not a capability")
    return (Rule(rule.denies, names),)


def bounding_set(rules: Iterable[Rule]) -> frozenset[str]:
    """What CapabilityBoundingSet= leaves: everything if it is not set."""
    return fold_set(rules, ALL, ALL)


def ambient_set(rules: Iterable[Rule]) -> frozenset[str]:
    """What AmbientCapabilities= gives: nothing if it is not set."""
    return fold_set(rules, ALL, NONE)


def mask(names: Iterable[str]) -> int:
    """The set as the kernel takes it: one bit a capability."""
    return sum(1 << NUMBERS[name] for name in names)


def parse_secure_bits(text: str) -> tuple[int, ...]:
    """Bits of prctl(2) PR_SET_SECUREBITS, one a word."""
    bits = []
    for word in split_words(text):
        if word not in _SECURE_BITS:
            raise ValueError(f"'{word}' is not one of {', '.join(_SECURE_BITS)}")
        bits.append(_SECURE_BITS[word])
    return tuple(bits)
