"""A service's user exchanges folders and links while root works below: nothing outside is touched.

Each test repeats what is done at a start or a stop some hundred times against an attack that never pauses.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gitproc.core.events import Process, Slot
from gitproc.errors import HostError
from gitproc.kernel import path_units, socket_nodes
from gitproc.kernel.accounts import Account
from gitproc.kernel.directories import remove_link, remove_pid_file, remove_tree
from gitproc.kernel.launch import LaunchContext
from gitproc.kernel.launch_environment import environment_of
from gitproc.kernel.pid_file import read_pid_file
from gitproc.kernel.socket_open import open_socket
from gitproc.kernel.sockets import listens_of
from gitproc.shim import credentials, directories, namespaces, streams
from gitproc.units.specifiers import Host
from tests.hostile.attacker import NOBODY, SECRET, Place, attacked, place, under_attack
from tests.kernel.parts import SLEEP, unit
from tests.shim.client import Shim
from tests.units.trees import SERVICE, tree

pytestmark = pytest.mark.root
OTHER = 65533
PROCESS = Process("test.service", "0" * 32, Slot.MAIN, 1, "f")


@pytest.fixture
def there() -> Iterator[Place]:
    with place() as found:
        yield found


def test_folders_are_made_and_change_hands(there):
    """RuntimeDirectory= and its kin: also what lies in them goes to a new owner."""
    owners = itertools.cycle((NOBODY, OTHER))

    def make() -> None:
        owner = next(owners)
        for path in ("a", "a/x", "a/x/y"):
            with suppress(OSError):
                directories.make(f"{there.theirs}/{path}", 0o777, owner, owner)
        directories.link("elsewhere", f"{there.theirs}/a/ln2")

    under_attack(there, make)


def test_folders_are_moved(there):
    """DynamicUser= takes what an ordinary one has left."""
    target = there.base / "private" / "kept"

    def move() -> None:
        directories.move(f"{there.theirs}/a/x", str(target))
        if target.exists():
            target.rmdir()

    under_attack(there, move)


def test_folders_are_removed(there):
    def remove() -> None:
        for name in ("a/x", "a/ln", "a"):
            remove_tree(str(there.theirs), name)
        remove_link(str(there.theirs), "a/ln")
        remove_pid_file(f"{there.theirs}/a/pid")

    assert under_attack(there, remove)


def test_a_paths_folder_is_made(there):
    """MakeDirectory= of a path unit."""

    def make() -> None:
        path_units._make(f"{there.theirs}/a/x", 0o777)
        path_units._make(f"{there.theirs}/a/new/er", 0o777)

    under_attack(there, make)


def test_sockets_fifos_and_links_to_them(there):
    a = f"{there.theirs}/a"
    text = f"ListenStream={a}/node\nListenFIFO={a}/fifo\nListenStream={a}/x/new\nListenStream={there.theirs}/node"
    text += f"\nSymlinks={a}/ln {there.theirs}/b/more\nSocketMode=0777\nSocketUser=nobody\nDirectoryMode=0777"
    made = tree({"t.socket": f"[Socket]\n{text}\n", "t.service": SERVICE}).units["t.socket"]
    listens = listens_of(made)

    def listen() -> None:
        for each in listens:
            with suppress(HostError):
                os.close(open_socket(made, each)[0])
        socket_nodes.link(made, listens)
        socket_nodes.remove(made, listens)

    assert under_attack(there, listen)


def test_files_that_output_goes_to(there):
    """StandardOutput=file: and its kin; a socket is connected to, and never one that is not theirs."""

    def write() -> None:
        for path in ("a/log", "a/secret", "file", "a/node", "node"):
            for how in ("truncate", "append", "both"):
                with suppress(OSError):
                    fd = streams._file(f"{there.theirs}/{path}", how)
                    with suppress(OSError):
                        os.write(fd, b"of a service\n")
                    os.close(fd)

    under_attack(there, write)


def test_files_that_are_read(there):
    """EnvironmentFile=, LoadCredential=, StandardInput=file:, NetworkNamespacePath=."""
    made = unit(f"EnvironmentFile=-{there.theirs}/a/secret\nEnvironmentFile=-{there.theirs}/file")
    context = LaunchContext(Host())

    def read() -> None:
        with suppress(HostError):
            assert "PASSWORD" not in environment_of(made, PROCESS, context, Account())
        for path in ("a/secret", "file", "a"):
            with suppress(OSError):
                found = credentials._load("c", f"{there.theirs}/{path}", "test.service", 4096)
                assert SECRET.encode() not in found.values()
            for opened in (namespaces._open, lambda x: streams._file(x, "read")):
                with suppress(OSError):
                    fd = opened(f"{there.theirs}/{path}")
                    with suppress(IsADirectoryError):
                        assert os.read(fd, 100) != SECRET.encode()
                    os.close(fd)

    assert under_attack(there, read)


def test_pid_files(there):
    """Root's own file names a process that is not the unit's; no path through theirs may have it believed."""
    with subprocess.Popen(SLEEP) as stranger:
        with place() as another:
            (another.outside / "pid").write_text(f"{stranger.pid}\n")
            another._before = another._fingerprint()

            def read() -> None:
                with pytest.raises(HostError):
                    read_pid_file(f"{another.theirs}/a/pid", list, 0)

            assert under_attack(another, read)
        stranger.kill()


def test_a_unit_starts_and_stops(there, machine, unique):
    """All of it at once, with the whole daemon: what a unit can say of folders that are its user's."""
    folders = [f"{x}/{unique}" for x in ("/var/lib", "/var/cache", "/run")]
    a = f"{folders[0]}/a"
    service = "[Service]\nUser=nobody\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/env\n"
    opens = (
        f"EnvironmentFile=-{a}/secret\nStandardInput=file:{folders[0]}/file\n"
        f"StandardOutput=append:{a}/log\nStandardError=append:{folders[1]}/node\n"
    )
    makes = (
        f"StateDirectory={unique} {unique}/a\nCacheDirectory={unique} {unique}/a/x\n"
        f"RuntimeDirectory={unique} {unique}/a\nSetCredential=a:b\nProtectSystem=strict\n"
        f"ReadWritePaths=-{a}/x\nBindPaths=-{a}:/mnt\nTemporaryFileSystem={folders[1]}/a/x\n"
    )
    listens = f"[Socket]\nListenStream={a}/node\nSymlinks={a}/ln\n"
    start = "StartLimitIntervalSec=0"
    machine.deploy({
        "o.service": f"[Unit]\n{start}\n{service}{opens}",
        "s.service": f"[Unit]\n{start}\n{service}{makes}",
        "l.socket": f"[Unit]\n{start}\n{listens}SocketUser=nobody\nRemoveOnStop=yes\nService=s.service\n",
    })  # fmt: skip
    try:
        for folder in folders[:2]:
            Path(folder).mkdir()
            os.chown(folder, NOBODY, NOBODY)
        with attacked(there, *folders):
            for _ in range(100):
                for unit in ("o.service", "s.service", "l.socket"):
                    machine.ask("start", units=[unit])
                for unit in ("l.socket", "s.service", "o.service"):
                    machine.ask("stop", units=[unit])
        there.untouched()
        assert machine.unit("s")["active_state"] in ("inactive", "failed")
        logs = [x for x in Path(folders[0]).rglob("log") if x.is_file()]
        assert all(SECRET not in x.read_text() for x in logs)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def client(tmp_path):
    shim = Shim(tmp_path)
    yield shim.connect()
    shim.end()


