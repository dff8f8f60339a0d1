"""Who owns a name on the system bus: the little of D-Bus that Type=dbus needs (D-Bus specification 1.0).

One connection for all services, made when the first of them starts: SASL EXTERNAL, Hello, a match on
NameOwnerChanged for each name, and the question who has it now. Only what the bus itself says counts; what
other peers send us is thrown away. A bus that goes away is tried again, more and more slowly, as long as a
service waits for it or depends on it.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress

from gitproc.immutable import NamedTuple

SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
_BUS = "org.freedesktop.DBus"
_CALL, _RETURN, _ERROR, _SIGNAL = 1, 2, 3, 4
_MESSAGE_BYTES_MAX = 1 << 16
_PATIENCE = 5.0  # seconds for the greeting
_RETRY, _RETRY_MOST = 1.0, 60.0

Tell = Callable[[bool, str], None]


class BusError(Exception):
    """The bus cannot be used; the text says why."""


class Message(NamedTuple):
    """A message as far as it is read: header fields by number, and the strings of its body."""

    kind: int
    fields: Mapping[int, str | int]
    strings: tuple[str, ...]


def socket_path(address: str) -> str:
    """The path of the first unix socket of an address, `@` first for an abstract one. BusError without."""
    for each in address.split(";"):
        transport, _, options = each.partition(":")
        known = dict(x.partition("=")[::2] for x in options.split(","))
        if transport == "unix" and known.get("path"):
            return known["path"]
        if transport == "unix" and known.get("abstract"):
            return f"\0{known['abstract']}"
    raise BusError(f"{address!r} names no unix socket")


def call(serial: int, member: str, argument: str = "") -> bytes:
    """A method call to the bus itself, with one string or none."""
    body = _string(argument) if argument else b""
    fields = [
        _field(1, b"o", "/org/freedesktop/DBus"),
        _field(2, b"s", _BUS),
        _field(3, b"s", member),
        _field(6, b"s", _BUS),
    ]
    if argument:
        fields.append(b"\x08\x01g\0\x01s\0")
    array = b""
    for each in fields:
        array += b"\0" * (-len(array) % 8) + each
    head = struct.pack("<cBBBIII", b"l", _CALL, 0, 1, len(body), serial, len(array)) + array
    return head + b"\0" * (-len(head) % 8) + body


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw + b"\0"


def _field(code: int, kind: bytes, text: str) -> bytes:
    return bytes([code, 1]) + kind + b"\0" + _string(text)


def sizes(head: bytes) -> tuple[str, int, int]:
    """Byte order, bytes of the header fields (with padding) and of the body, by the first 16 bytes."""
    order = {b"l": "<", b"B": ">"}.get(head[:1])
    if order is None:
        raise BusError("that is no D-Bus message")
    body, _, array = struct.unpack(f"{order}III", head[4:16])
    if body + array > _MESSAGE_BYTES_MAX:
        raise BusError("a message is too large")
    return order, array + (-array % 8), body


def parse(head: bytes, fields: bytes, body: bytes) -> Message:
    """Read a message; of its body only strings, as far as there is nothing else. BusError if it is none."""
    order, _, _ = sizes(head)
    (length,) = struct.unpack(f"{order}I", head[12:16])
    try:
        found = _parse_fields(order, fields[:length])
        signature = str(found.get(8, ""))
        strings: list[str] = []
        at = 0
        for kind in signature:
            if kind not in "so":
                break
            text, at = _read_string(order, body, at)
            strings.append(text)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BusError(f"a message is malformed: {error}") from error
    return Message(head[1], found, tuple(strings))


def _parse_fields(order: str, data: bytes) -> dict[int, str | int]:
    found: dict[int, str | int] = {}
    at = 0
    while at < len(data):
        at += -at % 8
        code, kind = data[at], data[at + 2 : at + 3]
        at += 4
        if kind in (b"s", b"o"):
            found[code], at = _read_string(order, data, at)
        elif kind == b"u":
            at += -at % 4
            (found[code],) = struct.unpack_from(f"{order}I", data, at)
            at += 4
        elif kind == b"g":
            found[code] = data[at + 1 : at + 1 + data[at]].decode()
            at += data[at] + 2
        else:
            raise BusError("a message has an unknown header")
    return found


def _read_string(order: str, data: bytes, at: int) -> tuple[str, int]:
    at += -at % 4
    (length,) = struct.unpack_from(f"{order}I", data, at)
    raw = data[at + 4 : at + 4 + length]
    if len(raw) != length:
        raise BusError("a message is cut short")
    return raw.decode(), at + 5 + length


class BusNames:
    """Tells who watches a name whether it is owned, at once and whenever that changes."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._watched: dict[str, tuple[str, Tell]] = {}
        self._asked: dict[int, str] = {}
        self._serial = 0
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    def watch(self, key: str, name: str, tell: Tell) -> None:
        """Tell (owned, "") of `name` under `key`, or (False, why) while the bus cannot be used."""
        self._watched[key] = (name, tell)
        if self._writer is not None:
            self._ask(self._writer, name)
        elif self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def forget(self, key: str) -> None:
        """Nobody watches under `key` any more; the last one closes the connection."""
        name = self._watched.pop(key, ("", None))[0]
        if self._writer is not None and name and name not in {x for x, _ in self._watched.values()}:
            self._send(self._writer, "RemoveMatch", _rule(name))
        if not self._watched:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._hang_up()

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._asked.clear()

    async def _run(self) -> None:
        pause = _RETRY
        while self._watched:
            try:
                reader = await self._connect()
                pause = _RETRY
                while True:
                    self._take(await _read(reader))
            except (OSError, BusError, EOFError, TimeoutError) as error:
                self._hang_up()
                why = f"the bus at {self._address} cannot be used: {str(error) or 'it hung up'}"
                for _, tell in tuple(self._watched.values()):
                    tell(False, why)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _RETRY_MOST)
        self._task = None

    async def _connect(self) -> asyncio.StreamReader:
        async with asyncio.timeout(_PATIENCE):
            path = socket_path(self._address)
            reader, writer = await asyncio.open_unix_connection(path, limit=_MESSAGE_BYTES_MAX)
            try:
                writer.write(b"\0AUTH EXTERNAL %s\r\n" % str(os.geteuid()).encode().hex().encode())
                if not (await reader.readline()).startswith(b"OK "):
                    raise BusError("it does not know us")
                writer.write(b"BEGIN\r\n")
                self._send(writer, "Hello")
                answer = await _read(reader)
                while answer.kind not in (_RETURN, _ERROR):
                    answer = await _read(reader)
                if answer.kind == _ERROR:
                    raise BusError(f"it refuses us: {answer.fields.get(4)}")
            except BaseException:
                writer.close()
                raise
        self._writer = writer
        for name in {name for name, _ in self._watched.values()}:
            self._ask(writer, name)
        return reader

    def _send(self, writer: asyncio.StreamWriter, member: str, argument: str = "") -> int:
        self._serial = self._serial % 0xFFFFFFFF + 1
        with suppress(OSError):
            writer.write(call(self._serial, member, argument))
        return self._serial

    def _ask(self, writer: asyncio.StreamWriter, name: str) -> None:
        # The match comes first: no change is missed between the answer and the first signal.
        self._send(writer, "AddMatch", _rule(name))
        self._asked[self._send(writer, "GetNameOwner", name)] = name

    def _take(self, message: Message) -> None:
        if message.fields.get(7) != _BUS:
            return
        if message.kind in (_RETURN, _ERROR):
            name = self._asked.pop(int(message.fields.get(5, 0)), "")
            if name:
                self._tell(name, message.kind == _RETURN)
        elif message.kind == _SIGNAL and message.fields.get(3) == "NameOwnerChanged":
            if len(message.strings) == 3:
                self._tell(message.strings[0], bool(message.strings[2]))

    def _tell(self, name: str, owned: bool) -> None:
        for watched, tell in tuple(self._watched.values()):
            if watched == name:
                tell(owned, "")


def _rule(name: str) -> str:
    return (
        f"type='signal',sender='{_BUS}',interface='{_BUS}',member='NameOwnerChanged',arg0='{name}'"
    )


async def _read(reader: asyncio.StreamReader) -> Message:
    head = await reader.readexactly(16)
    _, fields, body = sizes(head)
    return parse(head, await reader.readexactly(fields), await reader.readexactly(body))
