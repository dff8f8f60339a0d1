"""Kept definitions come back whole or not at all."""

import json

import pytest

from gitproc.errors import StateError
from gitproc.store.definitions import FILE, Definitions

PRINT = "ab12" * 16
UNIT = {"name": "a.service", "settings": [["Service.ExecStart", "/bin/true é", "a.service", 3]]}


def test_a_definition_comes_back_to_another_manager(tmp_path):
    Definitions(tmp_path / "kept").put(PRINT, UNIT)
    assert Definitions(tmp_path / "kept").get(PRINT) == UNIT
    assert Definitions(tmp_path / "kept").get("cd") is None


def test_putting_it_again_writes_nothing(tmp_path):
    kept = Definitions(tmp_path)
    kept.put(PRINT, UNIT)
    before = (tmp_path / FILE).read_bytes()
    kept.put(PRINT, UNIT)
    Definitions(tmp_path).put(PRINT, UNIT)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("length", [0, 1, 40, 70, -1])
def test_a_torn_line_is_no_definition_and_is_written_anew(tmp_path, length):
    Definitions(tmp_path).put("aa", UNIT)
    before = (tmp_path / FILE).read_bytes()
    Definitions(tmp_path).put(PRINT, UNIT)
    line = (tmp_path / FILE).read_bytes()[len(before) :]
    (tmp_path / FILE).write_bytes(before + line[:length])
    kept = Definitions(tmp_path)
    assert kept.get(PRINT) is None
    kept.put(PRINT, UNIT)
    for one in (kept, Definitions(tmp_path)):
        assert one.get(PRINT) == UNIT
        assert one.get("aa") == UNIT


def test_a_damaged_line_is_no_definition_and_harms_no_other(tmp_path, caplog):
    kept = Definitions(tmp_path)
    for name in ("aa", "bb", "cc"):
        kept.put(name, {"name": name})
    data = bytearray((tmp_path / FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / FILE).write_bytes(data)
    damaged = Definitions(tmp_path)
    assert damaged.get("bb") is None
    assert "cannot use kept definition bb" in caplog.text
    assert (damaged.get("aa"), damaged.get("cc")) == ({"name": "aa"}, {"name": "cc"})
    damaged.put("bb", {"name": "bb"})
    assert Definitions(tmp_path).get("bb") == {"name": "bb"}


def test_pruning_keeps_what_it_is_told(tmp_path):
    kept = Definitions(tmp_path / "kept")
    assert kept.prune(set()) == 0
    for name in ("aa", "bb", "cc"):
        kept.put(name, UNIT)
    (tmp_path / "kept" / "dd.json.new").write_bytes(b"left by a crash")
    assert kept.prune({"bb"}) == 3
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [FILE]
    assert (kept.get("aa"), kept.get("bb")) == (None, UNIT)
    kept.put("aa", UNIT)
    assert Definitions(tmp_path / "kept").get("aa") == UNIT
    assert (tmp_path / "kept" / FILE).read_bytes().count(b"\n") == 2


def test_what_was_dropped_goes_when_it_outweighs_the_rest(tmp_path):
    kept = Definitions(tmp_path)
    kept.put("stays", UNIT)
    for number in range(1000):
        kept.put(f"a{number}", {"name": "x" * 1000})
        kept.drop(f"a{number}")
    assert (tmp_path / FILE).stat().st_size < 100_000
    assert Definitions(tmp_path).get("stays") == kept.get("stays") == UNIT


def test_files_of_earlier_versions_are_found_and_taken_over(tmp_path):
    for name in ("aa", "bb"):
        text = json.dumps({"fingerprint": name, "unit": UNIT})
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "cc.json").write_text(text)  # under a wrong name
    kept = Definitions(tmp_path)
    assert (kept.get("aa"), kept.get("cc")) == (UNIT, None)
    assert kept.prune({"aa"}) == 2
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert Definitions(tmp_path).get("aa") == UNIT


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
