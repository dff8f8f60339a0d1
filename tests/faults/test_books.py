from __future__ import annotations

import json

from tests.faults.books import Books

LINE = json.dumps({"kind": "unit.started", "unit": "a.service"}).encode()
OTHER = json.dumps({"kind": "commit.plan", "unit": "b.service"}).encode()


def test_a_line_that_a_full_disk_tore_is_no_fault_of_the_round_that_shows_its_end(tmp_path):
    books, log = Books(tmp_path, tmp_path), tmp_path / "events.log"
    log.write_bytes(LINE + b"\n" + LINE[:20])
    assert len(books.events()) == 1
    books.forgive()
    with log.open("ab") as file:
        file.write(b"\n" + OTHER + b"\n")
    assert len(books.events()) == 1
    assert not books.torn


def test_a_line_that_a_kill_cut_is_there_again_and_another_is_a_fault(tmp_path):
    books, log = Books(tmp_path, tmp_path), tmp_path / "events.log"
    log.write_bytes(LINE[:20] + b"\n" + LINE + b"\n")
    assert len(books.events()) == 1
    assert not books.torn
    with log.open("ab") as file:
        file.write(LINE[:20] + b"\n" + b'{"kind": 1}\n')
    assert len(books.events()) == 1
    assert books.torn
