"""Files of POSIX IPC that a user leaves: very many, very deep, among those of others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitproc.kernel.directories import MOST_AT_ONCE
from gitproc.kernel.ipc_files import remove_files

pytestmark = pytest.mark.root
UID, OTHER = 65533, 65532


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


def give(path: Path, uid: int) -> Path:
    path.touch()
    os.chown(path, uid, uid)
    return path


def nest(folder: Path, depth: int) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("x", dir_fd=here)
        os.chown("x", UID, UID, dir_fd=here)
        below = os.open("x", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def remove(folder: Path) -> list:
    put_off: list = []
    remove_files({UID}, set(), put_off.append, (str(folder),))
    return put_off


def test_a_little_goes_at_once_and_others_stays(folder):
    (folder / "theirs").mkdir()
    mine, other = give(folder / "theirs/mine", UID), give(folder / "other", OTHER)
    nest(folder, 300)
    assert remove(folder) == []
    assert not mine.exists()
    assert other.exists()
    assert sorted(x.name for x in folder.iterdir()) == ["other", "theirs"]


def test_very_much_is_put_off_and_what_is_newer_than_that_stays(folder):
    for number in range(MOST_AT_ONCE + 500):
        give(folder / str(number), UID)
    (work,) = remove(folder)
    assert len([*folder.iterdir()]) >= 500
    new = give(folder / "new", UID)
    made = new.stat().st_ctime_ns
    while give(new, UID).stat().st_ctime_ns == made:  # the clock of a file system may be a slow one
        pass
    nest(folder, 1)
    told: list[int] = []
    work(lambda: told.append(1))
    assert sorted(x.name for x in folder.iterdir()) == ["new", "x"]
    assert len(told) >= 500
