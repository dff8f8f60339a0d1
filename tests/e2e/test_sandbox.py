"""The namespaces of systemd.exec(5), "Sandboxing": what is forbidden fails, and only that."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import service, shell, until
from tests.e2e.sandbox_table import FAILURES, TREE, Place, cases

pytestmark = pytest.mark.root


@pytest.fixture
def place(machine, unique):
    found = Place(str(machine.root), unique)
    yield from (found for _ in found.prepare())


def ended(machine, name):
    """The exit status of a oneshot's script."""

    def over():
        unit = machine.unit(name)
        done = unit.get("sub_state") in ("dead", "failed", "exited")
        return unit if done and unit["exec_main_code"] == "exited" else None

    return until(over, f"{name} ends")["exec_main_status"]


def test_what_is_denied_and_what_is_granted(machine, place):
    files, before = {}, ""
    for name, case in cases().items():  # one after the other: the scripts share what they try
        unit = [*case.unit(), *([f"After={before}.service"] if before else ())]
        lines = ["Type=oneshot", "RemainAfterExit=yes", *case.service(place)]
        files[f"{name}.service"] = service("", "\n".join(lines), "\n".join(unit))
        before = name
    machine.commit(files)
    assert machine.gitproc("verify").status == 0
    problems = []
    for name, case in cases().items():
        status = ended(machine, name)
        if (status == 0) is not case.succeeds or status > 200:
            problems.append((case, status, machine.log(name)))
    assert problems == [], "\n".join(map(str, problems))


def test_what_cannot_be_had_ends_with_the_number_of_its_step(machine, place):
    files = {
        f"e{number}.service": service("/bin/true", f"Type=oneshot\n{place.fill(settings)}")
        for number, (settings, _) in enumerate(FAILURES)
    }
    machine.commit(files)
    for number, (settings, status) in enumerate(FAILURES):
        assert ended(machine, f"e{number}") == status, settings


def spaces(machine):
    """Folders that private ones are in, of this machine's units."""
    tag = hashlib.sha256(os.fsencode(machine.root / "run/gitproc")).hexdigest()[:8]
    return sorted(y for x in ("/tmp", "/var/tmp") for y in Path(x).glob(f"gitproc-private-{tag}-*"))


def space_of(machine, name, kind):
    return str(Path(f"/proc/{machine.pids()[name]}/ns/{kind}").readlink())


