"""What is kept out of a log: by level, by rate; and what is not."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest

from gitproc.shim.logrules import LINE_MAX, RateLimit, Sieve
from tests.shim.client import until

ALL = b"<0>a\n<4>b\n<7>c\nplain\n<30>text\n<003>d\n<x>odd\n<>odd\n<9999>odd\n"


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ((-1, 6, True, 0.0, 0), ALL),
        ((4, 6, True, 0.0, 0), b"<0>a\n<4>b\n<003>d\n"),
        ((6, 6, True, 0.0, 0), ALL.replace(b"<7>c\n", b"")),
        ((4, 3, True, 0.0, 0), ALL.replace(b"<7>c\n", b"")),
        ((4, 6, False, 0.0, 0), b""),
    ],
)
@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_levels(rules, kept, cut):
    sieve = Sieve(rules, RateLimit())
    pieces = [ALL[at : at + cut] for at in range(0, len(ALL), cut)]
    assert b"".join(sieve.sift(piece, 0) for piece in pieces) + sieve.finish(0) == kept


def test_a_last_line_without_end_is_kept_as_it_is_and_a_long_one_is_cut():
    sieve = Sieve((6, 6, True, 0.0, 0), RateLimit())
    assert sieve.sift(b"abc", 0) == b""
    assert sieve.finish(0) == b"abc"
    long = b"x" * (LINE_MAX + 5)
    assert sieve.sift(long, 0) == long[:LINE_MAX] + b"\n"
    assert sieve.finish(0) == b"x" * 5


def test_the_rate_limit_counts_and_tells():
    limit = RateLimit()
    one, two = (Sieve((-1, 6, True, 10.0, 3), limit) for _ in range(2))
    assert one.sift(b"1\n2\n", 100) + two.sift(b"3\n4\n5\n", 101) == b"1\n2\n3\n"
    assert one.sift(b"6\n", 109) == b""
    assert one.sift(b"7\n", 110) == b"gitproc: 3 lines suppressed by the rate limit\n7\n"
    assert one.sift(b"8\n9\n10\n", 111) == b"8\n9\n"
    assert two.finish(112) == b"gitproc: 1 lines suppressed by the rate limit\n"
    assert one.finish(112) == b""


def test_a_flood_is_held_and_told_in_the_log(client, tmp_path):
    path = tmp_path / "a.log"
    log = {"log": str(path), "max_bytes": 0, "files": 1, "rules": (6, 6, True, 1000.0, 5)}
    script = "for i in $(seq 20); do echo $i; echo '<7>quiet'; done; echo end >&2"
    id, _ = client.start("a", "/bin/sh", "-c", script, output=log)
    assert client.exit_of(id) == (1, 0)
    until(lambda: path.exists() and b"suppressed" in path.read_bytes())
    assert path.read_text() == "1\n2\n3\n4\n5\ngitproc: 16 lines suppressed by the rate limit\n"
    index = until(path.with_name("a.log.index").read_bytes)
    offsets = [int.from_bytes(index[at : at + 8], "little") for at in range(0, len(index), 16)]
    assert all(a < b for a, b in pairwise(offsets))


def test_a_new_logger_goes_on_with_the_rules(shim, client, tmp_path):
    path = tmp_path / "a.log"
    log = {"log": str(path), "max_bytes": 0, "files": 1, "rules": (4, 6, True, 0.0, 0)}
    reading, writing = os.pipe()
    script = "echo '<3>one'; echo dropped; read x; echo '<3>two'; echo dropped"
    id, _ = client.start(
        "a", "/bin/sh", "-c", script, output=log, stdin={"fd": 0}, give=(reading,)
    )  # fmt: skip
    until(lambda: path.exists() and path.read_text() == "<3>one\n")
    before = shim.logger
    os.kill(before, 9)
    shim.other_logger(before)
    os.write(writing, b"\n")
    assert client.exit_of(id) == (1, 0)
    until(lambda: path.read_text() == "<3>one\n<3>two\n")
    os.close(reading)
    os.close(writing)
