"""Sockets of units: who listens, who is started when, and whose connections are never lost."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE, Machine, alive, free_port, until

pytestmark = pytest.mark.root

# Answers each connection with its own pid and what it was told of its descriptors.
SERVER = """
import os, socket, sys
names = os.environ.get("LISTEN_FDNAMES", "").split(":")
assert int(os.environ["LISTEN_PID"]) == os.getpid()
sockets = [socket.socket(fileno=3 + n) for n in range(int(os.environ["LISTEN_FDS"]))]
import select
while True:
    for ready in select.select(sockets, [], [])[0]:
        where = sockets.index(ready)
        if ready.type == socket.SOCK_DGRAM:
            data, peer = ready.recvfrom(100)
            ready.sendto(b"%d %s " % (os.getpid(), names[where].encode()) + data, peer)
            continue
        connection, _ = ready.accept()
        with connection:
            data = connection.recv(100)
            connection.sendall(b"%d %s " % (os.getpid(), names[where].encode()) + data)
        if data == b"end":
            sys.exit(0)
        if data == b"fail":
            sys.exit(3)
"""
LISTEN = "[Install]\nWantedBy=sockets.target\n"


def socket_unit(listen: str, settings: str = "") -> str:
    return f"[Socket]\n{listen}\n{settings}\n{LISTEN}"


@pytest.fixture(scope="module")
def machine():
    with Machine(config='settle_seconds = 0.1\n[deploy]\non_failure = "keep"\n') as machine:
        (machine.root / "server.py").write_text(SERVER)
        yield machine.start()


def state_of(machine: Machine, name: str) -> tuple[str, str]:
    status = machine.unit(name.removesuffix(".service"))
    return status["active_state"], status["sub_state"]


def server(machine: Machine, settings: str = "") -> str:
    return f"[Service]\nExecStart=/usr/bin/python3 -I -S {machine.root}/server.py\n{settings}\n"


def ask(address, text: str = "x", family: int = socket.AF_UNIX, kind: int = socket.SOCK_STREAM):
    """What the service answers: (pid, name of the descriptor, text)."""
    with socket.socket(family, kind) as sock:
        sock.settimeout(DEADLINE)
        if kind == socket.SOCK_DGRAM and family == socket.AF_UNIX:
            sock.bind("")
        sock.connect(str(address) if isinstance(address, Path) else address)
        sock.sendall(text.encode())
        pid, name, said = sock.recv(200).decode().split(" ", 2)
        return int(pid), name, said


@pytest.fixture
def path(machine):
    """Where a socket may lie. What the test has defined is taken away at the end."""
    yield machine.root / "nodes" / "s"
    names = [str(x.relative_to(machine.root / "etc/gitproc/services")) for x in files(machine)]
    machine.deploy(dict.fromkeys(names))
    until(lambda: not any(x.get("main_pid") for x in machine.units().values()), "nothing runs")


def files(machine: Machine) -> list[Path]:
    repository = machine.root / "etc/gitproc/services"
    return [x for x in repository.iterdir() if x.suffix in (".socket", ".service")]


def test_a_connection_starts_the_service_and_is_answered(machine, path):
    machine.deploy({"a.socket": socket_unit(f"ListenStream={path}"), "a.service": server(machine)})
    assert state_of(machine, "a.socket") == ("active", "listening")
    assert state_of(machine, "a.service") == ("inactive", "dead")
    pid, name, said = ask(path, "hello")
    assert (name, said) == ("a.socket", "hello")
    assert state_of(machine, "a.socket") == ("active", "running")
    shown = machine.gitproc("list-sockets").out.splitlines()
    assert shown[-1] == "1 socket listed."
    assert f"{path} a.socket a.service" in " ".join(shown[-3].split())
    assert f"Listen: {path} (Stream)" in machine.gitproc("status", "a.socket").out
    assert ask(path)[0] == pid
    ask(path, "end")
    machine.wait("a", "dead")
    machine.wait("a.socket", "listening")
    assert ask(path)[0] != pid


def test_sockets_of_every_kind_are_passed_in_their_order(machine, path):
    path = path.parent / "fresh" / "s"
    tcp, udp, six, both = (free_port() for _ in range(4))
    listen = f"""ListenStream={path}
