"""What a unit asks of its processes is so: limits, users, directories, namespaces, logs, and a clean end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.harness import CONFIG, alive, service, shell, until

pytestmark = pytest.mark.root

PYTHON = "/usr/bin/python3 -I -S"


def lines(machine, name="a"):
    return machine.log(name).splitlines()


def field(pid, name):
    text = Path(f"/proc/{pid}/status").read_text()
    return next(x for x in text.splitlines() if x.startswith(f"{name}:")).split()[1:]


def test_a_process_that_eats_too_much_is_told_from_one_that_was_killed(machine):
    eat = f"{PYTHON} -c 'x = bytearray(200 << 20)'"
    machine.commit({"a.service": service(eat, "Type=exec\nMemoryMax=40M"), "b.service": service()})
    unit = machine.wait("a", "failed")
    assert unit["result"] == "oom-kill"
    assert (unit["exec_main_code"], unit["exec_main_status"]) == ("killed", signal.SIGKILL)
    assert machine.events("unit.oom-kill", "a.service")
    assert "oom-kill" in machine.gitproc("status", "a").out
    assert machine.unit("b")["active_state"] == "active"


def test_a_fork_bomb_is_held(machine):
    bomb = "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.1)\n"
    machine.repository.write({"bomb.py": bomb})
    command = f"{PYTHON} ${{GITPROC_TREE}}/bomb.py"
    machine.commit({"a.service": service(command, "TasksMax=12\nTimeoutStopSec=2")})
    until(lambda: machine.unit("a").get("tasks", 0) == 12, "it has grown to its limit")
    group = machine.group_of("a")
    assert len((group / "cgroup.procs").read_text().split()) <= 12
    assert machine.gitproc("stop", "a").status == 0
    assert not group.exists()


def test_a_cpu_quota_is_the_kernel_s(machine):
    machine.deploy({"a.service": service(settings="CPUQuota=25%")})
    pid = machine.pids()["a"]

    def quota():
        group = machine.group_of("a", "cpu")
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period)

    assert quota() == 0.25
    machine.deploy({"a.service": service(settings="CPUQuota=150%")})
    assert quota() == 1.5
    assert machine.pids()["a"] == pid


ESCAPE = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for stubborn in (False, True):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if not stubborn: signal.signal(signal.SIGTERM, signal.SIG_DFL)
            print(os.getpid(), flush=True)
            while True: time.sleep(100)
        os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
time.sleep(1000)
"""


def test_who_leaves_parent_and_session_is_stopped_all_the_same(machine):
    machine.repository.write({"escape.py": ESCAPE})
    command = f"{PYTHON} ${{GITPROC_TREE}}/escape.py"
    machine.deploy({"a.service": service(command, "TimeoutStopSec=1")})
    escaped = [int(x) for x in until(lambda: len(lines(machine)) == 2 and lines(machine), "both")]
    assert all(alive(pid) for pid in escaped)
    assert machine.gitproc("stop", "a").status == 0
    assert not any(alive(pid) for pid in escaped)


def test_a_private_pid_namespace_hides_the_others_and_not_the_exit(machine):
    see = "echo pid $$$$ sees $$(ls -d /proc/[0-9]* | wc -l); sleep 1000 & wait; exit 7"
    files = {
        "a.service": service(
            f"/bin/sh -c '{see}'", "Type=exec\nPrivatePIDs=yes\nSuccessExitStatus=9"
        )
    }
    machine.deploy(files)
    line = until(lambda: lines(machine), "it speaks")[0].split()
    assert int(line[1]) < 10
    assert int(line[3]) < 6
    pid = machine.pids()["a"]
    assert Path(f"/proc/{pid}/comm").read_text() == "sh\n"  # the service itself, seen from outside
    children = Path(f"/proc/{pid}/task/{pid}/children")
    child = until(lambda: children.read_text().split(), "it has begun to wait")[-1]
    os.kill(int(child), signal.SIGKILL)
    unit = machine.wait("a", "failed")
    assert (unit["exec_main_code"], unit["exec_main_status"]) == ("exited", 7)
    assert unit["result"] == "exit-code"
    assert machine.gitproc("start", "a").status == 0
    os.kill(machine.pids()["a"], signal.SIGKILL)
    unit = machine.wait("a", "failed")
    assert (unit["exec_main_code"], unit["exec_main_status"]) == ("killed", 9)


