"""What the tests inside the machine ask and do: systemd, the installed GitProc, its repository."""

import subprocess
import time
from pathlib import Path

REPOSITORY = Path("/etc/gitproc/services")
UNIT = "gitproc.service"
SCOPE = "gitproc-units.scope"
CGROUPS = Path("/sys/fs/cgroup")
STOPPED = Path("/var/lib/stopped")  # not in /run: it is read after a reboot
NAMES = ("first", "second", "limited")
UNITS = {
    "first.service": "[Service]\nExecStart=/usr/bin/sleep infinity\n"
    f"ExecStopPost=/bin/sh -c 'echo first >> {STOPPED}'\n",
    "second.service": "[Unit]\nRequires=first.service\nAfter=first.service\n"
    "[Service]\nExecStart=/usr/bin/sleep infinity\n"
    f"ExecStopPost=/bin/sh -c 'sleep 0.3; echo second >> {STOPPED}'\n",
    "limited.service": "[Service]\nExecStart=/usr/bin/sleep infinity\n"
    "MemoryMax=32M\nTasksMax=7\nCPUQuota=50%\n",
}


def run(*command, check=True):
    """A command's output, without the newline."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=200
    )
    assert not check or done.returncode == 0, (command, done.stdout, done.stderr, journal())
    return done.stdout.strip()


def journal():
    command = ["journalctl", "-b", "-n", "60", "-u", UNIT, "-u", SCOPE, "--no-pager"]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False
    ).stdout


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, journal()
        time.sleep(0.05)
    return found


def shown(prop, unit=UNIT):
    """A property that systemd shows."""
    return run("systemctl", "show", f"--property={prop}", "--value", unit)


def asked(name, prop):
    """A property that GitProc shows."""
    return run("gitproc", "show", f"{name}.service", "-p", prop, check=False).partition("=")[2]


def pid(name):
    return int(asked(name, "MainPID") or 0)


def running(process):
    return Path(f"/proc/{process}").exists()


def group(process):
    """The cgroup of a process, in the unified tree."""
    line = Path(f"/proc/{process}/cgroup").read_text().strip()
    return Path(f"{CGROUPS}{line.removeprefix('0::')}")


def git(*words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    return run("git", "-C", str(REPOSITORY), *identity, *words)


def commit(files, *, wanted=True):
    """Commit unit files that the default target wants, or that are started on demand; None removes one."""
    for name, text in files.items():
        if text is None:
            (REPOSITORY / name).unlink()
        else:
            install = "[Install]\nWantedBy=multi-user.target\n" if wanted else ""
            (REPOSITORY / name).write_text(text + install)
    git("add", "-A")
    git("commit", "-qm", "units")


def up():
    """Start GitProc if need be; the PIDs of the three services."""
    run("systemctl", "start", UNIT)
    wait_for(lambda: all(pid(name) for name in NAMES))
    return {name: pid(name) for name in NAMES}


def unharmed(before):
    """Fail unless every service is the process it was, in its place and with its limits."""
    wait_for(lambda: {name: pid(name) for name in NAMES} == before)
    limited = group(before["limited"])
    assert f"/{SCOPE}/" in str(limited)
    assert (limited / "memory.max").read_text() == f"{32 << 20}\n"
    assert (limited / "pids.max").read_text() == "7\n"
    assert (limited / "cpu.max").read_text() == "50000 100000\n"
