"""Clients of the door and of the push methods that do not behave."""

from __future__ import annotations

import array
import base64
import json
import os
import socket
import subprocess
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from gitproc.api.client import Client
from gitproc.errors import DaemonError, GitProcError, RefusedError, UsageError
from gitproc.source.pushed import object_id
from tests.e2e.harness import DEADLINE, service, until

pytestmark = pytest.mark.root

ID = "1" * 40


def door(server) -> socket.socket:
    """A connection to the door."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(DEADLINE)
    connection.connect(str(server.root / "run/gitproc/receive-pack.sock"))
    return connection


def knock(connection: socket.socket, request: object, fds: list[int]) -> None:
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    connection.sendmsg([data], ancillary)


def answer(connection: socket.socket) -> dict:
    return json.loads(connection.recv(1 << 16))


def descriptors(server) -> dict[str, str]:
    """What the manager has open, by number."""
    found = {}
    for entry in Path(f"/proc/{server.manager}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found[entry.name] = str(entry.readlink())
    return found


def receivers(server) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"receive-pack" in line and str(server.repository.path).encode() in line:
            found.append(entry.name)
    return found


def test_what_is_no_push_is_refused_and_leaves_no_descriptor(server):
    assert server.gitproc("sync").status == 0  # what is opened once (git, the watch) is not counted
    with closing(door(server)) as first:
        knock(first, {"path": "/nowhere"}, [0, 1, 2])
        answer(first)
    before = descriptors(server)
    null = os.open("/dev/null", os.O_RDWR)
    request = {"path": str(server.repository.path)}
    for data, fds in (
        (b"not JSON", [null] * 3),
        (b"[]", [null] * 3),
        (b"\xff" * 3000, [null] * 3),
        (request, []),
        (request, [null]),
        (request, [null] * 2),
        (request, [null] * 4),
        (request, [null] * 250),
        ({"path": "/etc"}, [null] * 3),
        ({"path": ["x"], "protocol": {}}, [null] * 3),
        ({"path": f"{server.repository.path}/../../gitproc"}, [null] * 3),
    ):
        with closing(door(server)) as connection:
            knock(connection, data, fds)
            assert "error" in answer(connection), data
    os.close(null)
    more = descriptors(server).items() - before.items()
    until(lambda: len(descriptors(server)) <= len(before), f"every descriptor is closed: {more}")
    assert receivers(server) == []


def test_git_speaks_through_the_door(server):
    request = {"path": str(server.repository.path), "protocol": "version=1\nx"}
    ours, theirs = socket.socketpair()
    with closing(door(server)) as connection, closing(ours):
        knock(connection, request, [theirs.fileno()] * 3)
        theirs.close()
        ours.settimeout(DEADLINE)
        hello = b""
        while not hello.endswith(b"\n0000"):  # an empty repository, advertised
            hello += ours.recv(4096)
        assert b"push-options" in hello
        ours.sendall(b"0000")
        assert answer(connection) == {"status": 0}


def test_a_client_that_is_gone_ends_its_git(server):
    ours, theirs = socket.socketpair()
    with closing(ours), closing(door(server)) as connection:
        knock(connection, {"path": str(server.repository.path)}, [theirs.fileno()] * 3)
        until(lambda: receivers(server), "git runs")
        connection.close()  # while nothing is ever said to git, which waits
        until(lambda: not receivers(server), "git is ended")
        theirs.close()


def test_pushes_at_once_are_bounded(server, clone):
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(closing(door(server)))
        with closing(door(server)) as late:
            assert answer(late) == {"error": "too many pushes at once: try again later"}
    clone.commit({"a.service": service()})

    def pushed() -> bool:
        return clone.push("-oasync").status == 0

    until(pushed, "there is room again")


def test_a_client_that_says_nothing_is_sent_away(server):
    began = time.monotonic()
    with closing(door(server)) as connection:
        assert answer(connection) == {"error": "no push came"}
    assert time.monotonic() - began < 45


def test_the_daemon_ends_with_a_push_under_way(servers):
    server = servers(bare=True)
    ours, theirs = socket.socketpair()
    with closing(ours), closing(door(server)) as connection:
        knock(connection, {"path": str(server.repository.path)}, [theirs.fileno()] * 3)
        until(lambda: receivers(server), "git runs")
        theirs.close()
        server.stop()
        assert receivers(server) == []


# ------------------------------------------------------------------ the methods


def update(old="", new=ID, ref="refs/heads/main"):
    return {"ref": ref, "old": old, "new": new}


@pytest.fixture
def client(server):
    with Client(str(server.socket)) as connection:
        yield connection


def test_parameters_are_checked(client):
    updates: object
    for updates in ([], [{}], [update(new="x")], [update(new=ID[1:])], "x", [update()] * 1001):
        with pytest.raises(UsageError):
            client.call("push-begin", {"updates": updates})
    with pytest.raises(UsageError):
        client.call("push-objects", {"token": "x", "data": ""})
    with pytest.raises(UsageError):
        client.call("push-check", {"token": "x"})
    with pytest.raises(UsageError):
        client.call("deploy", {"sha": ID})


def test_a_token_is_worth_nothing_to_somebody_else(server, client):
    token = client.call("push-begin", {"updates": [update()]})["token"]
    with Client(str(server.socket)) as other, pytest.raises(UsageError, match="somebody else's"):
        other.call("push-check", {"token": token})
    with pytest.raises(UsageError, match="base64"):
        client.call("push-objects", {"token": token, "data": "%%%"})


def sent(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"nonsense\n", "what the hook sent is not an object"),
        (b"x" * 200, "what the hook sent is not an object"),
        (f"{ID} blob 3\nabc".encode(), "is another object"),
        (f"{ID} missing 0 -\n".encode(), f"the push lacks object {ID}"),
        (f"{ID} tree 99999999 -\n".encode(), "99999999 bytes"),
        (f"{ID} blob 99999999\n".encode(), "99999999 bytes"),
    ],
)
def test_objects_that_are_none_end_the_push(client, data, said):
    token = client.call("push-begin", {"updates": [update()]})["token"]
    with pytest.raises(RefusedError) as caught:
        client.call("push-objects", {"token": token, "data": sent(data)})
    [found] = caught.value.data["diagnostics"]
    assert said in found["message"]
    with pytest.raises(UsageError, match="no such push"):
        client.call("push-check", {"token": token})


def test_what_is_wanted_has_to_come(client):
    begun = client.call("push-begin", {"updates": [update()]})
    assert begun["want"] == [ID]
    with pytest.raises(RefusedError) as caught:
        client.call("push-check", {"token": begun["token"]})
    assert "lacks object" in caught.value.data["diagnostics"][0]["message"]


def test_what_is_no_commit_is_refused(client):
    blob = object_id("blob", b"text", 40)
    begun = client.call("push-begin", {"updates": [update(new=blob)]})
    data = sent(f"{blob} blob 4\ntext".encode())
    client.call("push-objects", {"token": begun["token"], "data": data})
    with pytest.raises(RefusedError) as caught:
        client.call("push-check", {"token": begun["token"]})
    assert "is not a commit" in caught.value.data["diagnostics"][0]["message"]


def test_pushes_and_their_bytes_are_bounded(server):
    piece = sent(b"0" * (512 << 10))
    header = sent(f"{ID} blob {15 << 20}\n".encode())
    with Client(str(server.socket)) as client:
        tokens = [client.call("push-begin", {"updates": [update()]})["token"] for _ in range(16)]
        with pytest.raises(DaemonError, match="too many pushes"):
            client.call("push-begin", {"updates": [update()]})
        for token in tokens:
            client.call("push-objects", {"token": token, "data": header})

        def flood() -> None:
            for token in tokens:
                for _ in range(29):
                    client.call("push-objects", {"token": token, "data": piece})

        with pytest.raises(GitProcError, match="too much is being pushed"):
            flood()


def test_a_push_is_forgotten_with_its_connection(server):
    for _ in range(20):
        with Client(str(server.socket)) as client:
            client.call("push-begin", {"updates": [update()]})
    with Client(str(server.socket)) as client:
        assert "token" in client.call("push-begin", {"updates": [update()]})


def test_a_push_from_a_clone_that_lacks_history(server, clone):
    clone.commit({"a.service": service()})
    assert clone.push("-oasync").status == 0
    second = clone.commit({"b.service": service()})
    assert clone.push("-oasync").status == 0
    shallow = server.clone(f"file://{server.repository.path}")
    shallow.git("fetch", "-q", "--depth=1", "origin", "main")
    shallow.git("reset", "-q", "--hard", second)
    shallow.commit({"c.service": service()})
    status, _, said = shallow.push()
    assert status == 0, said
    until(lambda: server.pids().keys() == {"a", "b", "c"}, "all run")


def test_sha256_repositories_are_served(servers):
    server = servers(bare=True, start=False)
    repository = server.repository.path
    subprocess.run(["rm", "-r", str(repository)], check=True)
    server.git(
        "init", "-q", "--bare", "-b", "main", "--object-format=sha256", str(repository),
        cwd=server.root,
    )  # fmt: skip
    assert server.gitproc("init").status == 0
    server.start()
    clone = server.clone(GIT_DEFAULT_HASH="sha256")
    sha = clone.commit({"a.service": service()})
    assert len(sha) == 64
    status, _, said = clone.push()
    assert status == 0, said
    assert server.head() == sha
