"""systemd.socket(5), setting by setting: what a service finds set on its sockets, and how their commands run.

In a network of their own: the ports are nobody else's, and the host's settings are its alone.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import struct
from pathlib import Path

import pytest

from tests.e2e.exec_table import PROBE, Place
from tests.e2e.harness import KEEP, Machine, until
from tests.e2e.private import PrivateMachine
from tests.e2e.socket_table import BASE, ONLY_ROOT, OPTIONS, TCP, TCP4, UDP4, USUAL
from tests.e2e.test_sockets import socket_unit

pytestmark = pytest.mark.root

PATHS = "[Install]\nWantedBy=paths.target\n"
NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")
PYTHON = "/usr/bin/python3 -I -S"
# Argument: the options to tell of, by the name of the descriptor.
TELL = """
import json, os, socket, sys
asked = json.load(open(sys.argv[1]))
told = {}
for number, name in enumerate(os.environ["LISTEN_FDNAMES"].split(":")):
    told[name] = socket.socket(fileno=3 + number).getsockopt(*asked[name], 128).hex()
print(json.dumps(told))
"""
#: As the table: what the kernel makes a number of its own of.
ROUNDED = [(TCP4, "DeferAcceptSec=3", TCP, socket.TCP_DEFER_ACCEPT)]
PROTOCOLS = {"udplite": (UDP4, 136), "sctp": (TCP4, 132), "mptcp": (TCP4, 262)}


@pytest.fixture(scope="module")
def machine():
    with PrivateMachine(config=KEEP) as machine:
        os.environ["FROM_OUTSIDE"] = "passed"
        try:
            machine.start()
        finally:
            del os.environ["FROM_OUTSIDE"]
        yield machine


def value_of(told: str) -> int | str:
    data = bytes.fromhex(told)
    return int.from_bytes(data, "little") if len(data) == 4 else data.rstrip(b"\0").decode()


def known(protocol: str) -> bool:
    """Whether the kernel has it."""
    listen, number = PROTOCOLS[protocol]
    kind = socket.SOCK_DGRAM if listen is UDP4 else socket.SOCK_STREAM
    try:
        socket.socket(socket.AF_INET, kind, number).close()
    except OSError:
        return False
    return True


def test_a_service_finds_its_sockets_as_their_units_say(machine):
    """Each option twice: with its directive and without."""
    units: dict[str, str] = {}
    asked: dict[str, tuple[int, int]] = {}

    def add(
        name: str, listen: str, setting: str, level: int, option: int, owner: str = "probe"
    ) -> None:
        address = listen.format(port=2000 + len(units), path=machine.root / "nodes" / name)
        more = f"{setting}\nFileDescriptorName={name}\nService={owner}.service"
        units[f"{name}.socket"] = socket_unit(address, more)
        asked[name] = (level, option)

    rows = [*OPTIONS, *ONLY_ROOT, *((*row, None) for row in ROUNDED)]
    for number, (listen, setting, level, option, _) in enumerate(rows):
        add(f"set{number}", listen, setting, level, option)
        add(f"bare{number}", listen, "", level, option)
    for name in filter(known, PROTOCOLS):
        add(name, PROTOCOLS[name][0], f"SocketProtocol={name}", BASE, socket.SO_PROTOCOL)
    add("backlog", TCP4, "Backlog=3", TCP, socket.TCP_INFO)
    add("lent", TCP4, "", BASE, socket.SO_TYPE, "lender")  # known to the other by Sockets= alone
    (machine.root / "asked").write_text(json.dumps(asked))
    machine.repository.write({"tell.py": TELL})
    probe = f"{PYTHON} ${{GITPROC_TREE}}/tell.py {machine.root}/asked"
    sockets = f"Sockets={' '.join(units)}"
    units["lender.service"] = "[Service]\nExecStart=/bin/sleep 1000\n"
    units["probe.service"] = f"[Service]\nType=oneshot\nExecStart={probe}\n{sockets}\n"
    machine.deploy(units)
    assert machine.gitproc("start", "probe").status == 0
    told = json.loads(machine.log("probe"))
    backlog = struct.unpack_from("I", bytes.fromhex(told.pop("backlog")), 28)[0]  # tcpi_sacked
    assert backlog == 3
    found = {name: value_of(value) for name, value in told.items()}
    wrong = []
    for number, (_, setting, _, _, value) in enumerate(rows):
        there, without = found[f"set{number}"], found[f"bare{number}"]
        if value not in (there, None) or (there == without and setting not in USUAL):
            wrong.append((setting, there, without))
    assert wrong == []
    protocols = {name: number for name, (_, number) in PROTOCOLS.items() if known(name)}
    assert {name: found[name] for name in protocols} == protocols
    assert found["lent"] == socket.SOCK_STREAM


def test_what_a_service_is_given_may_block_and_how_much_a_fifo_holds(machine):
    tell = "import fcntl, os; print(os.get_blocking(3), fcntl.fcntl(3, 1032))"  # F_GETPIPE_SZ
    (machine.root / "tell.py").write_text(tell)
    settings = {"usual": ("", ""), "other": ("PipeSize=16384", "NonBlocking=yes")}
    units = {}
    for name, (size, blocks) in settings.items():
        units[f"{name}.socket"] = socket_unit(f"ListenFIFO={machine.root}/nodes/{name}", size)
        run = f"ExecStart={PYTHON} {machine.root}/tell.py"
        units[f"{name}.service"] = f"[Service]\nType=oneshot\n{run}\n{blocks}\n"
    machine.deploy(units)
    assert machine.gitproc("start", *settings).status == 0
    blocking, size = machine.log("usual").split()
    assert (blocking, size != "16384") == ("True", True)
    assert machine.log("other").split() == ["False", "16384"]


def test_commands_of_a_socket_find_what_it_says(machine):
    (machine.root / "probe.py").write_text(PROBE)
    (machine.root / "variables").write_text("C=of a file\n")
    settings = f"""ExecStartPre={PYTHON} {machine.root}/probe.py
