"""Patterns that are compiled late are patterns all the same, and every one of ours can be compiled."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import gitproc
from gitproc import pattern as module
from gitproc.pattern import pattern

LAYERS = ("units", "core", "api", "kernel", "health", "source", "store", "daemon")


def test_it_does_what_a_compiled_one_does():
    late, plain = pattern(r"(a)|(b)", re.IGNORECASE), re.compile(r"(a)|(b)", re.IGNORECASE)
    for _ in range(2):
        assert late.findall("xAyb") == plain.findall("xAyb")
        assert late.sub("-", "xAyb") == "x-y-"
        assert late.split("1A2") == plain.split("1A2")
        assert late.fullmatch("b")
        assert not late.fullmatch("ab")
        assert [found[0] for found in late.finditer("AB")] == ["A", "B"]
        assert late.search("zz") is late.match("zb") is None
        assert (late.pattern, late.flags) == (plain.pattern, plain.flags)
    assert pattern(rb"\d+").findall(b"12x") == [b"12"]


def test_it_is_compiled_once_and_not_before_it_is_used(monkeypatch):
    made: list[str] = []

    def compiling(text, flags=0):
        made.append(text)
        return plain

    plain = re.compile("a+")
    monkeypatch.setattr(re, "compile", compiling)
    late = pattern("a+")
    assert not made
    for _ in range(3):
        assert late.match("aa")
        assert not late.fullmatch("b")
    assert made == ["a+"]


def test_what_is_wrong_shows_at_the_first_use():
    late = pattern("(")
    with pytest.raises(re.error):
        late.match("x")


def test_all_of_ours_can_be_compiled():
    found = 0
    for layer in LAYERS:
        package = importlib.import_module(f"gitproc.{layer}")
        for each in pkgutil.iter_modules(package.__path__):
            names = vars(importlib.import_module(f"gitproc.{layer}.{each.name}"))
            for late in [x for x in names.values() if isinstance(x, module._Late)]:
                assert late.pattern == late._text
                found += 1
    assert found > 40, gitproc.__path__
