"""What instances share: who is in which space, and what is left of it in the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitproc.kernel.launch import LaunchError
from gitproc.kernel.spaces import Spaces

FIRST, SECOND = "a" * 32, "b" * 32


@pytest.fixture
def spaces(tmp_path):
    roots = tmp_path / "tmp", tmp_path / "var"
    for root in roots:
        root.mkdir(exist_ok=True)
    return lambda: Spaces(str(tmp_path / "run"), "tag", (str(roots[0]), str(roots[1])))


def test_all_commands_of_an_instance_are_in_one_and_the_next_instance_in_another(spaces):
    it = spaces()
    space = it.enter("a.service", FIRST, (), first=True)
    assert it.enter("a.service", FIRST, (), first=False) == space
    folders = it.folders(space)
    Path(folders.tmp, "x").touch()
    assert it.enter("a.service", SECOND, (), first=True) != space
    assert not Path(folders.tmp).parent.exists()


def test_who_joins_whom_does_not_matter(spaces):
    it = spaces()
    gone: list[str] = []
    it.on_empty = gone.append
    founder = it.enter("b.service", FIRST, ["a.service"], first=True)
    assert it.enter("a.service", SECOND, [], first=True) == founder
    assert it.enter("c.service", SECOND, ["a.service"], first=True) == founder
    assert it.enter("d.service", SECOND, ["x.service"], first=True) != founder
    for name in "ab":
        assert it.leave(f"{name}.service") == []
    assert gone == []
    it.leave("c.service")
    assert gone == [founder]
    it.leave("c.service")
    assert gone == [founder]


def test_a_manager_that_comes_back_finds_them(spaces, tmp_path):
    before = spaces()
    kept = before.enter("a.service", FIRST, ["b.service"], first=True)
    left = before.enter("x.service", FIRST, (), first=True)
    before.folders(kept), before.folders(left)
    stranger = tmp_path / "tmp" / "gitproc-private-other-x"
    stranger.mkdir()
    stray = tmp_path / "var" / "gitproc-private-tag-stray"
    stray.mkdir()
    after = spaces()
    after.sweep({"a.service": ("b.service",)})
    assert after.living == {kept}
    assert after.enter("b.service", SECOND, (), first=True) == kept
    assert sorted(x.name for x in (tmp_path / "tmp").iterdir()) == sorted(
        [f"gitproc-private-tag-{kept}", stranger.name]
    )
    assert not stray.exists()


@pytest.mark.root
@pytest.mark.parametrize("kind", ["link", "folder", "file"])
def test_a_folder_that_somebody_made_before_is_not_taken(spaces, tmp_path, kind):
    it = spaces()
    space = it.enter("a.service", FIRST, (), first=True)
    path = tmp_path / "tmp" / f"gitproc-private-tag-{space}"
    if kind == "link":
        (tmp_path / "theirs").mkdir()
        path.symlink_to(tmp_path / "theirs")
    elif kind == "folder":
        path.mkdir()
        os.chown(path, 65534, 65534)
    else:
        path.touch()
    with pytest.raises(LaunchError, match="somebody else"):
        it.folders(space)
