"""Units out of systemd's folders, merged as systemd merges them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitproc.errors import SourceError
from gitproc.source.systemd_folders import folders_below
from gitproc.units.loader import load
from gitproc.units.specifiers import Host

LIB, ETC, RUN = "usr/lib/systemd/system", "etc/systemd/system", "run/systemd/system"
UNIT = "[Service]\nExecStart=/bin/sleep 1\n"
INSTALL = UNIT + "[Install]\nWantedBy=multi-user.target\n"


@pytest.fixture
def system(tmp_path):
    """Files given as `path=text`; `-> target` makes a link. `lib` is a link to `usr/lib`."""

    def make(**files):
        for path, text in files.items():
            at = tmp_path / path
            at.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                at.symlink_to(text.removeprefix("-> "))
            else:
                at.write_text(text)
        if (tmp_path / "usr/lib").is_dir() and not (tmp_path / "lib").exists():
            (tmp_path / "lib").symlink_to("usr/lib")
        return folders_below(tmp_path)

    return make


def texts(taken):
    return {
        path: f"-> {file.link}" if file.link is not None else file.data.decode()
        for path, file in taken.files.items()
    }


def test_the_highest_file_counts_and_drop_ins_of_all_folders_add_up(system):
    folders = system(**{
        f"{LIB}/a-b.service": "low", f"{ETC}/a-b.service": INSTALL,
        f"{LIB}/a-b.service.d/1.conf": "low 1", f"{RUN}/a-b.service.d/1.conf": "high 1",
        f"{LIB}/a-b.service.d/2.conf": "2", f"{ETC}/a-.service.d/3.conf": "3",
        f"{ETC}/service.d/4.conf": "4", f"{ETC}/a-b.service.d/2.conf": "-> /dev/null",
        f"{ETC}/a-b.service.d/README": "no", f"{ETC}/multi-user.target.wants/a-b.service": "-> /x",
    })  # fmt: skip
    taken = folders.take("a-b.service")
    assert texts(taken) == {
        "a-b.service": INSTALL,
        "a-b.service.d/1.conf": "high 1",
        "a-b.service.d/3.conf": "3",
        "a-b.service.d/4.conf": "4",
    }
    assert taken.enabled is True
    assert taken.origin.endswith(f"{ETC}/a-b.service")


def test_what_nothing_wants_is_not_enabled_here_either(system):
    folders = system(**{f"{LIB}/a.service": INSTALL, f"{LIB}/b.service": UNIT})
    a, b = folders.take("a.service"), folders.take("b.service")
    assert (a.enabled, b.enabled) == (False, None)
    assert "Enabled=no" in texts(a)["a.service.d/90-not-enabled.conf"]
    assert texts(b) == {"b.service": UNIT}
    units = load([*a.files.values(), *b.files.values()], Host())
    assert not units.diagnostics


def test_what_only_a_link_says_becomes_a_link(system):
    folders = system(**{
        f"{LIB}/a.service": UNIT, f"{LIB}/sysinit.target.wants/a.service": "-> ../a.service",
        f"{LIB}/a.service.requires/b.service": "-> ../b.service", f"{LIB}/b.service": UNIT,
        f"{LIB}/x.target.wants/b.service": "-> ../b.service",
        f"{ETC}/x.target.wants/b.service": "-> /dev/null",
    })  # fmt: skip
    assert texts(folders.take("a.service")) == {
        "a.service": UNIT,
        "sysinit.target.wants/a.service": "-> ../a.service",
        "a.service.requires/b.service": "-> ../b.service",
    }
    assert texts(folders.take("b.service")) == {
        "b.service": UNIT,
        "a.service.requires/b.service": "-> ../b.service",
    }


def test_aliases_masks_and_files_from_elsewhere(system, tmp_path):
    folders = system(**{
        f"{LIB}/a.service": INSTALL + "Alias=b.service\n", f"{ETC}/b.service": f"-> /{LIB}/a.service",
        f"{LIB}/c.service": "-> a.service", f"{LIB}/m.service": UNIT,
        f"{ETC}/m.service": "-> /dev/null", "opt/x.service": UNIT,
        f"{ETC}/linked.service": "-> /opt/x.service", f"{ETC}/empty.service": "",
    })  # fmt: skip
    assert folders.take("b.service").name == "a.service"
    assert "b.service" not in folders.take("b.service").files
    assert texts(folders.take("c.service"))["c.service"] == "-> a.service"
    masked = folders.take("m.service")
    assert (masked.masked, texts(masked)) == (True, {"m.service": "-> /dev/null"})
    assert folders.take("empty.service").masked
    assert texts(folders.take("linked.service")) == {"linked.service": UNIT}
    assert folders.take("none.service") is None


def test_instances_bring_their_template(system):
    folders = system(**{
        f"{LIB}/g@.service": INSTALL, f"{ETC}/getty.target.wants/g@1.service": "-> ../g@.service",
        f"{ETC}/g@1.service.d/x.conf": "own", f"{ETC}/g@.service.d/y.conf": "all",
    })  # fmt: skip
    assert texts(folders.take("g@1.service")) == {
        "g@.service": INSTALL,
        "getty.target.wants/g@1.service": "-> ../g@.service",
        "g@1.service.d/x.conf": "own",
        "g@.service.d/y.conf": "all",
    }


def test_a_default_instance_is_as_enabled_as_it_was(system):
    unit = f"{INSTALL}DefaultInstance=1\n"
    one, two = "getty.target.wants/g@1.service", "getty.target.wants/g@2.service"
    system(**{f"{LIB}/g@.service": unit, f"{ETC}/{two}": "-> ../g@.service"})
    taken = system().take("g@2.service")
    assert "Enabled=no" in texts(taken)["g@1.service.d/90-not-enabled.conf"]
    assert not load(taken.files.values(), Host()).diagnostics
    taken = system(**{f"{ETC}/{one}": "-> ../g@.service"}).take("g@2.service")
    assert texts(taken) == {"g@.service": unit, two: "-> ../g@.service"}


def test_what_cannot_be_read_is_said(system, tmp_path):
    folders = system(
        **{f"{LIB}/loop.service": "-> loop.service", f"{LIB}/gone.service": "-> nothing"}
    )
    (tmp_path / LIB / "folder.service").mkdir()
    for name in ("loop.service", "gone.service", "folder.service"):
        with pytest.raises(SourceError, match="cannot"):
            folders.take(name)


@pytest.mark.parametrize("name", ["cron.service", "nginx.service"])
def test_a_unit_of_debian(name):
    folders = folders_below(Path("/"))
    taken = folders.take(name)
    if taken is None:
        pytest.skip(f"{name} is not installed")
    assert b"ExecStart=" in taken.files[name].data
    assert not load(taken.files.values(), Host()).has_errors
