"""Cutting values into words, against systemd's outcomes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.units.words import (
    ASSIGNMENTS,
    COMMAND,
    LIST,
    VARIABLE,
    WHITESPACE,
    WordError,
    WordRules,
    cunescape,
    extract_word,
    is_text,
    split_words,
)
from tests.units.facts import cases


def rules(flags: list[str]) -> WordRules:
    return WordRules(
        **{flag: True for flag in flags if flag != "dont_coalesce_separators"},
        coalesce="dont_coalesce_separators" not in flags,
    )


@cases("words", "extract_first_word")
def test_word_after_word_as_systemd_cuts_them(case):
    text = case["in"]
    at = 0
    for step in case["steps"]:
        separators = (step["separators"] or WHITESPACE).replace("WS", WHITESPACE)
        if "error" in step:
            with pytest.raises(WordError) as caught:
                extract_word(text, at, rules(step["flags"]), separators)
            at = caught.value.position
        else:
            word, at = extract_word(text, at, rules(step["flags"]), separators)
            assert word == step.get("word")
        if "consumed" in step:
            assert len(text[:at].encode()) == step["consumed"]


@cases("words", "split")
def test_a_whole_list(case):
    if "error" in case:
        with pytest.raises(WordError):
            split_words(case["in"], rules(case["flags"]))
    else:
        assert split_words(case["in"], rules(case["flags"])) == case["words"]


@cases("numbers", "setting_strv")
def test_a_generic_list_setting(case):
    words = split_words(case["in"], LIST)
    assert (list(dict.fromkeys(words)) if case["dedupe"] else words) == case["out"]


@cases("misc", "cunescape")
def test_c_escapes(case):
    if case.get("error"):
        with pytest.raises(ValueError, match="escape"):
            cunescape(case["in"])
    else:
        assert cunescape(case["in"], relax="relax" in case["flags"]) == case["out"]


def test_names_of_units_keep_their_backslashes():
    assert split_words(r"a@x\x2dy.service 'b@z\x2d.service'") == [
        r"a@x\x2dy.service",
        r"b@z\x2d.service",
    ]


def test_bytes_that_spell_a_character_become_it():
    assert split_words(r"\xc3\xa9", COMMAND) == ["é"]
    assert split_words(r"\xff", COMMAND) == ["\udcff"]


def test_an_unknown_escape_is_kept_in_a_command_and_refused_in_an_assignment():
    assert split_words(r"a\.b", COMMAND) == [r"a\.b"]
    with pytest.raises(WordError, match=r"unknown escape sequence \\\."):
        split_words(r"a\.b", ASSIGNMENTS)


def test_other_blanks_do_not_separate():
    assert split_words("a\u00a0b\x0bc") == ["a\u00a0b\x0bc"]


@pytest.mark.parametrize("text", ["\0", "\ud800", "\udcff", "\ufffe", "\U0001ffff", "\ufdd0"])
def test_noncharacters_are_no_text(text):
    assert not is_text(text)


@settings(deadline=None)
@given(
    st.text(alphabet="ab \t\\'\"x4:;", max_size=20), st.sampled_from([LIST, COMMAND, ASSIGNMENTS])
)
def test_any_text_gives_words_or_a_word_error(text, rules):
    try:
        words = split_words(text, rules)
    except WordError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert len("".join(words)) <= len(text)


@pytest.mark.parametrize("rules", [LIST, COMMAND, ASSIGNMENTS, VARIABLE])
def test_whole_lines_with_quotes_are_cut_as_word_by_word(rules):
    """Every text of up to six of these characters: there are two ways to the same words."""
    for length in range(7):
        for letters in product("a \"'\n", repeat=length):
            text = "".join(letters)
            assert words_or_error(split_words, text, rules) == words_or_error(
                one_by_one, text, rules
            ), text


def words_or_error(
    split: Callable[[str, WordRules], list[str]], text: str, rules: WordRules
) -> list[str] | tuple[str, int]:
    try:
        return split(text, rules)
    except WordError as error:
        return str(error), error.position


def one_by_one(text: str, rules: WordRules) -> list[str]:
    words: list[str] = []
    at = 0
    while True:
        word, at = extract_word(text, at, rules)
        if word is None:
            return words
        words.append(word)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab é\\'\"\n\t$;", max_size=6), max_size=5))
def test_words_escaped_by_the_rules_come_back(words):
    escaped = " ".join(
        '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        for word in words
    )
    assert split_words(escaped, COMMAND) == words
    assert split_words(escaped, ASSIGNMENTS) == words