def test_user_directories_environment_and_limits(machine, unique):
    nobody = pwd.getpwnam("nobody")
    show = "echo $RUNTIME_DIRECTORY $STATE_DIRECTORY $WHO $(id -u) $(umask) $(pwd); exec sleep 1000"
    settings = f"""User=nobody
RuntimeDirectory={unique}
StateDirectory={unique}/deep
RuntimeDirectoryMode=0750
WorkingDirectory=/tmp
Environment="WHO=you and" I=me
UMask=0027
LimitNOFILE=321
Nice=3
"""
    try:
        machine.deploy({"a.service": service(shell(show), settings)})
        run, state = Path(f"/run/{unique}"), Path(f"/var/lib/{unique}")
        until(lambda: lines(machine), "it speaks")
        assert lines(machine) == [f"{run} {state}/deep you and {nobody.pw_uid} 0027 /tmp"]
        pid = machine.pids()["a"]
        assert set(field(pid, "Uid")) == {str(nobody.pw_uid)}
        assert set(field(pid, "Gid")) == {str(nobody.pw_gid)}
        assert "321" in Path(f"/proc/{pid}/limits").read_text().split("Max open files")[1].split()
        assert os.getpriority(os.PRIO_PROCESS, pid) == 3
        assert (run.stat().st_uid, run.stat().st_mode & 0o777) == (nobody.pw_uid, 0o750)
        machine.gitproc("stop", "a")
        assert not run.exists()
        assert (state / "deep").exists()
    finally:
        for made in (f"/run/{unique}", f"/var/lib/{unique}"):
            shutil.rmtree(made, ignore_errors=True)


def test_a_user_that_does_not_exist_fails_that_unit_alone(machine):
    machine.commit({"a.service": service(settings="User=nobody-at-all"), "b.service": service()})
    unit = machine.wait("a", "failed")
    assert unit["exec_main_status"] == 217
    assert "nobody-at-all" in machine.gitproc("status", "a").out
    machine.wait("b")


def test_any_user_can_open_its_output_again(machine):
    say = "echo plain; echo again > /dev/stdout; echo error > /dev/stderr; exec sleep 1000"
    machine.deploy({"a.service": service(shell(say), "User=nobody")})
    until(lambda: len(lines(machine)) == 3, "all is there")
    assert lines(machine) == ["plain", "again", "error"]


def test_notify_ready_status_and_main_process(machine):
    code = (
        "import os, socket, time\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect(os.environ['NOTIFY_SOCKET'])\n"
        "s.send(b'STATUS=warming up')\n"
        f"while not os.path.exists('{machine.root}/go'): time.sleep(0.01)\n"
        "s.send(b'READY=1\\nSTATUS=at work')\n"
        "time.sleep(1000)\n"
    )
    machine.repository.write({"n.py": code})
    machine.commit(
        {
            "n.service": service(f"{PYTHON} ${{GITPROC_TREE}}/n.py", "Type=notify\nUser=nobody"),
            "later.service": service(unit="After=n.service"),
        }
    )
    until(lambda: machine.unit("n").get("status_text") == "warming up", "it says so")
    assert machine.unit("n")["active_state"] == "activating"
    assert machine.unit("later")["active_state"] == "inactive"
    machine.kill_manager()
    (machine.root / "go").touch()
    machine.wait("n")
    machine.wait("later")
    assert "at work" in machine.gitproc("status", "n").out


def test_forking_with_a_pid_file(machine):
    file = machine.root / "pid"
    fork = shell(f"sleep 1000 & echo $! > {file}")
    machine.deploy({"a.service": service(fork, f"Type=forking\nGuessMainPID=no\nPIDFile={file}")})
    pid = int(file.read_text())
    assert machine.pids()["a"] == pid
    machine.kill_manager()
    assert machine.pids()["a"] == pid
    os.kill(pid, signal.SIGKILL)
    unit = machine.wait("a", "failed")
    assert (unit["exec_main_code"], unit["exec_main_status"]) == ("killed", 9)


def test_logs_rotate_and_no_line_is_lost(machines):
    machine = machines(config=f'{CONFIG}[logs]\nmax_bytes = "64K"\nfiles = 40\n')
    count = 50000
    say = f"{PYTHON} -c 'for i in range({count}): print(i)'"
    machine.deploy({"a.service": service(say, "Type=oneshot")})
    until(lambda: lines(machine)[-1:] == [str(count - 1)], "all is written")
    assert lines(machine) == [str(n) for n in range(count)]
    parts = sorted(machine.logs.glob("a.log*"))
    assert len([x for x in parts if not x.name.endswith(".index")]) > 1
    assert machine.gitproc("logs", "a", "-n", "15000").out.count("\n") == 15000


def test_a_command_runs_in_the_group_of_what_was_just_killed(machine):
    """ExecStopPost= after the SIGKILL of a service that ignores SIGTERM (a group once killed through
    `cgroup.kill` would kill it at birth)."""
    note = machine.root / "note"
    stubborn = shell('trap "" TERM; echo deaf; while :; do sleep 1000; done')
    settings = f"TimeoutStopSec=1\nExecStopPost=/usr/bin/touch {note}"
    machine.deploy({"a.service": service(stubborn, settings)})
    until(lambda: machine.log("a"), "it ignores SIGTERM")
    machine.gitproc("stop", "a")
    assert note.exists()
    assert machine.unit("a")["result"] == "timeout"
