"""Standard input, output and error that the child opens: files, data, sockets, terminals."""

from __future__ import annotations

import errno
import os
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.shim.client import NOBODY

root = pytest.mark.root


def finishes(client, script, **spec):
    id, _ = client.start(str(uuid.uuid4()), "/bin/sh", "-c", script, **spec)
    return client.exit_of(id)


def test_output_and_error_go_to_different_files(client, tmp_path):
    out, error = tmp_path / "out", tmp_path / "error"
    out.write_text("before\n")
    spec = {
        "output": {"file": str(out), "how": "append"},
        "error": {"file": str(error), "how": "truncate"},
    }
    for _ in range(2):
        assert finishes(client, "echo a; echo b >&2", **spec) == (1, 0)
    assert (out.read_text(), error.read_text()) == ("before\na\na\n", "b\n")


def test_without_an_error_of_its_own_it_is_the_output(client, tmp_path):
    out = tmp_path / "out"
    out.write_text("123456789")
    assert (
        finishes(client, "echo a; echo b >&2", output={"file": str(out), "how": "write"}, umask=0o77)
        == (1, 0)
    )  # fmt: skip
    assert out.read_text() == "a\nb\n56789", "written over from the start, and not cut"


def test_a_new_file_has_the_mode_that_the_umask_leaves(client, tmp_path):
    out = tmp_path / "out"
    finishes(client, "true", output={"file": str(out), "how": "append"}, umask=0o027)
    assert out.stat().st_mode & 0o777 == 0o640


def test_input_from_a_file_and_from_data(client, tmp_path):
    (tmp_path / "in").write_text("hello")
    text, _ = client.run("a", "cat", stdin={"file": str(tmp_path / "in"), "how": "read"})
    assert text == "hello"
    content = bytes(range(256)) * 1000
    text, _ = client.run("b", "od -An -v -tx1 | tr -d ' \\n'", stdin={"data": content})
    assert bytes.fromhex(text) == content
    text, _ = client.run("c", "echo x 2>&1 >&0 || echo refused", stdin={"data": b"a"})
    assert "refused" in text, "what is given cannot be changed"


def test_a_file_for_both_ways(client, tmp_path):
    path = tmp_path / "both"
    path.write_text("question\n")
    spec = {"stdin": {"file": str(path), "how": "both"}, "output": "stdin"}
    assert finishes(client, "read x; echo answer to $x", **spec) == (1, 0)
    assert path.read_text() == "question\nanswer to question\n"


def test_a_socket_that_is_handed_over_blocks_both_ways(client):
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(60)
        theirs.setblocking(False)
        request = client.ask(
            "a", "/bin/sh", "-c", "read x; echo $x; echo error >&2",
            stdin={"fd": 0}, output="stdin", give=(theirs.fileno(),),
        )  # fmt: skip
        theirs.close()
        id = client.expect("started", request)[2]
        client.expect("executed", id)
        ours.send(b"hello\n")
        with ours.makefile() as lines:
            assert lines.read() == "hello\nerror\n"
        assert client.exit_of(id) == (1, 0)


def test_a_socket_in_the_file_system_is_connected_to(client, tmp_path):
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(60)
        id, _ = client.start(
            "a", "/bin/sh", "-c", "echo hello", output={"file": path, "how": "write"}
        )
        peer, _ = listener.accept()
        with peer, peer.makefile() as lines:
            assert lines.read() == "hello\n"
        assert client.exit_of(id) == (1, 0)


@pytest.mark.parametrize(
    ("key", "how", "step", "status"),
    [
        ("stdin", "read", "STDIN", 208),
        ("output", "append", "STDOUT", 209),
        ("error", "truncate", "STDERR", 222),
    ],
)
def test_what_cannot_be_opened_fails_with_the_steps_status(
    client, tmp_path, key, how, step, status
):
    stream = {"file": f"{tmp_path}/no/such", "how": how}
    assert client.fails("a", "/bin/true", **{key: stream}) == (step, errno.ENOENT, (1, status))
    assert client.fails("b", "/bin/true", **{key: {"tty": "/dev/null", "acquire": ""}}) == (
        step, errno.ENOTTY, (1, status),
    )  # fmt: skip


def test_an_open_that_blocks_can_be_stopped(client, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    request = client.ask("a", "/bin/true", stdin={"file": str(tmp_path / "fifo"), "how": "read"})
    id = client.expect("started", request)[2]
    client.send("signal", 1000, id, 15)
    assert client.exit_of(id) == (2, 15)


@root
def test_a_link_that_a_user_made_is_not_followed(client, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    (tmp_path / "precious").write_text("keep")
    (folder / "log").symlink_to(tmp_path / "precious")
    stream = {"file": str(folder / "log"), "how": "truncate"}
    assert client.fails("a", "/bin/true", output=stream) == ("STDOUT", errno.ELOOP, (1, 209))
    assert (tmp_path / "precious").read_text() == "keep"
    (tmp_path / "ours").symlink_to("precious")
    stream = {"file": str(tmp_path / "ours"), "how": "append"}
    assert finishes(client, "echo more", output=stream) == (1, 0)
    assert (tmp_path / "precious").read_text() == "keepmore\n"


def test_a_terminal_is_the_controlling_one(client):
    ours, theirs = os.openpty()
    try:
        spec = {"stdin": {"tty": os.ttyname(theirs), "acquire": "fail"}, "output": "stdin"}
        os.close(theirs)
        assert finishes(client, "tty; echo of >/dev/tty", **spec) == (1, 0)
        said = b""
        while not said.endswith(b"of\r\n"):
            said += os.read(ours, 1000)
        assert said.split()[0].startswith(b"/dev/pts/")
        assert said.split()[1:] == [b"of"]
    finally:
        os.close(ours)


@root
def test_a_terminal_that_is_taken_is_waited_for_or_refused(client, tmp_path):
    ours, theirs = os.openpty()
    try:
        name = os.ttyname(theirs)
        holder, _ = client.start("h", "/bin/sleep", "1000", stdin={"tty": name, "acquire": "fail"})
        spec = {"stdin": {"tty": name, "acquire": "fail"}}
        assert client.fails("a", "/bin/true", **spec) == ("STDIN", errno.EPERM, (1, 208))
        spec = {"stdin": {"tty": name, "acquire": "wait"}}
        waiting = client.expect("started", client.ask("w", "/bin/true", **spec))[2]
        assert not any(message[:2] == ("executed", waiting) for message in client.kept)
        request = client.request = client.request + 1
        client.send("signal", request, holder, 9)
        client.expect("executed", waiting)
        assert client.exit_of(waiting) == (1, 0)
        theirs_now: dict[str, Any] = {"uid": NOBODY, "gid": NOBODY}
        spec = {"stdin": {"tty": name, "acquire": "fail"}}
        assert finishes(client, "test -O $(tty)", **spec, **theirs_now) == (1, 0)
        assert Path(name).stat().st_mode & 0o777 == 0o620
    finally:
        os.close(theirs)
        os.close(ours)
