"""Compiled filters, run here as the kernel would: every call of every architecture is answered as the list says."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from gitproc.kernel import seccomp
from gitproc.kernel.seccomp import ALLOW, KILL_PROCESS, Argument, CallRule, Program, error_action
from gitproc.units.syscall_groups import members

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86")

X86_64, X86, X32_BIT = 0xC000003E, 0x40000003, 0x40000000
EPERM = error_action(errno.EPERM)
WORDS = {"x86-64": (X86_64, 0), "x86": (X86, 0), "x32": (X86_64, X32_BIT)}

#: 32-bit calls of sockets and System V IPC, which are also parts of socketcall and ipc: the library tells no number.
PART_OF_OTHERS = {102, 117, 337, 345, *range(359, 374), *range(393, 403)}


def answer(code: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the program says of a call (seccomp(2), the classic BPF of linux/filter.h)."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(arguments + (0,) * 6)[:6])
    at = accumulator = 0
    while True:
        operation, yes, no, value = struct.unpack_from("<HBBI", code, at * 8)
        at += 1
        match operation:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x25:
                at += yes if accumulator > value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x06:
                return value
            case _:
                raise AssertionError(f"operation {operation:#x}")


def numbers(call: str) -> dict[str, int]:
    """The number of a call on each architecture that has it."""
    library = seccomp._library()
    found = {}
    for name in WORDS:
        number = library.seccomp_syscall_resolve_name_arch(seccomp._token(name), call.encode())
        if number >= 0:
            found[name] = number & ~X32_BIT
    return found


def test_an_allow_list_allows_that_and_nothing_else():
    rules = tuple(CallRule(ALLOW, call) for call in members("@system-service"))
    code = seccomp.compiled(Program(EPERM, rules))
    allowed = {(name, number) for rule in rules for name, number in numbers(rule.call).items()}
    for name, (architecture, bit) in WORDS.items():
        for number in range(1024):
            found = answer(code, architecture, number | bit)
            wanted = ALLOW if (name, number) in allowed else EPERM
            if name != "x86" or number not in PART_OF_OTHERS:
                assert found == wanted, (name, number)


def test_a_deny_list_denies_on_all_and_leaves_other_architectures_alone():
    calls = members("@mount")
    code = seccomp.compiled(Program(ALLOW, tuple(CallRule(KILL_PROCESS, x) for x in calls)))
    for call in calls:
        for name, number in numbers(call).items():
            architecture, bit = WORDS[name]
            assert answer(code, architecture, number | bit) == KILL_PROCESS, (name, call)
    assert answer(code, 0xC00000B7, 40) == ALLOW  # aarch64


def test_arguments_are_looked_at_as_the_kernel_does():
    low = Argument(0, seccomp.MASKED_EQUAL, 2, 0xFFFFFFFF)
    code = seccomp.compiled(Program(ALLOW, (CallRule(EPERM, "socket", (low,)),)))
    assert answer(code, X86_64, 41, 2) == EPERM
    assert answer(code, X86_64, 41, 1 << 32 | 2) == EPERM
    assert answer(code, X86_64, 41, 10) == ALLOW


def test_only_architectures_that_are_named_may_call():
    native = seccomp.architectures_only(("native",))
    assert answer(native, X86_64, 0) == ALLOW
    assert answer(native, X86, 0) != ALLOW
    assert answer(native, X86_64, X32_BIT) != ALLOW
    both = seccomp.architectures_only(("native", "x86"))
    assert answer(both, X86, 0) == ALLOW
