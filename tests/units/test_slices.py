"""Slices without a file: there as soon as something names them, with what drop-ins say (systemd.slice(5))."""

from __future__ import annotations

import pytest

from gitproc.units import directives as d
from gitproc.units.control import has, own
from gitproc.units.directives_resources import TASKS_MAX
from gitproc.units.loader import UnitSet
from gitproc.units.unit import Unit
from tests.units.trees import SERVICE, Link, source, texts, tree

IN_A_B = {"x.service": f"{SERVICE}Slice=a-b.slice\n"}


def most(tasks: object) -> str:
    return f"[Slice]\nTasksMax={tasks}\n"


def most_of(unit: Unit) -> int | None:
    return own(unit, TASKS_MAX).absolute if has(unit, TASKS_MAX) else None


def slices(units: UnitSet) -> dict[str, int | None]:
    """TasksMax= of every slice that is there."""
    found = {name: unit for name, unit in units.units.items() if name.endswith(".slice")}
    assert all(unit.fragment == "" and not unit.masked for unit in found.values())
    return {name: most_of(unit) for name, unit in found.items()}


def test_the_slices_around_a_unit_are_there():
    units = tree(IN_A_B)
    assert slices(units) == {"a.slice": None, "a-b.slice": None}
    assert units.files_of("a-b.slice") == ()
    assert slices(tree({"x.service": SERVICE, "y.service": SERVICE + "Slice=-.slice\n"})) == {}


@pytest.mark.parametrize("relation", ["Requires", "Wants", "After", "PartOf", "BindsTo"])
def test_a_slice_that_a_unit_depends_on_is_there(relation):
    units = tree({"x.service": f"[Unit]\n{relation}=a-b.slice a--b.slice\n{SERVICE}"})
    assert slices(units) == {"a.slice": None, "a-b.slice": None}


@pytest.mark.parametrize(
    ("folder", "a", "ab"),
    [("a.slice.d", 5, None), ("a-b.slice.d", None, 5), ("a-.slice.d", None, 5), ("slice.d", 5, 5)],
)
def test_drop_ins_are_of_the_slices_that_their_folder_names(folder, a, ab):
    path = f"any/{folder}/50.conf"
    units = tree({**IN_A_B, path: most(5)})
    assert not texts(units)
    root = {"-.slice": 5} if folder == "slice.d" else {}
    assert slices(units) == {"a.slice": a, "a-b.slice": ab, **root}
    without, changed = units.updated({path: None})
    assert slices(without) == {"a.slice": None, "a-b.slice": None}
    assert changed == {name for name, tasks in slices(units).items() if tasks}
    again, _ = without.updated({path: source(path, most(5))})
    assert slices(again) == slices(units)
    if ab:
        assert units.units["a-b.slice"].drop_ins == (path,)
        assert units.files_of("a-b.slice") == (path,)


@pytest.mark.parametrize("mask", ["", Link("/dev/null")])
def test_the_slice_of_all_is_there_where_something_is_said_of_it(mask):
    assert slices(tree({"-.slice.d/a.conf": most(5)})) == {"-.slice": 5}
    assert slices(tree({"slice.d/a.conf": most(5)})) == {"-.slice": 5}
    assert slices(tree({"slice.d/a.conf": most(5), "-.slice.d/a.conf": mask})) == {}
    wants = tree({"x.service": SERVICE, "-.slice.wants/x.service": Link("../x.service")})
    assert wants.units["-.slice"][d.WANTS] == ("x.service",)


def test_a_slice_that_nothing_names_any_more_is_gone():
    files = {**IN_A_B, "y.service": f"{SERVICE}Slice=a.slice\n"}
    units, _ = tree(files).updated({"x.service": None})
    assert slices(units) == {"a.slice": None}
    units, changed = units.updated({"y.service": None})
    assert slices(units) == {}
    assert changed == {"a.slice", "y.service"}


def test_a_slice_whose_file_goes_stays_for_its_units():
    units = tree({**IN_A_B, "a.slice": most(5)})
    assert most_of(units.units["a.slice"]) == 5
    units, changed = units.updated({"a.slice": None})
    assert slices(units) == {"a.slice": None, "a-b.slice": None}
    assert changed == {"a.slice"}


@pytest.mark.parametrize("mask", ["", Link("/dev/null")])
def test_a_mask_stays_one(mask):
    units = tree({**IN_A_B, "a.slice": mask, "a.slice.d/50.conf": most(5)})
    assert units.units["a.slice"].masked
    assert most_of(units.units["a.slice"]) is None


def test_what_is_wrong_in_a_drop_in_is_an_error():
    units = tree({**IN_A_B, "a.slice.d/50.conf": "[Slice]\nTasksMax=many\n[Service]\n"})
    assert [(x.location, x.directive) for x in units.diagnostics if x.severity == "error"] == [
        (("a.slice.d/50.conf", 2), "TasksMax"),
        (("a.slice.d/50.conf", 3), ""),
    ]


def test_drop_ins_of_a_slice_that_no_unit_is_in():
    units = tree({"b.slice.d/50.conf": most(5), "c.slice.d/50.conf": most(5), **IN_A_B})
    lost = "warning: for {0}.slice, which no unit is in: has no effect"
    assert texts(units) == [f"{x}.slice.d/50.conf: {lost.format(x)}" for x in "bc"]
    found = units.resolve("b.slice")
    assert found is not None and most_of(found) == 5, "somebody may start it"
    template = {"t@.service": f"{SERVICE}Slice=b.slice\n", "b.slice.d/50.conf": most(5)}
    assert not texts(tree(template)), "an instance may be started"


@pytest.mark.parametrize("name", ["a@b.slice", "a--b.slice", "-a.slice", "a-.slice"])
def test_what_is_no_slice_is_not_there(name):
    assert tree({}).resolve(name) is None
