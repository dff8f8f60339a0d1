"""The kernel's bpf(2): small programs attached to cgroups, and the tables they look into.

No compiler and no library: a program is a list of instructions put together by `Assembler`. What is attached
to a group stays there as long as the group does, whoever attached it; programs of ours are told by their
names. A program can be replaced without a gap: the new one is attached before the old one goes, and where
there are several, all must agree.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum

_NUMBERS = {
    "x86_64": 321,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "s390x": 351,
    "ppc64le": 361,
    "i686": 357,
    "armv7l": 386,
}
_MAP_CREATE, _MAP_UPDATE, _PROG_LOAD, _PROG_ATTACH, _PROG_DETACH = 0, 2, 5, 8, 9
_PROG_GET_FD_BY_ID, _OBJ_GET_INFO, _PROG_QUERY = 13, 15, 16
_LPM_TRIE, _NO_PREALLOC, _ALLOW_MULTI = 11, 1, 2
_MOST = 64  # programs on one group: the kernel's own limit

LOOKUP, LOAD_BYTES = 1, 26  # helper functions


class Kind(IntEnum):
    """Types of programs."""

    CGROUP_SKB = 8
    CGROUP_DEVICE = 15


class Hook(IntEnum):
    """Where a program is attached."""

    INGRESS = 0
    EGRESS = 1
    DEVICE = 6


class Assembler:
    """Instructions in order; jumps go forward to labels that are placed later. Registers are numbers, 10 the
    frame's end."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int, int]] = []
        self._jumps: list[tuple[int, str]] = []
        self._labels: dict[str, int] = {}

    def emit(
        self, opcode: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0
    ) -> None:
        """One instruction as it is."""
        self._code.append((opcode, to, source, offset, value))

    def move(self, to: int, source: int) -> None:
        """`to = source`, registers both."""
        self.emit(0xBF, to, source)

    def set(self, to: int, value: int) -> None:
        """`to = value`."""
        self.emit(0xB7, to, value=value)

    def add(self, to: int, value: int) -> None:
        """`to += value`."""
        self.emit(0x07, to, value=value)

    def mask(self, to: int, value: int) -> None:
        """`to &= value`, 32 bits."""
        self.emit(0x54, to, value=value)

    def shift(self, to: int, bits: int) -> None:
        """`to >>= bits`, 32 bits."""
        self.emit(0x74, to, value=bits)

    def load(self, to: int, source: int, offset: int) -> None:
        """`to = *(u32 *)(source + offset)`."""
        self.emit(0x61, to, source, offset)

    def store(self, to: int, offset: int, value: int) -> None:
        """`*(u32 *)(to + offset) = value`."""
        self.emit(0x62, to, 0, offset, value)

    def table(self, to: int, descriptor: int) -> None:
        """`to` = the table behind a descriptor."""
        self.emit(0x18, to, 1, 0, descriptor)
        self.emit(0)

    def call(self, function: int) -> None:
        """`r0 = function(r1 ... r5)`; these are lost."""
        self.emit(0x85, value=function)

    def unless(self, register: int, value: int, label: str) -> None:
        """Go to `label` unless the register has that value."""
        self._jump(0x55, label, register, 0, value)

    def unless_same(self, register: int, other: int, label: str) -> None:
        """Go to `label` unless both registers are the same."""
        self._jump(0x5D, label, register, other, 0)

    def go(self, label: str) -> None:
        """Go to `label`."""
        self._jump(0x05, label, 0, 0, 0)

    def label(self, name: str) -> None:
        """Place a label here."""
        self._labels[name] = len(self._code)

    def end(self, result: int) -> None:
        """Return this."""
        self.set(0, result)
        self.emit(0x95)

    def _jump(self, opcode: int, label: str, register: int, other: int, value: int) -> None:
        self._jumps.append((len(self._code), label))
        self.emit(opcode, register, other, 0, value)

    def code(self) -> bytes:
        """The program. KeyError for a label that was not placed."""
        code = list(self._code)
        for at, label in self._jumps:
            opcode, to, source, _, value = code[at]
            code[at] = (opcode, to, source, self._labels[label] - at - 1, value)
        return b"".join(
            struct.pack("<BBhi", opcode, to | source << 4, offset, value)
            for opcode, to, source, offset, value in code
        )


