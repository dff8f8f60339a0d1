"""Every page that shows a terminal shows what one really prints; mended by `python tests/docs/transcript.py`."""

from __future__ import annotations

import difflib

import pytest

from tests.docs.transcript import PAGES, PROJECT, play

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_true(name, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    wrong = []
    for step, got, true in play(name, home):
        if not true:
            shown = difflib.unified_diff(step.shown, got, "the page", "the terminal", lineterm="")
            wrong += [f"{name}:{step.start}: $ {step.text}", *shown, ""]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PAGES)
def test_every_terminal_of_a_page_is_played(name):
    page = (PROJECT / name).read_text()
    assert page.count("```console") >= 1
