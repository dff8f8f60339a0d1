"""PID files, honest and otherwise."""

from __future__ import annotations

import os
import subprocess

import pytest

from gitproc.errors import HostError
from gitproc.kernel import processes
from gitproc.kernel.pid_file import read_pid_file
from tests.kernel.parts import SLEEP

pytestmark = pytest.mark.root
NOBODY = 65534


@pytest.fixture
def child():
    with subprocess.Popen(SLEEP) as made:
        yield made
        made.kill()


@pytest.fixture
def folder(tmp_path):
    # pytest's folders are private to their owner; the rules look at owners, not at modes
    return tmp_path


def test_a_member_of_the_unit_is_taken(folder, child):
    path = folder / "pid"
    path.write_text(f"  {child.pid}\nrest\n")
    found = read_pid_file(str(path), lambda: [child.pid], 0)
    assert found == (child.pid, processes.start_time(child.pid), "")


def test_a_stranger_is_taken_from_roots_file_with_a_warning(folder, child):
    path = folder / "pid"
    path.write_text(str(child.pid))
    found = read_pid_file(str(path), list, 0)
    assert found.pid == child.pid
    assert found.warning


def test_a_stranger_is_refused_from_anybody_elses_file(folder, child):
    path = folder / "pid"
    path.write_text(str(child.pid))
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(HostError, match="not owned by root"):
        read_pid_file(str(path), list, 0)
    assert read_pid_file(str(path), lambda: [child.pid], 0).pid == child.pid


def test_a_users_link_to_roots_file_is_not_believed(folder, child):
    (folder / "real").write_text(str(child.pid))
    link = folder / "link"
    link.symlink_to("real")
    assert read_pid_file(str(link), list, 0).pid == child.pid
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(HostError, match="unsafe path"):
        read_pid_file(str(link), list, 0)
    assert read_pid_file(str(link), lambda: [child.pid], 0).pid == child.pid


def test_a_users_directory_with_roots_file_is_not_believed(folder, child):
    inner = folder / "inner"
    inner.mkdir()
    (inner / "pid").write_text(str(child.pid))
    os.chown(inner, NOBODY, NOBODY)
    with pytest.raises(HostError, match="unsafe path"):
        read_pid_file(str(inner / "pid"), list, 0)


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1", "99999999999", "12 13", "\0"])
def test_what_is_no_pid_is_refused(folder, text):
    path = folder / "pid"
    path.write_text(text)
    with pytest.raises(HostError):
        read_pid_file(str(path), list, 0)


def test_the_manager_and_the_shim_are_nobodys_main_process(folder, child):
    path = folder / "pid"
    path.write_text(str(os.getpid()))
    with pytest.raises(HostError, match="cannot be"):
        read_pid_file(str(path), lambda: [os.getpid()], 0)
    path.write_text(str(child.pid))
    with pytest.raises(HostError, match="cannot be"):
        read_pid_file(str(path), lambda: [child.pid], child.pid)


def test_the_dead_are_refused(folder, child):
    path = folder / "pid"
    path.write_text(str(child.pid))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(HostError, match="does not exist"):
        read_pid_file(str(path), lambda: [child.pid], 0)


def test_missing_files_loops_and_fifos_are_told(folder):
    with pytest.raises(HostError, match="No such file"):
        read_pid_file(str(folder / "none"), list, 0)
    (folder / "loop").symlink_to("loop")
    with pytest.raises(HostError, match="symbolic links"):
        read_pid_file(str(folder / "loop"), list, 0)
    os.mkfifo(folder / "fifo")
    with pytest.raises(HostError, match="not a regular file"):
        read_pid_file(str(folder / "fifo"), list, 0)


def test_links_upwards_and_absolute_ones_are_followed(folder, child):
    (folder / "a").mkdir()
    (folder / "pid").write_text(str(child.pid))
    (folder / "a" / "up").symlink_to("../pid")
    (folder / "a" / "absolute").symlink_to(folder / "a" / "up")
    assert read_pid_file(str(folder / "a" / "absolute"), list, 0).pid == child.pid
