"""Inside the machine, after its reboot: how it went down and came up, and what a removal leaves."""

import shutil
from pathlib import Path

from tests.vm.inside.machine import (
    CGROUPS,
    NAMES,
    REPOSITORY,
    SCOPE,
    STOPPED,
    UNIT,
    pid,
    run,
    running,
    shown,
    unharmed,
    up,
    wait_for,
)

NEW = max(Path("/debs").glob("*.deb"))
STATE, LOGS, CONFIG = (Path(f"/{x}/gitproc") for x in ("var/lib", "var/log", "etc"))


def test_the_reboot_stopped_all_in_order():
    assert STOPPED.read_text().split() == ["second", "first"]


def test_all_came_up_with_the_machine():
    assert shown("ActiveState") == "active"
    wait_for(lambda: all(pid(name) for name in NAMES))
    unharmed({name: pid(name) for name in NAMES})
    assert run("systemctl", "--failed", "--no-legend") == ""


def test_a_removal_stops_all_in_order_and_keeps_what_it_says():
    before = up()
    STOPPED.unlink()
    said = run("dpkg", "--remove", "gitproc")
    assert STOPPED.read_text().split() == ["second", "first"]
    wait_for(lambda: not any(map(running, before.values())))
    wait_for(lambda: not (CGROUPS / "system.slice" / SCOPE).exists())
    assert "kept: /etc/gitproc with the repository, /var/lib/gitproc, /var/log/gitproc" in said
    assert (CONFIG / "config.toml").exists()
    assert (REPOSITORY / "first.service").exists()
    assert (STATE / "state.json").exists() or any(STATE.iterdir())
    assert (LOGS / "daemon.log").exists()
    assert not Path("/usr/lib/gitproc").exists()
    assert shutil.which("gitproc") is None
    assert not Path("/run/gitproc.sock").exists()


def test_installed_again_it_goes_on():
    run("dpkg", "-i", str(NEW))
    unharmed(up())


def test_a_purge_takes_state_and_logs_and_never_the_repository():
    head = run("git", "-C", str(REPOSITORY), "rev-parse", "HEAD")
    said = run("dpkg", "--purge", "gitproc")
    assert "removed: state and logs" in said
    assert "kept: the repository /etc/gitproc/services" in said
    assert not STATE.exists()
    assert not LOGS.exists()
    assert not (CONFIG / "config.toml").exists()
    assert run("git", "-C", str(REPOSITORY), "rev-parse", "HEAD") == head
    assert not list(Path("/etc/systemd/system").rglob(UNIT))
    assert run("systemctl", "list-units", "--all", "--no-legend", "gitproc*") == ""


def test_installed_after_a_purge_it_takes_the_repository_over():
    said = run("dpkg", "-i", str(NEW))
    assert "next, commit" not in said
    unharmed(up())
    run("systemctl", "stop", UNIT)
