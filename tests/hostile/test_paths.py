"""Paths that a service's user has a hand in: what root opens, reads and removes by them."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from gitproc.core.events import Process, Slot
from gitproc.kernel.accounts import Account
from gitproc.kernel.directories import release, remove_pid_file, remove_tree
from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.kernel.launch_environment import environment_of
from gitproc.kernel.spawn_spec import compile_spec
from gitproc.shim.directories import make
from gitproc.units import directives as d
from gitproc.units.specifiers import Host
from tests.kernel.parts import unit

pytestmark = pytest.mark.root
NOBODY = 65534
PROCESS = Process("test.service", "0" * 32, Slot.MAIN, 1, "f")


@pytest.fixture
def theirs(tmp_path):
    """A folder that a service's user owns."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def _link(path, target):
    path.symlink_to(target)
    os.lchown(path, NOBODY, NOBODY)


def _read(path):
    made = unit(f"EnvironmentFile={path}")
    return environment_of(made, PROCESS, LaunchContext(Host()), Account())


def test_a_users_link_does_not_have_root_read_secrets(tmp_path, theirs):
    secret = tmp_path / "secret"
    secret.write_text("PASSWORD=hunter2\n")
    secret.chmod(0o600)
    _link(theirs / "env", secret)
    with pytest.raises(LaunchError, match="somebody else"):
        _read(theirs / "env")


def test_nor_does_a_link_in_the_place_of_a_folder(tmp_path, theirs):
    (tmp_path / "private").mkdir()
    (tmp_path / "private/env").write_text("PASSWORD=hunter2\n")
    _link(theirs / "conf", tmp_path / "private")
    with pytest.raises(LaunchError, match="somebody else"):
        _read(theirs / "conf/env")


def test_links_of_root_and_to_what_is_ones_own_are_followed(tmp_path, theirs):
    (theirs / "real").write_text("A=1\n")
    os.chown(theirs / "real", NOBODY, NOBODY)
    _link(theirs / "env", "real")
    (tmp_path / "env").symlink_to(theirs / "env")
    assert _read(tmp_path / "env")["A"] == "1"
    (tmp_path / "roots").write_text("A=2\n")
    (tmp_path / "link").symlink_to("roots")
    assert _read(tmp_path / "link")["A"] == "2"
    assert "A" not in _read("/dev/null")


def test_no_device_and_no_fifo_is_opened(tmp_path, theirs):
    """Opening is an act: /dev/watchdog, once opened, restarts the machine."""
    fifo = theirs / "env"
    os.mkfifo(fifo)
    opened = threading.Event()

    def writes():
        try:
            os.close(os.open(fifo, os.O_WRONLY))  # returns as soon as somebody reads
        except OSError:
            return
        opened.set()

    thread = threading.Thread(target=writes, daemon=True)
    thread.start()
    with pytest.raises(LaunchError, match="regular"):
        _read(fifo)
    assert not opened.wait(0.2)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    thread.join(10)
    os.close(reader)
    with pytest.raises(LaunchError, match="regular"):
        _read("/dev/zero")


def test_a_users_file_does_not_take_the_managers_time(theirs):
    """The file is read and parsed anew at each start, and a service can have itself started again."""
    file = theirs / "env"
    file.write_text("A=1\n" * (1 << 18))
    assert _read(file)["A"] == "1"
    os.chown(file, NOBODY, NOBODY)
    with pytest.raises(LaunchError, match="larger"):
        _read(file)
    for number in range(200):
        (theirs / f"{number}.more").write_text("A=1\n")
    with pytest.raises(LaunchError, match="200 files"):
        _read(f"{theirs}/*.more")


def test_a_pid_file_elsewhere_is_not_removed(tmp_path, theirs):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "main.pid").write_text("1\n")
    _link(theirs / "run", victim)
    [problem] = remove_pid_file(str(theirs / "run/main.pid"))
    assert "somebody else" in problem
    assert (victim / "main.pid").exists()
    (theirs / "main.pid").write_text("1\n")
    assert remove_pid_file(str(theirs / "main.pid")) == []
    assert not (theirs / "main.pid").exists()


def test_a_bottomless_folder_changes_hands_and_is_removed(tmp_path):
    """A service can nest folders deeper than any path is long, or any recursion goes."""
    (tmp_path / "deep").mkdir()
    here = os.open(tmp_path / "deep", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    make(str(tmp_path / "deep"), 0o755, NOBODY, NOBODY)
    assert os.fstat(here).st_uid == NOBODY
    os.close(here)
    assert remove_tree(str(tmp_path), "deep") == []
    assert not (tmp_path / "deep").exists()


def test_what_is_mounted_in_a_folder_is_not_removed_with_it(tmp_path):
    """Not even where it lies on the same disk as the folder."""
    (tmp_path / "run" / "shown").mkdir(parents=True)
    (tmp_path / "run" / "other" / "deep").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    shown = str(tmp_path / "run" / "shown")
    subprocess.run(["mount", "--bind", str(tmp_path / "kept"), shown], check=True)
    try:
        [problem] = remove_tree(str(tmp_path), "run")
        assert "cannot remove" in problem
        assert [x.name for x in (tmp_path / "run").iterdir()] == ["shown"]
    finally:
        subprocess.run(["umount", shown], check=True)
    assert (tmp_path / "kept" / "file").exists()
    assert remove_tree(str(tmp_path), "run") == []


@pytest.mark.parametrize("name", ["gitproc", "gitproc/inside", "above"])
def test_no_unit_is_given_a_folder_of_the_managers(tmp_path, name):
    """It would change hands at the start, and go at the end with all that is in it."""
    own = tmp_path / "run" / ("above/gitproc" if name == "above" else "gitproc")
    (own / "inside").mkdir(parents=True)
    host = Host(run=str(tmp_path / "run"), state=str(tmp_path / "run"))
    context = LaunchContext(host, own=(str(own),))
    for kind in ("Runtime", "State"):
        made = unit(f"User=nobody\n{kind}Directory={name}")
        with pytest.raises(LaunchError, match="manager's own"):
            compile_spec(made, made[d.EXEC_START][0], PROCESS, context)
        assert release(made, context) == []
        assert (own / "inside").is_dir()
    made = unit("RuntimeDirectory=gitproc2")
    compile_spec(made, made[d.EXEC_START][0], PROCESS, context)
