"""Inside the machine, before its reboot: the package is installed, and upgraded under running services."""

import grp
from pathlib import Path

from tests.vm.inside.machine import (
    NAMES,
    REPOSITORY,
    UNIT,
    UNITS,
    commit,
    group,
    pid,
    run,
    shown,
    unharmed,
    up,
    wait_for,
)

OLD, NEW = sorted(Path("/debs").glob("*.deb"))


def version():
    return run("gitproc", "--version").split()[1]


def test_the_installation_starts_the_manager_and_says_the_next_step():
    said = run("dpkg", "-i", str(OLD))
    assert "next, commit unit files" in said
    assert grp.getgrnam("gitproc").gr_gid
    assert (REPOSITORY / ".git").is_dir()
    assert shown("ActiveState") == "active"
    assert shown("UnitFileState") == "enabled"
    assert version() == OLD.name.split("_")[1]
    missing = run("dpkg", "--verify", "gitproc", check=False).splitlines()
    assert [x for x in missing if "/share/doc" not in x and "/share/man" not in x] == []
    assert list(Path("/usr/lib/gitproc/gitproc/cli/__pycache__").glob("fast.*.pyc"))


def test_a_commit_runs_in_the_unified_tree_below_the_scope():
    commit(UNITS)
    before = up()
    unharmed(before)
    assert (group(before["first"]) / "memory.max").read_text() == "max\n"
    assert not Path("/sys/fs/cgroup/unified").exists()


def test_an_upgrade_keeps_every_pid():
    before = up()
    main = shown("MainPID")
    config = Path("/etc/gitproc/config.toml")
    config.write_text(config.read_text() + "\n# a line of the administrator's\n")
    run("dpkg", "-i", str(NEW))
    assert version() == NEW.name.split("_")[1] != OLD.name.split("_")[1]
    assert shown("ActiveState") == "active"
    assert shown("MainPID") != main
    unharmed(before)
    assert "administrator" in config.read_text()
    status = run("gitproc", "status")
    assert version() in status


def test_an_upgrade_starts_nothing_that_was_stopped_and_enables_nothing_that_was_disabled():
    up()
    run("systemctl", "stop", UNIT)
    run("systemctl", "disable", UNIT)
    said = run("dpkg", "-i", str(NEW))
    assert "next, commit" not in said
    assert len(run("git", "-C", str(REPOSITORY), "log", "--oneline").splitlines()) == 1
    assert shown("ActiveState") == "inactive"
    assert shown("UnitFileState") == "disabled"
    run("systemctl", "enable", UNIT)
    run("systemctl", "start", UNIT)
    wait_for(lambda: all(pid(name) for name in NAMES))
