"""Kept definitions come back whole or not at all."""

import pytest

from gitproc.errors import StateError
from gitproc.store.definitions import Definitions

PRINT = "ab12" * 16
UNIT = {"name": "a.service", "settings": [["Service.ExecStart", "/bin/true é", "a.service", 3]]}


def test_a_definition_comes_back_to_another_manager(tmp_path):
    Definitions(tmp_path / "kept").put(PRINT, UNIT)
    assert Definitions(tmp_path / "kept").get(PRINT) == UNIT
    assert Definitions(tmp_path / "kept").get("cd") is None


def test_putting_it_again_touches_no_file(tmp_path):
    kept = Definitions(tmp_path)
    kept.put(PRINT, UNIT)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_ino
    kept.put(PRINT, UNIT)
    Definitions(tmp_path).put(PRINT, UNIT)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("length", [0, 1, 40])
def test_a_damaged_file_is_no_definition_and_is_written_anew(tmp_path, length):
    Definitions(tmp_path).put(PRINT, UNIT)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:length])
    kept = Definitions(tmp_path)
    assert kept.get(PRINT) is None
    kept.put(PRINT, UNIT)
    assert Definitions(tmp_path).get(PRINT) == UNIT


def test_a_file_under_a_wrong_name_is_no_definition(tmp_path):
    Definitions(tmp_path).put(PRINT, UNIT)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "cd.json")
    assert Definitions(tmp_path).get("cd") is None


def test_pruning_keeps_what_it_is_told(tmp_path):
    kept = Definitions(tmp_path / "kept")
    assert kept.prune(set()) == 0
    for name in ("aa", "bb", "cc"):
        kept.put(name, UNIT)
    (tmp_path / "kept" / "dd.json.new").write_bytes(b"left by a crash")
    assert kept.prune({"bb"}) == 3
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["bb.json"]
    kept.put("aa", UNIT)
    assert Definitions(tmp_path / "kept").get("aa") == UNIT


def test_a_fingerprint_is_no_path(tmp_path):
    with pytest.raises(ValueError, match="not a fingerprint"):
        Definitions(tmp_path).get("../state")


def test_a_disk_that_refuses_is_a_state_error(tmp_path):
    (tmp_path / "kept").write_bytes(b"a file")
    with pytest.raises(StateError, match="cannot write"):
        Definitions(tmp_path / "kept").put(PRINT, UNIT)


def test_a_definition_takes_the_place_of_one_that_runs_alike(tmp_path):
    definitions = Definitions(tmp_path)
    definitions.put("ab" * 32, {"name": "a", "settings": ["one"]})
    definitions.put("ab" * 32, {"name": "a", "settings": ["one", "another condition"]})
    assert definitions.get("ab" * 32) == {"name": "a", "settings": ["one", "another condition"]}
