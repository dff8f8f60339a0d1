"""Templates whose values depend on the instance: checked as far as all instances share it."""

from __future__ import annotations

import pytest

from gitproc.core.dependency_resolver import build, roots_of
from gitproc.core.graph_check import check
from gitproc.core.properties import unit_file_state
from gitproc.units import directives as d
from tests.units.trees import SERVICE, Link, source, texts, tree


@pytest.mark.parametrize(
    ("path", "text", "fits", "fits_not"),
    [
        ("a@.timer", "[Timer]\nOnCalendar=%i\n", "a@daily.timer", "a@never.timer"),
        ("a@.socket", "[Socket]\nListenStream=%i\n", "a@80.socket", "a@x.socket"),
        ("a@.socket", "[Socket]\nListenStream=[::1]:%i\n", "a@80.socket", "a@0.socket"),
        ("a@.path", "[Path]\nPathExists=%I\n", "a@-srv-x.path", "a@srv-x.path"),
        ("a@.service", "[Service]\nExecStart=%I -x\n", "a@-bin-true.service", "a@x-y.service"),
        ("a@.service", SERVICE + "WorkingDirectory=%I\n", "a@-srv.service", "a@srv.service"),
        ("a@.service", SERVICE + "Environment=%I\n", r"a@A\x3db.service", "a@b.service"),
        ("a@.service", SERVICE + "IPAddressAllow=%i\n", "a@10.0.0.1.service", "a@x.service"),
        ("a@.service", SERVICE + "WorkingDirectory=%f\n", "a@srv.service", r"a@\x2e..service"),
    ],
)
def test_what_only_some_instances_can_have_is_no_error_of_the_template(path, text, fits, fits_not):
    files = {"a.service": SERVICE, "a@.service": SERVICE, path: text}
    units = tree(files)
    assert texts(units, "error") == []
    assert units.resolve(fits) is not None
    assert units.misfits(fits) == ()
    assert units.resolve(fits_not) is None
    (misfit,) = units.misfits(fits_not)
    line = len(text.splitlines())
    assert str(misfit).startswith(f"{path}:{line}: error: ")
    assert units.absence(fits_not) == f"{path} cannot be {fits_not}: {misfit}"


@pytest.mark.parametrize(
    "line",
    ["Nice=%i", "WorkingDirectory=srv/x%%i", "WorkingDirectory=%z/%i", "Wrong=%i", "UMask=%i"],
)
def test_what_no_instance_can_have_is_one(line):
    assert texts(tree({"a@.service": f"{SERVICE}{line}\n"}), "error")


def test_an_instance_that_is_pulled_in_has_to_fit():
    files = {
        "a@.service": SERVICE + "WorkingDirectory=%I\n",
        "b.service": f"[Unit]\nWants=a@x.service\n{SERVICE}",
    }
    message = "a@.service:3: error: WorkingDirectory: '%I': 'x' is not an absolute path"
    assert texts(tree(files), "error") == [message]


def test_an_instance_that_a_failure_would_start_is_said_not_to_fit():
    files = {
        "a@.service": SERVICE + "WorkingDirectory=%I\n",
        "b.service": f"[Unit]\nOnFailure=a@%n.service\n{SERVICE}",
    }
    units = tree(files)
    (warning,) = check(units)
    assert warning.severity == "warning"
    assert "its template cannot be that: a@.service:3: error: WorkingDirectory: " in warning.message


def test_why_a_template_or_nothing_is_no_unit():
    units = tree({"a@.service": SERVICE})
    assert (
        units.absence("a@.service")
        == "a@.service is a template: name an instance, a@INSTANCE.service"
    )
    assert units.absence("b.service") == "no unit b.service in the applied commit"
    assert units.files_of("a@.service") == units.files_of("a@x.service") == ("a@.service",)
    assert units.files_of("b.service") is None


def test_a_template_that_changes_is_checked_as_a_new_one():
    before = tree({"a@.timer": "[Timer]\nOnCalendar=daily\n", "a@.service": SERVICE})
    after, _ = before.updated({"a@.timer": source("a@.timer", "[Timer]\nOnCalendar=%i\n")})
    assert after.diagnostics == ()
    timer = after.resolve("a@hourly.timer")
    assert timer is not None
    assert timer[d.DESCRIPTION] == ""


PULLS = {
    "helper@.service": SERVICE,
    "a@.service": f"[Unit]\nWants=helper@.service\nAfter=helper@.service b.service\n{SERVICE}",
    "b.service": f"[Unit]\nRequires=helper@.service a@x.service a@-srv.service\n{SERVICE}",
}


