"""Where groups lie, and whose a path is."""

from __future__ import annotations

import pytest

from gitproc.errors import HostError
from gitproc.kernel.places import Places, slice_path, split, unit_at
from tests.kernel.parts import unit


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("-.slice", ""),
        ("a.slice", "a.slice"),
        ("a-b.slice", "a.slice/a-b.slice"),
        ("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice"),
        ("cpu.slice", "_cpu.slice"),
    ],
)
def test_the_path_of_a_slice(name, path):
    assert slice_path(name) == path


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("nginx", "nginx.service"),
        ("a.slice/a-b.slice/nginx/payload", "nginx.service"),
        ("a.slice/x.slice.service/y.slice", "x.slice.service"),
        ("nginx/evil.slice/other", "nginx.service"),
        ("a.slice", None),
        ("a.slice/_cpu.x", "cpu.x.service"),
    ],
)
def test_whose_a_path_is(path, owner):
    assert unit_at(path) == owner
    assert (split(path)[1] == "") is (owner is None)


def test_places_of_units(tmp_path):
    places = Places()
    assert places.put(unit("Slice=a-b.slice", "x.service")) == "a.slice/a-b.slice/x"
    assert places.put(unit("", "y.service")) == "y"
    assert places.path("a-b.slice") == "a.slice/a-b.slice"
    assert places.within("a.slice") == places.within("a-b.slice") == ["x.service"]
    assert places.within("a-bc.slice") == []
    assert places.put(unit("", "x.service")) == "x"
    with pytest.raises(HostError):
        places.path("../x")


def test_a_new_manager_finds_units_in_slices(tmp_path):
    for path in ("a.slice/a-b.slice/x/inner.slice/deep", "y", "c.slice"):
        (tmp_path / path).mkdir(parents=True)
    places = Places()
    assert sorted(places.scan(str(tmp_path))) == ["x.service", "y.service"]
    assert places.path("x.service") == "a.slice/a-b.slice/x"
    assert places.path("y.service") == "y"
    places.forget("x.service")
    assert places.path("x.service") == "x"
