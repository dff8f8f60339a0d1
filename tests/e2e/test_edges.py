"""Where rules meet: what counts as no change, ends that drag on, disks that fill, repositories that break."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.e2e.harness import CONFIG, DEADLINE, WANTED, alive, service, shell, stopped, until

pytestmark = pytest.mark.root


def test_what_means_the_same_restarts_nothing(machine):
    machine.deploy({"a.service": service(settings="Environment=A=1\nNice=1")})
    before = machine.pids()
    machine.deploy({"a.service": "# words\n" + service(settings="Environment=A=1\n\nNice = 1 ")})
    machine.deploy(
        {"a.service": None, "web/a.service": service(settings="Environment=A=1\nNice=1")}
    )
    machine.deploy({"web/a.service.d/x.conf": "[Service]\nNice=1\n"})
    assert machine.unit("a")["fragment"] == "web/a.service"
    assert machine.pids() == before
    machine.deploy({"web/a.service": service(), "web/a.service.d/x.conf": None})
    assert machine.pids() != before


def test_masks_and_enabled_no(machine):
    machine.deploy({"a.service": service(), "b.service": service(), "c.service": service()})
    before = machine.pids()
    (machine.repository.work / "a.service").unlink()
    (machine.repository.work / "a.service").symlink_to("/dev/null")
    machine.deploy({"b.service.d/off.conf": "[X-GitProc]\nEnabled=no\n"})
    units = machine.units()
    (masked,) = machine.rpc("status", units=["a.service"])["units"]
    assert (masked["active_state"], masked["load_state"]) == ("inactive", "masked")
    assert units["b"]["active_state"] == "inactive"
    assert units["c"]["main_pid"] == before["c"]
    assert machine.gitproc("start", "a").status == 1
    assert machine.gitproc("start", "b").status == 0


def test_a_commit_mends_at_once_what_waits_for_its_restart(machine):
    machine.commit({"a.service": service("/bin/false", "Restart=always\nRestartSec=1000")})
    machine.wait("a", "auto-restart")
    machine.deploy({"a.service": service(settings="Restart=always\nRestartSec=1000")})
    assert machine.unit("a")["sub_state"] == "running"
    os.kill(machine.pids()["a"], signal.SIGKILL)
    machine.wait("a", "auto-restart")
    machine.kill_manager()
    assert machine.unit("a")["sub_state"] == "auto-restart"
    assert machine.gitproc("start", "a").status == 0
    os.kill(machine.pids()["a"], signal.SIGKILL)
    machine.wait("a", "auto-restart")
    assert machine.gitproc("stop", "a").status == 0
    assert machine.unit("a")["active_state"] == "inactive"


def test_an_end_in_the_middle_of_a_start(machine):
    machine.commit(
        {
            "a.service": service(settings=f"ExecStartPre={shell('sleep 1000')}"),
            "b.service": service(unit="Requires=a.service\nAfter=a.service"),
        }
    )
    machine.wait("a", "start-pre")
    machine.stop()


def test_the_manager_is_killed_while_it_stops_everything(machine):
    go, note = machine.root / "go", machine.root / "note"
    slow = shell(f"while ! test -e {go}; do sleep 0.02; done; echo stopped >> {note}")
    machine.deploy(
        {
            "a.service": service(settings=f"ExecStop={slow}"),
            "b.service": service(unit="After=a.service"),
        }
    )
    pids = machine.pids()
    assert machine.shim is not None
    machine.shim.send_signal(signal.SIGTERM)
    machine.wait("a", "stop")
    machine.kill_manager()
    assert machine.unit("a")["sub_state"] == "stop"
    assert not alive(pids["b"])
    go.touch()
    assert machine.shim.wait(DEADLINE) == 0
    assert note.read_text() == "stopped\n"
    assert not alive(pids["a"])


def test_a_manager_that_cannot_start_any_more_does_not_keep_the_daemon_from_ending(machines):
    machine = machines()
    last = machine.root / "last"
    machine.deploy(
        {
            "good.service": service(
                shell(f'trap "echo term >{last}; exit" TERM; echo up; while :; do sleep 0.1; done')
            ),
            "deaf.service": service(shell('trap "" TERM; echo up; while :; do sleep 1; done')),
        }
    )
    for name in ("good", "deaf"):
        until(lambda n=name: machine.log(n), f"{name} is ready")
    pids = machine.pids()
    machine.config_file.write_text("[this is no TOML")
    machine.kill_manager(wait=False)
    until(lambda: "config.toml" in machine.said(), "the manager says what is wrong")
    assert machine.shim is not None
    began = time.monotonic()
    machine.shim.terminate()
    assert machine.shim.wait(DEADLINE) == 1
    assert time.monotonic() - began < 45
    assert "no manager comes" in machine.said()
    assert last.read_text() == "term\n"
    assert not any(alive(pid) for pid in pids.values())
    machine.config_file.write_text(CONFIG)
    machine.start()  # and its end clears away what is left: groups, the socket


def test_who_does_not_listen_is_killed_in_time(machine):
    deaf = 'trap "" TERM; echo deaf; while :; do sleep 1000; done'
    machine.deploy({"a.service": service(shell(deaf), "TimeoutStopSec=1")})
    until(lambda: machine.log("a"), "it ignores SIGTERM")
    pid = machine.pids()["a"]
    begin = time.monotonic()
    assert machine.gitproc("stop", "a").status == 0
    assert time.monotonic() - begin < 45
    assert not alive(pid)
    assert machine.unit("a")["result"] == "timeout"


def test_bound_units_follow_and_conflicting_ones_give_way(machine):
    machine.deploy(
        {
            "base.service": service(),
            "bound.service": service(unit="BindsTo=base.service\nAfter=base.service"),
            "part.service": service(unit="PartOf=base.service"),
            "rival.service": f"[Unit]\nConflicts=base.service\n{service()}".replace(WANTED, ""),
        }
    )
    before = machine.pids()
    machine.gitproc("restart", "base")
    three = ("base", "bound", "part")
    until(lambda: all(machine.pids()[n] not in (before[n], None) for n in three), "all are others")
    assert machine.gitproc("start", "rival").status == 0
    until(lambda: machine.unit("bound")["active_state"] == "inactive", "it leaves with its base")
    assert machine.unit("base")["active_state"] == "inactive"


def test_a_process_of_a_dead_main_is_cleared_away(machine):
    machine.deploy({"a.service": service(shell("sleep 1000 & echo $!; exec sleep 1000"))})
    child = int(until(lambda: machine.log("a"), "it speaks"))
    os.kill(machine.pids()["a"], signal.SIGKILL)
    machine.wait("a", "failed")
    assert not alive(child)


def test_logs_of_any_bytes(machine):
    machine.deploy(
        {
            "a.service": service(
                shell(r'printf "\\377\\000\\033[31mred"; sleep 0.01; printf half; exec sleep 1000')
            ),
            "long.service": service(
                shell("head -c 3000000 /dev/zero | tr \\\\0 x; exec sleep 1000")
            ),
        }
    )
    log, long = machine.logs / "a.log", machine.logs / "long.log"
    until(lambda: log.exists() and log.read_bytes().endswith(b"half"), "all is there")
    assert log.read_bytes() == b"\xff\0\x1b[31mredhalf"
    assert machine.gitproc("logs", "a").status == 0
    assert "half" in machine.gitproc("status", "a").out
    until(lambda: long.exists() and long.stat().st_size == 3000000, "all of it")
    assert machine.gitproc("logs", "long").status == 0
    assert machine.gitproc("status", "long").status == 0


def test_a_full_log_disk_stops_no_service(machines):
    machine = machines(start=False)
    machine.logs.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(machine.logs)], check=True
    )
    machine.mounts.append(machine.logs)
    count = machine.root / "count"
    chatty = "import os\nn = 0\nwhile True:\n  os.write(1, b'x' * 4095 + b'\\n'); n += 1\n"
    chatty += f"  open('{count}', 'w').write(str(n))\n"
    machine.repository.write({"chatty.py": chatty})
    machine.start()
    machine.deploy(
        {
            "a.service": service("/usr/bin/python3 -I -S ${GITPROC_TREE}/chatty.py"),
            "b.service": service(),
        }
    )
    until(lambda: count.exists() and int(count.read_text() or 0) > 1000, "it goes on writing")
    pids = machine.pids()
    assert machine.gitproc("restart", "b").status == 0
    machine.kill_manager()
    assert machine.pids()["a"] == pids["a"]
    assert machine.gitproc("status").status == 0
    machine.gitproc("stop", "a")
    assert not alive(pids["a"])


def test_a_broken_repository_stops_nothing(machine):
    machine.deploy({"a.service": service()})
    pids = machine.pids()
    objects = machine.repository.path / ".git/objects"
    objects.rename(objects.with_name("gone"))  # at once: a note may be being written
    objects.mkdir()
    machine.gitproc("sync")
    assert machine.pids() == pids
    machine.kill_manager()
    until(lambda: machine.status()["commit"]["error"], "status says it")
    assert machine.pids() == pids
    machine.stop()
    machine.start()
    machine.wait("a")


def test_a_damaged_journal_is_said_and_survived(machine):
    machine.deploy({"a.service": service()})
    pids = machine.pids()
    manager = machine.manager
    os.kill(manager, signal.SIGSTOP)
    until(lambda: stopped(manager), "it stands")
    (journal,) = machine.state.glob("journal*")
    data = journal.read_bytes()
    journal.write_bytes(data[:-7])
    machine.kill_manager()
    assert machine.pids() == pids
    machine.deploy({"b.service": service()})
    assert machine.pids()["a"] == pids["a"]


def test_many_commits_in_a_row(machine):
    machine.deploy({"a.service": service()})
    pid = machine.pids()["a"]
    for number in range(15):
        last = machine.commit({f"n{number % 5}.service": service(f"/bin/sleep {1000 + number}")})
    machine.verdict(last)
    units = machine.units()
    assert len(units) == 6
    assert units["a"]["main_pid"] == pid
    assert "/bin/sleep 1014 ;" in machine.gitproc("show", "n4", "-p", "ExecStart", "--value").out


def test_a_start_with_the_limits_of_a_slow_start(machines):
    machine = machines(config=f'{CONFIG}[defaults]\ntimeout_start = "300ms"\n')
    machine.commit({"a.service": service(settings=f"ExecStartPre={shell('sleep 1000')}")})
    assert machine.wait("a", "failed")["result"] == "timeout"


def test_services_of_others_reach_what_they_need_whatever_the_umask_of_the_shell(machines):
    machine = machines(start=False)
    machine.prefix = ["/bin/sh", "-c", 'umask 077; exec "$@"', "sh"]
    machine.start()
    reach = f"test -r $GITPROC_TREE/a.service && test -w {machine.root}/run/gitproc/notify"
    machine.deploy({"a.service": service(shell(reach), "Type=oneshot\nUser=nobody")})
