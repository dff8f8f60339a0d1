"""Inside the machine: GitProc itself as gitproc.service, with services of its own."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
REPOSITORY = Path("/etc/gitproc/services")
UNIT = "gitproc.service"
SCOPE = "gitproc-units.scope"
NAMES = ("first", "second", "limited")
UNITS = {
    "first.service": "[Service]\nExecStart=/usr/bin/sleep infinity\n"
    "ExecStopPost=/bin/sh -c 'echo first >> /run/stopped'\n",
    "second.service": "[Unit]\nRequires=first.service\nAfter=first.service\n"
    "[Service]\nExecStart=/usr/bin/sleep infinity\n"
    "ExecStopPost=/bin/sh -c 'sleep 0.3; echo second >> /run/stopped'\n",
    "limited.service": "[Service]\nExecStart=/usr/bin/sleep infinity\nMemoryMax=32M\nTasksMax=7\n",
}


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert not check or done.returncode == 0, (command, done.stdout, done.stderr, journal())
    return done.stdout.strip()


def journal():
    command = ["journalctl", "-b", "-n", "60", "-u", UNIT, "-u", SCOPE, "--no-pager"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, journal()
        time.sleep(0.05)


def shown(prop, unit=UNIT):
    return run("systemctl", "show", f"--property={prop}", "--value", unit)


def pid(name):
    out = run("gitproc", "show", f"{name}.service", "-p", "MainPID", check=False)
    return int(out.partition("=")[2] or 0)


def running(process):
    return Path(f"/proc/{process}").exists()


def git(*words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    return run("git", "-C", str(REPOSITORY), *identity, *words)


@pytest.fixture(scope="module", autouse=True)
def installed():
    Path("/etc/systemd/system", UNIT).write_text((PROJECT / "packaging" / UNIT).read_text())
    run("systemctl", "daemon-reload")
    run("gitproc", "init")
    for name, text in UNITS.items():
        (REPOSITORY / name).write_text(f"{text}[Install]\nWantedBy=multi-user.target\n")
    git("add", "-A")
    git("commit", "-qm", "three services")
    yield
    run("systemctl", "stop", UNIT)


@pytest.fixture
def up():
    run("systemctl", "start", UNIT)
    wait_for(lambda: all(pid(name) for name in NAMES))
    return {name: pid(name) for name in NAMES}


def unharmed(before):
    wait_for(lambda: {name: pid(name) for name in NAMES} == before)
    groups = Path(f"/proc/{before['limited']}/cgroup").read_text().strip().removeprefix("0::")
    assert f"/{SCOPE}/" in groups
    group = Path("/sys/fs/cgroup" + groups)
    assert (group / "memory.max").read_text() == f"{32 << 20}\n"
    assert (group / "pids.max").read_text() == "7\n"


def test_the_services_are_outside_the_managers_cgroup(up):
    unharmed(up)
    manager = Path("/sys/fs/cgroup" + shown("ControlGroup"))
    titles = run(
        "ps", "-o", "args=", "-p", ",".join((manager / "cgroup.procs").read_text().split())
    )
    assert "gitprocd" in titles or "gitproc daemon" in titles
    assert "gitproc-shim" not in titles
    assert "sleep" not in titles


def test_restart_keeps_every_pid(up):
    main = shown("MainPID")
    started = time.monotonic()
    run("systemctl", "restart", UNIT)
    print(f"restart: {(time.monotonic() - started) * 1e3:.0f} ms")
    assert shown("MainPID") != main
    unharmed(up)


def test_kill_9_keeps_every_pid(up):
    main = shown("MainPID")
    os.kill(int(main), signal.SIGKILL)
    wait_for(lambda: shown("ActiveState") == "active" and shown("MainPID") not in ("0", main))
    unharmed(up)


def test_a_service_killed_meanwhile_is_replaced(up):
    os.kill(int(shown("MainPID")), signal.SIGSTOP)
    old = up["first"]
    os.kill(old, signal.SIGKILL)
    os.kill(int(shown("MainPID")), signal.SIGKILL)
    unit = REPOSITORY / "first.service"
    unit.write_text(unit.read_text().replace("[Service]\n", "[Service]\nRestart=always\n"))
    git("commit", "-qam", "first: restart")
    wait_for(lambda: pid("first") not in (0, old))


def test_stop_is_in_order_and_a_start_works_again(up):
    Path("/run/stopped").unlink(missing_ok=True)
    started = time.monotonic()
    run("systemctl", "stop", UNIT)
    print(f"stop: {(time.monotonic() - started) * 1e3:.0f} ms")
    assert Path("/run/stopped").read_text().split() == ["second", "first"]
    wait_for(lambda: shown("ActiveState", SCOPE) == "inactive")
    assert not any(map(running, up.values()))
    assert shown("Result") == "success"
    run("systemctl", "start", UNIT)
    wait_for(lambda: all(pid(name) for name in NAMES))


def test_shutdown_stops_in_order(up):
    """A target that conflicts with both makes the very jobs that shutdown.target makes."""
    Path("/run/stopped").unlink(missing_ok=True)
    Path("/run/systemd/system/end.target").write_text(
        f"[Unit]\nDefaultDependencies=no\nConflicts={UNIT} {SCOPE}\nAfter={UNIT} {SCOPE}\n"
    )
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "end.target")
    assert Path("/run/stopped").read_text().split() == ["second", "first"]
    assert not any(map(running, up.values()))
    run("systemctl", "stop", "end.target")
    Path("/run/systemd/system/end.target").unlink()
    run("systemctl", "daemon-reload")
