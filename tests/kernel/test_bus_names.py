"""Names on a real bus, and what a bus may say that makes no sense."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import pytest

from gitproc.kernel.bus_names import BusError, BusNames, call, parse, sizes, socket_path
from tests.kernel.parts import soon

NAME = "org.example.Test"


@pytest.fixture
def bus(tmp_path):
    """The address of a bus of our own."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("there is no dbus-daemon")
    config = tmp_path / "bus.conf"
    config.write_text(
        "<busconfig><type>custom</type>"
        f"<listen>unix:path={tmp_path}/bus</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*"/><allow own="*"/>'
        '<allow receive_sender="*"/></policy></busconfig>'
    )
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout is not None
    daemon.stdout.readline()
    yield f"unix:path={tmp_path}/bus", daemon
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()


async def owner(address, name):
    """A connection that owns a name until it is closed."""
    reader, writer = await asyncio.open_unix_connection(socket_path(address))
    writer.write(b"\0AUTH EXTERNAL %s\r\n" % b"0".hex().encode())
    assert (await reader.readline()).startswith(b"OK")
    writer.write(b"BEGIN\r\n" + call(1, "Hello"))
    request = bytearray(call(2, "RequestName", name))
    # RequestName takes flags, too: another signature, and four bytes more.
    request = request.replace(b"\x08\x01g\0\x01s\0", b"\x08\x01g\0\x02su\0")
    body = len(name) + 5
    pad = -body % 4
    request[4:8] = (body + pad + 4).to_bytes(4, "little")
    fields = int.from_bytes(request[12:16], "little") + 1
    request[12:16] = fields.to_bytes(4, "little")
    head_end = 16 + fields
    raw = bytes(request)
    start = raw.rindex(len(name).to_bytes(4, "little") + name.encode())
    raw = (
        raw[:head_end]
        + b"\0" * (-head_end % 8)
        + raw[start : start + body]
        + b"\0" * pad
        + b"\4\0\0\0"
    )
    writer.write(raw)
    return writer


@pytest.mark.root
def test_a_name_is_told_when_it_comes_and_when_it_goes(bus):
    address, _ = bus

    async def scenario():
        told: list[tuple[bool, str]] = []
        names = BusNames(address)
        names.watch("a.service", NAME, lambda *news: told.append(news))
        await soon(lambda: told == [(False, "")], "nobody owns it")
        writer = await owner(address, NAME)
        await soon(lambda: told[-1] == (True, ""), "it is owned")
        later: list[tuple[bool, str]] = []
        names.watch("b.service", NAME, lambda *news: later.append(news))
        await soon(lambda: (True, "") in later, "it was owned already")
        writer.close()
        await soon(lambda: told[-1] == (False, "") and later[-1] == (False, ""), "it is gone")
        names.forget("a.service")
        names.forget("b.service")

    asyncio.run(scenario())


@pytest.mark.root
def test_a_bus_that_dies_is_told_and_one_that_is_not_there_too(bus):
    address, daemon = bus

    async def scenario():
        told: list[tuple[bool, str]] = []
        names = BusNames(address)
        names.watch("a.service", NAME, lambda *news: told.append(news))
        await soon(lambda: told, "it answers")
        daemon.kill()
        daemon.wait()
        await soon(lambda: len(told) > 1, "it hung up")
        assert "cannot be used" in told[-1][1]
        names.close()
        names = BusNames("unix:path=/nonexistent/bus")
        names.watch("b.service", NAME, lambda *news: told.append(news))
        await soon(lambda: "/nonexistent" in told[-1][1], "it is not there")
        names.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("unix:path=/run/dbus/system_bus_socket", "/run/dbus/system_bus_socket"),
        ("tcp:host=x;unix:abstract=/tmp/b,guid=1", "\0/tmp/b"),
    ],
)
def test_addresses(address, path):
    assert socket_path(address) == path


@pytest.mark.parametrize("address", ["", "tcp:host=x", "unix:tmpdir=/tmp", "unix:"])
def test_addresses_of_no_socket(address):
    with pytest.raises(BusError):
        socket_path(address)


def test_what_was_written_can_be_read():
    raw = call(7, "GetNameOwner", NAME)
    _, fields, body = sizes(raw[:16])
    assert len(raw) == 16 + fields + body
    message = parse(raw[:16], raw[16 : 16 + fields], raw[16 + fields :])
    assert (message.kind, message.strings, message.fields[3]) == (1, (NAME,), "GetNameOwner")


def test_whatever_is_cut_or_changed_is_refused_or_read_and_nothing_else():
    raw = call(7, "GetNameOwner", NAME)
    for at in range(len(raw)):
        for value in (0, 1, 0x7F, 0xFF):
            changed = raw[:at] + bytes([value]) + raw[at + 1 :]
            try:
                _, fields, body = sizes(changed[:16])
                parse(changed[:16], changed[16 : 16 + fields], changed[16 + fields :][:body])
            except BusError:
                pass
