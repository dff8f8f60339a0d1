"""Real processes: identity, titles, signals, families."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gitproc.kernel import processes
from gitproc.kernel.loose_tracker import LooseTracker
from tests.kernel.parts import ESCAPE, SLEEP, be_subreaper, state_of, until


@pytest.fixture
def spawn():
    be_subreaper(True)
    children: list[subprocess.Popen[str]] = []

    def start(argv, **options):
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **options)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        for end in (child.stdin, child.stdout):
            if end is not None:
                end.close()
    be_subreaper(False)


def test_identity_is_pid_and_start_time(spawn):
    child = spawn(SLEEP)
    started = processes.start_time(child.pid)
    assert started is not None
    assert processes.is_alive(child.pid, started)
    assert not processes.is_alive(child.pid, started + 1)
    assert not processes.signal_process(child.pid, started + 1, signal.SIGKILL)
    assert child.poll() is None
    assert processes.signal_process(child.pid, started, signal.SIGKILL)
    until(lambda: state_of(child.pid) == "Z", "a zombie")
    assert not processes.is_alive(child.pid, started), "a zombie does not live"
    child.wait()
    assert processes.start_time(child.pid) is None
    assert not processes.signal_process(child.pid, started, signal.SIGKILL)


def test_a_name_full_of_brackets_is_read_right(spawn):
    code = "open('/proc/self/comm', 'w').write(') Z 1 ('); print(1, flush=True); input()"
    child = spawn([sys.executable, "-c", code], stdin=subprocess.PIPE)
    child.stdout.readline()
    found = processes.stat(child.pid)
    assert found is not None
    assert found.parent == os.getpid()
    assert found.state in "RSD"
    child.stdin.close()


def test_titles_are_printable_and_short(spawn):
    child = spawn(["/bin/sleep", "1000"])
    until(lambda: processes.title(child.pid) == "/bin/sleep 1000", "exec is done")
    nasty = spawn([*SLEEP, "\x1b[31m\n" + "x" * 10000])
    until(lambda: "?[31m?xx" in processes.title(nasty.pid), "escapes are gone")
    assert len(processes.title(nasty.pid)) == 256
    assert processes.title(2**22 + 1) == ""


def test_the_environment_of_a_process(spawn):
    child = spawn(SLEEP, env={"A": "1", "BA": "2"})
    until(lambda: processes.environment_value(child.pid, "A") == "1", "exec is done")
    assert processes.environment_value(child.pid, "B") is None


def test_a_main_process_is_guessed_only_where_there_is_no_doubt(spawn):
    first = spawn(SLEEP)
    assert processes.guess_main([first.pid, os.getpid()], os.getpid()) == first.pid
    second = spawn(SLEEP)
    assert processes.guess_main([first.pid, second.pid], os.getpid()) is None
    assert processes.guess_main([], os.getpid()) is None


def test_members_that_fork_away_are_followed():
    listed = [[1, 2], [1, 2], [], []]
    assert processes.signal_members(lambda: listed.pop(0), 0, spare=(1, 2)) == 0


def test_memory_and_cpu_of_processes(spawn):
    code = "x = bytearray(20 << 20)\nprint(1, flush=True)\nwhile True: pass"
    child = spawn([sys.executable, "-c", code])
    child.stdout.readline()
    assert processes.resident_memory([child.pid, 2**22 + 1]) > 20 << 20
    until(lambda: processes.cpu_seconds([child.pid]) > 0, "CPU time")
    assert processes.thread_count([child.pid]) == 1
    assert child.pid in processes.descendants(os.getpid())


def test_without_cgroups_family_session_and_invocation_tell_units_apart(spawn):
    tracker = LooseTracker(os.getpid())
    mine = spawn(ESCAPE, env={"INVOCATION_ID": "a" * 32}, start_new_session=True)
    other = spawn(SLEEP, env={"INVOCATION_ID": "b" * 32}, start_new_session=True)
    tracker.attach("mine.service", "a" * 32, mine.pid)
    tracker.attach("other.service", "b" * 32, other.pid)
    escaper = int(mine.stdout.readline())
    mine.wait()
    try:
        until(lambda: tracker.members("mine.service") == [escaper], "it alone is left")
        assert tracker.members("other.service") == [other.pid]
        assert tracker.unit_of(escaper) == "mine.service"
        assert tracker.unit_of(os.getpid()) is None
        tracker.forget("mine.service")
        assert tracker.members("mine.service") == []
        assert tracker.unit_of(escaper) is None
    finally:
        os.kill(escaper, signal.SIGKILL)
        os.waitpid(escaper, 0)