User=nobody
Group=daemon
SupplementaryGroups=4
WorkingDirectory=/usr
UMask=0077
Environment=A=1 B=2
EnvironmentFile={machine.root}/variables
PassEnvironment=FROM_OUTSIDE
UnsetEnvironment=B
Nice=13
LimitNOFILE=99
SocketGroup=daemon
"""
    path = machine.root / "nodes" / "told"
    idle = "[Service]\nExecStart=/bin/sleep 1000\n"
    machine.deploy(
        {
            "told.socket": socket_unit(f"ListenStream={path}", settings),
            "told.service": idle,
            "plain.socket": socket_unit(
                f"ListenStream={path}2", f"ExecStartPre={PYTHON} {machine.root}/probe.py"
            ),
            "plain.service": idle,
        }
    )
    assert (path.stat().st_gid, Path(f"{path}2").stat().st_gid) == (DAEMON.pw_gid, 0)
    wanted = {
        "uid": [NOBODY.pw_uid] * 3,
        "gid": [DAEMON.pw_gid] * 3,
        "groups": sorted({4, DAEMON.pw_gid}),
        "cwd": "/usr",
        "umask": "0077",
        "nice": 13,
        "env.A": "1",
        "env.B": None,
        "env.C": "of a file",
        "env.FROM_OUTSIDE": "passed",
        "limits.NOFILE": [99, 99],
    }
    place = Place(str(machine.root), "")
    found, plain = (json.loads(machine.log(f"{x}.socket")) for x in ("told", "plain"))
    assert place.differences(found, wanted, "told") == []
    same = {path for path in wanted if not place.differences(plain, {path: wanted[path]}, "")}
    assert same <= {"env.B"}


# Arguments: a file that tells who is there, and whether there is a child, whose end is waited for.
HANGS = """
import os, signal, sys, time
child = 0
def told(number, frame):
    os.write(1, f"{signal.Signals(number).name}\\n".encode())
    if child and sys.argv[2] == "forks": os.waitpid(child, 0)
    os._exit(0)
