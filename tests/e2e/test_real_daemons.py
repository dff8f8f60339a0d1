"""Daemons of Debian by their shipped unit files, unchanged, each proven by a real request.

They run together in one machine of their own (`private.py`), but for those that want the same port.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.debian_daemons import FLEET, NAMES, PREPARE, SHIPPED, Daemon
from tests.e2e.harness import DEADLINE, alive, until
from tests.e2e.private import PrivateMachine

pytestmark = [pytest.mark.root, pytest.mark.debian]


def here(daemon: Daemon) -> Daemon:
    if not daemon.installed:
        pytest.skip(f"{daemon.name} is not installed: tools/debian does it")
    return daemon


def works(machine: PrivateMachine, daemon: Daemon) -> int:
    """Wait until it does; its main process, which the daemon's own PID file names too."""
    until(
        lambda: machine.inside(daemon.works).status == 0,
        f"{daemon.name} works\n{machine.log(daemon.name)}",
    )
    main = machine.unit(daemon.name)["main_pid"]
    if daemon.pid_file:
        until(
            lambda: machine.read(daemon.pid_file).strip() == str(main),
            f"{daemon.pid_file} says {main}",
        )
    assert alive(main)
    return int(main)


def processes(machine: PrivateMachine, name: str) -> set[int]:
    group = machine.group_of(name)
    return {int(pid) for pid in (group / "cgroup.procs").read_text().split()}


def ports(machine: PrivateMachine) -> set[int]:
    """Where somebody listens in the machine's network."""
    tables = "/proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6"
    lines = machine.inside(f"cat {tables}").out.splitlines()
    found = [re.match(r" *\d+: \w+:(\w{4}) \w+:0000 (0A|07) ", line) for line in lines]
    return {int(x[1], 16) for x in found if x}


def mounts(machine: PrivateMachine) -> list[str]:
    """What is mounted where, in the order of the places."""
    lines = machine.read(f"/proc/{machine.manager}/mountinfo").splitlines()
    return sorted(line.split()[4] for line in lines)


def gone(machine: PrivateMachine, daemon: Daemon, everyone: set[int], group: Path) -> None:
    """Nothing of a stopped daemon is left."""
    assert not any(alive(pid) for pid in everyone)
    assert not group.exists()
    assert daemon.port not in ports(machine)
    unit = machine.unit(daemon.name)
    assert (unit["active_state"], unit["result"], unit["main_pid"]) == ("inactive", "success", None)
    if f"PIDFile={daemon.pid_file}" in machine.gitproc("cat", daemon.name).out.replace(
        "%i", "15-main"
    ):
        assert not machine.read(daemon.pid_file)


def prepared() -> Iterator[PrivateMachine]:
    with PrivateMachine() as machine:
        machine.start()
        assert (done := machine.inside(PREPARE)).status == 0, done
        yield machine


@pytest.fixture
def private() -> Iterator[PrivateMachine]:
    yield from prepared()


@pytest.fixture(scope="module")
def fleet() -> Iterator[PrivateMachine]:
    """All of the fleet in one commit, at work."""
    for machine in prepared():
        members = [x for x in FLEET if x.installed]
        files = {name: text for x in members for name, text in x.shipped().items()}
        for member in members:
            for name, target in member.links:
                (machine.repository.work / name).parent.mkdir()
                (machine.repository.work / name).symlink_to(target)
        machine.deploy(files)
        for member in members:
            works(machine, member)
        yield machine


def test_nobody_notices_that_the_manager_dies(fleet):
    before = {name: pid for name, pid in fleet.pids().items() if pid}
    assert len(before) == sum(x.installed for x in FLEET)
    for _ in range(2):
        fleet.kill_manager()
        assert {name: fleet.pids()[name] for name in before} == before


@pytest.mark.parametrize("daemon", FLEET, ids=lambda x: x.name)
def test_reload_restart_crash_and_stop(fleet, daemon):
    here(daemon)
    name = daemon.name
    before = mounts(fleet)
    first = works(fleet, daemon)
    if daemon.reloads:
        assert (done := fleet.gitproc("reload", daemon.reloads)).status == 0, done
        assert works(fleet, daemon) == first
    elif "ExecReload=" not in fleet.gitproc("cat", name).out:
        assert "reload" in (done := fleet.gitproc("reload", name)).err, done
        assert works(fleet, daemon) == first

    assert (done := fleet.gitproc("restart", name)).status == 0, done
    second = works(fleet, daemon)
    assert second != first
    assert not alive(first)

    everyone = processes(fleet, name)
    os.kill(second, signal.SIGKILL)
    if not daemon.killed:
        until(lambda: fleet.unit(name)["main_pid"] not in (second, None), "it is back")
    else:
        unit = fleet.wait(name, "failed")
        assert (unit["result"], unit["exec_main_status"]) == (daemon.killed, 9)
        assert not any(alive(pid) for pid in everyone)
        assert (done := fleet.gitproc("start", name)).status == 0, done
    works(fleet, daemon)

    everyone, group = processes(fleet, name), fleet.group_of(name)
    assert (done := fleet.gitproc("stop", name)).status == 0, done
    gone(fleet, daemon, everyone, group)
    assert mounts(fleet) == before
    assert fleet.gitproc("start", name).status == 0
    works(fleet, daemon)


