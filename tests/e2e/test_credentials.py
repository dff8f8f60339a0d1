"""Credentials: a service finds what it was given in files that it alone can read, and nothing is left of them."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from tests.e2e.harness import service, shell, until

pytestmark = pytest.mark.root

PROBE = """
import json, os
folder = os.environ['CREDENTIALS_DIRECTORY']
def refused(f):
    try: f()
    except OSError: return True
    return False
info = os.stat(folder)
print(json.dumps({
    'folder': folder, 'found': {x: open(folder + '/' + x).read() for x in sorted(os.listdir(folder))},
    'mode': info.st_mode & 0o777, 'owner': info.st_uid, 'mounted': os.path.ismount(folder),
    'no write': refused(lambda: open(folder + '/new', 'w')),
    'no chmod': refused(lambda: os.chmod(folder, 0o700)),
}))
"""
RUN = "/usr/bin/python3 -I -S ${GITPROC_TREE}/probe.py"
#: Settings, and what is found.
CASES = {
    "SetCredential=a:one\\ntwo": {"a": "one\ntwo"},
    "LoadCredential=a:{root}/secret\nUser=nobody": {"a": "of a file"},
    "LoadCredential=a:{root}/secret\nSetCredential=a:other\nSetCredential=b:c:d %%": {
        "a": "of a file",
        "b": "c:d %%",
    },
    "LoadCredential=a:{root}/none\nSetCredential=a:fallback": {"a": "fallback"},
    "LoadCredential=no-such-name-anywhere\nSetCredential=b:": {"b": ""},
    "LoadCredential=all:{root}/folder": {"all_x": "1", "all_y_z": "2"},
    "LoadCredential=a:{root}/socket": {"a": "of a socket"},
    "ImportCredential={unique}.*\nImportCredential={unique}.*:new.": {
        "{unique}.p": "imported",
        "new.p": "imported",
    },
}
FAILURES = {
    "LoadCredential=a:{root}/none": 243,
    "LoadCredential=a:{root}/large": 243,
    "LoadCredential=a:{root}/fifo": 243,
    "LoadCredential=a:{root}/theirs/shadow": 243,
}


def serve(listener: socket.socket, asked: list[bytes]) -> None:
    connection, _ = listener.accept()
    asked.append(connection.getpeername())
    connection.sendall(b"of a socket")
    connection.close()


@pytest.fixture
def place(machine, unique):
    root = machine.root
    (root / "secret").write_text("of a file")
    (root / "secret").chmod(0o600)
    (root / "folder" / "y").mkdir(parents=True)
    (root / "folder" / "x").write_text("1")
    (root / "folder" / "y" / "z").write_text("2")
    (root / "large").write_bytes(bytes((1 << 20) + 1))
    os.mkfifo(root / "fifo")
    (root / "theirs").mkdir()
    (root / "theirs" / "shadow").symlink_to("/etc/shadow")
    os.chown(root / "theirs", 65534, 65534)
    store = Path("/run/credstore")
    made = not store.exists()
    store.mkdir(exist_ok=True)
    imported = store / f"{unique}.p"
    imported.write_text("imported")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        listener.listen()
        listener.settimeout(30)
        asked: list[bytes] = []
        thread = threading.Thread(target=serve, args=(listener, asked))
        thread.start()
        yield lambda text: text.replace("{root}", str(root)).replace("{unique}", unique)
        thread.join()
    assert asked[0].startswith(b"\0") and asked[0].endswith(b"/unit/c6.service/a")
    imported.unlink()
    if made:
        store.rmdir()


def test_what_is_given_is_found_by_the_service_alone(machine, place):
    machine.repository.write({"probe.py": PROBE})
    units = {
        f"c{number}.service": service(RUN, f"Type=oneshot\n{place(settings)}")
        for number, settings in enumerate(CASES)
    }
    units |= {
        f"f{number}.service": service(settings=f"Type=exec\n{place(settings)}")
        for number, settings in enumerate(FAILURES)
    }
    machine.commit(units)
    for number, (settings, wanted) in enumerate(CASES.items()):
        name = f"c{number}"
        found = json.loads(until(lambda n=name: machine.log(n), f"{settings!r} speaks"))
        assert found["found"] == {place(x): y for x, y in wanted.items()}, settings
        assert found["folder"] == f"/run/credentials/{name}.service"
        assert found["owner"] == (65534 if "nobody" in settings else 0)
        assert (found["mode"], found["mounted"]) == (0o500, True)
        assert found["no write"] and found["no chmod"]
    for number, (settings, status) in enumerate(FAILURES.items()):
        failed = machine.wait(f"f{number}", "failed")
        assert failed["exec_main_status"] == status, settings
    for name in units:
        until(lambda n=name: not Path("/run/credentials", n).exists(), "nothing is left")


def test_they_are_read_anew_at_each_start_and_kept_over_the_managers_death(machine):
    secret = machine.root / "secret"
    secret.write_text("first")
    keeper = service(
        "/bin/sh -c 'cat $CREDENTIALS_DIRECTORY/s; exec sleep 1000'",
        f"LoadCredential=s:{secret}\nPrivatePIDs=no\nExecReload=/bin/cat %d/s",
    )
    machine.deploy({"keeper.service": keeper})
    file = Path("/run/credentials/keeper.service/s")
    assert file.read_text() == "first"
    secret.write_text("second")
    machine.kill_manager()
    assert machine.gitproc("reload", "keeper").status == 0
    until(lambda: machine.log("keeper") == "firstfirst", "what it was started with stays")
    assert machine.gitproc("restart", "keeper").status == 0
    until(lambda: machine.log("keeper") == "firstfirstsecond", "a start reads anew")
    assert machine.gitproc("stop", "keeper").status == 0
    assert not file.parent.exists()


def test_who_has_mounts_of_its_own_sees_those_of_no_other(machine):
    seen = {
        "open": ("", "", "secret/end"),
        "confined": ("", "ProtectSystem=yes", "/end"),
        "given": ("", "PrivateMounts=yes\nSetCredential=own:x", "/end own"),
        "full": ("+", "PrivateMounts=yes", "secret/end"),
    }
    command = shell(
        "cat /run/credentials/giver.service/a;"
        ' echo /end $(test -z "$CREDENTIALS_DIRECTORY" || ls $CREDENTIALS_DIRECTORY)'
    )
    wanted = "Requires=giver.service\nAfter=giver.service"
    units = {
        f"{name}.service": service(f"{prefix}{command}", f"Type=oneshot\n{settings}", wanted)
        for name, (prefix, settings, _) in seen.items()
    }
    units["giver.service"] = service(settings="Type=exec\nSetCredential=a:secret")
    machine.deploy(units)
    for name, (_, _, said) in seen.items():
        until(lambda n=name: "/end" in machine.log(n), f"{name} speaks")
        assert machine.log(name).splitlines()[-1] == said, name
