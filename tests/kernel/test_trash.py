"""Folders with very much in them go out of the way at once, and for good, whoever is killed in between."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from gitproc.kernel.directories import MOST_AT_ONCE, release
from gitproc.kernel.launch import LaunchContext
from gitproc.kernel.spaces import Spaces
from gitproc.kernel.trash import PREFIX, Trash
from gitproc.units.specifiers import Host
from tests.e2e.harness import until
from tests.kernel.parts import unit

FILES = 6_000


@pytest.fixture
def run():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:  # a tmpfs, as /run is
        yield Path(path)


def fill(folder, number):
    folder.mkdir(parents=True)
    for n in range(number):
        os.close(os.open(folder / str(n), os.O_CREAT | os.O_WRONLY))


@pytest.mark.parametrize("name", ["a", "b/c"])
def test_very_much_keeps_nobody_waiting(run, name):
    fill(run / name, FILES)
    trash = Held(str(run))
    made = unit(f"RuntimeDirectory={name}")
    assert release(made, LaunchContext(Host(run=str(run))), trash=trash) == []
    assert not (run / name).exists()
    (aside,) = run.glob(f"{PREFIX}*")
    assert len(list(aside.iterdir())) >= FILES - MOST_AT_ONCE
    trash.may.set()
    until(lambda: not list(run.glob(f"{PREFIX}*")), "it is removed")
    trash.close()


class Held(Trash):
    """Removes nothing until it may."""

    def __init__(self, *roots: str) -> None:
        super().__init__(*roots)
        self.may = threading.Event()

    def _go_on(self) -> None:
        while not (self.may.wait(0.01) or self._stopped.is_set()):
            pass
        super()._go_on()


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of another file system, as /tmp is."""
    if tmp_path.stat().st_dev == Path("/dev/shm").stat().st_dev:
        pytest.skip("the tests' files lie on one file system")
    return tmp_path


@pytest.mark.parametrize("how", ["end", "next manager"])
def test_very_much_in_tmp_keeps_nobody_waiting(run, elsewhere, how):
    folders = elsewhere / "tmp", elsewhere / "var"
    for folder in folders:
        folder.mkdir()
    roots = str(folders[0]), str(folders[1])
    trash = Trash(str(run), *roots)
    spaces = Spaces(str(run / "spaces"), "tag", roots, trash)
    inside = spaces.folders(spaces.enter("a.service", "a" * 32, (), first=True))
    fill(Path(inside.tmp) / "many", MOST_AT_ONCE + 100)
    if how == "end":
        assert spaces.leave("a.service") == []
    else:
        Spaces(str(run / "spaces"), "tag", roots, trash).sweep({})
    assert all(x.name.startswith(PREFIX) for folder in folders for x in folder.iterdir())
    trash.close(50.0)
    assert [x for folder in folders for x in folder.iterdir()] == []


def test_a_folder_of_no_root_stays_and_that_is_told(run, elsewhere):
    fill(elsewhere / "a", MOST_AT_ONCE + 100)
    trash = Trash(str(run), str(run / "not-there"))
    context = LaunchContext(Host(run=str(elsewhere)))
    (problem,) = release(unit("RuntimeDirectory=a"), context, trash=trash)
    assert "cannot remove" in problem
    trash.close(50.0)
    assert list(run.iterdir()) == []


@pytest.mark.root
@pytest.mark.parametrize(("mode", "left"), [(0o755, []), (0o1777, [f"{PREFIX}65534"])])
def test_what_somebody_else_calls_so_in_tmp_is_left_alone(run, mode, left):
    run.chmod(mode)
    for owner in (0, 65534):  # in /run it was the service's own
        fill(run / f"{PREFIX}{owner}", 3)
        os.chown(run / f"{PREFIX}{owner}", owner, owner)
    trash = Trash(str(run))
    trash.sweep()
    trash.close(50.0)
    assert [x.name for x in run.iterdir()] == left


def test_little_is_removed_at_once(run):
    fill(run / "a" / "deep", MOST_AT_ONCE - 10)
    made = unit("RuntimeDirectory=a")
    trash = Trash(str(run))
    assert release(made, LaunchContext(Host(run=str(run))), trash=trash) == []
    assert list(run.iterdir()) == []
    trash.close()


def test_many_folders_in_folders_are_much_too(run):
    folder = run / "a"
    for n in range(2 * MOST_AT_ONCE):
        (folder / str(n) / "x").mkdir(parents=True)
    trash = Trash(str(run))
    release(unit("RuntimeDirectory=a"), LaunchContext(Host(run=str(run))), trash=trash)
    assert not folder.exists()
    trash.close(50.0)
    assert list(run.iterdir()) == []


def test_the_next_manager_goes_on(run):
    fill(run / f"{PREFIX}0123", 50)
    fill(run / "else", 1)
    (run / f"{PREFIX}link").symlink_to(run / "else")
    trash = Trash(str(run))
    trash.sweep()
    until(lambda: sorted(x.name for x in run.iterdir()) == ["else"], "what was left is removed")
    assert (run / "else" / "0").exists()
    trash.close()


def test_an_end_does_not_wait(run):
    fill(run / "a", FILES)
    trash = Held(str(run))
    release(unit("RuntimeDirectory=a"), LaunchContext(Host(run=str(run))), trash=trash)
    trash.close()
    (left,) = run.iterdir()
    assert left.name.startswith(PREFIX)
    assert any(left.iterdir())
