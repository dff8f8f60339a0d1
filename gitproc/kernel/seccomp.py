"""System call filters made into the kernel's byte code: the door to libseccomp.

The library is called by ctypes: Debian's binding (`seccomp`) is not in the package index and the index's
(`pyseccomp`) not in Debian, while the library itself is on every Debian. It is loaded when the first unit needs a
filter. A filter covers all architectures whose programs this kernel runs, each by its own numbers and in one
program: a 32-bit program gets around nothing. Nor does a call that is newer than the library (`new_calls`).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from functools import cache, lru_cache

from gitproc.errors import HostError
from gitproc.immutable import NamedTuple
from gitproc.kernel import new_calls

ALLOW = 0x7FFF0000
LOG = 0x7FFC0000
KILL_PROCESS = 0x80000000

#: Of an argument (enum scmp_compare).
NOT_EQUAL, LESS, EQUAL, GREATER, MASKED_EQUAL = 1, 2, 4, 6, 7

_UNKNOWN_CALL = -1
_BAD_ARCHITECTURE = 2  # an attribute: what is done with calls of architectures that are not listed
_OPTIMIZE, _BINARY_TREE = 8, 2  # an attribute: calls are found by halving, not one after the other
_LIBRARY = "libseccomp.so.2"
_MEASURE = 8  # bytes of an instruction
_MOST = 4096  # instructions of a program that the kernel takes

#: uname's machine -> systemd's words for the architectures that its kernel runs, its own first.
_LOCAL = {
    "x86_64": ("x86-64", "x86", "x32"),
    "aarch64": ("arm64", "arm"),
    "ppc64le": ("ppc64-le",),
    "riscv64": ("riscv64",),
    "s390x": ("s390x", "s390"),
}
#: systemd's word -> the library's, where it is another.
_NAMES = {
    "x86-64": "x86_64", "arm64": "aarch64", "ppc64-le": "ppc64le", "mips-le": "mipsel",
    "mips64-le": "mipsel64", "mips-n32": "mips64n32", "mips64-n32": "mips64n32",
    "mips-le-n32": "mipsel64n32", "mips64-le-n32": "mipsel64n32",
}  # fmt: skip


def error_action(number: int) -> int:
    """The call fails with this error number."""
    return 0x00050000 | number


class Argument(NamedTuple):
    """A condition on one argument of a call: how it compares with `value`, of its bits in `mask` if that is set."""

    number: int
    comparison: int
    value: int
    mask: int = 0


class CallRule(NamedTuple):
    """What is done with a call if all conditions hold; `only`, `never`: systemd's names of architectures."""

    action: int
    call: str
    arguments: tuple[Argument, ...] = ()
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