def test_a_template_among_dependencies_is_the_instance_of_the_units_own():
    units = tree(PULLS)
    assert texts(units) == []
    assert units.units["a@x.service"][d.WANTS] == ("helper@x.service",)
    assert units.units["a@x.service"][d.AFTER] == ("helper@x.service", "b.service")
    assert units.units["b.service"][d.REQUIRES][0] == "helper@b.service"
    assert {"helper@x.service", "helper@-srv.service", "helper@b.service"} <= units.units.keys()


def test_a_link_to_a_template_in_a_templates_folder_likewise():
    files = {
        "helper@.service": SERVICE,
        "a@.service": SERVICE,
        "a@.service.wants/helper@.service": Link("../helper@.service"),
        "multi-user.target.wants/a@x.service": Link("../a@.service"),
    }
    units = tree(files)
    assert texts(units) == []
    assert units.units["a@x.service"][d.WANTS] == ("helper@x.service",)
    assert "helper@x.service" in units.units


GIFTS = {
    "monitor@.service": f"{SERVICE}[Install]\nWantedBy=box@.target\nRequiredBy=box@.target\n",
    "log.service": f"{SERVICE}[Install]\nUpheldBy=box@.target\n",
    "one@.service": f"{SERVICE}[Install]\nWantedBy=box@.target\nDefaultInstance=d\n",
    "off@.service": f"{SERVICE}[Install]\nWantedBy=box@.target\n[X-GitProc]\nEnabled=no\n",
    "box@.target": "[Unit]\nDescription=%i\n",
    "box@b.target": "[Unit]\nDescription=of its own\n",
    "top.target": "[Unit]\nWants=box@a.target\n",
}


def test_install_sections_give_all_instances_of_a_template_something():
    units = tree(GIFTS)
    assert texts(units) == []
    for i in "ab":
        box = units.units[f"box@{i}.target"]
        assert box[d.WANTS] == (f"monitor@{i}.service", "one@d.service")
        assert box[d.REQUIRES] == (f"monitor@{i}.service",)
        assert box[d.UPHOLDS] == ("log.service",)
        assert box.where(d.WANTS, f"monitor@{i}.service") == ("monitor@.service", 4)
        assert f"monitor@{i}.service" in units.units
    assert "off@a.service" not in units.units
    late = units.resolve("box@c.target")
    assert late is not None
    assert late[d.UPHOLDS] == ("log.service",)


@pytest.mark.parametrize("gone", ["monitor@.service", "log.service", "box@b.target"])
def test_what_others_give_goes_with_them_and_comes_with_them(gone):
    rest = {path: text for path, text in GIFTS.items() if path != gone}
    less, changed = tree(GIFTS).updated({gone: None})
    assert less.units == tree(rest).units
    assert "box@b.target" in changed
    again, changed = less.updated({gone: source(gone, GIFTS[gone])})
    assert again.units == tree(GIFTS).units
    assert "box@b.target" in changed


def test_an_alias_of_the_template_is_the_template():
    files = {**GIFTS, "crate@.target": Link("box@.target")}
    files["log.service"] = f"{SERVICE}[Install]\nUpheldBy=crate@.target\n"
    assert tree(files).units["box@a.target"][d.UPHOLDS] == ("log.service",)


INSTALLS = {
    "job.service": "[Unit]\nWants=t@x.service t@d.service\n[Service]\nExecStart=/bin/sleep 1\n",
    "t@.service": f"{SERVICE}[Install]\nWantedBy=multi-user.target\nAlias=only.service\nDefaultInstance=d\n",
    "t@own.service": f"{SERVICE}[Install]\nWantedBy=multi-user.target\n",
}


def test_the_install_section_of_a_template_is_about_its_default_instance():
    units = tree(INSTALLS)
    assert texts(units) == []
    graph = build(units)
    wanted = {name for name in graph.wants.of("multi-user.target") if "@" in name}
    assert wanted == {"t@d.service", "t@own.service"}
    assert units.canonical("only.service") == "t@d.service"
    states = {name: unit_file_state(units.units[name]) for name in units.units if "@" in name}
    assert states == {
        "t@d.service": "enabled",
        "t@own.service": "enabled",
        "t@x.service": "disabled",
    }


def test_an_instance_that_only_what_starts_on_demand_wants_is_not_started():
    files = dict(INSTALLS)
    files["t@.service"] = files["t@.service"].replace("DefaultInstance=d\n", "")
    del files["t@own.service"]
    units = tree(files)
    assert not build(units).closure(roots_of(units, "default.target"), units.units) & {
        "t@x.service",
        "t@d.service",
    }
