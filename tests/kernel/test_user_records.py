"""The records of made up users: what a name service reads, whose they are, and what becomes of others' files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gitproc.kernel.launch import LaunchError
from gitproc.kernel.user_records import UserRecords

NUMBER = 61234
KINDS = ("user", "group")
ENTRIES = [f"{NUMBER}.group", f"{NUMBER}.user", "shop.group", "shop.user"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "userdb"


@pytest.fixture
def records(folder):
    return UserRecords(str(folder), "/run/a")


def entries(folder):
    return sorted(x.name for x in folder.iterdir())


def looks(folder):
    """What each entry is; not when it was read last."""
    found = {x: (folder / x).lstat() for x in entries(folder)}
    return {x: (y.st_ino, y.st_mode, y.st_size, y.st_mtime_ns) for x, y in found.items()}


def test_a_user_and_a_group_by_name_and_by_number(records, folder):
    umask = os.umask(0o077)
    try:
        records.write("shop", NUMBER)
    finally:
        os.umask(umask)
    assert entries(folder) == ENTRIES
    marks = {
        "disposition": "dynamic",
        "service": "com.gitproc.DynamicUser",
        "gitprocOwner": "/run/a",
    }
    assert json.loads((folder / f"{NUMBER}.user").read_text()) == marks | {
        "userName": "shop",
        "uid": NUMBER,
        "gid": NUMBER,
        "realName": "Dynamic User (GitProc)",
        "homeDirectory": "/",
        "locked": True,
    }
    assert json.loads((folder / f"{NUMBER}.group").read_text()) == marks | {
        "groupName": "shop",
        "gid": NUMBER,
        "description": "Dynamic User (GitProc)",
    }
    for entry in (folder, folder / "shop.user", folder / "shop.group"):
        assert entry.stat().st_mode & 0o777 == (0o755 if entry == folder else 0o644)
    assert (folder / f"{NUMBER}.user").readlink() == Path("shop.user")
    assert not records.is_free(NUMBER)
    assert records.is_free(NUMBER + 1)
    records.remove("shop", NUMBER)
    assert entries(folder) == []
    records.remove("shop", NUMBER)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("what", ["file", "link", "folder", "another manager's"])
def test_what_is_not_ours_is_neither_replaced_nor_removed(records, folder, entry, what, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.mkdir(parents=True)
    if what == "file":
        (folder / entry).write_text('{"disposition": "dynamic"}')
    elif what == "link":
        (folder / entry).symlink_to(victim)
    elif what == "folder":
        (folder / entry).mkdir()
    else:
        UserRecords(str(folder), "/run/b").write("shop", NUMBER)
    before = looks(folder)
    with pytest.raises(LaunchError, match=r"is a record of somebody else's") as caught:
        records.write("shop", NUMBER)
    assert caught.value.step == "USER"
    records.remove("shop", NUMBER)
    records.reconcile({})
    assert looks(folder) == before
    assert victim.read_text() == "precious"


def test_after_a_crash_there_are_records_of_what_is_taken_and_of_nothing_else(records, folder):
    for number, name in enumerate(("stays", "gone", "moved", "torn"), NUMBER):
        records.write(name, number)
    UserRecords(str(folder), "/run/b").write("theirs", NUMBER + 8)
    (folder / f"{NUMBER + 9}.user").symlink_to("root.user")
    (folder / "bad.user").write_text("[" * 4000)
    (folder / f"{NUMBER + 3}.user").unlink()
    (folder / "torn.group").write_text("")  # as nobody leaves it: it is not ours any more
    (folder / ".gitproc-half.user").write_text("{")
    wanted = {"stays": NUMBER, "moved": NUMBER + 5, "new": NUMBER + 6}
    ours = [f"{x}.{kind}" for name, n in wanted.items() for x in (name, n) for kind in KINDS]
    theirs = [f"{x}.{kind}" for x in ("theirs", NUMBER + 8) for kind in KINDS]
    theirs += [f"{NUMBER + 9}.user", "bad.user", "torn.group", f"{NUMBER + 3}.group"]
    inode = (folder / "stays.user").stat().st_ino
    records.reconcile({"bad": NUMBER + 7, **wanted})
    ours += ["bad.group", f"{NUMBER + 7}.group"]
    assert entries(folder) == sorted(ours + theirs)
    assert (folder / "stays.user").stat().st_ino == inode
    records.reconcile({})
    assert entries(folder) == sorted(theirs)


def test_a_folder_that_cannot_be_written_is_said_and_does_no_harm(tmp_path, caplog):
    (tmp_path / "userdb").write_text("")
    records = UserRecords(str(tmp_path / "userdb"), "/run/a")
    records.write("shop", NUMBER)
    assert "no name for the dynamic user shop" in caplog.text
    records.reconcile({"shop": NUMBER})
    records.remove("shop", NUMBER)