@pytest.mark.parametrize("name", ["nginx", "prometheus-node-exporter", "cron"])
def test_commits_change_it_live_or_by_restart_and_are_taken_back(fleet, name):
    daemon = here(NAMES[name])
    drop_in = f"{name}.service.d/10-site.conf"
    first = works(fleet, daemon)
    shipped = fleet.git("rev-parse", "HEAD")

    fleet.deploy({drop_in: "[Service]\nMemoryMax=200M\nTasksMax=300\n"})
    assert fleet.pids()[name] == first
    assert fleet.unit(name)["memory_max"] == 200 << 20

    fleet.deploy({drop_in: "[Service]\nNice=1\n"})
    second = works(fleet, daemon)
    assert second != first
    assert not alive(first)
    assert os.getpriority(os.PRIO_PROCESS, second) == 1

    fleet.deploy({drop_in: "[Service]\nExecStart=\nRestrat=always\n"}, "refused")
    assert f"{drop_in}:3: error: Restrat" in fleet.gitproc("status").out
    assert works(fleet, daemon) == second

    assert fleet.gitproc("rollback", shipped).status == 0
    until(lambda: fleet.pids()[name] not in (second, None), "the shipped one runs again")
    third = works(fleet, daemon)
    assert os.getpriority(os.PRIO_PROCESS, third) == os.getpriority(os.PRIO_PROCESS, 0)


def test_postgresql_follows_its_umbrella(fleet):
    daemon = here(NAMES["postgresql@15-main"])
    first = works(fleet, daemon)
    assert (done := fleet.gitproc("restart", "postgresql")).status == 0, done
    second = works(fleet, daemon)
    assert second != first
    everyone, group = processes(fleet, daemon.name), fleet.group_of(daemon.name)
    assert fleet.gitproc("stop", "postgresql").status == 0
    until(lambda: fleet.unit(daemon.name)["active_state"] == "inactive", "it stops, too")
    gone(fleet, daemon, everyone, group)
    assert fleet.gitproc("start", "postgresql").status == 0
    works(fleet, daemon)


def test_nginx_reloads_without_losing_its_master(fleet):
    daemon = here(NAMES["nginx"])
    master = works(fleet, daemon)
    workers = processes(fleet, "nginx") - {master}
    assert workers
    assert fleet.gitproc("reload", "nginx").status == 0
    until(lambda: not any(alive(pid) for pid in workers), "the old workers leave")
    assert works(fleet, daemon) == master


def test_a_session_of_ssh_outlives_a_restart(fleet):
    daemon = here(NAMES["ssh"])
    server = works(fleet, daemon)
    options = "-o StrictModes=no -o AuthorizedKeysFile=/etc/ssh/test_key.pub -o UsePAM=no"
    fleet.inside(
        f"ssh-keygen -qN '' -f /etc/ssh/test_key; echo 'SSHD_OPTS=\"{options}\"' >>/etc/default/ssh"
    )
    assert fleet.gitproc("restart", "ssh").status == 0
    assert works(fleet, daemon) != server
    ask = "ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i /etc/ssh/test_key 127.0.0.1"
    assert fleet.inside(f"{ask} cat /proc/self/cgroup").out.count("/ssh\n")
    session = fleet.follow_inside(f"{ask} 'echo here; cat'")
    assert session.stdout.readline() == "here\n"
    assert fleet.gitproc("restart", "ssh").status == 0
    works(fleet, daemon)
    assert session.communicate("still\n", timeout=DEADLINE)[0] == "still\n"
    assert session.wait(DEADLINE) == 0


def test_haproxy_has_the_log_in_its_own_tree(fleet):
    main = works(fleet, here(NAMES["haproxy"]))
    inside = Path(f"/proc/{main}/root/var/lib/haproxy/dev/log")
    assert inside.is_socket()
    assert inside.samefile(f"/proc/{fleet.manager}/root/dev/log")
    assert fleet.inside("test -S /var/lib/haproxy/dev/log").status == 1


def test_logrotate_runs_and_its_timer_waits(fleet):
    for name in ("logrotate.timer", "logrotate.service"):
        if not (SHIPPED / name).exists():
            pytest.skip("logrotate is not installed: tools/debian does it")
    fleet.deploy({x: (SHIPPED / x).read_text() for x in ("logrotate.timer", "logrotate.service")})
    timer = fleet.unit("logrotate.timer")
    assert (timer["active_state"], timer["sub_state"]) == ("active", "waiting")
    assert [x["name"] for x in timer["triggers"]] == ["logrotate.service"]
    assert re.search(r"Trigger: \w{3} \S+ 0[01]:", fleet.gitproc("status", "logrotate.timer").out)
    assert not fleet.read("/var/lib/logrotate/status")
    assert (done := fleet.gitproc("start", "logrotate")).status == 0, done
    assert "logrotate state" in fleet.read("/var/lib/logrotate/status")
    assert fleet.unit("logrotate")["result"] == "success"
    print(timer, fleet.gitproc("status", "logrotate.timer").out)


