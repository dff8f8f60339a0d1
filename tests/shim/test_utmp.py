"""Records in utmp and wtmp, written by a real child and read by who(1)."""

from __future__ import annotations

import subprocess

import pytest

from gitproc.shim import utmp

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "utmp", tmp_path / "wtmp"]
    for path in paths:
        path.touch()
    return [str(path) for path in paths]


def who(path):
    """Lines of who(1), blanks made single."""
    shown = subprocess.run(["who", "-a", path], capture_output=True, text=True, check=True)
    return [" ".join(line.split()) for line in shown.stdout.splitlines()]


def run(client, cookie, files, *record):
    return client.start(cookie, "/bin/sleep", "1000", utmp=[*files, *record])


def stop(client, id):
    client.send("signal", 1000, id, 9)
    assert client.exit_of(id) == (2, 9)


def test_a_record_is_made_replaced_and_marked(client, files):
    id, pid = run(client, "a", files, "long-tty1", "tty1", "login", "root")
    [said] = who(files[0])
    assert said.startswith("LOGIN tty1 ") and f" {pid} id=tty1" in said
    assert len(who(files[1])) == 2, "as of init, and as of login"
    assert utmp.end(files[0], files[1], "long-tty1") == ""
    assert who(files[0]) == [said], "it still runs"
    stop(client, id)
    assert utmp.end(files[0], files[1], "long-tty1") == ""
    [said] = who(files[0])
    assert f" {pid} id=tty1 term=0 exit=0" in said
    assert utmp.end(files[0], files[1], "long-tty1") == ""
    assert len(who(files[1])) == 3, "marked once"
    again, pid = run(client, "b", files, "tty1", "tty1", "user", "daemon")
    other, _ = run(client, "c", files, "tty2", "tty2", "init", "root")
    first, second = who(files[0])
    assert first.startswith("daemon ") and f" {pid} " in f"{first} "
    assert "id=tty2" in second
    stop(client, again)
    stop(client, other)


def test_files_that_are_not_there_are_not_made(client, tmp_path):
    paths = [str(tmp_path / "none"), str(tmp_path / "nor")]
    id, _ = run(client, "a", paths, "x", "tty1", "login", "root")
    stop(client, id)
    assert utmp.end(paths[0], paths[1], "x") == ""
    assert not [path for path in tmp_path.iterdir() if path.name in ("none", "nor")]


def test_whoever_locks_it_does_not_hold_up_the_end(client, files):
    id, _ = run(client, "a", files, "x", "tty1", "login", "root")
    stop(client, id)
    holder = subprocess.Popen(
        ["/usr/bin/python3", "-I", "-S", "-c", HOLD, files[0]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert utmp.end(files[0], files[1], "x").startswith("the record in utmp stays: ")
    finally:
        holder.communicate()
    assert utmp.end(files[0], files[1], "x") == ""
    assert "term=0" in who(files[0])[0]
