"""Terminals made fit for their next user, with real ones (pseudo-terminals)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import termios
import tty
from contextlib import suppress
from typing import Any

import pytest

from gitproc.shim import terminals
from tests.shim.client import until

root = pytest.mark.root
AS_IT_IS: dict[str, Any] = {
    "hangup": False, "reset": False, "rows": None, "columns": None, "disallocate": False,
}  # fmt: skip


@pytest.fixture
def terminal():
    ours, theirs = os.openpty()
    yield ours, theirs
    for fd in (ours, theirs):
        with suppress(OSError):
            os.close(fd)


def waiting(fd):
    """How much there is to read."""
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]


def size(fd):
    return struct.unpack("4H", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))[:2]


def test_a_reset_brings_it_to_its_usual_settings_and_forgets_what_was_typed(terminal):
    ours, theirs = terminal
    usual = termios.tcgetattr(theirs)
    tty.setraw(theirs)
    fcntl.ioctl(theirs, termios.TIOCEXCL)
    os.write(ours, b"typed")
    until(lambda: waiting(theirs) == 5)
    assert terminals.make_fit(os.ttyname(theirs), **{**AS_IT_IS, "reset": True}) == []
    now = termios.tcgetattr(theirs)
    assert now[3] == usual[3]
    assert now[1] & termios.OPOST and now[0] & termios.ICRNL and not now[0] & termios.ISTRIP
    assert now[6][termios.VINTR] == b"\x03" and now[6][termios.VERASE] == b"\x7f"
    os.set_blocking(theirs, False)
    with pytest.raises(BlockingIOError):
        os.read(theirs, 1)


def test_a_size_is_set_and_what_is_not_named_stays(terminal):
    _, theirs = terminal
    name = os.ttyname(theirs)
    assert terminals.make_fit(name, **{**AS_IT_IS, "rows": 11, "columns": 22}) == []
    assert terminals.make_fit(name, **{**AS_IT_IS, "rows": 33}) == []
    assert size(theirs) == (33, 22)


def test_a_terminal_that_is_not_virtual_is_cleared(terminal):
    ours, theirs = terminal
    assert terminals.make_fit(os.ttyname(theirs), **{**AS_IT_IS, "disallocate": True}) == []
    clears = b"\x1b[r\x1b[H\x1b[2J"
    until(lambda: waiting(ours) == len(clears))
    assert os.read(ours, 100) == clears


@pytest.mark.parametrize(
    ("path", "number"),
    [("/dev/tty9", 9), ("/dev/tty", 0), ("/dev/ttyS0", 0), ("/dev/pts/1", 0), ("/dev/tty²", 0)],
)
def test_virtual_terminals_are_those_with_a_number(path, number):
    assert terminals.virtual(path) == number


def test_what_is_no_terminal_is_said_and_not_touched(tmp_path):
    file, fifo = tmp_path / "file", tmp_path / "fifo"
    file.write_text("kept")
    os.mkfifo(fifo)
    for path in (str(file), str(fifo), f"{tmp_path}/none", "/dev/null"):
        [said] = terminals.make_fit(path, **{**AS_IT_IS, "reset": True})
        assert path in said and "cannot be reset" in said
    assert file.read_text() == "kept"


@root
def test_all_who_have_it_open_are_disconnected(terminal):
    _, theirs = terminal
    name = os.ttyname(theirs)
    assert terminals.make_fit(name, **{**AS_IT_IS, "hangup": True}) == []
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        os.write(theirs, b"x")
    os.close(os.open(name, os.O_RDWR | os.O_NOCTTY))


@root
def test_a_child_finds_it_fit_and_says_what_could_not_be_done(client, terminal):
    ours, theirs = terminal
    name = os.ttyname(theirs)
    tty.setraw(theirs)
    spec = {"stdin": {"tty": name, "acquire": "fail"}, "output": "stdin"}
    fit = [name, True, True, 17, 71, False]
    id, _ = client.start("a", "/bin/sh", "-c", "stty -a; exec sleep 1000", terminal=fit, **spec)
    said = b""
    while b"-extproc" not in said.replace(b"\r", b""):
        said += os.read(ours, 4096)
    assert b"rows 17; columns 71" in said and b" icanon" in said
    client.send("signal", 1000, id, 9)
    assert client.exit_of(id) == (2, 9)
    request = client.ask("b", "/bin/true", terminal=["/dev/null", *fit[1:]])
    id = client.expect("started", request)[2]
    client.expect("executed", id)
    warned = [message[2] for message in client.kept if message[:2] == ("warning", id)]
    assert warned and all("/dev/null cannot be" in text for text in warned)
