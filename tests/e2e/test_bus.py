"""A service of the system bus, with a bus of our own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import suppress

import pytest

from tests.e2e.harness import KEEP, service, until

pytestmark = pytest.mark.root

PYTHON = "/usr/bin/python3 -I -S"
BUS = """<busconfig><type>system</type><listen>unix:path=PATH</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow receive_sender="*"/></policy>
</busconfig>"""


def is_open(path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False


@pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="there is no dbus-daemon")
def test_a_service_of_the_bus_is_up_with_its_name(machines, monkeypatch):
    machine = machines(start=False, config=KEEP)
    path = machine.root / "bus"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
    (machine.root / "bus.conf").write_text(BUS.replace("PATH", str(path)))
    name = "BusName=org.example.Late"
    early = service("/bin/sleep 1000", name)
    late = service("/bin/sleep 1000", f"{name}\nTimeoutStartSec=1")
    machine.commit({"early.service": early, "late.service": late})
    machine.start()
    unit = machine.wait("early", "failed")
    assert (unit["result"], str(path) in unit["reason"]) == ("resources", True)
    bus = subprocess.Popen(["dbus-daemon", f"--config-file={machine.root}/bus.conf", "--nofork"])
    try:
        until(lambda: is_open(path), "there is a bus")
        machine.repository.write({"own.py": OWN})
        own = f"{PYTHON} ${{GITPROC_TREE}}/own.py {path} org.example.A"
        machine.commit({"a.service": service(own, "BusName=org.example.A")})
        machine.wait("a")
        machine.kill_manager()
        assert machine.unit("a")["sub_state"] == "running"
        assert machine.gitproc("start", "late").status != 0
        assert machine.unit("late")["result"] == "timeout"
        (machine.root / "go").touch()
        machine.wait("a", "dead")
        assert machine.events("unit.name-lost", "a.service")
    finally:
        bus.kill()
        bus.wait()


OWN = r"""
import os, socket, struct, sys, time
path, name = sys.argv[1:]
go = os.path.join(os.path.dirname(path), "go")
s = socket.socket(socket.AF_UNIX)
s.connect(path)
s.send(b"\0AUTH EXTERNAL %s\r\n" % str(os.getuid()).encode().hex().encode())
assert s.recv(1000).startswith(b"OK")

def string(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"

def call(serial, member, signature, body):
    fields = ((1, b"o", "/org/freedesktop/DBus"), (3, b"s", member), (6, b"s", "org.freedesktop.DBus"))
    array = b""
    for code, kind, text in fields:
        array += b"\0" * (-len(array) % 8) + bytes([code, 1]) + kind + b"\0" + string(text)
    if signature:
        array += b"\0" * (-len(array) % 8) + b"\x08\x01g\0" + bytes([len(signature)]) + signature + b"\0"
    head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), serial, len(array)) + array
    return head + b"\0" * (-len(head) % 8) + body

s.send(b"BEGIN\r\n" + call(1, "Hello", b"", b""))
body = string(name)
s.send(call(2, "RequestName", b"su", body + b"\0" * (-len(body) % 4) + struct.pack("<I", 0)))
while not os.path.exists(go):
    time.sleep(0.02)
s.close()
time.sleep(1000)
"""