def load(kind: Kind, code: bytes, name: str) -> int:
    """Have the kernel check and take a program; its descriptor. OSError as the kernel answers."""
    text, licence = (
        ctypes.create_string_buffer(code, len(code)),
        ctypes.create_string_buffer(b"MIT"),
    )
    attributes = struct.pack(
        "=IIQQIIQII16sII",
        kind,
        len(code) // 8,
        ctypes.addressof(text),
        ctypes.addressof(licence),
        0,
        0,
        0,
        0,
        0,
        name.encode("ascii"),
        0,
        0,
    )
    return _bpf(_PROG_LOAD, attributes)


def prefix_table(size: int, entries: Sequence[tuple[bytes, int]]) -> int:
    """A table in which the longest matching prefix is found; its descriptor. OSError.

    `size`: bytes of an address; `entries`: an address, and how many bits of it count.
    """
    made = _bpf(
        _MAP_CREATE, struct.pack("=IIIII", _LPM_TRIE, 4 + size, 1, len(entries), _NO_PREALLOC)
    )
    try:
        value = ctypes.create_string_buffer(b"\1", 1)
        for address, bits in entries:
            data = struct.pack("=I", bits) + address
            key = ctypes.create_string_buffer(data, len(data))
            where = ctypes.addressof(key), ctypes.addressof(value)
            _bpf(_MAP_UPDATE, struct.pack("=IIQQQ", made, 0, *where, 0))
    except OSError:
        os.close(made)
        raise
    return made


def attached(group: int, hook: Hook) -> dict[int, str]:
    """The programs attached to a group (a descriptor of its directory): id -> name. OSError."""
    ids = (ctypes.c_uint32 * _MOST)()
    place = struct.pack("=IIIIQII", group, hook, 0, 0, ctypes.addressof(ids), _MOST, 0)
    attributes = ctypes.create_string_buffer(place, len(place))
    _bpf(_PROG_QUERY, attributes)
    count = struct.unpack_from("=I", attributes, 24)[0]
    found = {}
    for number in ids[:count]:
        try:
            descriptor = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))
        except OSError:
            continue  # it has just gone
        try:
            found[number] = _name(descriptor)
        finally:
            os.close(descriptor)
    return found


def attach(group: int, hook: Hook, program: int) -> None:
    """Attach a program to a group, beside others and those of groups below. OSError."""
    _bpf(_PROG_ATTACH, struct.pack("=IIII", group, program, hook, _ALLOW_MULTI))


def detach(group: int, hook: Hook, numbers: Iterable[int]) -> None:
    """Take programs away, by their ids. OSError."""
    for number in numbers:
        program = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))
        try:
            _bpf(_PROG_DETACH, struct.pack("=IIII", group, program, hook, 0))
        finally:
            os.close(program)


def _name(program: int) -> str:
    info = ctypes.create_string_buffer(256)
    _bpf(_OBJ_GET_INFO, struct.pack("=IIQ", program, len(info), ctypes.addressof(info)))
    return info.raw[64:80].split(b"\0")[0].decode("ascii", "replace")


def _bpf(command: int, attributes: bytes | ctypes.Array[ctypes.c_char]) -> int:
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        raise OSError(38, "bpf(2) is not known for this machine")
    if isinstance(attributes, bytes):
        attributes = ctypes.create_string_buffer(attributes, len(attributes))
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(
        ctypes.c_long(number), ctypes.c_long(command), attributes, ctypes.c_long(len(attributes))
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
