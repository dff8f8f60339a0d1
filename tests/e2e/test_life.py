"""The life of services by the notify protocol, watchdog, deadlines and Type=, with real processes.

One machine holds the services of all tests that can share it: each is told what to do by a file in its own
folder, and does it.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE, KEEP, Machine, alive, service, shell, until
from tests.e2e.life_table import LOST, losing

pytestmark = pytest.mark.root

PYTHON = "/usr/bin/python3 -I -S"
# A service that sends what it finds in the file of its name, one message a line, `|` between its lines.
# READY=1 is said at once unless a second argument says not to; of signals it tells in its log.
DAEMON = r"""
import array, os, signal, socket, sys, time
orders = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])

def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

def reload(signo, frame):
    print("reload", signo, flush=True)
    s.send(b"RELOADING=1\nMONOTONIC_USEC=%d" % now())
    if not os.path.exists(orders + ".hang"):
        s.send(b"READY=1\nSTATUS=reloaded")

signal.signal(signal.SIGHUP, reload)
signal.signal(signal.SIGUSR1, reload)
print(os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID") == str(os.getpid()), flush=True)
if "mute" not in sys.argv:
    s.send(b"READY=1")
while True:
    time.sleep(0.02)
    if os.path.exists(orders):
        text = open(orders).read()
        os.unlink(orders)
        if text == "exit\n":
            break
        s.send(text.strip().replace("|", "\n").encode())
"""


@pytest.fixture(scope="module")
def shared():
    """A machine for all tests of this module that leave others' services alone."""
    with Machine(config=KEEP) as machine:
        machine.repository.write({"daemon.py": DAEMON})
        yield machine.start()


def daemon(machine: Machine, name: str, settings: str, *arguments: str) -> str:
    """The text of a service that does as it is told."""
    words = " ".join((str(machine.root / name), *arguments))
    return service(f"{PYTHON} ${{GITPROC_TREE}}/daemon.py {words}", settings)


def tell(machine: Machine, name: str, message: str, deadline: float = DEADLINE) -> None:
    """Have the daemon `name` send a message; `|` stands between its lines."""
    path = machine.root / name
    path.with_suffix(".new").write_text(f"{message}\n")
    path.with_suffix(".new").rename(path)
    until(lambda: not path.exists(), f"{name} has sent it", deadline)


def sent(machine: Machine, name: str, message: str, deadline: float = DEADLINE) -> None:
    """As `tell`; the service manager has taken it in: a status that follows is there."""
    tell(machine, name, message, deadline)
    mark = f"mark {os.urandom(4).hex()}"
    tell(machine, name, f"STATUS={mark}", deadline)

    def taken() -> bool:
        return machine.unit(name).get("status_text") == mark

    until(taken, f"{name}: {message} is taken in", deadline)


def test_a_service_that_hangs_is_aborted_and_restarted(shared):
    settings = "Type=notify\nWatchdogSec=1\nRestart=on-watchdog\nRestartSec=0"
    again = "[Unit]\nStartLimitIntervalSec=0\n"
    shared.commit({"dog.service": again + daemon(shared, "dog", settings)})
    shared.wait("dog")
    first = shared.pids()["dog"]
    until(lambda: shared.log("dog").startswith("1000000 True"), "it knows its interval")
    restarted = until(lambda: shared.events("unit.restarting", "dog.service"), "it is restarted")
    assert restarted[0]["data"]["result"] == "watchdog"
    until(lambda: shared.pids()["dog"] not in (first, None), "another one runs")
    exits = shared.events("unit.main-exited", "dog.service")
    assert exits[0]["data"] == {"code": "killed", "status": signal.SIGABRT}
    shared.kill_manager()
    count = len(shared.events("unit.watchdog", "dog.service"))
    until(lambda: len(shared.events("unit.watchdog", "dog.service")) > count, "still watched")
    shared.gitproc("stop", "dog")


def test_a_service_that_says_that_it_is_broken_or_asks_for_less_silence(shared):
    settings = "Type=notify\nWatchdogSec=100"
    shared.commit({f"{n}.service": daemon(shared, n, settings) for n in ("broken", "less")})
    for name, message in (("broken", "WATCHDOG=trigger"), ("less", "WATCHDOG_USEC=300000")):
        shared.wait(name)
        tell(shared, name, message)
        unit = shared.wait(name, "failed")
        assert (unit["result"], unit["exec_main_status"]) == ("watchdog", signal.SIGABRT)
        assert f"(code={unit['exec_main_code']}, signal=ABRT)" in shared.gitproc("status", name).out


def test_a_reload_by_signal_is_answered_over_a_crash_of_the_manager(shared):
    settings = "Type=notify-reload\nReloadSignal=SIGUSR1\nTimeoutStartSec=30"
    shared.commit({"again.service": daemon(shared, "again", settings)})
    shared.wait("again")
    pid = shared.pids()["again"]
    assert shared.gitproc("reload", "again").status == 0
    assert "reload 10" in shared.log("again")
    (shared.root / "again.hang").touch()
    asked = shared.follow("reload", "again")
    try:
        shared.wait("again", "reload-notify")
        assert shared.unit("again")["active_state"] == "reloading"
        shared.kill_manager()
        assert shared.unit("again")["sub_state"] == "reload-notify"
        tell(shared, "again", "READY=1")
        shared.wait("again", "running")
    finally:
        asked.kill()
        asked.communicate()
    tell(shared, "again", "RELOADING=1")
    shared.wait("again", "reload-notify")
    tell(shared, "again", "READY=1")
    shared.wait("again", "running")
    assert shared.pids()["again"] == pid


def test_a_reload_that_hangs_fails_alone(shared):
    settings = "Type=notify-reload\nTimeoutStartSec=6"
    shared.commit({"hang.service": daemon(shared, "hang", settings)})
    shared.wait("hang")
    (shared.root / "hang.hang").touch()
    assert shared.gitproc("reload", "hang").status != 0
    unit = shared.wait("hang", "running")
    assert unit["result"] == "success"
    assert shared.events("unit.reload-failed", "hang.service")


def test_a_start_is_extended_over_a_crash_of_the_manager_as_long_as_it_asks(shared):
    for patience in (2, 8, 32):  # seconds: on a busy host it may be too late to ask for more
        name = f"long{patience}"
        settings = f"Type=notify\nTimeoutStartSec={patience}"
        shared.commit({f"{name}.service": daemon(shared, name, settings, "mute")})
        with suppress(AssertionError):
            shared.wait(name, "start", patience)
            sent(shared, name, "EXTEND_TIMEOUT_USEC=600000000", patience)
            break
    shared.kill_manager()
    began = shared.unit(name)["since"]
    until(lambda: time.time() > began + patience + 0.5, "its own time is over")
    assert shared.unit(name)["sub_state"] == "start"
    tell(shared, name, "READY=1")
    shared.wait(name)


def test_who_may_speak_and_who_becomes_the_main_process(shared):
    child = "import os, socket, time\nif os.fork() == 0:\n s = socket.socket(1, 2)\n"
    child += " s.sendto(b'STATUS=child\\nMAINPID=%d' % os.getpid(), os.environ['NOTIFY_SOCKET'])\n"
    child += " time.sleep(1000)\nprint('parent', flush=True)\ntime.sleep(1000)\n"
    shared.repository.write({"child.py": child})
    units = {
        f"by{access}.service": service(
            f"{PYTHON} ${{GITPROC_TREE}}/child.py", f"Type=exec\nNotifyAccess={access}"
        )
        for access in ("all", "main")
    }
    shared.commit(units)
    shared.wait("byall")
    until(lambda: shared.unit("byall").get("status_text") == "child", "the child is heard")
    main = shared.pids()["byall"]
    parent = int(Path(f"/proc/{main}/stat").read_text().rpartition(")")[2].split()[1])
    assert "child.py" in Path(f"/proc/{parent}/cmdline").read_text()
    shared.kill_manager()
    assert alive(parent)  # it is no stray, though it is not what the unit is known by any more
    os.kill(parent, signal.SIGKILL)
    until(lambda: not alive(parent), "the parent is gone")
    assert shared.unit("byall")["main_pid"] == main
    shared.wait("bymain")
    assert shared.unit("bymain")["status_text"] == ""
    os.kill(main, signal.SIGKILL)
    assert shared.wait("byall", "failed")["result"] == "signal"


def test_access_is_widened_by_who_has_it_and_hostile_messages_are_harmless(shared):
    shared.commit({"lax.service": daemon(shared, "lax", "Type=notify")})
    shared.wait("lax")
    for message in (
        "MAINPID=1",
        "MAINPID=99999999999",
        "ERRNO=x",
        "WATCHDOG_USEC=-1",
        "=",
        "STATUS=" + "x" * 3000,
    ):
        tell(shared, "lax", message)
    sent(shared, "lax", "NOTIFYACCESS=all|ERRNO=5|BUSERROR=org.x.Y|STOPPING=0|READY=0")
    assert shared.unit("lax")["sub_state"] == "running"
    assert shared.wait("lax")["main_pid"]
    text = shared.gitproc("status", "lax").out
    assert "      Error: 5 (Input/output error); D-Bus: org.x.Y" in text.splitlines()
    shown = shared.gitproc("show", "lax", "-p", "StatusErrno", "-p", "NotifyAccess").out
    assert sorted(shown.splitlines()) == ["NotifyAccess=all", "StatusErrno=5"]


def test_the_init_of_a_namespace_is_no_main_process(shared):
    """It is the shim's; one that made it its unit's would have a unit whose end nobody sees."""
    settings = "Type=notify\nNotifyAccess=all\nPrivatePIDs=yes"
    shared.commit({"inner.service": daemon(shared, "inner", settings)})
    main = shared.wait("inner")["main_pid"]
    for _ in range(2):
        sent(shared, "inner", "MAINPID=1")
        unit = shared.unit("inner")
        assert (unit["sub_state"], unit["main_pid"]) == ("running", main)
        assert unit["warnings"] == ["a MAINPID= that is none of its processes was ignored"]
        shared.kill_manager()
    sent(shared, "inner", "MAINPID=2")
    assert shared.unit("inner")["main_pid"] == main


def test_systemd_notify_waits_until_it_has_been_heard(shared):
    """systemd-notify ends at once; its BARRIER=1 keeps it there until it can be told whose it is."""
    script = (
        "for i in 1 2 3 4 5 6 7 8; do systemd-notify --status=$i || exit 1; done; "
        "systemd-notify --ready --status=heard; sleep 1000"
    )
    files = {
        "n.service": service(shell(script), "Type=notify\nNotifyAccess=all"),
        "m.service": service(shell(script), "Type=notify\nNotifyAccess=all\nPrivatePIDs=yes"),
    }
    shared.commit(files)
    for name in ("n", "m"):
        assert shared.wait(name)["status_text"] == "heard"


def test_run_time_ends_and_a_service_that_leaves_by_itself_is_let_go(shared):
    settings = "Type=notify\nRuntimeMaxSec=500ms\nExecStopPost=" + shell(
        "echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS ${MAINPID:-none}"
    )
    shared.commit(
        {
            "short.service": daemon(shared, "short", settings),
            "gone.service": daemon(shared, "gone", "Type=notify\nTimeoutStopSec=30"),
        }
    )
    assert shared.wait("short", "failed")["result"] == "timeout"
    assert shared.log("short").splitlines()[-1] == "timeout killed TERM none"
    shared.wait("gone")
    tell(shared, "gone", "STOPPING=1")
    shared.wait("gone", "stop-sigterm")
    tell(shared, "gone", "exit")
    assert shared.wait("gone", "dead")["result"] == "success"
    assert shared.unit("gone")["exec_main_code"] == "exited"


def test_an_idle_service_begins_after_all_others(machines):
    machine = machines(start=False)
    slow = service(shell("sleep 0.3; date +%s%N"), "Type=oneshot")
    idle = service(shell("date +%s%N; exec sleep 1000"), "Type=idle")
    machine.commit({"slow.service": slow, "idle.service": idle})
    machine.start()
    until(lambda: machine.log("idle") and machine.log("slow"), "both have spoken")
    assert int(machine.log("idle")) > int(machine.log("slow"))
    assert machine.unit("idle")["sub_state"] == "running"


def test_the_last_process_may_be_what_counts(shared):
    script = "sleep 1000 & echo $! > FILE; exit 0".replace("FILE", str(shared.root / "child"))
    shared.commit({"last.service": service(shell(script), "ExitType=cgroup")})
    until(
        lambda: shared.unit("last").get("exec_main_code") == "exited", "the main process has ended"
    )
    assert shared.unit("last")["sub_state"] == "running"
    shared.kill_manager()
    assert shared.unit("last")["sub_state"] == "running"
    os.kill(int((shared.root / "child").read_text()), signal.SIGTERM)
    assert shared.wait("last", "dead")["result"] == "success"


@pytest.mark.parametrize("guess", ["yes", "no"])
def test_forking_without_a_pid_file(shared, guess):
    name = f"fork{guess}"
    file = shared.root / name
    script = f"sleep 1000 & echo $! > {file}"
    shared.commit(
        {f"{name}.service": service(shell(script), f"Type=forking\nGuessMainPID={guess}")}
    )
    unit = shared.wait(name)
    pid = int(file.read_text())
    assert unit["main_pid"] == (pid if guess == "yes" else None)
    os.kill(pid, signal.SIGKILL)
    end, result = ("failed", "signal") if guess == "yes" else ("dead", "success")
    assert shared.wait(name, end)["result"] == result


MODES = """
import os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"child TERM\\n"), os._exit(0)))
    print("child", os.getpid(), flush=True)
    while True: time.sleep(100)
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"main TERM\\n"), os._exit(0)))
time.sleep(0.05)
print("main", flush=True)
while True: time.sleep(100)
"""


def test_whom_a_stop_signals(shared):
    shared.repository.write({"modes.py": MODES})
    told = {
        "control-group": {"main TERM", "child TERM"},
        "mixed": {"main TERM"},
        "process": {"main TERM"},
        "none": set(),
    }
    command = f"{PYTHON} ${{GITPROC_TREE}}/modes.py"
    shared.commit({f"k{x}.service": service(command, f"KillMode={x}") for x in told})
    for mode, heard in told.items():
        name = f"k{mode}"
        until(lambda name=name: len(shared.log(name).split()) == 3, f"{name} runs")
        words = shared.log(name).split()
        child = int(words[words.index("child") + 1])
        main = shared.pids()[name]
        assert shared.gitproc("stop", name).status == 0
        survives = mode in ("process", "none")
        try:
            assert {x for x in shared.log(name).splitlines() if "TERM" in x} == heard, mode
            assert alive(child) is survives
            assert alive(main) is (mode == "none")
        finally:
            for pid in (child, main):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)
            until(
                lambda name=name: all(x.name != name for x in shared.groups()),
                f"the group of {name} goes with its last process",
            )


