"""Path units in a whole machine: each kind, with real files."""

from __future__ import annotations

import pytest

from tests.e2e.harness import shell, until

pytestmark = pytest.mark.root
KINDS = ("exists", "glob", "changed", "modified", "spool", "linked")


def files(root) -> dict[str, str]:
    watched = root / "watched"
    wanted = {
        "exists": f"PathExists={watched}/deep/er/flag",
        "glob": f"PathExistsGlob={watched}/drop/*.job",
        "changed": f"PathChanged={watched}/config",
        "modified": f"PathModified={watched}/journal",
        "spool": f"DirectoryNotEmpty={watched}/spool\nMakeDirectory=yes\nDirectoryMode=0700",
        "linked": f"PathChanged={watched}/link",
    }
    tidy = {
        "exists": f"rm {watched}/deep/er/flag",
        "glob": f"rm {watched}/drop/*",
        "spool": f"rm {watched}/spool/*",
    }
    found = {}
    for name, lines in wanted.items():
        found[f"{name}.path"] = f"[Path]\n{lines}\n[Install]\nWantedBy=paths.target\n"
        script = f"echo $TRIGGER_PATH >> {root}/{name}.log; {tidy.get(name, 'true')}"
        found[f"{name}.service"] = f"[Service]\nType=oneshot\nExecStart={shell(script)}\n"
    return found


def runs(machine, name: str) -> list[str]:
    path = machine.root / f"{name}.log"
    return path.read_text().splitlines() if path.exists() else []


def triggered(machine, name: str, count: int) -> None:
    until(lambda: len(runs(machine, name)) >= count, f"{name} runs for the {count}. time")
    until(lambda: machine.unit(f"{name}.path")["sub_state"] == "waiting", f"{name} waits again")
    assert len(runs(machine, name)) == count


def test_each_kind_of_path(machine):
    watched = machine.root / "watched"
    watched.mkdir()
    for name in ("config", "journal", "target"):
        (watched / name).write_text("old\n")
    (watched / "link").symlink_to("target")
    machine.deploy(files(machine.root))
    assert (watched / "spool").stat().st_mode & 0o777 == 0o700
    assert {machine.unit(f"{kind}.path")["sub_state"] for kind in KINDS} == {"waiting"}
    assert not any(runs(machine, kind) for kind in KINDS)

    (watched / "deep" / "er").mkdir(parents=True)
    (watched / "deep" / "er" / "flag").touch()
    triggered(machine, "exists", 1)
    assert runs(machine, "exists") == [f"{watched}/deep/er/flag"]
    (watched / "drop").mkdir()
    (watched / "drop" / "other").touch()
    (watched / "drop" / "a.job").touch()
    triggered(machine, "glob", 1)
    (watched / "spool" / ".hidden").touch()
    (watched / "spool" / "letter").touch()
    triggered(machine, "spool", 1)

    with (watched / "config").open("w") as file:
        file.write("new\n")
        file.flush()
        with (watched / "journal").open("a") as other:
            other.write("one\n")
            other.flush()
            triggered(machine, "modified", 1)  # at the write, before it is closed
            assert runs(machine, "changed") == []
    triggered(machine, "changed", 1)
    (watched / "config.new").write_text("newer\n")
    (watched / "config.new").replace(watched / "config")
    triggered(machine, "changed", 2)
    (watched / "target2").write_text("x")
    (watched / "link.new").symlink_to("target2")
    (watched / "link.new").replace(watched / "link")
    triggered(machine, "linked", 1)

    # The manager is killed; what happens meanwhile is not lost, and nothing happens twice.
    before = {kind: len(runs(machine, kind)) for kind in KINDS}
    machine.kill_manager(wait=False)
    (watched / "config.new").write_text("while it was down\n")
    (watched / "config.new").replace(watched / "config")
    (watched / "deep" / "er" / "flag").touch()
    machine.ready()
    triggered(machine, "changed", before["changed"] + 1)
    triggered(machine, "exists", before["exists"] + 1)
    for kind in ("glob", "linked", "spool"):
        assert len(runs(machine, kind)) == before[kind]
    assert "TriggeredBy: ● changed.path" in machine.gitproc("status", "changed.service").out

    # A stopped path unit watches no more; a removed one neither.
    machine.gitproc("stop", "exists.path")
    count = len(runs(machine, "exists"))
    (watched / "deep" / "er" / "flag").touch()
    machine.deploy({"glob.path": None})
    (watched / "drop" / "b.job").touch()
    (watched / "spool" / "second").touch()
    triggered(machine, "spool", 2)  # by then the others would have run
    assert len(runs(machine, "exists")) == count
    assert len(runs(machine, "glob")) == 1


def test_a_path_that_stays_ends_in_the_start_limit(machine):
    flag = machine.root / "flag"
    flag.touch()
    machine.repository.commit(
        {
            "loop.path": f"[Path]\nPathExists={flag}\n[Install]\nWantedBy=paths.target\n",
            "loop.service": "[Unit]\nStartLimitIntervalSec=1h\n"
            "[Service]\nType=oneshot\nExecStart=/bin/true\n",
        }
    )
    machine.wait("loop.path", "failed")
    assert machine.unit("loop.path")["result"] == "unit-start-limit-hit"
    assert machine.unit("loop")["result"] == "start-limit-hit"
    assert len(machine.events("unit.triggered", "loop.service")) == 5
