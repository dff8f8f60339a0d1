"""Which system call filters the settings of a unit make, in the order in which systemd loads them.

What is denied, and with which error, is systemd's: arguments that hide behind a pointer cannot be looked at, so
the calls that have them (clone3, openat2) are not there where a restriction concerns them. Three ways around that
systemd 252 leaves are shut: sched_setattr, files made without a name (O_TMPFILE), and the upper half of an int, at
which the kernel does not look.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from gitproc.kernel import seccomp
from gitproc.kernel.seccomp import Argument, CallRule, Program
from gitproc.units import directives_sandbox as s
from gitproc.units.access_lists import Filter, fold_filter
from gitproc.units.directive import Directive
from gitproc.units.restrictions import FAMILIES, NAMESPACES, allowed_namespaces
from gitproc.units.syscall_groups import effective, listed, members
from gitproc.units.unit import Unit

_EPERM = seccomp.error_action(errno.EPERM)
_ENOSYS = seccomp.error_action(errno.ENOSYS)
_NO_FAMILY = seccomp.error_action(errno.EAFNOSUPPORT)
_SHM_EXEC = 0o100000
_TMPFILE = os.O_TMPFILE & ~os.O_DIRECTORY  # the bit that makes a file
_INT = 0xFFFFFFFF
_DECIDING = (*s.FILTERING, s.SYSTEM_CALL_ERROR_NUMBER, s.PERSONALITY)
#: Where socket(2) is but a part of another call, whose arguments cannot be looked at.
_NO_SOCKET_CALL = ("x86", "s390", "s390x", "mips", "mips-le", "ppc")
_OLD_MMAP = ("x86", "s390")
_SWAPPED_CLONE = ("s390", "s390x")


def programs_of(unit: Unit) -> tuple[tuple[str, bytes], ...]:
    """Each filter, with the step whose failure it is. HostError: it cannot be compiled."""
    return _programs(tuple(unit[row] for row in _DECIDING))


@lru_cache(maxsize=256)
def _programs(values: tuple[Any, ...]) -> tuple[tuple[str, bytes], ...]:
    """The same for the values of `_DECIDING`: compiled once, however many units have them."""
    return tuple(_make(dict(zip(_DECIDING, values, strict=True))))


def _make(asked: Mapping[Directive[Any], Any]) -> Iterator[tuple[str, bytes]]:
    families = fold_filter(asked[s.RESTRICT_ADDRESS_FAMILIES])
    if families is not None:
        yield "ADDRESS_FAMILIES", _denying(_families(families))
    namespaces = allowed_namespaces(asked[s.RESTRICT_NAMESPACES])
    for wanted, rules in (
        (asked[s.MEMORY_DENY_WRITE_EXECUTE], _WRITE_EXECUTE),
        (asked[s.RESTRICT_REALTIME], _REALTIME),
        (asked[s.RESTRICT_SUID_SGID], _SUID_SGID),
        (len(namespaces) < len(NAMESPACES), _namespaces(namespaces)),
        (asked[s.PROTECT_KERNEL_TUNABLES], _all_of("_sysctl")),
        (asked[s.PROTECT_KERNEL_MODULES], _all_of(*members("@module"))),
        (asked[s.PROTECT_KERNEL_LOGS], _all_of("syslog")),
        (asked[s.PROTECT_CLOCK], _all_of(*members("@clock"))),
        (asked[s.PRIVATE_DEVICES], _all_of(*members("@raw-io"))),
        (asked[s.PROTECT_HOSTNAME] == "yes", _all_of("sethostname", "setdomainname")),
    ):
        if wanted:
            yield "SECCOMP", _denying(rules)
    if asked[s.SYSTEM_CALL_ARCHITECTURES]:
        known = tuple(filter(seccomp.knows_architecture, asked[s.SYSTEM_CALL_ARCHITECTURES]))
        yield "SECCOMP", seccomp.architectures_only(known)
    if asked[s.LOCK_PERSONALITY]:
        yield "SECCOMP", _denying(_personality(asked[s.PERSONALITY]))
    logged = fold_filter(listed(asked[s.SYSTEM_CALL_LOG]))
    if logged is not None:
        yield "SECCOMP", seccomp.compiled(_logging(logged))
    calls = effective(asked[s.SYSTEM_CALL_FILTER])
    if calls is not None and (calls.allows or calls.items):
        yield "SECCOMP", seccomp.compiled(_calls(calls, asked[s.SYSTEM_CALL_ERROR_NUMBER]))


def _denying(rules: tuple[CallRule, ...]) -> bytes:
    return seccomp.compiled(Program(seccomp.ALLOW, rules))


def _all_of(*calls: str) -> tuple[CallRule, ...]:
    return tuple(CallRule(_EPERM, call) for call in calls)


def _if(action: int, call: str, number: int, comparison: int, value: int, **k: Any) -> CallRule:
    """If an int is so: of an equal one the lower half alone counts, which is all that the kernel looks at."""
    if comparison == seccomp.EQUAL:
        argument = Argument(number, seccomp.MASKED_EQUAL, value, _INT)
    else:
        argument = Argument(number, comparison, value)
    return CallRule(action, call, (argument,), **k)


def _bits(call: str, number: int, mask: int, **where: Any) -> CallRule:
    """Denied with all bits of the mask set."""
    return CallRule(_EPERM, call, (Argument(number, seccomp.MASKED_EQUAL, mask),), **where)


_WRITE_EXECUTE = (
    _bits("mmap", 2, mmap.PROT_WRITE | mmap.PROT_EXEC, never=_OLD_MMAP),
    CallRule(_EPERM, "mmap", only=_OLD_MMAP),  # its arguments lie behind a pointer
    _bits("mmap2", 2, mmap.PROT_WRITE | mmap.PROT_EXEC, only=(*_OLD_MMAP, "arm")),
    _bits("mprotect", 2, mmap.PROT_EXEC),
    _bits("pkey_mprotect", 2, mmap.PROT_EXEC),
    _bits("shmat", 2, _SHM_EXEC, never=(*_OLD_MMAP, "s390x", "ppc64-le")),
)
_REALTIME = (
    *(
        _if(_EPERM, "sched_setscheduler", 1, seccomp.EQUAL, policy)
        for policy in range(os.SCHED_IDLE)
        if policy not in (os.SCHED_OTHER, os.SCHED_BATCH)
    ),
    _if(_EPERM, "sched_setscheduler", 1, seccomp.GREATER, os.SCHED_IDLE),
    CallRule(_EPERM, "sched_setattr"),
)
_SUID_SGID = (
    *(
        _bits(call, number, bit)
        for bit in (stat.S_ISUID, stat.S_ISGID)
        for call, number in (
            ("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2), ("mkdir", 1),
            ("mkdirat", 2), ("mknod", 1), ("mknodat", 2), ("creat", 1),
        )
    ),
    *(
        CallRule(_EPERM, call, (
            Argument(at, seccomp.MASKED_EQUAL, making),
            Argument(at + 1, seccomp.MASKED_EQUAL, bit),
        ))
        for bit in (stat.S_ISUID, stat.S_ISGID)
        for making in (os.O_CREAT, _TMPFILE)
        for call, at in (("open", 1), ("openat", 2))
    ),
    CallRule(_ENOSYS, "openat2"),
)  # fmt: skip


def _families(wanted: Filter) -> tuple[CallRule, ...]:
    """What is allowed has a first and a last number; all below, above and between that is not named is denied."""
    numbers = {FAMILIES[name] for name in wanted.items}
    where: dict[str, Any] = {"never": _NO_SOCKET_CALL}
    if wanted.allows and not numbers:
        return (CallRule(_NO_FAMILY, "socket", **where),)
    if not wanted.allows:
        denied = [(seccomp.EQUAL, number) for number in sorted(numbers)]
    else:
        between = range(min(numbers) + 1, max(numbers))
        denied = [(seccomp.LESS, min(numbers)), (seccomp.GREATER, max(numbers))]
        denied += [(seccomp.EQUAL, number) for number in between if number not in numbers]
    return tuple(_if(_NO_FAMILY, "socket", 0, how, number, **where) for how, number in denied)


def _namespaces(allowed: frozenset[str]) -> tuple[CallRule, ...]:
    rules = [CallRule(_ENOSYS, "clone3")]  # libc then uses clone
    if allowed:
        rules.append(_if(_EPERM, "setns", 1, seccomp.EQUAL, 0))  # of any kind
    else:
        rules.append(CallRule(_EPERM, "setns"))
    for name in sorted(NAMESPACES.keys() - allowed):
        flag = NAMESPACES[name]
        rules += [
            _bits("unshare", 0, flag),
            _bits("clone", 0, flag, never=_SWAPPED_CLONE),
            _bits("clone", 1, flag, only=_SWAPPED_CLONE),
        ]
        if allowed:
            rules.append(_bits("setns", 1, flag))
    return tuple(rules)


def _personality(wanted: str) -> tuple[CallRule, ...]:
    """None but the one it starts with, which is plain Linux or what Personality= says."""
    number = personality_number(wanted) if wanted else 0
    return (_if(_EPERM, "personality", 0, seccomp.NOT_EQUAL, number or 0),)


def personality_number(name: str) -> int | None:
    """The number of personality(2) that makes this machine look like architecture `name`; None: none does."""
    own, *others = seccomp.local_architectures()
    if name == own:
        return 0
    return 8 if name in others and name != "x32" else None  # PER_LINUX32


def _logging(wanted: Filter) -> Program:
    named, rest = (seccomp.LOG, seccomp.ALLOW)[:: 1 if wanted.allows else -1]
    return Program(rest, tuple(CallRule(named, call) for call in sorted(wanted.items)))


def _calls(wanted: Filter, error: str) -> Program:
    negative = seccomp.KILL_PROCESS if error == "kill" else seccomp.error_action(int(error))
    usual, rest = (seccomp.ALLOW, negative)[:: 1 if wanted.allows else -1]
    rules = []
    for call, number in sorted(wanted.items.items(), key=lambda item: item[0]):
        action = usual
        if number is not None:
            action = seccomp.KILL_PROCESS if number < 0 else seccomp.error_action(number)
        rules.append(CallRule(action, call))
    return Program(rest, tuple(rules))