ListenStream=127.0.0.1:{tcp}
ListenDatagram=127.0.0.1:{udp}
ListenStream=[::1]:{six}
ListenStream=@gitproc-{os.getpid()}
ListenSequentialPacket={path}.seq
ListenDatagram={path}.dgram
ListenStream={both}
"""
    more = "FileDescriptorName=many\nSocketMode=0600\nDirectoryMode=0700\nSocketUser=nobody\n"
    more += "NoDelay=yes\nKeepAlive=yes\nBacklog=7\nReceiveBuffer=32K\n"
    machine.deploy({"k.socket": socket_unit(listen, more), "k.service": server(machine)})
    inet, inet6 = socket.AF_INET, socket.AF_INET6
    unix, dgram = socket.AF_UNIX, socket.SOCK_DGRAM
    asked = [
        (path, unix, socket.SOCK_STREAM),
        (("127.0.0.1", tcp), inet, socket.SOCK_STREAM),
        (("127.0.0.1", udp), inet, dgram),
        (("::1", six), inet6, socket.SOCK_STREAM),
        (f"\0gitproc-{os.getpid()}", unix, socket.SOCK_STREAM),
        (Path(f"{path}.seq"), unix, socket.SOCK_SEQPACKET),
        (Path(f"{path}.dgram"), unix, dgram),
        (("127.0.0.1", both), inet, socket.SOCK_STREAM),
        (("::1", both), inet6, socket.SOCK_STREAM),
    ]
    answers = [ask(address, "hi", family, kind) for address, family, kind in asked]
    assert {name for _, name, _ in answers} == {"many"}
    assert len({pid for pid, _, _ in answers}) == 1
    mode = path.stat()
    assert (mode.st_mode & 0o777, mode.st_uid) == (0o600, 65534)
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_each_datagram_socket_and_fifo_wakes_its_service(machine, path):
    script = f"/bin/sh -c 'read line <&3; echo $$line >{machine.root}/said.fifo'"
    machine.deploy({
        "f.socket": socket_unit(f"ListenFIFO={path}.fifo", "PipeSize=65536\nSocketMode=0622"),
        "f.service": f"[Service]\nType=oneshot\nExecStart={script}\n",
        "d.socket": socket_unit(f"ListenDatagram={path}.d"),
        "d.service": server(machine),
    })  # fmt: skip
    assert state_of(machine, "f.socket")[1] == state_of(machine, "d.socket")[1] == "listening"
    assert Path(f"{path}.fifo").stat().st_mode & 0o777 == 0o622
    with Path(f"{path}.fifo").open("w") as fifo:
        fifo.write("through the pipe\n")
    said = machine.root / "said.fifo"
    until(lambda: said.exists() and said.read_text(), "the line has come through")
    assert said.read_text() == "through the pipe\n"
    assert ask(Path(f"{path}.d"), "x", kind=socket.SOCK_DGRAM)[1] == "d.socket"


def test_a_connection_waits_while_service_or_manager_are_killed(machine, path):
    slow = server(machine, "Restart=always\nRestartSec=300ms")
    machine.deploy({"w.socket": socket_unit(f"ListenStream={path}"), "w.service": slow})
    before = ask(path)[0]
    os.kill(before, signal.SIGKILL)
    until(lambda: not alive(before), "it is dead")
    after = ask(path, "waited")
    assert after[2] == "waited" and after[0] != before
    for _ in range(2):
        manager, service = machine.manager, ask(path)[0]
        os.kill(manager, signal.SIGKILL)
        os.kill(service, signal.SIGKILL)
        until(lambda: not alive(service), "it is dead")  # noqa: B023
        assert ask(path, "again")[2] == "again"
        machine.ready()
    machine.gitproc("stop", "w.service")
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.settimeout(DEADLINE)
        waiting.connect(str(path))
        waiting.sendall(b"held")
        machine.kill_manager()
        assert state_of(machine, "w.service") == ("inactive", "dead")
        machine.gitproc("start", "w.service")
        assert waiting.recv(100).endswith(b"held")


def test_a_change_of_the_service_never_touches_the_socket(machine, path):
    unit = socket_unit(f"ListenStream={path}")
    machine.deploy({"c.socket": unit, "c.service": server(machine)})
    inode = path.stat().st_ino
    pid = ask(path)[0]
    machine.deploy({"c.service": server(machine, "Environment=A=1")})
    assert ask(path)[0] != pid
    pid = ask(path)[0]
    machine.deploy({"c.socket": unit + "[Socket]\nSocketMode=0640\nBacklog=9\n"})
    assert ask(path)[0] == pid
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (inode, 0o640)
    machine.deploy({"c.socket": socket_unit(f"ListenStream={path}2")})
    assert ask(Path(f"{path}2"))[0] != pid  # started anew, with the new socket
    with pytest.raises(OSError):
        ask(path)


def test_an_address_that_is_taken_fails_the_socket_and_the_commit(machine, path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port := free_port()))
        taken.listen()
        unit = socket_unit(f"ListenStream=127.0.0.1:{port}")
        machine.deploy({"t.socket": unit, "t.service": server(machine)}, "failed")
        assert machine.gitproc("show", "t.socket", "-p", "Result").out == "Result=resources\n"
        assert f"127.0.0.1:{port}: Address already in use" in machine.unit("t.socket")["reason"]
    assert machine.gitproc("start", "t.socket").status == 0
    assert ask(("127.0.0.1", port), family=socket.AF_INET)[2] == "x"


CAT = """
import os, socket, sys
if sys.argv[1] == "stdin":
    connection = socket.socket(fileno=0)
    assert "LISTEN_FDS" not in os.environ
