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
    made = Machine()
    made.prefix = ["unshare", "-m", "sh", "-c", APART, str(directory)]
    made.start()
    yield made
    away.unlink(missing_ok=True)
    made.close()


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