def test_what_an_instance_shares_and_who_joins_it(machine):
    """Network, IPC and /tmp are one for all commands, outlive the manager, and go with the last member."""
    tell = "readlink /proc/self/ns/net /proc/self/ns/ipc"
    private = "PrivateNetwork=yes\nPrivateIPC=yes\nPrivateTmp=yes"
    founder = service(
        shell("ls -d /tmp/b*; exec sleep 1000"),
        f"{private}\nExecStartPre={shell(f'{tell}; touch /tmp/before')}\nExecReload={shell(tell)}",
    )
    joins = "JoinsNamespaceOf=founder.service\nAfter=founder.service"
    machine.deploy({
        "founder.service": founder,
        "joined.service": service(shell("touch /tmp/joined; exec sleep 1000"), private, joins),
        "apart.service": service(settings=private),
        "network.service": service(settings="PrivateNetwork=yes", unit=joins),
    })  # fmt: skip
    until(lambda: "before" in machine.log("founder"), "it sees what its first command made")
    net, ipc = (space_of(machine, "founder", kind) for kind in ("net", "ipc"))
    assert machine.log("founder").splitlines() == [net, ipc, "/tmp/before"]
    for name in ("joined", "network"):
        assert space_of(machine, name, "net") == net
    assert space_of(machine, "joined", "ipc") == ipc != space_of(machine, "network", "ipc")
    assert space_of(machine, "apart", "net") not in (net, str(Path("/proc/self/ns/net").readlink()))
    own = next(x for x in spaces(machine) if "founder" in x.name and x.parent == Path("/tmp"))
    assert (own.stat().st_mode & 0o7777, (own / "tmp").stat().st_mode & 0o7777) == (0o700, 0o1777)
    until(lambda: {"before", "joined"} <= {x.name for x in (own / "tmp").iterdir()}, "both write")
    loopback = subprocess.run(
        ["nsenter", f"--net=/proc/{machine.pids()['founder']}/ns/net", "cat", "/proc/net/route",
         "/proc/net/if_inet6", "/sys/class/net/lo/operstate"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "lo" in loopback.stdout

    inside = f"/proc/{machine.pids()['founder']}/ns"
    by_path = f"NetworkNamespacePath={inside}/net\nIPCNamespacePath={inside}/ipc"
    machine.deploy({"path.service": service(settings=by_path)})
    assert [space_of(machine, "path", kind) for kind in ("net", "ipc")] == [net, ipc]

    machine.kill_manager()
    machine.gitproc("reload", "founder")
    until(lambda: machine.log("founder").count(net) == 2, "a new manager's command joins it")
    machine.gitproc("restart", "founder")
    assert space_of(machine, "founder", "net") == net, "others are still in it"
    machine.gitproc("stop", "founder", "joined")
    assert own.exists()
    machine.gitproc("stop", "network")
    assert not own.exists()
    machine.gitproc("stop", "apart")
    assert spaces(machine) == []


def test_what_a_service_needs_of_the_manager_is_reached_from_inside(machine):
    """The notify socket, the log and the commit's files, whatever covers the folders they lie in."""
    machine.repository.write({"file": "of the commit\n"})
    covered = (
        "TemporaryFileSystem=/var /run /tmp\nPrivateTmp=yes\nProtectSystem=strict\nProtectHome=yes"
    )
    say = "import os, socket; s = socket.socket(1, 2); s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])"
    say += "; print(open(os.environ['GITPROC_TREE'] + '/file').read(), flush=True)"
    machine.repository.write({"say.py": say + "; import time; time.sleep(1000)\n"})
    machine.deploy({
        "a.service": service(
            "/usr/bin/python3 -I -S ${GITPROC_TREE}/say.py",
            f"Type=notify\n{covered}\nPrivateDevices=yes\nProtectProc=invisible",
        )
    })  # fmt: skip
    until(lambda: "of the commit" in machine.log("a"), "it reads the file")


def test_a_root_for_the_service_alone(machine, place):
    """RootDirectoryStartOnly=: what runs before it is outside, and without it is inside, too."""
    settings = f"Type=oneshot\n{place.fill(TREE)}\nExecStartPre=/usr/bin/test -e /etc/passwd"
    inside = "/usr/bin/test ! -e /etc/passwd"
    machine.commit({
        "alone.service": service(inside, f"{settings}\nRootDirectoryStartOnly=yes"),
        "all.service": service(inside, settings),
    })  # fmt: skip
    assert ended(machine, "alone") == 0
    assert machine.unit("alone")["result"] == "success"
    assert machine.wait("all", "failed")["result"] == "exit-code"


def test_sandboxes_of_a_unit_with_its_own_process_1(machine):
    settings = (
        "Type=oneshot\nPrivatePIDs=yes\nPrivateTmp=yes\nPrivateNetwork=yes\nProtectSystem=strict"
    )
    script = "echo $$; readlink /proc/self/ns/net; touch /etc/x; ls -d /proc/[0-9]* | wc -l"
    machine.deploy({
        "init.service": service(shell(f"{script}; true"), settings),
        "direct.service": service(shell(f"{script}; true"), settings)
        + "[X-GitProc]\nPIDNamespaceInit=no\n",
    })  # fmt: skip
    for name, pid in (("init", "2"), ("direct", "1")):
        until(lambda n=name: machine.log(n).count("\n") >= 4, "it speaks")
        own, net, refused, count = machine.log(name).splitlines()
        assert own == pid and "Read-only" in refused and int(count) < 8
        assert net != str(Path("/proc/self/ns/net").readlink())


def handle_of(path):
    """What open_by_handle_at(2) finds a file by, without a path."""
    libc, size, kind, mount = ctypes.CDLL(None), 128, 0, ctypes.c_int()
    handle = ctypes.create_string_buffer(struct.pack("Ii", size, kind), 8 + size)
    if libc.name_to_handle_at(-100, os.fsencode(path), handle, ctypes.byref(mount), 0):
        return ""  # a file system without them
    [length] = struct.unpack_from("I", handle.raw)
    return handle.raw[: 8 + length].hex()


#: What root tries against mounts. Arguments: the handle of a file that is hidden, a folder it may write to, a name.
WAYS_OUT = """
import ctypes, json, os, sys

libc = ctypes.CDLL(None)
handle, own, name = sys.argv[1:]

def mounted():
    libc.mount(None, b"/", None, 4096 | 32, None)  # bind, remount: without "read-only"
    os.close(os.open(f"/usr/.{name}", os.O_CREAT | os.O_WRONLY))
    os.unlink(f"/usr/.{name}")

def by_handle():
    fd = libc.open_by_handle_at(os.open(own, os.O_RDONLY), bytes.fromhex(handle), os.O_RDWR)
    if fd < 0:
        raise OSError
    os.write(fd, b"written")

def by_kernel():
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))

def by_device():
    os.mknod(f"{own}/{name}", 0o020600, os.makedev(1, 3))
    os.unlink(f"{own}/{name}")

def works(way):
    try:
        way()
    except OSError:
        return False
    return True

print(json.dumps({x.__name__: works(x) for x in (mounted, by_handle, by_kernel, by_device)}), flush=True)
"""


def test_root_that_may_not_mount_is_held_by_mounts(machine):
    """Nor open files by number, make devices, or tell the kernel what to run: who may, gets round them."""
    hidden, own = machine.root / "hidden", machine.root / "own"
    hidden.mkdir()
    own.mkdir()
    secret = hidden / "secret"
    secret.touch()
    arguments = [handle_of(secret) or "00", str(own)]
    machine.repository.write({"out.py": WAYS_OUT})
    rest = "PrivateDevices=yes\nProtectKernelTunables=yes"
    capabilities = "CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_SYS_MODULE CAP_SYS_BOOT"
    units = {
        "plain": "",
        "pids": "PrivatePIDs=yes",
        "few": "CapabilityBoundingSet=~CAP_SYS_ADMIN CAP_SYS_PTRACE",
        "user": "User=nobody",
        "users": f"PrivateUsers=yes\n{rest}",
        "bounded": f"CapabilityBoundingSet=~{capabilities}\n{rest}",
    }
    command = (
        f"/usr/bin/python3 -I -S ${{GITPROC_TREE}}/out.py {' '.join(arguments)} {machine.group}"
    )
    mounts = f"ProtectSystem=strict\nInaccessiblePaths={hidden}\nReadWritePaths={own}"
    machine.deploy({
        f"{key}.service": service(f"{command}-{key}", f"Type=oneshot\n{mounts}\n{settings}")
        for key, settings in units.items()
    })  # fmt: skip
    found = {
        key: json.loads(until(lambda key=key: machine.log(key), f"{key} has tried"))
        for key in units
    }
    assert found["pids"] == found["plain"]
    assert found["few"] == {**found["plain"], "mounted": False}
    for key in ("user", "users", "bounded"):
        assert not any(found[key].values()), key
    here = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", WAYS_OUT, *arguments, machine.group],
        capture_output=True,
        check=True,
    )
    assert found["plain"] == json.loads(here.stdout), "what is possible at all"