else:
    assert (os.environ["LISTEN_FDS"], os.environ["LISTEN_FDNAMES"]) == ("1", "connection")
    connection = socket.socket(fileno=3)
asked = connection.recv(100).decode()
told = os.environ.get("REMOTE_ADDR", "-") + " " + os.environ.get("REMOTE_PORT", "-")
connection.sendall(f"{os.getpid()} {told} {asked}".encode())
if asked == "stay":
    connection.recv(100)
"""


def test_each_connection_has_an_instance_of_its_own(machine, path):
    (machine.root / "cat.py").write_text(CAT)
    port = free_port()
    command = f"[Service]\nExecStart=-/usr/bin/python3 -I -S {machine.root}/cat.py"
    machine.deploy({
        "n.socket": socket_unit(f"ListenStream=127.0.0.1:{port}", "Accept=yes\nMaxConnections=3"),
        "n@.service": f"{command} fd\n",
        "i.socket": socket_unit(f"ListenStream={path}", "Accept=yes\nMaxConnectionsPerSource=1"),
        "i@.service": f"{command} stdin\nStandardInput=socket\n",
    })  # fmt: skip
    tcp = ("127.0.0.1", port)
    with socket.create_connection(tcp) as one, socket.create_connection(tcp) as two:
        pids = set()
        for sock in (one, two):
            sock.settimeout(DEADLINE)
            sock.sendall(b"stay")
            pid, address, source, said = sock.recv(100).decode().split()
            assert (address, int(source), said) == ("127.0.0.1", sock.getsockname()[1], "stay")
            pids.add(pid)
        assert len(pids) == 2
        instances = [x for x in machine.units() if x.startswith("n@")]
        assert sorted(x.partition("-")[0] for x in instances) == ["n@0", "n@1"]
        assert all(f"127.0.0.1:{port}-127.0.0.1:" in x for x in instances)
        machine.kill_manager()
        assert len([x for x in machine.units() if x.startswith("n@")]) == 2
        with socket.create_connection(tcp) as three, socket.create_connection(tcp) as four:
            for sock in (three, four):
                sock.settimeout(DEADLINE)
            three.sendall(b"stay")
            assert three.recv(100)
            assert four.recv(100) == b""  # MaxConnections=
    until(lambda: not [x for x in machine.units() if "@" in x], "instances are forgotten")
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for sock in (one, two):
            sock.settimeout(DEADLINE)
            sock.connect(str(path))
        one.sendall(b"stay")
        assert one.recv(100).split()[1:] == [b"-", b"-", b"stay"]
        assert two.recv(100) == b""  # MaxConnectionsPerSource=
    until(lambda: not [x for x in machine.units() if "@" in x], "instances are forgotten")


def test_many_connections_leave_nothing_behind(machine, path):
    machine.deploy({
        "m.socket": socket_unit(
            f"ListenStream={path}", "Accept=yes\nPollLimitBurst=0\nTriggerLimitBurst=0"
        ),
        "m@.service": "[Service]\nExecStart=/bin/cat\nStandardInput=socket\n",
    })  # fmt: skip
    definitions = machine.root / "var/lib/gitproc/definitions/kept"
    logs = len(list(machine.logs.iterdir()))
    for _ in range(300):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE)
            sock.connect(str(path))
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(10) == b""
    until(lambda: not [x for x in machine.units() if "@" in x], "instances are forgotten")
    assert definitions.stat().st_size < 200_000
    assert len(list(machine.logs.iterdir())) <= logs + 2
    manager = machine.manager
    until(lambda: descriptors(manager) < 60, "no descriptor is left")
    until(lambda: descriptors(machine.shim.pid) < 60, "nor one of the shim")
    until(lambda: not [x for x in machine.groups() if "m@" in x.name], "and no group")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_service_that_never_accepts_ends_in_a_failed_socket(machine, path):
    machine.deploy({
        "l.socket": socket_unit(f"ListenStream={path}", "TriggerLimitBurst=3\nTriggerLimitIntervalSec=1h"),
        "l.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
        "r.socket": socket_unit(f"ListenStream={path}.r"),
        "r.service": "[Unit]\nStartLimitIntervalSec=1h\n[Service]\nExecStart=/bin/false\n",
        "p.socket": socket_unit(f"ListenStream={path}.p", "PollLimitBurst=2\nPollLimitIntervalSec=1h"),
        "p.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
    })  # fmt: skip
    clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for client, end in zip(clients, ("", ".r", ".p"), strict=True):
        client.connect(f"{path}{end}")
    machine.wait("l.socket", "failed")
    machine.wait("r.socket", "failed")

    def result(name):
        return machine.gitproc("show", name, "-p", "Result").out

    assert result("l.socket") == "Result=trigger-limit-hit\n"
    assert result("r.socket") == "Result=service-start-limit-hit\n"
    until(lambda: len(machine.events("unit.triggered", "p.service")) == 2, "two wake-ups")
    machine.wait("p.socket", "listening")
    for client in clients:
        client.close()


def test_its_commands_run_around_the_socket_and_its_links_go_with_it(machine, path):
    path = path.parent / "ordered" / "s"
    log = machine.root / "order"
    says = "/bin/sh -c 'echo {} $$(test -S {} && echo open || echo closed) >>{}'"
    at = {word: says.format(word, path, log) for word in ("pre", "post", "stop", "after")}
    settings = f"""ExecStartPre={at["pre"]}
