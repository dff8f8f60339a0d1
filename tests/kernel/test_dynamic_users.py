"""Users that are made up: which number a name gets, how long it has it, and what folders come with it."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

import pytest

from gitproc.kernel import dynamic_users
from gitproc.kernel.accounts import account_of
from gitproc.kernel.dynamic_users import FIRST, LAST, DynamicUsers, is_dynamic, name_of
from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.kernel.launch_environment import real_paths
from gitproc.units.specifiers import Host
from tests.kernel.parts import unit

DYNAMIC = "DynamicUser=yes\n"


@pytest.fixture
def registry(tmp_path):
    yield dynamic_users.open_registry(str(tmp_path / "users"), str(tmp_path / "userdb"))
    dynamic_users._registries.clear()


def users_of(folder):
    return DynamicUsers(str(folder), f"{folder}.db")


def names_of(folder):
    return sorted(x.name for x in folder.iterdir() if not x.is_symlink())


def test_a_name_has_one_number_over_lives_of_the_manager(tmp_path):
    folder = str(tmp_path / "users")
    users = users_of(folder)
    one, two = users.take("one"), users.take("two")
    assert one != two
    assert FIRST <= min(one, two) <= max(one, two) <= LAST
    assert users.take("one", [two, one + 1]) == one
    assert users_of(folder).take("one") == one
    users.ended(unit(DYNAMIC, "one.service"), [])
    assert users_of(folder).number("one") == -1
    assert users.take("three", [0, one]) == one, "the owner of its folders, if that is free"
    assert users.take("one") != one


def test_a_number_stays_taken_while_another_unit_runs_as_the_same_user(registry):
    mine, other = unit(f"{DYNAMIC}User=both", "a.service"), unit(f"{DYNAMIC}User=both", "b.service")
    number = registry.take("both")
    registry.ended(mine, [unit("", "c.service"), other])
    assert registry.number("both") == number
    registry.ended(other, [])
    assert registry.number("both") == -1


def test_the_name_is_known_as_long_as_the_number_is_taken(tmp_path):
    folder, records = tmp_path / "users", tmp_path / "users.db"
    users = users_of(folder)
    assert not records.exists()
    one, two = users.take("one"), users.take("two")
    assert names_of(records) == ["one.group", "one.user", "two.group", "two.user"]
    assert (records / f"{one}.user").readlink() == Path("one.user")
    again = users_of(folder)
    again.keep([unit(f"{DYNAMIC}User=two", "other.service"), unit("User=one")])
    assert (again.number("one"), again.number("two")) == (-1, two)
    assert names_of(records) == ["two.group", "two.user"]
    users.ended(unit(DYNAMIC, "two.service"), [])
    assert list(records.iterdir()) == []


def test_what_is_somebody_elses_is_passed_over_or_refused(tmp_path):
    number = users_of(tmp_path / "a").take("x")
    records = tmp_path / "b.db"
    records.mkdir()
    (records / f"{number}.group").write_text("{}")
    users = users_of(tmp_path / "b")
    assert users.take("x") == (number + 1 if number < LAST else FIRST)
    (records / "y.group").write_text("{}")
    with pytest.raises(LaunchError, match=r"/y\.group is a record of somebody else's"):
        users.take("y")
    assert users.number("y") == users_of(tmp_path / "b").number("y") == -1
    assert names_of(records) == [f"{number}.group", "x.group", "x.user", "y.group"]
    lone = next(x.gr_name for x in grp.getgrall() if not is_user(x.gr_name))
    with pytest.raises(LaunchError, match=f"{lone} is a group of the host's"):
        users.take(lone)


def is_user(name):
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def test_what_is_damaged_is_not_believed(tmp_path):
    (tmp_path / "good").write_text(f"{FIRST + 5}\n")
    (tmp_path / "bad").write_text("x")
    (tmp_path / ".half").write_text(f"{FIRST}")
    users = users_of(tmp_path)
    assert (users.number("good"), users.number("bad")) == (FIRST + 5, -1)


def test_numbers_of_the_host_are_passed_over(tmp_path, monkeypatch):
    free = users_of(tmp_path / "a").take("x")
    monkeypatch.setattr(dynamic_users, "_is_free", lambda number, _: number != free)
    assert users_of(tmp_path / "b").take("x") == (free + 1 if free < LAST else FIRST)
    monkeypatch.setattr(dynamic_users, "_is_free", lambda *_: False)
    with pytest.raises(LaunchError, match="no number is left"):
        users_of(tmp_path / "c").take("x")


def test_the_account_is_made_up_unless_the_user_is_there(registry):
    made = account_of(unit(DYNAMIC, "good-name@x.service"), privileged=True)
    assert made.user == "good-name"
    assert made.uid == made.gid == registry.number("good-name")
    assert (made.home, made.groups) == ("", ())
    assert name_of(unit(DYNAMIC, "0.service")).startswith("_du")
    daemon = unit(f"{DYNAMIC}User=daemon")
    assert not is_dynamic(daemon)
    assert account_of(daemon, privileged=True).uid == 1
    with pytest.raises(LaunchError, match="not root"):
        account_of(unit(DYNAMIC), privileged=False)


def test_folders_lie_where_nobody_else_gets_in():
    made = unit(f"{DYNAMIC}StateDirectory=a b/c\nRuntimeDirectory=r\nConfigurationDirectory=k")
    context = LaunchContext(Host())
    rows = [real_paths(made, context, row) for row in range(5)]
    state = ["/var/lib/private/a", "/var/lib/private/b/c"]
    assert rows == [["/run/r"], state, [], [], ["/etc/k"]]
    kept = unit(f"{DYNAMIC}RuntimeDirectory=r\nRuntimeDirectoryPreserve=restart")
    assert real_paths(kept, context, 0) == ["/run/private/r"]
