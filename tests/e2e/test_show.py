"""`show` and `cat` of what starts units, of templates, and of instances that do not fit."""

from __future__ import annotations

import sys
import time

import pytest

from gitproc.units.timespan import format_span
from tests.e2e.harness import Machine, service

pytestmark = pytest.mark.root

STORES = """
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
reading, writing = os.pipe()
for name, fd in ((b"one", reading), (b"two", writing)):
    socket.send_fds(s, [b"FDSTORE=1\\nFDNAME=" + name], [fd])
s.send(b"READY=1\\nSTATUS=%s" % os.environ["FDSTORE"].encode())
time.sleep(1000)
"""


def shown(machine: Machine, unit: str, *names: str) -> list[str]:
    return machine.gitproc("show", unit, "-p", ",".join(names)).out.splitlines()


def test_what_starts_units_and_what_is_kept_for_them(machine, tmp_path):
    script = tmp_path / "stores.py"
    script.write_text(STORES)
    keeps = "Type=notify\nFileDescriptorStoreMax=3"
    machine.deploy(
        {
            "job.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
            "job.timer": "[Timer]\nOnCalendar=Mon 3:00\nOnBootSec=365d\nOnUnitActiveSec=1h\n"
            "[Install]\nWantedBy=timers.target\n",
            "look.path": f"[Path]\nPathExists={tmp_path}/a b\nDirectoryNotEmpty={tmp_path}/c\n"
            "Unit=job.service\n[Install]\nWantedBy=paths.target\n",
            "talk.socket": f"[Socket]\nListenStream={tmp_path}/s\nAccept=yes\n"
            "[Install]\nWantedBy=sockets.target\n",
            "talk@.service": "[Service]\nExecStart=/bin/true\n",
            "keeps.service": service(f"{sys.executable} {script}", keeps),
        }
    )
    timer = machine.unit("job.timer")["timer"]
    monday = time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(timer["next_realtime"]))
    boot = format_span(timer["next_monotonic"])
    assert shown(machine, "job.timer", "Unit", "TimersCalendar", "TimersMonotonic") == [
        "Unit=job.service",
        f"TimersCalendar={{ OnCalendar=Mon *-*-* 03:00:00 ; next_elapse={monday} }}",
        f"TimersMonotonic={{ OnBootUSec=11month 4w 2d 4h 30min ; next_elapse={boot} }}",
        "TimersMonotonic={ OnUnitActiveUSec=1h ; next_elapse=0 }",
    ]
    assert shown(machine, "look.path", "Paths", "Unit") == [
        f"Paths={tmp_path}/a b (PathExists)",
        f"Paths={tmp_path}/c (DirectoryNotEmpty)",
        "Unit=job.service",
    ]
    assert shown(machine, "talk.socket", "Listen", "NAccepted", "NConnections", "NRefused") == [
        f"Listen={tmp_path}/s (Stream)",
        "NAccepted=0",
        "NConnections=0",
        "NRefused=0",
    ]
    wanted = ("NFileDescriptorStore", "StatusText", "Description")
    assert shown(machine, "keeps", *wanted) == [
        "NFileDescriptorStore=2",
        "StatusText=3",
        "Description=keeps.service",
    ]


def test_templates_and_what_they_cannot_be(machine):
    template = "[Service]\nExecStart=/bin/sleep 1000\nWorkingDirectory=%I\n"
    files = {"t@.service": template, "t@.service.d/a.conf": "[Service]\nNice=1\n"}
    machine.deploy({**files, "gone.service": ""})
    told = machine.gitproc("start", "t@tmp.service")
    assert told.status != 0
    assert "t@.service cannot be t@tmp.service: t@.service:" in told.err
    assert "'tmp' is not an absolute path" in told.err
    told = machine.gitproc("start", "t@.service")
    assert "t@.service is a template: name an instance, t@INSTANCE.service" in told.err
    out = machine.gitproc("cat", "t@.service").out
    assert "WorkingDirectory=%I" in out
    assert "Nice=1" in out
    assert machine.gitproc("start", "t@-tmp.service").status == 0
    assert "on demand" not in machine.gitproc("status", "gone").out
