"""Trees of unit files: layout, drop-ins, aliases, masks, templates, and sets made from former ones."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from gitproc.units import directives as d
from gitproc.units import directives_sandbox as sandbox
from gitproc.units.diagnostics import Location
from gitproc.units.loader import LoadOptions, SourceFile, UnitSet, load
from gitproc.units.specifiers import expand
from tests.units.facts import table
from tests.units.trees import HOST, SERVICE, Link, source, texts, tree

WHICH = ": nothing says which counts"
TARGET = "[Unit]\nDescription=t\n"


def fact_files(case):
    """One tree for the three tiers of a case: the highest one that has a path gives it."""
    files = {name: f"[Unit]\nDescription={name} unit\n" + SERVICE for name in case["services"]}
    for tier in ("lib/", "run/", "etc/"):
        for path, text in case.get("files", {}).items():
            if path.startswith(tier):
                files[path.removeprefix(tier)] = text
        for path, link in case.get("links", {}).items():
            if path.startswith(tier):
                files[path.removeprefix(tier)] = Link("/dev/null" if link == "MASK" else link)
    return files


def shown(units: UnitSet, name: str, wanted: str) -> str:
    """A property of a unit as the facts spell it; dependencies under canonical names, as systemd."""
    unit = units.resolve(name)
    if unit is None:
        return ""
    if wanted == "Names":
        return " ".join(units.names_of(name))
    if wanted == "ExecCondition":
        lines = [one.text for one in unit.settings if one.key == f"Service.{wanted}"]
        return " ".join(expand(line, unit.name, HOST) for line in lines)
    values = unit[d.TABLE[f"Unit.{wanted}"]]
    return " ".join([*values, *(units.aliases.get(item, item) for item in values)])


# A case lays files out in three folders, of which the higher counts: a tree has one place for a file, and
# `import` is who merges folders. Ours otherwise:
DIFFER = {
    "linked unit whose target has another base name": "no link leaves the tree",
}


def test_the_layouts_that_differ_are_cases():
    assert {case["name"] for case in table("dropins")} >= set(DIFFER)


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c["name"]) for c in table("dropins") if c["name"] not in DIFFER]
)
def test_layouts_as_systemd_reads_them(case):
    units = tree(fact_files(case))
    assert case["checks"]
    for check in case["checks"]:
        name, text = check["unit"], check["text"]
        match check["property"]:
            case "start":  # that it may be: what is wanted and not there is no error
                assert not units.has_errors
            case "show":
                assert units.resolve(name) is None
            case "UnitFileState":
                assert units.units[name].masked
            case "MemoryMax":
                unit = units.resolve(name)
                assert unit is not None and [one.text for one in unit.settings] == [text]
            case wanted:
                value = shown(units, name, wanted)
                assert (text in value) is check["holds"], (check, value)


@pytest.mark.parametrize("folder", ["", "web/", "a/b.d/c/"])
def test_folders_only_organise(folder):
    units = tree({folder + "a.service": SERVICE, folder + "README": "x", folder + "a.conf": "x"})
    assert not texts(units)
    assert units.units["a.service"].fragment == folder + "a.service"


def test_hidden_folders_and_files_are_left_alone():
    units = tree({".github/a.service": "x", "web/.b.service": "y", ".d/.c/d.service": "z"})
    assert not texts(units)
    assert not any(name.endswith(".service") for name in units.units)


def test_two_files_of_one_name_are_an_error_that_names_both():
    units = tree({"a/x.service": SERVICE, "b/x.service": SERVICE})
    assert texts(units) == ["b/x.service: error: x.service is defined by a/x.service too"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a.device", "device units are not supported"),
        ("a.mount", "mount units are not supported"),
        ("a.scope", "scope units are not supported"),
        ("a b.service", "not a valid unit name"),
        ("\u00e4.service", "not a valid unit name"),
        ("x" * 250 + ".service", "too long"),
        ("a--b.slice", "not the name of a slice"),
        ("x@y.slice", "not the name of a slice"),
        ("d\udcff/a.service", "not valid UTF-8"),
    ],
)
def test_files_that_cannot_be_units(name, word):
    units = tree({name: SERVICE})
    assert len(texts(units, "error")) == 1
    assert word in texts(units)[0]
    texts(units)[0].encode()
    later, _ = tree({"z.service": SERVICE}).updated({name: source(name, SERVICE)})
    assert texts(later) == texts(units)
    assert {*later.units} == {"z.service"} | {*units.units}


def test_a_file_over_the_cap_is_not_read():
    units = tree({"a.service": SERVICE + "#" * (1 << 20)})
    assert "too many" in texts(units, "error")[0]


def test_unknown_names_are_errors_with_a_suggestion_and_x_is_free():
    body = "[Unit]\nX-Mine=1\n[Servcie]\nA=1\n[Service]\nExecStrat=/bin/x\nExecStart=/bin/true\n"
    body += "Description=x\n[Socket]\n[X-Other]\nA=1\n[X-GitProc]\nEnable=no\n"
    assert texts(tree({"a.service": body})) == [
        "a.service:3: error: unknown section [Servcie]; did you mean [Service]?",
        "a.service:6: error: ExecStrat: unknown directive in [Service]; did you mean ExecStart=?",
        "a.service:8: error: Description: unknown directive in [Service]; it belongs in [Unit]",
        "a.service:9: error: [Socket] does not belong in a service unit",
        "a.service:13: error: Enable: unknown directive in [X-GitProc]; did you mean Enabled=?",
    ]
    assert "does not belong in a target" in texts(tree({"a.target": "[Service]\nNice=1\n"}))[0]


def test_drop_ins_take_effect_by_file_name_and_the_nearest_folder_counts():
    files = {
        "a-b.service": SERVICE + "Environment=F=main\n",
        "service.d/10.conf": "[Service]\nEnvironment=F=type\n",
        "service.d/90.conf": "[Service]\nEnvironment=F=type90\n",
        "a-.service.d/10.conf": "[Service]\nEnvironment=F=prefix\n",
        "a-.service.d/20.conf": "[Service]\nEnvironment=F=prefix20\n",
        "x/a-b.service.d/20.conf": "[Service]\nEnvironment=F=own20\n",
        "x/a-b.service.d/README": "not read",
    }
    units = tree(files)
    assert not texts(units)
    it = units.units["a-b.service"]
    assert it.drop_ins == ("a-.service.d/10.conf", "x/a-b.service.d/20.conf", "service.d/90.conf")
    assert it[d.ENVIRONMENT] == ("F=main", "F=prefix", "F=own20", "F=type90")
    assert it.where(d.ENVIRONMENT) == Location("service.d/90.conf", 2)


def test_an_instance_has_drop_ins_of_its_own_and_of_its_template():
    units = tree(
        {
            "a@.service": SERVICE,
            "a@.service.d/1.conf": "[Service]\nNice=1\n",
            "a@x.service.d/2.conf": "[Service]\nUMask=077\n",
        }
    )
    one, other = units.resolve("a@x.service"), units.resolve("a@y.service")
    assert one is not None
    assert other is not None
    assert (one[d.NICE], one[d.UMASK]) == (1, 0o077)
    assert (other[d.NICE], other[d.UMASK]) == (1, 0o022)
    assert "a@x.service" not in units.units


@pytest.mark.parametrize("mask", ["", Link("/dev/null")])
def test_an_empty_drop_in_hides_the_one_of_its_name_further_off(mask):
    units = tree(
        {
            "a.service": SERVICE,
            "service.d/1.conf": "[Service]\nNice=1\n",
            "a.service.d/1.conf": mask,
        }
    )
    assert units.units["a.service"][d.NICE] == 0


def test_drop_ins_in_each_others_way_and_for_nobody():
    units = tree(
        {
            "a.service": SERVICE,
            "p/a.service.d/1.conf": "[Service]\nNice=1\n",
            "q/a.service.d/1.conf": "[Service]\nNice=2\n",
            "gone.service.d/1.conf": "[Service]\nNice=2\n",
        }
    )
    assert texts(units) == [
        "gone.service.d/1.conf: warning: for gone.service, which is not in the tree: has no effect",
        "q/a.service.d/1.conf: error: p/a.service.d/1.conf has the same name for the same unit"
        + WHICH,
    ]


@pytest.mark.parametrize("mask", ["", Link("/dev/null"), Link("../../../dev/../dev/null")][:2])
def test_masks(mask):
    units = tree({"a.service": mask, "a.service.d/1.conf": "[Service]\nNice=1\n"})
    assert units.units["a.service"].masked
    assert not units.has_errors


def test_links_are_aliases():
    units = tree({"web/a.service": SERVICE, "b.service": Link("web/a.service")})
    assert units.aliases["b.service"] == "a.service"
    assert units.resolve("b.service") is units.units["a.service"]
    assert "b.service" not in units.units


def test_a_link_of_the_same_name_is_the_unit_itself():
    units = tree({"a.service": Link(".shared/a.service"), ".shared/a.service": SERVICE})
    assert not texts(units)
    assert units.units["a.service"].fragment == ".shared/a.service"


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"a.service": Link("../x.service")}, "leaves the tree"),
        ({"a.service": Link("/etc/x.service")}, "leaves the tree"),
        ({"conf": Link("/etc/shadow")}, "leaves the tree"),
        ({"a.service.d/1.conf": Link("../../x"), "a.service": SERVICE}, "leaves the tree"),
        ({"a.service": Link("b.service")}, "not in the tree"),
        ({"a.service": Link("b.service"), "b.service": Link("a.service")}, "circles"),
        ({"a.service": Link("conf"), "conf": SERVICE}, "conf is no unit file"),
        ({"a.service": Link("b.target"), "b.target": TARGET}, "cannot be an alias"),
        ({"a.service": Link("b@.service"), "b@.service": SERVICE}, "cannot be an alias"),
        ({"a@.service": Link("b.service"), "b.service": SERVICE}, "cannot be an alias"),
        ({"a@1.service": Link("b@2.service"), "b@2.service": SERVICE}, "instances differ"),
        ({"a.service": SERVICE, "a.service.d": Link("x"), "x/1.conf": ""}, "folder"),
    ],
)
def test_links_that_are_errors(files, word):
    found = texts(tree(files), "error")
    assert found
    assert all(word in line for line in found)


@pytest.mark.parametrize("case", table("syntax")["alias_links"])
def test_which_links_can_be_aliases(case):
    link, target = (case[key].rpartition("/")[2] for key in ("link", "target"))
    units = tree({"x/" + link: Link("../y/" + target), "y/" + target: SERVICE})
    assert (link in units.aliases) is case["valid"]
    assert bool(texts(units, "error")) is not case["valid"]


def test_alias_directives():
    files = {
        "a.service": SERVICE + "[Install]\nAlias=b.service c.service\n",
        "c.service.d/1.conf": "[Service]\nNice=5\n",
        "t@.service": SERVICE + "[Install]\nAlias=u@.service\n",
    }
    units = tree(files)
    assert not texts(units)
    assert units.aliases["b.service"] == "a.service"
    assert units.units["a.service"][d.NICE] == 5
    instance = units.resolve("u@1.service")
    assert instance is not None
    assert instance.name == "t@1.service"


def test_aliases_that_are_taken():
    units = tree(
        {
            "a.service": SERVICE + "[Install]\nAlias=b.service\n",
            "b.service": SERVICE + "[Install]\nAlias=x.service y.target\n",
            "c.service": SERVICE + "[Install]\nAlias=x.service\n",
        }
    )
    assert texts(units) == [
        "a.service:4: error: Alias: b.service is a unit of its own",
        "b.service:4: error: Alias: a target unit cannot be an alias of a service unit",
        "c.service:4: error: Alias: x.service is an alias of b.service already",
    ]


def test_the_default_target():
    assert tree({}).aliases["default.target"] == "multi-user.target"
    assert tree({"default.target": Link("graphical.target")}).aliases == {
        "default.target": "graphical.target"
    }
    own = tree({"my.target": TARGET + "[Install]\nAlias=default.target\n"})
    assert own.aliases["default.target"] == "my.target"
    assert not texts(own)
    assert "default.target" in tree({"default.target": TARGET}).units


def test_built_in_targets_are_there_when_mentioned():
    units = tree({"a.service": "[Unit]\nAfter=network-online.target\n" + SERVICE})
    assert {"multi-user.target", "basic.target", "network-online.target"} <= units.units.keys()
    assert "bluetooth.target" not in units.units
    assert units.resolve("bluetooth.target") is not None
    assert "network.target" in units.units["network-online.target"][d.AFTER]


def test_dependency_folders():
    units = tree(
        {
            "a.service": SERVICE,
            "b.service": SERVICE,
            "w@.service": SERVICE,
            "web/a.service.wants/b.service": Link("../../b.service"),
            "a.service.wants/w@1.service": Link("../w@.service"),
            "a.service.requires/gone.service": Link("../gone.service"),
            "a.service.wants/no name": Link("../b.service"),
        }
    )
    it = units.units["a.service"]
    assert it[d.WANTS] == ("b.service", "w@1.service")
    assert it[d.REQUIRES] == ("gone.service",)
    assert it.where(d.WANTS, "b.service") == Location("web/a.service.wants/b.service", 0)
    assert "w@1.service" in units.units
    assert texts(units) == ["a.service.wants/no name: error: 'no name' is not a valid unit name"]


def test_instances_that_are_pulled_in_are_there_and_pull_in_theirs():
    units = tree(
        {
            "a.service": "[Unit]\nRequires=x@1.service\nAfter=y@5.service\n" + SERVICE,
            "x@.service": "[Unit]\nWants=y@%i.service\n" + SERVICE,
            "y@.service": SERVICE,
        }
    )
    there = {name for name in units.units if "@" in name}
    assert there == {"x@1.service", "y@1.service"}
    assert units.templates == {"x@.service", "y@.service"}
    assert units.resolve("y@5.service") is not None
    assert units.resolve("z@5.service") is None
    assert units.resolve("x@.service") is None
    assert units.resolve("../etc") is None


def test_a_template_is_checked_without_instances():
    assert texts(tree({"x@.service": "[Service]\nExecStart=/bin/x %i\nNice=99\n"}), "error")


INSTALLED = SERVICE + "[Install]\nWantedBy=multi-user.target\n"


def test_a_default_instance_is_there_where_its_template_installs_it():
    files = {
        "x@.service": INSTALLED + "DefaultInstance=one\n",
        "y@.service": SERVICE + "[Install]\nDefaultInstance=one\n",
        "z@.service": SERVICE + "[Install]\nAlias=z.service\nDefaultInstance=%p-1\n",
        "x@two.service": SERVICE,
    }
    units = tree(files)
    assert texts(units) == []
    assert {n for n in units.units if "@" in n} == {
        "x@one.service",
        "x@two.service",
        "z@z-1.service",
    }
    assert units.units["x@one.service"][d.WANTED_BY] == ("multi-user.target",)
    assert units.aliases["z.service"] == "z@z-1.service"
    units = tree({"x@.service": INSTALLED + "DefaultInstance=a b\n"})
    assert texts(units) == [
        "x@.service:5: error: DefaultInstance: 'a b' is not a valid instance name"
    ]
    units = tree({"x.service": INSTALLED + "DefaultInstance=a\n"})
    assert texts(units) == [
        "x.service:5: warning: DefaultInstance: only a template has instances: it does nothing here"
    ]


def test_triggers():
    files = {
        "a.service": SERVICE + "[X-GitProc]\nRestartTriggers=conf/a.conf\nReloadTriggers=b\n",
        "conf/a.conf": "1",
        "b": Link("conf/c"),
        "conf/c": "2",
    }
    units = tree(files)
    assert not texts(units)
    it = units.units["a.service"]
    assert it.triggers == {
        p: source(q, files[q]).oid for p, q in (("conf/a.conf",) * 2, ("b", "conf/c"))
    }
    for path in ("conf/a.conf", "conf/c"):
        newer, changed = units.updated({path: source(path, "3")})
        assert changed == {"a.service"}
        assert newer.units["a.service"].fingerprint != it.fingerprint
    newer, changed = units.updated({"conf/a.conf": None})
    assert texts(newer, "error") == [
        "a.service:4: error: RestartTriggers: conf/a.conf is not a file of the repository"
    ]
    back, changed = newer.updated({"conf/a.conf": source("conf/a.conf", "1")})
    assert changed == {"a.service"}
    assert back.units["a.service"] == it


def test_enabled_is_only_said():
    assert not tree({"a.service": SERVICE + "[X-GitProc]\nEnabled=no\n"}).units["a.service"][
        d.ENABLED
    ]


def test_an_update_that_changes_nothing_is_the_same_set():
    units = tree({"a.service": SERVICE})
    assert units.updated({"a.service": source("a.service", SERVICE), "x": None}) == (
        units,
        frozenset(),
    )


def test_units_that_stay_are_the_same_objects():
    units = tree({"a.service": SERVICE, "b.service": SERVICE})
    newer, changed = units.updated({"a.service": source("a.service", SERVICE + "Nice=1\n")})
    assert changed == {"a.service"}
    assert newer.units["b.service"] is units.units["b.service"]
    assert units.units["a.service"][d.NICE] == 0


CONTENTS: list[tuple[str, list[str | None]]] = [
    ("a.service", [SERVICE, SERVICE + "Nice=1\n", "", None, "[Unit]\nWants=t@1.service\n" + SERVICE]),
    ("x/a.service", [None, SERVICE]),
    ("b.service", [SERVICE, None, SERVICE + "[Install]\nAlias=al.service\n", Link("a.service")]),
    ("al.service", [None, None, SERVICE, Link("/dev/null")]),
    ("t@.service", [None, SERVICE, "[Unit]\nWants=u@%i.service\n" + SERVICE, "", "[Service]\nNice=x\n"]),
    ("u@.service", [SERVICE, None, Link("t@.service"), SERVICE + "[Install]\nAlias=v@.service\n",
                    SERVICE + "[Install]\nRequiredBy=d.target\nDefaultInstance=2\n",
                    SERVICE + "[Install]\nAlias=al.service\nDefaultInstance=3\n"]),
    ("u@1.service", [None, Link("u@.service"), SERVICE, Link("t@.service")]),
    ("service.d/1.conf", [None, "[Service]\nUMask=077\n", "[Service]\nNoSuch=1\n"]),
    ("t@.service.d/1.conf", [None, "[Service]\nUMask=027\n", ""]),
    ("t@1.service.d/2.conf", [None, "[Service]\nUMask=007\n", Link("../conf")]),
    ("al.service.d/2.conf", [None, "[Service]\nNice=7\n"]),
    ("v@.service.d/5.conf", [None, "[Service]\nNice=5\n"]),
    ("t-v@.service", [None, None, Link("u@.service"), SERVICE]),
    ("t-.service.d/6.conf", [None, "[Service]\nNice=6\n"]),
    ("t-v@2.service.wants/b.service", [None, Link("x")]),
    ("d.target", ["[Unit]\nRequires=u@2.service t-v@3.service\nWants=v@4.service\n", None]),
    ("a.service.wants/b.service", [None, Link("../b.service"), Link("/dev/null")]),
    ("v@1.service.requires/basic.target", [None, Link("x")]),
    ("c.service", [SERVICE + "[X-GitProc]\nRestartTriggers=conf\n", None]),
    ("conf", ["1", "2", None, Link("conf2")]),
    ("conf2", ["3", None]),
    ("default.target", [None, Link("graphical.target"), TARGET]),
    ("w.target", [None, "[Unit]\nAfter=bluetooth.target\n[Install]\nAlias=default.target\n"]),
    ("bad name.service", [None, None, SERVICE]),
    ("s.socket", [None, None, "[Socket]\n"]),
    ("p.service", [SERVICE + "Slice=s-t.slice\n", SERVICE + "Slice=s-t-u.slice\n", None]),
    ("q.service", [None, "[Unit]\nAfter=s.slice -.slice\n" + SERVICE]),
    ("r@.service", [None, SERVICE + "Slice=r.slice\n"]),
    ("s.slice", [None, None, "[Slice]\n", "", Link("/dev/null")]),
    ("s-t.slice.d/1.conf", [None, "[Slice]\nTasksMax=5\n", "[Unit]\nAfter=v.slice\n"]),
    ("s-.slice.d/1.conf", [None, "[Slice]\nTasksMax=6\n", ""]),
    ("slice.d/2.conf", [None, "[Slice]\nTasksMax=7\n", "[Slice]\nNo=1\n"]),
    ("-.slice.d/3.conf", [None, "[Slice]\nTasksMax=8\n", ""]),
    ("r.slice.d/3.conf", [None, "[Slice]\nTasksMax=8\n"]),
    ("s.slice.wants/r@1.service", [None, Link("x")]),
]  # fmt: skip


def state(units: UnitSet):
    return (
        dict(units.units),
        dict(units.aliases),
        units.templates,
        texts(units),
        dict(units.files),
    )


@pytest.mark.parametrize("seed", range(40))
def test_an_updated_set_equals_a_fresh_one(seed):
    dice = random.Random(seed)
    files: dict[str, SourceFile] = {}
    units = load([], HOST)
    for _ in range(25):
        change: dict[str, SourceFile | None] = {}
        for path, contents in dice.sample(CONTENTS, dice.choice((1, 1, 1, 2, 5))):
            content = dice.choice(contents)
            change[path] = None if content is None else source(path, content)
        before = units
        units, changed = units.updated(change)
        for path, file in change.items():
            if file is None:
                files.pop(path, None)
            else:
                files[path] = file
        fresh = load(files.values(), HOST)
        assert state(units) == state(fresh)
        differ = {
            name
            for name in {*before.units, *units.units}
            if before.units.get(name) != units.units.get(name)
        }
        assert differ <= changed


def test_the_order_of_files_does_not_matter():
    files = [
        source(path, content)
        for path, contents in CONTENTS
        for content in [next((c for c in reversed(contents) if c is not None), None)]
        if content is not None
    ]
    first = state(load(files, HOST))
    dice = random.Random(1)
    for _ in range(5):
        dice.shuffle(files)
        assert state(load(files, HOST, LoadOptions())) == first


def many(count: int) -> list[SourceFile]:
    body = "[Unit]\nAfter=network.target\n[Service]\nUser=www-data\nRestart=always\nRestartSec=5\n"
    return [
        source(
            f"s{i}.service",
            f"{body}ExecStart=/bin/p --n {i}\n[Install]\nWantedBy=multi-user.target\n",
        )
        for i in range(count)
    ]


def test_a_changed_file_costs_next_to_nothing_among_ten_thousand():
    files = many(10_000)
    began = time.process_time()
    units = load(files, HOST)
    whole = time.process_time() - began
    assert not units.has_errors
    change = {"s5.service": source("s5.service", SERVICE)}

    def update() -> float:
        began = time.process_time()
        newer, changed = units.updated(change)
        assert not newer.has_errors
        spent = time.process_time() - began
        assert changed == {"s5.service"}
        return spent

    assert min(update() for _ in range(8)) < whole / 50


def test_a_folder_of_upholds_links():
    units = tree(
        {
            "a.service": SERVICE,
            "b.service": SERVICE,
            "a.service.upholds/b.service": Link("../b.service"),
        }
    )
    assert units.units["a.service"][d.TABLE["Unit.Upholds"]] == ("b.service",)


def test_a_link_that_one_folder_makes_and_another_masks():
    units = tree({
        "a.service": SERVICE, "b.service": SERVICE, "p/a.service.wants/b.service": Link("../../b.service"),
        "q/a.service.wants/b.service": Link("/dev/null"),
    })  # fmt: skip
    assert texts(units, "error") == [
        "q/a.service.wants/b.service: error: p/a.service.wants/b.service has the same name for the same unit"
        + WHICH
    ]


@pytest.mark.parametrize("path", ["x/y/b@.service", "x/y/b.service", "x/y/b@1.service"])
def test_a_link_to_its_own_name_where_nothing_is(path):
    link = Link("../b@.service" if "@" in path else "../b.service")
    for others in ({}, {"b@.service": SERVICE}, {"z/b@.service": SERVICE}):
        units = tree({path: link, **others})
        assert any(text.startswith(f"{path}: error: ") for text in texts(units))
        assert units.resolve("b@2.service") is None or others


def test_what_holds_for_all_services_is_taken_back_by_a_later_drop_in_alone():
    """The defaults of `units/service.d`, as the page on confining tells."""
    (defaults,) = (Path(__file__).parents[2] / "units/service.d").iterdir()
    back = "[Service]\nPrivateDevices=no\nSystemCallFilter=\nSystemCallFilter=@mount\n"
    it = tree(
        {
            f"service.d/{defaults.name}": defaults.read_text(),
            "plain.service": SERVICE,
            "own.service": f"{SERVICE}PrivateDevices=no\n",
            "later.service": SERVICE,
            "later.service.d/50-own.conf": back,
        }
    )
    assert texts(it, "error") == []
    found = {name: it.units[f"{name}.service"] for name in ("plain", "own", "later")}
    assert [x[sandbox.PRIVATE_DEVICES] for x in found.values()] == [True, True, False]
    assert found["later"][sandbox.SYSTEM_CALL_FILTER][-1].items == ("@mount",)
    assert found["later"][sandbox.NO_NEW_PRIVILEGES]


def test_which_drop_ins_an_instance_has_and_which_of_a_name_counts():
    """As systemd 252 chose, folder by folder taken away: a template's prefix is plain, an instance's is not."""
    folders = [
        "a-b-c@i.service", "a-b-c@.service", "a-b-.service", "a-.service", "a-b-@i.service", "a-b-@.service",
        "a-@i.service", "a-@.service", "service",
    ]  # fmt: skip
    files = {"a-b-c@.service": SERVICE}
    files |= {f"{x}.d/1.conf": f"[Unit]\nDescription={x}\n" for x in folders}
    units = tree(files)
    for folder in folders:
        unit = units.resolve("a-b-c@i.service")
        assert unit is not None and unit[d.DESCRIPTION] == folder
        units, _ = units.updated({f"{folder}.d/1.conf": None})
    assert folders[-1] == "service"


def test_dependency_folders_of_a_prefix_and_of_a_type():
    files = {
        "a-b.timer": "[Timer]\nOnBootSec=1\n",
        "a-b.service": SERVICE,
        "c.service": SERVICE,
        "e.service": SERVICE,
        "a-.timer.requires/c.service": Link("../c.service"),
        "timer.wants/e.service": Link("../e.service"),
        "slice.wants/c.service": Link("../c.service"),
    }
    units = tree(files)
    assert not texts(units)
    assert units.units["a-b.timer"][d.REQUIRES] == ("c.service",)
    assert units.units["a-b.timer"][d.WANTS] == ("e.service",)
    assert units.units["-.slice"][d.WANTS] == ("c.service",)
    less, changed = units.updated({"timer.wants/e.service": None, "slice.wants/c.service": None})
    assert less.units["a-b.timer"][d.WANTS] == ()
    assert changed == {"a-b.timer", "-.slice"}


@pytest.mark.parametrize(
    "folder", ["multi-user.target.d", "default.target.d", "target.d", "multi-.target.d"]
)
def test_drop_ins_of_a_built_in_target(folder):
    path = f"{folder}/50.conf"
    units = tree({"a.service": SERVICE, path: "[Unit]\nUpholds=a.service\n"})
    assert not texts(units)
    target = units.units["multi-user.target"]
    assert target[d.UPHOLDS] == ("a.service",)
    assert target[d.REQUIRES] == ("basic.target",), "what it says itself stays"
    assert units.files_of("multi-user.target") == target.drop_ins == (path,)
    without, changed = units.updated({path: None})
    assert "multi-user.target" in changed
    assert without.units["multi-user.target"][d.UPHOLDS] == ()