ExecStartPost={at["post"]}
ExecStopPre={at["stop"]}
ExecStopPost={at["after"]}
RemoveOnStop=yes
Symlinks={path}.link
FileDescriptorName=mine
"""
    other = socket_unit(f"ListenStream={path}.o", "Service=x.service")
    machine.deploy({
        "x.socket": socket_unit(f"ListenStream={path}", settings),
        "o.socket": other,
        "x.service": server(machine, "Sockets=o.socket"),
    })  # fmt: skip
    assert log.read_text() == "pre closed\npost open\n"
    assert ask(Path(f"{path}.link"))[1] == "mine"
    assert ask(Path(f"{path}.o"))[1] == "o.socket"
    machine.gitproc("stop", "x.service")
    machine.gitproc("stop", "x.socket")
    assert log.read_text() == "pre closed\npost open\nstop open\nafter closed\n"
    assert not os.path.lexists(f"{path}.link") and not path.exists()


# Stores a pipe and a named socket, and says what it is given when it starts.
STORER = """
import array, os, socket, sys, time
names = os.environ.get("LISTEN_FDNAMES", "")
count = int(os.environ.get("LISTEN_FDS", "0"))
said = open(sys.argv[1], "a")
stored = [n for n, name in enumerate(names.split(":")) if name == "pipe"]
text = os.read(3 + stored[0], 100).decode() if stored else "-"
def tell(message, *fds):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sock.sendmsg([message.encode()], rights, 0, os.environ["NOTIFY_SOCKET"])
reading, writing = os.pipe()
os.write(writing, b"kept%d" % os.getpid())
tell("FDSTOREREMOVE=1\\nFDNAME=pipe")
tell("FDSTORE=1\\nFDNAME=pipe\\nFDPOLL=0", reading)
tell("FDSTORE=1\\nFDNAME=again\\nFDPOLL=0", os.dup(reading))
pair = socket.socketpair()
tell("FDSTORE=1\\nFDNAME=gone", pair[0].fileno())
tell("FDSTORE=1", *[os.open("/dev/null", os.O_RDONLY) for _ in range(5)])
pair[0].close(), pair[1].close()
tell("READY=1")
said.write(f"{os.getpid()} {names} {text}\\n")
said.flush()
time.sleep(1000)
"""


def test_stored_descriptors_come_back_with_the_next_start(machine, path):
    (machine.root / "storer.py").write_text(STORER)
    said = machine.root / "stored"
    command = f"/usr/bin/python3 -I -S {machine.root}/storer.py {said}"
    text = (
        f"[Service]\nType=notify\nExecStart={command}\nFileDescriptorStoreMax=4\nRestart=always\n"
    )
    machine.deploy({
        "v.socket": socket_unit(f"ListenStream={path}"),
        "v.service": f"{text}[Install]\nWantedBy=multi-user.target\n",
    })  # fmt: skip

    def lines():
        return [line.split() for line in said.read_text().splitlines()] if said.exists() else []

    first = until(lambda: len(lines()) == 1 and lines()[0])
    assert first[1:] == ["v.socket", "-"]
    machine.kill_manager()
    os.kill(int(first[0]), signal.SIGKILL)
    second = until(lambda: len(lines()) == 2 and lines()[1])
    assert second[1].split(":")[:2] == ["v.socket", "pipe"]
    assert "gone" not in second[1]  # its other end was closed
    assert "again" not in second[1]  # the same open file
    assert 2 <= second[1].count("stored") <= 3
    assert second[2] == f"kept{first[0]}"
    machine.gitproc("restart", "v")
    third = until(lambda: len(lines()) == 3 and lines()[2])
    assert third[2] == f"kept{second[0]}"
    machine.gitproc("stop", "v")
    machine.gitproc("start", "v")
    fourth = until(lambda: len(lines()) == 4 and lines()[3])
    assert fourth[1:] == ["v.socket", "-"]
    for keeps, found in (("yes", True), ("no", False)):  # the definition that stops decides
        preserve = f"{text}FileDescriptorStorePreserve={keeps}\nEnvironment=KEEPS={keeps}\n"
        count = len(lines())
        machine.deploy({"v.service": f"{preserve}[Install]\nWantedBy=multi-user.target\n"})
        before = until(lambda n=count: len(lines()) == n + 1 and lines()[n])
        machine.gitproc("stop", "v")
        machine.gitproc("start", "v")
        after = until(lambda n=count: len(lines()) == n + 2 and lines()[n + 1])
        assert (after[2] == f"kept{before[0]}") is found, keeps


def test_what_waits_when_a_service_has_ended_is_dropped_if_so_asked(machine, path):
    """FlushPending=: without it the same service would be started over and over, up to the limit."""
    machine.deploy({
        "n.socket": socket_unit(f"ListenStream={path}", "FlushPending=yes"),
        "n.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
    })  # fmt: skip
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(str(path))
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    machine.wait("n.socket", "listening")
    assert len(machine.events("unit.triggered", "n.service")) == 1


# Answers whom it has accepted before it obeys SIGTERM.
GRACEFUL = """
import os, signal, socket, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
signal.set_wakeup_fd(os.open("/dev/null", os.O_WRONLY | os.O_NONBLOCK))
listener = socket.socket(fileno=3)
listener.settimeout(0.02)
while not ended:
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        continue
    with connection:
        connection.settimeout(None)
        connection.sendall(b"%d - " % os.getpid() + connection.recv(100))
"""


def test_no_client_notices_a_deploy(machine, path):
    (machine.root / "graceful.py").write_text(GRACEFUL)
    command = f"[Service]\nExecStart=/usr/bin/python3 -I -S {machine.root}/graceful.py\n"
    machine.deploy({"g.socket": socket_unit(f"ListenStream={path}"), "g.service": command})
    answers: list[int] = []
    errors: list[Exception] = []
    over = threading.Event()

    def hammer():
        while not over.is_set():
            try:
                answers.append(ask(path)[0])
            except Exception as error:
                errors.append(error)

    clients = [threading.Thread(target=hammer) for _ in range(2)]
    for client in clients:
        client.start()
    until(lambda: answers, "it answers")
    for number in range(30):
        machine.deploy({"g.service": f"{command}Environment=N={number}\n"})
        pid = machine.unit("g")["main_pid"]
        until(lambda it=pid: it in answers[-100:], "it answers")
    over.set()
    for client in clients:
        client.join(DEADLINE)
    assert errors == []
    assert len(set(answers)) == 31
