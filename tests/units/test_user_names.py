"""Names of users and groups, against systemd's outcomes."""

from __future__ import annotations

import pytest

from gitproc.units.user_names import is_valid_user_name, parse_user_name
from tests.units.facts import cases


@cases("misc", "user_group_name")
def test_names_as_systemd_takes_them(case):
    flags = dict.fromkeys(case["flags"], True)
    assert is_valid_user_name(case["in"], **flags) is case["valid"]


@pytest.mark.parametrize("text", ["www-data", "0", "1000", "4294967294", "user.name@example.com"])
def test_what_user_may_say(text):
    assert parse_user_name(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "-", "-1", "65535", "4294967295", "4294967296", "007", "a b ", "a/b", "a:b", "\ud800x"],
)
def test_what_user_may_not_say(text):
    with pytest.raises(ValueError, match="not a valid user or group name"):
        parse_user_name(text)
