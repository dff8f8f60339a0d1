"""systemd.exec(5) and systemd.kill(5), but for the sandbox: what a unit says is what its processes find.

One program prints what it got; each unit of a table has one thing said differently. Then the same for what
cannot be had: the exit status of the step, as systemd numbers them.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.exec_table import (
    FAILURES,
    KEYRINGS,
    MERGING,
    NODES,
    NODES_FAILURES,
    PROBE,
    REAL_TIME,
    WISHES,
    Place,
)
from tests.e2e.harness import service, shell, until

pytestmark = pytest.mark.root

NOBODY = pwd.getpwnam("nobody")
HAS_NODES = Path("/proc/self/numa_maps").exists()
HAS_KEYRINGS = Path("/proc/keys").exists()
_MERGE = "import ctypes, sys; sys.exit(ctypes.CDLL(None).prctl(67, 1, 0, 0, 0) != 0)"
MERGES = [sys.executable, "-I", "-S", "-c", _MERGE]
HAS_MERGING = subprocess.run(MERGES, check=False).returncode == 0
CHRT = ["chrt", "--rr", "7", "true"]
HAS_REAL_TIME = bool(shutil.which("chrt")) and not subprocess.run(CHRT, check=False).returncode
WISHED = [
    *WISHES,
    *(NODES if HAS_NODES else ()),
    *(KEYRINGS if HAS_KEYRINGS else ()),
    *(MERGING if HAS_MERGING else ()),
    *(REAL_TIME if HAS_REAL_TIME else ()),
]
FAILING = [*FAILURES, *(NODES_FAILURES if HAS_NODES else ())]


RUN = "/usr/bin/python3 -I -S ${GITPROC_TREE}/probe.py"


def test_each_process_finds_what_its_unit_says(machines, unique):
    machine = machines(start=False)
    os.environ["FROM_OUTSIDE"], os.environ["SECRET_OUTSIDE"] = "passed", "leaked"
    try:
        machine.start()
    finally:
        del os.environ["FROM_OUTSIDE"], os.environ["SECRET_OUTSIDE"]
    (machine.root / "input").write_text("of a file")
    machine.repository.write({"probe.py": PROBE})

    place = Place(str(machine.root), unique)
    units = {
        f"c{number}.service": service(RUN, f"Type=oneshot\n{place.fill(settings)}")
        for number, (settings, _) in enumerate(WISHED)
    }
    try:
        machine.deploy(units)
        base = set(json.loads(machine.log("c0"))["env"])
        assert base - {"LANG", "LC_CTYPE"} == {
            "PATH", "INVOCATION_ID", "GITPROC_TREE", "SYSTEMD_EXEC_PID",
        }  # fmt: skip
        for number, (settings, wanted) in enumerate(WISHED):
            name = f"c{number}"
            found = json.loads(until(lambda n=name: machine.log(n), f"{settings!r} speaks"))
            assert place.differences(found, wanted, name) == [], settings
            assert int(found["env"]["SYSTEMD_EXEC_PID"]) == found["pid"] == found["sid"]
            assert len(found["env"]["INVOCATION_ID"]) == 32
            assert "leaked" not in found["env"].values()
        state = Path("/var/lib", unique)
        assert (state / "old").readlink() == Path("a")
        info = (state / "a").stat()
        assert (info.st_mode & 0o777, info.st_uid) == (0o700, NOBODY.pw_uid)
        assert not Path("/run", unique, "r").exists(), "it goes with the end of the unit"
        for root, mode in (("/var/cache", 0o750), ("/var/log", 0o711), ("/etc", 0o710)):
            assert Path(root, unique, "m").stat().st_mode & 0o777 == mode, root
    finally:
        for root in ("/run", "/var/lib", "/var/cache", "/var/log", "/etc"):
            shutil.rmtree(f"{root}/{unique}", ignore_errors=True)


def test_what_cannot_be_had_ends_with_the_number_of_its_step(machine, unique):
    state = Path("/var/lib", unique)
    state.mkdir()
    (state / "file").touch()
    units = {}
    for number, (settings, _) in enumerate(FAILING):
        text = Place(str(machine.root), unique).fill(settings)
        units[f"f{number}.service"] = service("/bin/sleep 1000", f"Type=exec\n{text}")
    try:
        machine.commit(units)
        for number, (settings, status) in enumerate(FAILING):
            unit = machine.wait(f"f{number}", "failed")
            assert (unit["exec_main_code"], unit["exec_main_status"]) == ("exited", status), (
                settings
            )
    finally:
        shutil.rmtree(state)


def test_a_descriptor_that_nobody_gave_is_a_matter_of_resources(machine):
    files = {
        "socket.service": service(settings="StandardInput=socket"),
        "fd.service": service(settings="StandardOutput=fd:x"),
    }
    machine.commit(files)
    for name in ("socket", "fd"):
        assert machine.wait(name, "failed")["result"] == "resources"


def test_output_goes_where_the_unit_says(machine):
    out, error = machine.root / "out", machine.root / "error"
    say = "echo one; echo two >&2"
    levels = "echo '<3>loud'; echo '<6>usual'; echo '<7>quiet'; echo plain".replace("'", '"')
    flood = "for i in 1 2 3 4 5 6; do echo $i; done"
    machine.deploy(
        {
            "apart.service": service(
                shell(say), f"Type=oneshot\nStandardOutput=append:{out}\nStandardError=file:{error}"
            ),
            "null.service": service(
                shell(say), "Type=oneshot\nStandardOutput=null\nStandardError=journal"
            ),
            "level.service": service(shell(levels), "Type=oneshot\nLogLevelMax=info"),
            "rate.service": service(
                shell(flood), "Type=oneshot\nLogRateLimitIntervalSec=1h\nLogRateLimitBurst=2"
            ),
            "pipe.service": service("/bin/grep SigIgn /proc/self/status", "Type=oneshot"),
            "nopipe.service": service(
                "/bin/grep SigIgn /proc/self/status", "Type=oneshot\nIgnoreSIGPIPE=no"
            ),
        }
    )
    assert (out.read_text(), error.read_text()) == ("one\n", "two\n")
    assert machine.log("apart") == ""
    until(lambda: machine.log("null"), "it speaks")
    assert machine.log("null") == "two\n"
    until(lambda: "plain" in machine.log("level"), "it speaks")
    assert machine.log("level") == "<3>loud\n<6>usual\nplain\n"
    until(lambda: "suppressed" in machine.log("rate"), "the loss is told")
    assert machine.log("rate") == "1\n2\ngitproc: 4 lines suppressed by the rate limit\n"

    def ignores_sigpipe(name: str) -> bool:
        return bool(int(machine.log(name).split()[1], 16) >> 12 & 1)

    until(lambda: machine.log("pipe") and machine.log("nopipe"), "both speak")
    assert (ignores_sigpipe("pipe"), ignores_sigpipe("nopipe")) == (True, False)


# A handler writes past Python's buffer, which refuses whoever comes while another is still at it.
TELL = """
import os, signal, sys, time
def told(number, frame):
    os.write(1, f"{signal.Signals(number).name}\\n".encode())
    if number in ends: os._exit(0)
