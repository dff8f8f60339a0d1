"""Inside the machine: Debian's daemons by their shipped unit files, in the unified tree and beside a systemd."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.debian_daemons import FLEET, NAMES, PREPARE, SHIPPED
from tests.vm.inside.machine import (
    REPOSITORY,
    UNIT,
    asked,
    git,
    group,
    pid,
    run,
    running,
    up,
    wait_for,
)

SOCKETS = ("micro-httpd.socket", "micro-httpd@.service")


def works(daemon):
    """Wait until it does; its main process."""
    wait_for(
        lambda: (
            subprocess.run(["sh", "-c", daemon.works], capture_output=True, check=False).returncode
            == 0
        ),
        60,
    )
    if daemon.pid_file:
        wait_for(lambda: Path(daemon.pid_file).read_text().strip() == str(pid(daemon.name)))
    return pid(daemon.name)


def listens(port):
    return bool(run("ss", "-Hln", "sport", "=", f":{port}"))


@pytest.fixture(scope="module", autouse=True)
def fleet():
    """All of them in one commit, at work; in none again at the end."""
    up()
    run("sh", "-c", PREPARE)
    for daemon in FLEET:
        assert run("systemctl", "is-active", daemon.name, check=False) == "inactive"
        for name, text in daemon.shipped().items():
            (REPOSITORY / name).write_text(text)
        for name, target in daemon.links:
            (REPOSITORY / name).parent.mkdir()
            (REPOSITORY / name).symlink_to(target)
    git("add", "-A")
    git("commit", "-qm", "The daemons of a server")
    yield
    git(
        "rm",
        "-rq",
        *(x for daemon in FLEET for x in (*daemon.unit_files, *(y for y, _ in daemon.links))),
    )
    git("commit", "-qm", "No daemons")
    wait_for(lambda: not any(pid(daemon.name) for daemon in FLEET), 60)


@pytest.mark.timeout(300)
def test_all_of_them_work_and_go_on_without_the_manager():
    before = {daemon.name: works(daemon) for daemon in FLEET}
    assert all("gitproc" in str(group(main)) for main in before.values())
    run("systemctl", "restart", UNIT)
    for daemon in FLEET:
        assert works(daemon) == before[daemon.name], run("gitproc", "history", daemon.name)


@pytest.mark.parametrize("name", NAMES)
def test_reload_restart_and_stop(name):
    daemon = NAMES[name]
    first = works(daemon)
    if daemon.reloads:
        run("gitproc", "reload", daemon.reloads)
        assert works(daemon) == first, run("gitproc", "history", name)
    run("gitproc", "restart", name)
    second = works(daemon)
    assert second != first
    wait_for(lambda: not running(first))
    at = group(second)
    run("gitproc", "stop", name)
    wait_for(lambda: not at.exists())
    assert not daemon.port or not listens(daemon.port)
    assert asked(name, "Result") == "success"


def test_a_socket_of_the_shipped_unit_has_an_instance_for_each_connection():
    for name in SOCKETS:
        (REPOSITORY / name).write_text((SHIPPED / name).read_text())
    git("add", "-A")
    git("commit", "-qm", "micro-httpd")
    wait_for(lambda: listens(80))
    assert run("curl", "-sS", "http://127.0.0.1/") == "hello"
    git("rm", "-q", *SOCKETS)
    git("commit", "-qm", "No micro-httpd")
    wait_for(lambda: not listens(80))
