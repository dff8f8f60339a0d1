"""The journal's lines: what is whole is read, what is torn is dropped, what is damaged is told."""

import pytest

from gitproc.errors import StateError
from gitproc.store.journal import Journal, encode, read


def test_a_missing_journal_is_empty(tmp_path):
    assert read(tmp_path / "journal") == ([], 0, [])


def test_records_come_back_in_order(tmp_path):
    journal = Journal(tmp_path / "journal", 0)
    for number in range(3):
        journal.append(encode(f'{{"n":{number}}}'))
    journal.sync()
    journal.close()
    reading = read(tmp_path / "journal")
    assert reading.records == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert reading.length == (tmp_path / "journal").stat().st_size
    assert reading.warnings == []


@pytest.mark.parametrize("tail", [b"0", b"00000000 {}", b"00000000 {}\n", b"\0" * 100, b"\n\n"])
def test_a_torn_tail_is_dropped_and_told_with_its_size(tmp_path, tail):
    path = tmp_path / "journal"
    whole = encode('{"a":1}')
    path.write_bytes(whole + tail)
    reading = read(path)
    assert reading.records == [{"a": 1}]
    assert reading.length == len(whole)
    assert reading.warnings == [f"{path}:2: {len(tail)} bytes after the last whole record dropped"]


@pytest.mark.parametrize("line", [b"", b"xyz", b"00000000 {}", b"[]", encode("[1]")[:-1]])
def test_damage_in_the_middle_is_told_by_line_and_skipped(tmp_path, line):
    path = tmp_path / "journal"
    path.write_bytes(encode('{"a":1}') + line + b"\n" + encode('{"b":2}'))
    reading = read(path)
    assert reading.records == [{"a": 1}, {"b": 2}]
    assert reading.warnings == [f"{path}:2: damaged record skipped"]


def test_opening_cuts_what_is_not_whole(tmp_path):
    path = tmp_path / "journal"
    whole = encode('{"a":1}')
    path.write_bytes(whole + b"torn")
    journal = Journal(path, len(whole))
    journal.append(encode('{"b":2}'))
    journal.close()
    assert read(path).records == [{"a": 1}, {"b": 2}]


def test_what_cannot_be_opened_is_a_state_error(tmp_path):
    with pytest.raises(StateError, match="cannot open"):
        Journal(tmp_path / "missing" / "journal", 0)
    with pytest.raises(StateError, match="cannot read"):
        read(tmp_path)