for number in (10, 12, 15): signal.signal(number, told)
if sys.argv[2].startswith("forks"): child = os.fork()
with open(sys.argv[1], "a") as ready: ready.write(f"{os.getpid()}\\n")
while True: time.sleep(100)
"""
#: Settings, what the command of a socket and its child hear when it is stopped, and how many that leaves.
STOPPED = {
    "one": ("", "SIGTERM", 0),
    "one-usr1": ("KillSignal=SIGUSR1", "SIGUSR1", 0),
    "forks": ("", "SIGTERM SIGTERM", 0),
    "forks-alone": ("KillMode=process", "SIGTERM", 1),
}
#: The same for a command that takes too long, to which SIGCONT is nothing.
OVERDUE = {
    "killed": ("KillSignal=SIGCONT", 0),
    "spared": ("KillSignal=SIGCONT\nSendSIGKILL=no", 1),
    "unmoved": ("KillSignal=SIGCONT\nFinalKillSignal=SIGCONT", 1),
}


def members(machine: Machine, name: str) -> list[int]:
    try:
        return [int(x) for x in (machine.group_of(name) / "cgroup.procs").read_text().split()]
    except (IndexError, OSError):
        return []


def test_how_commands_of_a_socket_end(machine):
    (machine.root / "hangs.py").write_text(HANGS)
    units = {}
    for name, (settings, *_) in {**STOPPED, **OVERDUE}.items():
        ready = f"{machine.root}/pids-{name} {name}"
        command, limit = f"{PYTHON} {machine.root}/hangs.py {ready}", "infinity"
        if name in OVERDUE:
            command, limit = "/bin/sleep 1000", "300ms"
        more = f"ExecStartPre={command}\nTimeoutSec={limit}\n{settings}"
        units[f"{name}.socket"] = socket_unit(f"ListenStream={machine.root}/nodes/{name}", more)
        units[f"{name}.service"] = "[Service]\nExecStart=/bin/sleep 1000\n"
    machine.commit(units)
    try:
        for name, (_, heard, count) in STOPPED.items():
            file, all_ = machine.root / f"pids-{name}", 2 if name.startswith("forks") else 1
            until(lambda f=file, n=all_: f.exists() and f.read_text().count("\n") == n, name)
            assert machine.gitproc("stop", f"{name}.socket").status == 0
            machine.wait(f"{name}.socket", "inactive")
            assert " ".join(machine.log(f"{name}.socket").split()) == heard, name
            until(lambda n=name, c=count: len(members(machine, f"{n}.socket")) == c, name)
        for name, (_, count) in OVERDUE.items():
            assert machine.wait(f"{name}.socket", "failed")["result"] == "timeout", name
            until(lambda n=name, c=count: len(members(machine, f"{n}.socket")) == c, name)
    finally:
        for name in units:
            for pid in members(machine, name):
                os.kill(pid, signal.SIGKILL)
            until(lambda n=name: not members(machine, n), "they are gone")


def triggered(machine: Machine, name: str) -> int:
    return len(machine.events("unit.triggered", f"{name}.service"))


def test_how_often_a_socket_or_a_path_may_start_its_service(machine):
    """TriggerLimitBurst= and TriggerLimitIntervalSec= of both; PollLimit...= lets a socket wake up more often."""
    quick = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sleep 0.1\n"
    hour, moment = "TriggerLimitIntervalSec=1h", "TriggerLimitIntervalSec=50ms"
    nodes, flag = machine.root / "nodes", machine.root / "flag"
    flag.touch()
    files = {}
    for name, span in (("hour", hour), ("moment", moment)):
        limit = f"TriggerLimitBurst=3\n{span}\nPollLimitBurst=1\nPollLimitIntervalSec=50ms"
        files[f"{name}.socket"] = socket_unit(f"ListenStream={nodes}/{name}", limit)
        files[f"{name}.service"] = quick
        limit = f"TriggerLimitBurst=3\n{span}\nUnit={name}-path-job.service"
        files[f"{name}.path"] = f"[Path]\nPathExists={flag}\n{limit}\n{PATHS}"
        files[f"{name}-path-job.service"] = quick
    machine.commit(files)
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for sock, name in ((one, "hour"), (two, "moment")):
            until(lambda n=name: (nodes / n).exists(), "it listens")
            sock.connect(str(nodes / name))
        for name in ("hour.socket", "hour.path"):
            assert machine.wait(name, "failed")["result"] == "trigger-limit-hit"
        for name in ("moment", "moment-path-job"):
            until(lambda n=name: triggered(machine, n) > 12, f"{name} is started again and again")
    assert triggered(machine, "hour") == triggered(machine, "hour-path-job") == 3
    for name in ("moment.socket", "moment.path"):
        assert machine.unit(name)["active_state"] == "active"
    flag.unlink()
    machine.gitproc("stop", "moment.socket")
