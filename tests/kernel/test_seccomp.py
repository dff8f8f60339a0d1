"""Compiled filters, run here as the kernel would: every call of every architecture is answered as the list says."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from gitproc.kernel import new_calls, seccomp
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
    if call in new_calls.NUMBERS and not seccomp.knows_call(call):
        return dict.fromkeys(WORDS, new_calls.NUMBERS[call])
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


def test_the_numbers_of_new_calls_are_the_librarys_where_it_has_them():
    for call, number in new_calls.NUMBERS.items():
        assert set(numbers(call).values()) <= {number}, call
    assert numbers("openat2")["x32"] == new_calls.NUMBERS["openat2"]


#: A call that came after the library, by whom it may be made: Linux 6.15.
LATE = new_calls.NUMBERS["open_tree_attr"]


@pytest.mark.parametrize("older", [True, False])
def test_calls_that_the_library_has_not_heard_of_are_filtered_on_all_architectures(
    monkeypatch, older
):
    """`older`: they are no news to it, and asked for by rule nevertheless."""
    heard = seccomp.knows_call
    late = ("open_tree_attr", "listns", "fchmodat2")
    if older:
        monkeypatch.setattr(seccomp, "knows_call", lambda name: name not in late and heard(name))
    compiled = seccomp.compiled.__wrapped__
    mode = Argument(2, seccomp.MASKED_EQUAL, 0o4000, 0o4000)
    denying = compiled(
        Program(
            ALLOW,
            (
                CallRule(KILL_PROCESS, "open_tree_attr"),
                CallRule(EPERM, "fchmodat2", (mode,)),
                CallRule(EPERM, "chown"),
            ),
        )
    )
    allowing = compiled(
        Program(KILL_PROCESS, tuple(CallRule(ALLOW, x) for x in ("read", "listns")))
    )
    by_error = compiled(Program(KILL_PROCESS, (CallRule(ALLOW, "read"), CallRule(EPERM, "listns"))))
    listns, fchmodat2 = new_calls.NUMBERS["listns"], new_calls.NUMBERS["fchmodat2"]
    for name, (architecture, bit) in WORDS.items():
        assert answer(denying, architecture, LATE | bit) == KILL_PROCESS, name
        assert answer(denying, architecture, LATE + 1 | bit) == ALLOW, name
        chmod = answer(denying, architecture, fchmodat2 | bit, 0, 0, 0o4755)
        assert chmod == (error_action(errno.ENOSYS) if older else EPERM), name
        assert answer(denying, architecture, numbers("chown")[name] | bit) == EPERM, name
        assert answer(allowing, architecture, listns | bit) == ALLOW, name
        assert answer(allowing, architecture, LATE | bit) == KILL_PROCESS, name
        assert answer(by_error, architecture, listns | bit) == EPERM, name
    assert answer(denying, X86_64, -1) == ALLOW


def test_groups_hold_what_the_kernel_got_since_systemd_252():
    assert "open_tree_attr" in members("@mount")
    assert {"setxattrat", "file_setattr"} <= set(members("@file-system"))
    assert {"mseal", "futex_wait"} <= set(members("@default"))
    assert set(members("@system-service")) >= {"removexattrat", "mseal"}
    assert "open_tree_attr" not in members("@system-service")
    assert set(new_calls.NUMBERS) <= set(members("@known"))
    assert "seccomp" in members("@sandbox")
