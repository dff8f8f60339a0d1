"""Folders a service owns: relative, without a way out, and with a link if one is asked for."""

from __future__ import annotations

import pytest

from gitproc.units.own_directories import (
    OwnDirectory,
    parse_configuration_directories,
    parse_own_directories,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("app app/cache/ 'a b'", [("app", ""), ("app/cache", ""), ("a b", "")]),
        ("app:old app:sub/link", [("app", "old"), ("app", "sub/link")]),
        ("app: app::", [("app", ""), ("app", "")]),
    ],
)
def test_folders_and_links(text, found):
    assert parse_own_directories(text) == tuple(OwnDirectory(*each) for each in found)


@pytest.mark.parametrize("text", ["/app", "../app", "a/../b", "private", "private/x", "''", "."])
@pytest.mark.parametrize("before", ["", "app:"])
def test_neither_may_leave_its_place(text, before):
    if before and text == "''":
        return  # no link
    with pytest.raises(ValueError, match=r"relative|usable|reserved"):
        parse_own_directories(before + text)


def test_what_is_not_supported_is_refused():
    with pytest.raises(ValueError, match="flags"):
        parse_own_directories("app:link:ro")
    with pytest.raises(ValueError, match="no links"):
        parse_configuration_directories("app:link")
    assert parse_configuration_directories("app") == (OwnDirectory("app"),)
