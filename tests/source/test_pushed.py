"""Objects of a push: taken in by pieces, held against their ids, read over those of the repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitproc.errors import SourceError
from gitproc.source.objects import GitObject
from gitproc.source.pushed import MAX_PUSH, LackingError, Overlay, Pushed, encode, object_id


def blob(data: bytes, digits: int = 40) -> GitObject:
    return GitObject(object_id("blob", data, digits), "blob", len(data), data)


def awaiting(*names: str) -> Pushed:
    """A push that these objects have been asked of."""
    pushed = Pushed()
    pushed.asked.update(names)
    return pushed


class Below:
    """A repository with some objects."""

    def __init__(self, *objects: GitObject) -> None:
        self.objects = {x.oid: x for x in objects}

    def get_all(self, names: Sequence[str], limit: int | None = None) -> Iterator[GitObject | None]:
        return iter([self.objects.get(name) for name in names])


@given(
    st.lists(st.binary(max_size=300), max_size=6),
    st.integers(1, 400),
    st.sampled_from([40, 64]),
)
def test_pieces_of_any_size(contents, size, digits):
    objects = [blob(data, digits) for data in contents]
    stream = b"".join(part for found in objects for part in encode(found.oid, found))
    pushed = awaiting(*(x.oid for x in objects))
    for at in range(0, len(stream), size):
        pushed.feed(stream[at : at + size])
    assert pushed.objects == {x.oid: x for x in objects}
    assert pushed.bytes == len(stream)


def test_ids_are_gits():
    assert object_id("blob", b"", 40) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert object_id("blob", b"", 64)[:12] == "473a0f4c3be8"


def test_one_changed_byte_is_found():
    found = blob(b"ExecStart=/bin/true")
    [header, data] = encode(found.oid, found)
    with pytest.raises(SourceError, match="another object"):
        awaiting(found.oid).feed(header + data.replace(b"true", b"evil"))


def test_there_is_an_end():
    found = blob(b"x" * (1 << 20))
    pushed = awaiting(found.oid)
    with pytest.raises(SourceError, match="64 MiB"):
        for _ in range(MAX_PUSH // (1 << 20) + 1):
            pushed.feed(b"".join(encode("", found)))


def test_what_nobody_has_asked_for_is_not_kept():
    wanted, more = blob(b"wanted"), GitObject("1" * 40, "blob", 1 << 30, None)
    pushed = awaiting(wanted.oid)
    pushed.feed(b"".join(encode(wanted.oid, wanted)))
    with pytest.raises(SourceError, match="has not been asked for"):
        pushed.feed(b"".join(encode(more.oid, more)))
    assert list(pushed.objects) == [wanted.oid]


def test_a_file_that_is_too_large_comes_without_its_bytes():
    oid = "1" * 40
    pushed = awaiting(oid)
    pushed.feed(b"".join(encode(oid, GitObject(oid, "blob", 1 << 30, None))))
    [found] = Overlay(Below(), pushed).get_all([oid], 100)
    assert found == (oid, "blob", 1 << 30, None)


def test_what_is_nowhere_is_named_whole():
    here, there, small = blob(b"here"), blob(b"there"), blob(b"")
    pushed = awaiting(here.oid)
    pushed.feed(b"".join(encode(here.oid, here)))
    overlay = Overlay(Below(there), pushed)
    names = [there.oid, here.oid, there.oid]
    assert list(overlay.get_all(names)) == [there, here, there]
    assert list(overlay.get_all([here.oid], 3)) == [here._replace(data=None)]
    lacking = ["1" * 40, here.oid, small.oid, "1" * 40]
    with pytest.raises(LackingError) as caught:
        overlay.get_all(lacking, 1000)
    assert caught.value.names == ("1" * 40, small.oid)
    assert caught.value.limit == 1000
