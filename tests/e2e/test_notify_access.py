"""systemd.service(5), "NotifyAccess=": of whom a service's words are taken, for each value and each speaker.

Who speaks waits for the barrier (sd_notify(3)), so that what was not heard has been dropped, not merely delayed.
"""

from __future__ import annotations

import pytest

from tests.e2e.harness import service, until

pytestmark = pytest.mark.root

# Arguments: a file that says that it is done, and whether to speak by a child.
SAY = """
import array, os, socket, sys, time
def say():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
        it.connect(os.environ["NOTIFY_SOCKET"])
        it.send(b"STATUS=heard")
        mine, theirs = os.pipe()
        socket.send_fds(it, [b"BARRIER=1"], [theirs])
        os.close(theirs)
        os.read(mine, 1)
    open(sys.argv[1], "x").close()
if "NOTIFY_SOCKET" not in os.environ: open(sys.argv[1], "x").close()
elif "child" not in sys.argv: say()
elif os.fork() == 0: say()
while "stays" in sys.argv: time.sleep(100)
os.wait() if "child" in sys.argv else None
"""
SPEAKERS = ("main", "control", "child")
HEARD = {
    "none": (),
    "main": ("main",),
    "exec": ("main", "control"),
    "all": SPEAKERS,
}


def test_of_whom_words_are_taken(machine):
    run = "/usr/bin/python3 -I -S ${GITPROC_TREE}/say.py"
    machine.repository.write({"say.py": SAY})
    files = {}
    for access in HEARD:
        for speaker in SPEAKERS:
            words = f"{run} {machine.root}/{access}-{speaker}"
            if speaker == "control":
                text = service(settings=f"NotifyAccess={access}\nExecStartPost={words}")
            else:
                text = service(f"{words} {speaker} stays", f"NotifyAccess={access}")
            files[f"{access}-{speaker}.service"] = text
    machine.deploy(files)
    for access, heard in HEARD.items():
        for speaker in SPEAKERS:
            name = f"{access}-{speaker}"
            until((machine.root / name).exists, f"{name} has spoken")
            expected = "heard" if speaker in heard else ""
            until(lambda n=name, e=expected: machine.unit(n)["status_text"] == e, name)