ends = [getattr(signal, x) for x in sys.argv[1:]]
for number in (1, 2, 3, 10, 12, 15): signal.signal(number, signal.SIG_IGN)
if os.fork() == 0: # ignores all, and says nothing
    while True: time.sleep(100)
for number in (1, 2, 3, 10, 12, 15): signal.signal(number, told)
os.write(1, b"ready\\n")
while True: time.sleep(100)
"""


def test_a_stop_sends_what_the_unit_says(machine):
    machine.repository.write({"tell.py": TELL})
    run = "/usr/bin/python3 -I -S ${GITPROC_TREE}/tell.py"
    brief = "TimeoutStopSec=3"  # in which each hears its signal, however busy the host is
    #: arguments, settings, what the main process says, the result
    table = {
        "term": ("SIGTERM", brief, ["SIGTERM"], "timeout"),
        "int": ("SIGINT", f"KillSignal=SIGINT\n{brief}", ["SIGINT"], "timeout"),
        "hup": ("SIGUSR1", f"SendSIGHUP=yes\n{brief}", ["SIGHUP", "SIGTERM"], "timeout"),
        "mixed": ("SIGTERM", "KillMode=mixed\nKillSignal=TERM", ["SIGTERM"], "success"),
        "final": ("SIGUSR2", f"FinalKillSignal=SIGUSR2\n{brief}", ["SIGTERM", "SIGUSR2"], "timeout"),
        "restart": (
                "SIGUSR1 SIGTERM", "KillMode=mixed\nRestartKillSignal=USR1", ["SIGUSR1"], "success",
            ),
    }  # fmt: skip
    machine.deploy(
        {
            f"{name}.service": service(f"{run} {ends}", settings)
            for name, (ends, settings, _, _) in table.items()
        }
    )
    for name in table:
        until(lambda n=name: "ready" in machine.log(n), f"{name} is ready")
    groups = {name: machine.group_of(name) for name in table}
    for pid in (groups["final"] / "cgroup.procs").read_text().split():
        if int(pid) != machine.pids()["final"]:  # what ignores that too is left, and said to be
            os.kill(int(pid), 9)
    machine.gitproc("stop", *(table.keys() - {"restart"}))
    machine.gitproc("restart", "restart")
    for name, (_, _, said, result) in table.items():
        lines = [x for x in machine.log(name).splitlines() if x != "ready"]
        assert sorted(set(lines)) == said, name
        if name != "restart":
            assert machine.unit(name)["result"] == result, name
            assert not groups[name].exists(), name


def test_ipc_objects_go_with_the_last_unit_of_their_user(machine, unique):
    make = f"touch /dev/shm/{unique}; ipcmk -Q >/dev/null; ipcmk -S 1 >/dev/null; ipcmk -M 64"
    files = {
        "a.service": service(
            shell(f"{make} >/dev/null; exec sleep 1000"), "User=nobody\nRemoveIPC=yes"
        ),
        "b.service": service(settings="User=nobody"),
    }
    if shutil.which("ipcmk") is None:
        pytest.skip("there is no ipcmk")
    shared = Path("/dev/shm", unique)
    before = _ipc_of(NOBODY.pw_uid)
    ours = ctypes.CDLL(None).shmget(0, 4096, 0o600)
    try:
        machine.deploy(files)
        until(lambda: _ipc_of(NOBODY.pw_uid) == before + 3 and shared.exists(), "all is made")
        machine.gitproc("stop", "a")
        assert shared.exists(), "another unit runs as the same user"
        assert _ipc_of(NOBODY.pw_uid) == before + 3
        machine.gitproc("stop", "b")
        assert not shared.exists()
        assert _ipc_of(NOBODY.pw_uid) == 0
        listed = subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout
        assert f" {ours} " in listed, "root's stay"
    finally:
        ctypes.CDLL(None).shmctl(ours, 0, None)
        shared.unlink(missing_ok=True)


def _ipc_of(uid: int) -> int:
    count = 0
    for kind in ("shm", "sem", "msg"):
        head, *rows = Path("/proc/sysvipc", kind).read_text().splitlines()
        column = head.split().index("uid")
        count += sum(int(row.split()[column]) == uid for row in rows)
    return count
