"""What is removed after an instance, and what never is."""

from __future__ import annotations

import os

import pytest

from gitproc.kernel.directories import release, remove_pid_file, remove_tree
from gitproc.kernel.launch import LaunchContext
from gitproc.units.specifiers import Host
from tests.kernel.parts import unit


@pytest.fixture
def run(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("keep")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_a_runtime_directory_goes_with_all_in_it(run):
    (run / "a" / "deep" / "er").mkdir(parents=True)
    (run / "a" / "deep" / "file").write_text("x")
    (run / "a" / "out").symlink_to(run.parent / "precious")
    os.mkfifo(run / "a" / "fifo")
    (run / "b" / "c").mkdir(parents=True)
    assert release(unit("RuntimeDirectory=a b/c missing"), LaunchContext(Host(run=str(run)))) == []
    assert [each.name for each in run.iterdir()] == ["b"]
    assert list((run / "b").iterdir()) == []
    assert (run.parent / "precious" / "file").read_text() == "keep"


@pytest.mark.parametrize(
    ("preserve", "keep_runtime", "stays"),
    [("no", True, False), ("restart", True, True), ("restart", False, False), ("yes", False, True)],
)
def test_preserving(run, preserve, keep_runtime, stays):
    (run / "a").mkdir()
    made = unit(f"RuntimeDirectory=a\nRuntimeDirectoryPreserve={preserve}")
    assert release(made, LaunchContext(Host(run=str(run))), keep_runtime=keep_runtime) == []
    assert (run / "a").exists() is stays


def test_a_link_in_place_of_the_folder_is_removed_alone(run):
    (run / "a").symlink_to(run.parent / "precious")
    assert remove_tree(str(run), "a") == []
    assert not os.path.lexists(run / "a")
    assert (run.parent / "precious" / "file").exists()


def test_a_link_on_the_way_stops_it(run):
    (run / "a").symlink_to(run.parent / "precious")
    (problem,) = remove_tree(str(run), "a/file")
    assert "cannot remove" in problem
    assert (run.parent / "precious" / "file").exists()


@pytest.mark.parametrize("name", ["", "..", "a/../../precious", "."])
def test_names_that_lead_out_are_refused(run, name):
    assert remove_tree(str(run), name)
    assert (run.parent / "precious" / "file").exists()


@pytest.mark.root
def test_another_file_system_is_not_entered(run):
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    mounted = run / "a" / "mounted"
    mounted.mkdir(parents=True)
    assert libc.mount(b"none", str(mounted).encode(), b"tmpfs", 0, None) == 0
    try:
        (mounted / "file").write_text("keep")
        assert remove_tree(str(run), "a")
        assert (mounted / "file").read_text() == "keep"
    finally:
        libc.umount2(str(mounted).encode(), 2)


def test_the_pid_file_goes_and_nothing_in_its_place_does(run):
    path = run / "x.pid"
    path.write_text("1")
    assert release(unit(f"PIDFile={path}"), LaunchContext(Host(run=str(run)))) == []
    assert not path.exists()
    path.symlink_to(run.parent / "precious" / "file")
    assert remove_pid_file(str(path)) == []
    assert path.is_symlink()
    assert remove_pid_file(str(run / "none" / "x.pid")) == []
