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


def test_a_second_life_under_one_token_goes_on_in_the_rounds_after_it_was_allowed(tmp_path):
    books, token = Books(tmp_path, tmp_path), "b6e8535d60f4c549"
    (tmp_path / "plain1.life").write_text(f"{token} begin 1 1\n{token} begin 2 1\n")
    with (tmp_path / "plain1.log").open("w") as log:
        log.write("".join(f"{token} {n}\n" for n in (0, 1, 2, 3, 0, 1)))
        log.flush()
        books.read()
        books.read_logs()
        assert books.doubled
        books.allow_repeated()
        assert not books.doubled
        log.write(f"{token} 2\n")
        log.flush()
        books.read_logs()
        assert not books.doubled
        log.write(f"{token} 2\n{token} 4\n")
        log.flush()
        books.read_logs()
    assert [x[2] for x in books.doubled] == ["2 after 2"]
    assert books.lost == [f"plain1: {token} 3 to 3"]
