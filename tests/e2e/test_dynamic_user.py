"""DynamicUser=: a user of one's own for the run, folders that nobody else gets into, and the same at the next start."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gitproc.kernel.dynamic_users import FIRST, LAST
from tests.e2e.harness import service, until

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
        state.unlink(missing_ok=True)
        shutil.rmtree(private, ignore_errors=True)


def test_a_user_that_is_there_is_taken(machine):
    unit = service("/usr/bin/id -u", "Type=oneshot\nDynamicUser=yes\nUser=daemon")
    machine.deploy({"static.service": unit})
    until(lambda: machine.log("static") == "1\n", "it speaks")