def test_a_reload_that_ends_the_daemon_is_no_failure(fleet):
    """The exporter's own ExecReload= sends it a SIGHUP, which it does not catch."""
    daemon = here(NAMES["prometheus-node-exporter"])
    works(fleet, daemon)
    fleet.gitproc("reload", daemon.name)
    unit = fleet.wait(daemon.name, "inactive")
    assert (unit["result"], unit["exec_main_code"], unit["exec_main_status"]) == (
        "success",
        "killed",
        1,
    )
    assert fleet.gitproc("start", daemon.name).status == 0
    works(fleet, daemon)


def removed(machine: PrivateMachine, *names: str) -> None:
    """Their files are in no commit any more."""
    machine.deploy(dict.fromkeys(x for x in names if (machine.repository.work / x).exists()))


def test_apache_whose_main_process_is_guessed(fleet):
    daemon = here(
        Daemon(
            "apache2",
            "curl -sS -o /dev/null http://127.0.0.1/",
            pid_file="/run/apache2/apache2.pid",
            port=80,
        )
    )
    removed(fleet, "nginx.service")
    fleet.deploy(daemon.shipped())
    master = works(fleet, daemon)
    workers = processes(fleet, "apache2") - {master}
    assert fleet.gitproc("reload", "apache2").status == 0
    until(lambda: not any(alive(pid) for pid in workers), "the old workers leave")
    assert works(fleet, daemon) == master
    assert (done := fleet.gitproc("restart", "apache2")).status == 0, done
    assert works(fleet, daemon) != master
    everyone, group = processes(fleet, "apache2"), fleet.group_of("apache2")
    assert (done := fleet.gitproc("stop", "apache2")).status == 0, done
    gone(fleet, daemon, everyone, group)
    removed(fleet, "apache2.service")


def test_micro_httpd_has_an_instance_for_each_connection(fleet):
    files = ("micro-httpd.socket", "micro-httpd@.service")
    if not (SHIPPED / files[0]).exists():
        pytest.skip("micro-httpd is not installed: tools/debian does it")
    removed(fleet, "nginx.service")
    fleet.deploy({x: (SHIPPED / x).read_text() for x in files})
    assert 80 in ports(fleet)

    def instances() -> list[str]:
        units = fleet.units().items()
        return [name for name, x in units if name.startswith("micro-httpd@") and x["main_pid"]]

    assert not instances()
    page = "curl -sS http://127.0.0.1/"
    assert fleet.inside(page).out == "hello\n"
    held = [fleet.follow_inside("exec nc 127.0.0.1 80") for _ in range(3)]
    until(lambda: len(instances()) == 3, "three wait for their request")

    def owners() -> set[int]:
        return {Path(f"/proc/{fleet.unit(x)['main_pid']}").stat().st_uid for x in instances()}

    until(lambda: owners() == {pwd.getpwnam("www-data").pw_uid}, "each is who it is to be")
    fleet.kill_manager()
    assert len(instances()) == 3
    assert fleet.inside(page).out == "hello\n"
    for client in held:
        assert "hello\n" in client.communicate("GET / HTTP/1.0\r\n\r\n", timeout=DEADLINE)[0]
    until(lambda: not any(x.startswith("micro-httpd@") for x in fleet.units()), "all have ended")
    assert fleet.gitproc("stop", "micro-httpd.socket").status == 0
    assert 80 not in ports(fleet)
    removed(fleet, *files)


def test_a_connection_starts_ssh(fleet):
    daemon = here(NAMES["ssh"])
    off = "ssh.service.d/90-not-enabled.conf"  # as `gitproc import` says it
    socket_unit = (SHIPPED / "ssh.socket").read_text()
    fleet.deploy({"ssh.socket": socket_unit, off: "[X-GitProc]\nEnabled=no\n"})
    until(lambda: not fleet.unit("ssh").get("main_pid"), "it has stopped")
    assert fleet.unit("ssh.socket")["sub_state"] == "listening"
    assert 22 in ports(fleet)
    works(fleet, daemon)
    assert fleet.unit("ssh.socket")["sub_state"] == "running"
    assert fleet.gitproc("stop", "ssh.socket", "ssh").status == 0
    assert 22 not in ports(fleet)
    removed(fleet, "ssh.socket", off)


def test_nothing_is_left_of_them(fleet):
    before = mounts(fleet)
    fleet.deploy(dict.fromkeys(fleet.git("ls-files").splitlines()))
    assert not fleet.units()
    assert not ports(fleet)
    assert mounts(fleet) == before
    left = set(fleet.inside("find /run -name '*.pid' -o -type s").out.split())
    assert left <= {  # which the daemons themselves leave, and no PIDFile= names
        "/run/crond.pid",
        "/run/haproxy.pid",
        "/run/haproxy-master.sock",
        "/run/haproxy/admin.sock",
    }
