"""DynamicUser=: a user of one's own for the run, folders that nobody else gets into, and the same at the next start."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from gitproc.kernel.dynamic_users import FIRST, LAST
from gitproc.kernel.name_service import knows_records
from tests.e2e.harness import Machine, service, shell, until

pytestmark = pytest.mark.root

PROBE = """
import json, os, pwd, sys, time
def refused(f):
    try: f()
    except OSError: return True
    return False
state = os.environ['STATE_DIRECTORY']
status = dict(x.split(':', 1) for x in open('/proc/self/status').read().splitlines())
with open(state + '/log', 'a') as file: file.write('x')
print(json.dumps({
    'uid': os.getresuid(), 'gid': os.getresgid(), 'user': os.environ['USER'], 'home': os.environ.get('HOME'),
    'state': state, 'log': open(state + '/log').read(), 'real': os.path.realpath(state),
    'no_new_privs': int(status['NoNewPrivs']), 'no suid': refused(lambda: os.chmod(state + '/log', 0o4755)),
    'read-only': refused(lambda: open('/var/lib/x', 'w')), 'unseen': os.listdir('/var/lib/private'),
    'run': os.access(os.environ['RUNTIME_DIRECTORY'], os.W_OK),
}), flush=True)
time.sleep(1000)
"""


def test_a_user_of_its_own_with_what_it_keeps(machine, unique):
    state = Path("/var/lib", unique)
    private = Path("/var/lib/private", unique)
    state.mkdir()  # from a time when it ran as somebody else
    (state / "log").write_text("old ")
    settings = f"DynamicUser=yes\nStateDirectory={unique}\nRuntimeDirectory={unique}"
    settings += "\nRuntimeDirectoryPreserve=restart"
    machine.repository.write({"probe.py": PROBE})
    unit = service("/usr/bin/python3 -I -S ${GITPROC_TREE}/probe.py", settings)

    def said(times: int) -> list[dict]:
        lines = until(
            lambda: (x := machine.log("made-up").splitlines()) and len(x) == times and x,
            "it speaks",
        )
        return [json.loads(line) for line in lines]

    try:
        machine.deploy({"made-up.service": unit})
        [found] = said(1)
        uid = found["uid"][0]
        assert FIRST <= uid <= LAST
        assert found["uid"] == found["gid"] == [uid] * 3
        assert (found["user"], found["home"]) == ("made-up", None)
        assert (found["state"], found["real"]) == (str(state), str(private))
        assert found["log"] == "old x"
        assert found["unseen"] == [unique]
        assert found["no_new_privs"] == 1
        assert found["no suid"] and found["read-only"] and found["run"]
        assert state.readlink() == Path("private", unique)
        assert (private.stat().st_uid, private.parent.stat().st_mode & 0o777) == (uid, 0o700)
        machine.kill_manager()
        assert machine.gitproc("restart", "made-up").status == 0
        again = said(2)[1]
        assert (again["uid"], again["log"]) == (found["uid"], "old xx")
        taken = machine.root / "run" / "gitproc" / "dynamic-users" / "made-up"
        assert machine.gitproc("stop", "made-up").status == 0
        assert not taken.exists()
        assert not Path("/run", unique).is_symlink()
        assert not Path("/run/private", unique).exists()
    finally:
        if state.is_symlink():
            state.unlink()
        for folder in (state, private):
            shutil.rmtree(folder, ignore_errors=True)


def test_a_user_that_is_there_is_taken(machine):
    unit = service("/usr/bin/id -u", "Type=oneshot\nDynamicUser=yes\nUser=daemon")
    machine.deploy({"static.service": unit})
    until(lambda: machine.log("static") == "1\n", "it speaks")


#: Runs a command where `/run/userdb` is the machine's, and the rest of /run empty.
APART = 'mount -t tmpfs none /run && mkdir -p "$0" /run/userdb && mount -B "$0" /run/userdb && exec "$@"'


def known(pid: int, *what: str) -> str:
    """What the name service says, as somebody who lives beside this process hears it."""
    command = ["nsenter", "-t", str(pid), "-m", "getent", *what]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def names(folder: Path) -> list[str]:
    return sorted(x.name for x in folder.iterdir())


@pytest.fixture
def beside():
    """A machine that is a host of its own to nss-systemd(8), which finds its records in /run/userdb alone."""
    with Machine() as machine:
        records = machine.root / "run/userdb"
        machine.prefix = ["unshare", "-m", "sh", "-c", APART, str(records)]
        machine.start()
        if not (knows_records() and known(machine.manager, "-s", "systemd", "passwd", "root")):
            pytest.skip("no nss-systemd")
        yield machine


def test_the_name_service_knows_it_while_it_runs(beside):
    says = "/bin/sh -c 'id; getent group $$(id -g); sleep 1000'"
    settings = "DynamicUser=yes\nUser=both\nExecStartPre=/usr/bin/whoami"
    beside.deploy({f"{x}.service": service(says, settings) for x in "ab"})
    name, _, uid, gid, *rest = known(beside.manager, "passwd", "both").split(":")
    assert FIRST <= int(uid) <= LAST
    assert (name, gid) == ("both", uid)
    assert rest == ["Dynamic User (GitProc)", "/", "/usr/sbin/nologin"]
    assert known(beside.manager, "passwd", uid).startswith("both:")
    assert known(beside.manager, "group", "both") == f"both:x:{uid}:"
    said = ["both", f"uid={uid}(both) gid={uid}(both) groups={uid}(both)", f"both:x:{uid}:"]
    for each in "ab":
        until(lambda each=each: beside.log(each).splitlines() == said, "it speaks")

    records = beside.root / "run/userdb"
    assert beside.gitproc("stop", "a").status == 0
    assert len(names(records)) == 4
    (records / "both.user").unlink()
    (records / "gone.group").write_bytes((records / "both.group").read_bytes())
    beside.kill_manager()
    assert known(beside.manager, "passwd", "both").split(":")[2] == uid
    assert not (records / "gone.group").exists()
    beside.wait("b")
    assert beside.gitproc("restart", "b").status == 0
    until(lambda: beside.log("b").splitlines() == [*said, *said], "it speaks again")
    assert beside.gitproc("stop", "b").status == 0
    assert known(beside.manager, "passwd", "both") == known(beside.manager, "group", uid) == ""
    assert names(records) == []


def test_what_a_manager_did_not_live_to_give_back(beside):
    beside.deploy({"kept.service": service(settings="DynamicUser=yes")})
    taken = beside.root / "run/gitproc/dynamic-users"
    (taken / "lost").write_text("61200\n")
    beside.kill_manager()
    until(lambda: names(taken) == ["kept"], "it is free")
    assert known(beside.manager, "passwd", "lost") == ""
    assert known(beside.manager, "passwd", "kept")


def test_a_name_that_is_somebody_elses_is_refused(beside):
    records = beside.root / "run/userdb"
    (records / "theirs.group").write_text('{"groupName": "theirs", "gid": 4711}')
    beside.deploy({"theirs.service": service(settings="DynamicUser=yes")}, "failed")
    said = str(beside.events(unit="theirs.service"))
    assert "theirs is a group of the host's, but no user" in said
    assert names(records) == ["theirs.group"]


def test_a_definition_that_was_not_kept_yet_keeps_no_manager_from_coming_back(machine):
    """The intent to start is in the journal before the definition is on disk."""
    machine.deploy({"a.service": service(settings="DynamicUser=yes")})
    (machine.state / "definitions/kept").unlink()
    machine.kill_manager()
    machine.wait("a")


def test_its_folders_are_found_within_another_root(machine, unique):
    root, private = machine.root / "other", Path("/var/lib/private", unique)
    (root / "var/lib").mkdir(parents=True)
    shown = " ".join(f"-{x}" for x in ("/usr", "/bin", "/lib", "/lib64"))
    settings = (
        f"Type=oneshot\nDynamicUser=yes\nStateDirectory={unique}\nRootDirectory={root}\n"
        f"BindReadOnlyPaths={shown}"
    )
    command = shell("touch $STATE_DIRECTORY/own; ls -d /var/lib/*; ls $STATE_DIRECTORY")
    try:
        machine.commit({"made-up.service": service(command, settings)})
        until(lambda: "own" in machine.log("made-up"), "it has written")
        assert machine.log("made-up").splitlines() == [f"/var/lib/{unique}", "own"]
        assert (private / "own").exists()
    finally:
        shutil.rmtree(private, ignore_errors=True)
        Path("/var/lib", unique).unlink(missing_ok=True)
