"""One open file, or two: by each of the ways in which a kernel may tell."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest

from gitproc.kernel import same_file
from gitproc.kernel.same_file import is_same

WAYS = ("fcntl", "kcmp", "neither")


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """A kernel that knows no other way."""
    if request.param != "fcntl":
        monkeypatch.setattr(same_file, "_DUPFD_QUERY", 1024 + 9999)
    if request.param == "neither":
        monkeypatch.setattr(same_file, "_KCMP", {})
    if request.param == "fcntl":
        monkeypatch.setattr(same_file, "_KCMP", {})
    asked = {"fcntl": same_file._by_fcntl, "kcmp": same_file._by_kcmp}.get(request.param)
    if asked is not None and asked(0, 0) is None:
        pytest.skip(f"this kernel does not tell by {request.param}")
    return request.param


@pytest.fixture
def made():
    """What opens a few things, and closes them."""
    with ExitStack() as stack:

        def keep(*fds: int) -> tuple[int, ...]:
            for fd in fds:
                stack.callback(os.close, fd)
            return fds

        yield keep


def test_a_duplicate_is_the_same_and_another_open_is_not(way, made, tmp_path):
    path = tmp_path / "file"
    path.touch()
    one, other = made(os.open(path, os.O_RDWR), os.open(path, os.O_RDWR))
    (again,) = made(os.dup(one))
    assert is_same(one, again) is (way != "neither")
    assert not is_same(one, other)
    reading, writing = made(*os.pipe())
    (twice,) = made(os.dup(reading))
    assert is_same(reading, twice) is (way != "neither")
    assert not is_same(reading, writing), "the two ends have one inode"
    first, second = made(os.memfd_create("x"), os.memfd_create("x"))
    assert not is_same(first, second)


def test_sockets_are_told_apart_by_any_of_them(way):
    with socket.socket() as one, socket.socket() as other, one.dup() as again:
        assert is_same(one.fileno(), again.fileno())
        assert not is_same(one.fileno(), other.fileno())
