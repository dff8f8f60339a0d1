"""Users of a directory: what runs as them, and who is held up when it does not answer."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gitproc.kernel.dynamic_users import FIRST, LAST
from tests.e2e.harness import DEADLINE, Machine, service, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler"),
]

#: The directory is asked after the local files, as with LDAP.
NSSWITCH = "passwd: files away\ngroup: files away\n"
APART = 'mount -B "$0/nsswitch.conf" /etc/nsswitch.conf && export LD_LIBRARY_PATH="$0" && exec "$@"'


@pytest.fixture(scope="module")
def directory():
    """A folder with a name service, and what has it asked; it is away while `away` is there."""
    with tempfile.TemporaryDirectory(prefix="gitproc-directory-") as top:
        folder = Path(top)
        folder.chmod(0o755)
        source = Path(__file__).with_name("away.c")
        library = folder / "libnss_away.so.2"
        define = f'-DAWAY="{folder}/away"'
        command = ["cc", "-shared", "-fPIC", "-O1", define, "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        (folder / "nsswitch.conf").write_text(NSSWITCH)
        yield folder


@pytest.fixture
def away(directory):
    yield directory / "away"
    (directory / "away").unlink(missing_ok=True)


@pytest.fixture
def host(directory, away):
    with Machine() as machine:
        machine.prefix = ["unshare", "-m", "sh", "-c", APART, str(directory)]
        yield machine.start()
        away.unlink(missing_ok=True)


ON_DEMAND = "[Service]\nExecStart=/bin/sh -c 'id -u; id -G; exec sleep 1000'\n"


def test_a_directory_that_is_away_holds_up_nobody_else(host, away):
    host.deploy(
        {
            "plain.service": service(),
            "before.service": service(settings="User=daemon\nExecReload=/usr/bin/id -u"),
            "local.service": f"{ON_DEMAND}User=bin\n",
            "remote.service": f"{ON_DEMAND}User=remote\nExecStartPre=/usr/bin/id -u\n",
            "made-up.service": f"{ON_DEMAND}DynamicUser=yes\n",
            "stopped.service": f"{ON_DEMAND}User=sys\nSupplementaryGroups=games\n",
            "slow.service": f"{ON_DEMAND}User=nobody-has-it\nTimeoutStartSec=1\n",
        }
    )
    away.touch()
    waiting = ("local", "remote", "made-up")
    asked = [host.follow("start", x) for x in (*waiting, "stopped", "slow")]
    for name in (*waiting, "stopped"):
        host.wait(name, "activating")
    assert host.gitproc("restart", "plain").status == 0
    assert host.gitproc("reload", "before").status == 0  # it is known who that is
    host.wait("slow", "failed")
    assert host.unit("slow")["result"] == "timeout"
    assert host.gitproc("stop", "stopped").status == 0
    assert host.unit("stopped")["active_state"] == "inactive"
    host.kill_manager()
    for name in waiting:
        host.wait(name, "activating")
    assert host.gitproc("restart", "plain").status == 0
    assert [host.log(x) for x in (*waiting, "stopped", "slow")] == [""] * 5

    away.unlink()
    for name, said in (("local", "2\n2\n"), ("remote", "4711\n4711\n4711 4712\n")):
        host.wait(name)
        until(lambda name=name, said=said: host.log(name) == said, f"{name} speaks")
    host.wait("made-up")
    until(lambda: FIRST <= int((host.log("made-up").split() or ["0"])[0]) <= LAST, "it speaks")
    for each in asked:
        each.communicate(timeout=DEADLINE)
    assert host.gitproc("is-failed", "slow").status == 0
    assert [host.log(x) for x in ("stopped", "slow")] == ["", ""]

    away.touch()  # what it was for their starts is enough to end them
    assert host.gitproc("stop", *waiting).status == 0


def door(folder: Path, name: str, more: str) -> str:
    """A socket that is opened when an operator asks for it."""
    return (
        f"[Socket]\nListenStream={folder}/{name}\nSocketMode=0600\nService=door.service\n{more}\n"
    )


def test_the_owners_of_sockets_hold_up_nobody_either(host, away):
    folder = host.root / "doors"
    names = ("door-remote", "door-group", "door-stopped", "door-slow")
    host.deploy(
        {
            "plain.service": service(),
            "door.service": f"{ON_DEMAND}",
            "door-local.socket": door(folder, "local", "SocketUser=bin"),
            "door-group.socket": door(folder, "group", "SocketUser=bin\nSocketGroup=further"),
            "door-remote.socket": door(folder, "remote", "SocketUser=remote\nSocketGroup=games"),
            "door-stopped.socket": door(folder, "stopped", "SocketUser=remote"),
            "door-slow.socket": door(folder, "slow", "SocketUser=nobody-has-it\nTimeoutSec=1"),
            "door-plain.socket": door(folder, "plain", ""),
            "door-nobody.socket": door(folder, "nobody", "SocketUser=nobody-has-it"),
        }
    )
    away.touch()
    asked = [host.follow("start", f"{x}.socket") for x in names]
    for name in names[:3]:
        host.wait(f"{name}.socket", "activating")
    assert host.gitproc("start", "door-plain.socket", "door-local.socket").status == 0
    assert host.gitproc("restart", "plain").status == 0
    host.wait("door-slow.socket", "failed")
    assert host.unit("door-slow.socket")["result"] == "timeout"
    assert host.gitproc("stop", "door-stopped.socket").status == 0
    host.kill_manager()
    for name in names[:2]:
        host.wait(f"{name}.socket", "activating")
    assert host.gitproc("restart", "plain").status == 0
    assert sorted(x.name for x in folder.iterdir()) == ["local", "plain"]

    away.unlink()
    for name, owner in (("local", (2, 2)), ("remote", (4711, 60)), ("group", (2, 4712))):
        host.wait(f"door-{name}.socket", "listening")
        made = (folder / name).stat()
        assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (*owner, 0o600)
    for each in asked:
        each.communicate(timeout=DEADLINE)
    assert sorted(x.name for x in folder.iterdir()) == ["group", "local", "plain", "remote"]

    nobody = host.gitproc("start", "door-nobody.socket")
    assert nobody.status != 0
    assert host.unit("door-nobody.socket")["result"] == "resources"

    away.touch()  # a change that a socket takes while it is open sets its owner again
    changed = door(folder, "group", "SocketUser=bin\nSocketGroup=further").replace("0600", "0640")
    host.deploy({"door-group.socket": changed})
    assert host.gitproc("restart", "plain").status == 0
    away.unlink()
    until(lambda: (folder / "group").stat().st_mode & 0o777 == 0o640, "it has the mode")
    away.touch()
    assert host.gitproc("stop", *(f"{x}.socket" for x in names[:2])).status == 0