class Program(NamedTuple):
    """One filter: what is done by default, and the exceptions from it."""

    default: int
    rules: tuple[CallRule, ...]


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("number", ctypes.c_uint),
        ("comparison", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def problem() -> str:
    """Why filters cannot be had on this host; "" if they can."""
    if not os.path.exists("/proc/self/status"):
        return "there is no /proc"
    if not os.path.exists("/proc/sys/kernel/seccomp"):
        return "the kernel has no system call filters"
    try:
        _library()
    except OSError:
        return f"{_LIBRARY} is not installed (package libseccomp2)"
    return ""


@lru_cache(maxsize=256)
def compiled(program: Program) -> bytes:
    """The program in the kernel's byte code, for all architectures of this machine. HostError if it cannot be."""
    local = local_architectures()
    before = new_calls.answering(_unheard_of(program)) if os.uname().machine in _LOCAL else b""
    whole = 0
    try:
        for architecture in local:
            part = _filter(program, architecture, native=architecture == local[0])
            if not whole:
                whole = part
            elif code := _library().seccomp_merge(whole, part):
                _library().seccomp_release(part)
                raise _failure("cannot join filters of several architectures", code)
        code = before + _exported(whole)
        if len(code) > _MOST * _MEASURE:
            raise HostError("the filter is larger than the kernel takes")
        return code
    finally:
        _library().seccomp_release(whole)


def _unheard_of(program: Program) -> Iterator[tuple[str, int]]:
    """What is done with calls that the library is too old for. One whose arguments would decide is not there."""
    for rule in program.rules:
        if rule.call in new_calls.NUMBERS and not knows_call(rule.call):
            if not rule.arguments:
                yield rule.call, rule.action
            elif program.default == ALLOW:
                yield rule.call, error_action(errno.ENOSYS)


@lru_cache(maxsize=64)
def architectures_only(wanted: tuple[str, ...]) -> bytes:
    """A program that kills what calls by another architecture than the machine's own and these."""
    library = _library()
    context = library.seccomp_init(ALLOW)
    try:
        if not context:
            raise HostError("the filter cannot be made")
        names = {*wanted, *(("x86-64",) if "x32" in wanted else ())}  # which calls by both
        for name in sorted(names - {"native"}):
            token = _token(name)
            if token and (code := library.seccomp_arch_add(context, token)) != -errno.EEXIST:
                _check(code, f"cannot allow the architecture {name}")
        return _exported(context)
    finally:
        library.seccomp_release(context)


@cache
def knows_architecture(name: str) -> bool:
    """Whether the library has systemd's architecture `name`."""
    return name == "native" or bool(_token(name))


@cache
def knows_call(name: str) -> bool:
    """Whether the library has heard of a system call."""
    return bool(_library().seccomp_syscall_resolve_name(name.encode()) != _UNKNOWN_CALL)


def local_architectures() -> tuple[str, ...]:
    """By systemd's names: the architectures whose programs run here, the machine's own first."""
    machine = os.uname().machine
    return _LOCAL.get(machine, (machine,))


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.restype = None
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_merge.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    for name in ("seccomp_arch_add", "seccomp_arch_remove"):
        getattr(library, name).argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_exact_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison),
    )  # fmt: skip
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


def _token(architecture: str) -> int:
    """The library's number of an architecture; 0 if it has none."""
    name = _NAMES.get(architecture, architecture)
    token: int = _library().seccomp_arch_resolve_name(name.encode())
    return token


def _filter(program: Program, architecture: str, *, native: bool) -> int:
    library = _library()
    context: int = library.seccomp_init(program.default)
    if not context:
        raise HostError("the filter cannot be made")
    try:
        if not native:
            _check(library.seccomp_arch_add(context, _token(architecture)), architecture)
            _check(library.seccomp_arch_remove(context, library.seccomp_arch_native()), "native")
        code = library.seccomp_attr_set(context, _BAD_ARCHITECTURE, ALLOW)
        _check(code, "cannot let other architectures alone")
        library.seccomp_attr_set(
            context, _OPTIMIZE, _BINARY_TREE
        )  # a wish: older ones have not got it
        for rule in program.rules:
            if architecture in rule.never or (rule.only and architecture not in rule.only):
                continue
            _add(context, rule, native=native)
    except BaseException:
        library.seccomp_release(context)
        raise
    return context


def _add(context: int, rule: CallRule, *, native: bool) -> None:
    library = _library()
    call = library.seccomp_syscall_resolve_name(rule.call.encode())
    if call == _UNKNOWN_CALL:
        return  # newer than the library (`_unheard_of`), or no call at all: `verify` says so
    arguments = (_Comparison * len(rule.arguments))(
        *(
            _Comparison(one.number, one.comparison, one.mask or one.value, one.value)
            for one in rule.arguments
        )
    )
    code = library.seccomp_rule_add_exact_array(
        context, rule.action, call, len(arguments), arguments
    )
    # A call that an architecture has not, or only as part of another call, has no number of its own there.
    # One that is to be done as by default needs no rule (EACCES).
    if code in (0, -errno.EACCES, -errno.EEXIST) or call < 0 or not native:
        return
    raise _failure(f"cannot filter the system call {rule.call}", code)


def _exported(context: int) -> bytes:
    fd = os.memfd_create("gitproc-filter", os.MFD_CLOEXEC)
    try:
        _check(_library().seccomp_export_bpf(context, fd), "the filter cannot be compiled")
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _check(code: int, what: str) -> None:
    if code < 0:
        raise _failure(what, code)


def _failure(what: str, code: int) -> HostError:
    return HostError(f"{what}: {os.strerror(-code)}")