def test_forking_that_leaves_nothing_and_remains(shared):
    files = {"left.service": service("/bin/true", "Type=forking\nRemainAfterExit=yes")}
    shared.deploy(files)
    assert shared.unit("left")["sub_state"] == "exited"


def test_the_pid_file_comes_from_what_runs_after_the_start(shared, tmp_path):
    told, file = tmp_path / "told", tmp_path / "late.pid"
    settings = f"Type=forking\nPIDFile={file}\nExecStartPost=/bin/cp {told} {file}"
    shared.deploy({"late.service": service(shell(f"sleep 1000 & echo $! >{told}"), settings)})
    assert shared.unit("late")["main_pid"] == int(told.read_text())
    assert shared.gitproc("stop", "late").status == 0
    assert not file.exists()


@pytest.mark.parametrize("signal_", LOST)
def test_a_reload_runs_to_its_end_though_the_service_ends_meanwhile(shared, signal_):
    """As in systemd: a crash skips ExecStop=, and both are acted on when the commands are done."""
    name, file = f"loses-{signal_.lower()}", shared.root / f"loses-{signal_}"
    runs, state, result = LOST[signal_]
    shared.deploy({f"{name}.service": service(settings=losing(signal_, file))})
    assert shared.gitproc("reload", name).status != 0
    assert shared.wait(name, state)["result"] == result
    assert file.read_text().split() == runs.split()
