"""Users that are made up: which number a name gets, how long it has it, and what folders come with it."""

from __future__ import annotations

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
    yield dynamic_users.open_registry(str(tmp_path / "users"))
    dynamic_users._registries.clear()


def test_a_name_has_one_number_over_lives_of_the_manager(tmp_path):
    folder = str(tmp_path / "users")
    users = DynamicUsers(folder)
    one, two = users.take("one"), users.take("two")
    assert one != two
    assert FIRST <= min(one, two) <= max(one, two) <= LAST
    assert users.take("one", [two, one + 1]) == one
    assert DynamicUsers(folder).take("one") == one
    users.ended(unit(DYNAMIC, "one.service"), [])
    assert DynamicUsers(folder).number("one") == -1
    assert users.take("three", [0, one]) == one, "the owner of its folders, if that is free"
    assert users.take("one") != one


def test_a_number_stays_taken_while_another_unit_runs_as_the_same_user(registry):
    mine, other = unit(f"{DYNAMIC}User=both", "a.service"), unit(f"{DYNAMIC}User=both", "b.service")
    number = registry.take("both")
    registry.ended(mine, [unit("", "c.service"), other])
    assert registry.number("both") == number
    registry.ended(other, [])
    assert registry.number("both") == -1


def test_what_is_damaged_is_not_believed(tmp_path):
    (tmp_path / "good").write_text(f"{FIRST + 5}\n")
    (tmp_path / "bad").write_text("x")
    (tmp_path / ".half").write_text(f"{FIRST}")
    users = DynamicUsers(str(tmp_path))
    assert (users.number("good"), users.number("bad")) == (FIRST + 5, -1)


def test_numbers_of_the_host_are_passed_over(tmp_path, monkeypatch):
    free = DynamicUsers(str(tmp_path / "a")).take("x")
    monkeypatch.setattr(dynamic_users, "_is_free", lambda number: number != free)
    assert DynamicUsers(str(tmp_path / "b")).take("x") == (free + 1 if free < LAST else FIRST)
    monkeypatch.setattr(dynamic_users, "_is_free", lambda _: False)
    with pytest.raises(LaunchError, match="no number is left"):
        DynamicUsers(str(tmp_path / "c")).take("x")


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