def test_a_sandbox_is_built(there, client, tmp_path):
    """BindPaths=, ReadWritePaths=, TemporaryFileSystem= and their kin: a root service writes wherever they lead."""
    covers, seen = tmp_path / "covers", there.base / "seen"
    (covers / "dir").mkdir(parents=True)
    (covers / "reg").touch()
    os.mknod(covers / "chr", stat.S_IFCHR)
    seen.mkdir()
    a = f"{there.theirs}/a"
    wanted: list[tuple[str, ...]] = [
        (a, "rw"), (str(seen), "bind", a), (a, "tmpfs"), (f"{a}/x", "bind", str(seen)), (a, "hide"),
        (f"{there.theirs}/b", "rw"), (f"{a}/x", "rw"), (str(seen), "bind", f"{there.theirs}/b"),
    ]  # fmt: skip
    entries = [(x[0], x[1], False, x[2] if len(x) > 2 else "", "") for x in wanted]
    script = (
        f"cd {there.base}; for x in outside seen theirs/a theirs/b; do touch $x/hit $x/x/hit; done"
    )
    script += f"; cat {seen}/secret"
    turns = itertools.cycle(entries)
    runs = itertools.count()

    def run() -> None:
        spec = {"hidden": str(covers), "entries": [("/", "ro", False, "", ""), next(turns)]}
        text, _ = client.run(f"s{next(runs)}", script, mounts=spec, error="null")
        client.kept.clear()
        assert SECRET not in text

    assert under_attack(there, run)


def test_what_a_start_makes_and_opens(there, client):
    """The same as a child does it, before the service's first instruction."""
    a = f"{there.theirs}/a"
    runs = itertools.count()

    def run() -> None:
        spec = {
            "directories": [("STATE_DIRECTORY", f"{a}/x", 0o777, NOBODY, NOBODY)],
            "output": {"file": f"{a}/log", "how": "truncate"},
            "stdin": {"file": f"{there.theirs}/file", "how": "read"},
            "error": {"file": f"{there.theirs}/node", "how": "append"},
            "uid": NOBODY, "gid": NOBODY, "groups": [],
        }  # fmt: skip
        client.run(f"s{next(runs)}", "cat", **spec)
        client.kept.clear()

    under_attack(there, run)
    for log in there.theirs.rglob("log"):
        assert SECRET not in log.read_text()
