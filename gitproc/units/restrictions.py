"""Words of the directives that deny system calls, kinds of socket and kinds of namespace."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from gitproc.pattern import pattern
from gitproc.units.access_lists import EVERYTHING, NOTHING, Rule, fold_set, parse_rule
from gitproc.units.scalars import parse_boolean, parse_unsigned
from gitproc.units.words import split_words

NAMESPACES = {
    "cgroup": 0x02000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "mnt": 0x00020000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
    "time": 0x00000080,
}
"""Kinds of namespace, and the flag of clone(2) that makes one."""

FAMILIES = {
    "AF_UNIX": 1, "AF_LOCAL": 1, "AF_INET": 2, "AF_AX25": 3, "AF_IPX": 4, "AF_APPLETALK": 5,
    "AF_NETROM": 6, "AF_BRIDGE": 7, "AF_ATMPVC": 8, "AF_X25": 9, "AF_INET6": 10, "AF_ROSE": 11,
    "AF_DECnet": 12, "AF_NETBEUI": 13, "AF_SECURITY": 14, "AF_KEY": 15, "AF_NETLINK": 16,
    "AF_ROUTE": 16, "AF_PACKET": 17, "AF_ASH": 18, "AF_ECONET": 19, "AF_ATMSVC": 20, "AF_RDS": 21,
    "AF_SNA": 22, "AF_IRDA": 23, "AF_PPPOX": 24, "AF_WANPIPE": 25, "AF_LLC": 26, "AF_IB": 27,
    "AF_MPLS": 28, "AF_CAN": 29, "AF_TIPC": 30, "AF_BLUETOOTH": 31, "AF_IUCV": 32,
    "AF_RXRPC": 33, "AF_ISDN": 34, "AF_PHONET": 35, "AF_IEEE802154": 36, "AF_CAIF": 37,
    "AF_ALG": 38, "AF_NFC": 39, "AF_VSOCK": 40, "AF_KCM": 41, "AF_QIPCRTR": 42, "AF_SMC": 43,
    "AF_XDP": 44, "AF_MCTP": 45,
}  # fmt: skip
"""Kinds of socket by the names and numbers of linux/socket.h."""

ARCHITECTURES = frozenset({
    "native", "alpha", "arc", "arc-be", "arm", "arm64", "cris", "ia64", "loongarch64", "m68k",
    "mips", "mips-le", "mips-le-n32", "mips-n32", "mips64", "mips64-le", "mips64-le-n32",
    "mips64-n32", "nios2", "parisc", "parisc64", "ppc", "ppc-le", "ppc64", "ppc64-le", "riscv32",
    "riscv64", "s390", "s390x", "sh", "sh64", "sparc", "sparc64", "tilegx", "x32", "x86", "x86-64",
})  # fmt: skip
"""Architectures by systemd's names."""
_CALL = pattern(r"@?[a-z_][a-z0-9_-]*")
_MAX_ERRNO = 4095


def parse_errno(text: str) -> str:
    """An error number or name, or `kill`: given back as a number's text or `kill`."""
    if text == "kill":
        return text
    if text.isdecimal():
        return str(parse_unsigned(text, 0, _MAX_ERRNO))
    number = next((code for code, name in errno.errorcode.items() if name == text), None)
    if number is None:
        raise ValueError(f"'{text}' is neither an error (EPERM), a number nor kill")
    return str(number)


def parse_calls(text: str) -> tuple[Rule, ...]:
    """System calls and @groups, each with `:errno` at will, given back as a number (-1: `kill`).

    ValueError also for an unknown group: a filter without what it stands for would be another one.
    """
    rule = parse_rule(text)
    items = []
    for word in rule.items:
        name, colon, error = word.partition(":")
        if not _CALL.fullmatch(name):
            raise ValueError(f"'{name}' is not the name of a system call")
        if name.startswith("@"):
            from gitproc.units.syscall_groups import GROUPS

            if name not in GROUPS:
                raise ValueError(f"'{name}' is not a group of system calls")
        number = parse_errno(error) if colon else ""
        items.append(f"{name}:{-1 if number == 'kill' else number}" if colon else name)
    return (Rule(rule.denies, tuple(items)),)


def parse_architectures(text: str) -> tuple[str, ...]:
    """Architectures by systemd's names."""
    return tuple(map(parse_architecture, split_words(text)))


def parse_architecture(text: str) -> str:
    """An architecture by systemd's name."""
    if text not in ARCHITECTURES:
        raise ValueError(f"'{text}' is not an architecture")
    return text


def parse_families(text: str) -> tuple[Rule, ...]:
    """Kinds of socket; `none` allows no kind at all."""
    if text == "none":
        return (NOTHING,)
    rule = parse_rule(text)
    for word in rule.items:
        if word not in FAMILIES:
            raise ValueError(f"'{word}' is not an address family")
    return (rule,)


def parse_namespaces(text: str) -> tuple[Rule, ...]:
    """Kinds of namespace that may be made; `yes` restricts to none, `no` restricts nothing."""
    try:
        return (NOTHING if parse_boolean(text) else EVERYTHING,)
    except ValueError:
        pass
    rule = parse_rule(text)
    for word in rule.items:
        if word not in NAMESPACES:
            raise ValueError(f"'{word}' is neither yes, no nor one of {', '.join(NAMESPACES)}")
    return (rule,)


def allowed_namespaces(rules: Iterable[Rule]) -> frozenset[str]:
    """Kinds of namespace that RestrictNamespaces= leaves: all if it is not set."""
    return fold_set(rules, frozenset(NAMESPACES), frozenset(NAMESPACES))
