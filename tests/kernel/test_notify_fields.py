"""What a notification says, in the manager's own terms."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from gitproc.kernel.notify_fields import translate
from tests.e2e.harness import until


def all_ours(_pid):
    return True


def test_a_main_process_of_one_s_own_namespace_keeps_its_number():
    fields = (("READY", "1"), ("MAINPID", "77"))
    assert translate(fields, os.getpid(), all_ours, list) == (fields, "")


@pytest.mark.parametrize("value", ["", "0", "-3", "x", "9" * 11, "\u0663"])
def test_a_main_process_that_is_none_is_left_out_and_told(value):
    fields, problem = translate((("MAINPID", value), ("READY", "1")), os.getpid(), all_ours, list)
    assert fields == (("READY", "1"),)
    assert "MAINPID" in problem


def test_a_process_of_somebody_else_is_left_out():
    assert translate((("MAINPID", "1"),), os.getpid(), lambda pid: pid != 1, list)[0] == ()


@pytest.mark.parametrize("value", ["", "x", "-1", "1" * 21])
def test_an_instant_that_is_none_is_left_out(value):
    assert translate((("MONOTONIC_USEC", value),), os.getpid(), all_ours, list) == ((), "")


def test_an_instant_is_moved_to_the_manager_s_clock():
    said = round(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
    then = time.clock_gettime(time.CLOCK_BOOTTIME)
    ((_, value),), _ = translate((("MONOTONIC_USEC", str(said)),), os.getpid(), all_ours, list)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert -1 < int(value) / 1e6 - then < 1 + now - then


@pytest.mark.root
def test_a_main_process_is_found_by_its_number_inside_its_namespace():
    inner = "sleep 60 & echo $!; wait"
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", inner],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().strip()

        def children(pid):
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            return [int(x) for x in text.split()]

        (shell,) = until(lambda: children(process.pid))
        (sleep,) = until(lambda: children(shell))
        members = [process.pid, shell, sleep]
        fields, problem = translate((("MAINPID", said),), shell, all_ours, lambda: members)
        assert (fields, problem) == ((("MAINPID", str(sleep)),), "")
        assert said != str(sleep)
        assert translate((("MAINPID", "4000"),), shell, all_ours, lambda: members)[0] == ()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_a_main_process_may_be_named_by_what_is_never_used_again():
    pidfd = os.pidfd_open(os.getpid())
    number = os.fstat(pidfd).st_ino
    os.close(pidfd)
    for identity, named in ((number, True), (number + 1, False), ("x", False)):
        fields = (("MAINPIDFDID", str(identity)), ("MAINPID", str(os.getpid())))
        told, problem = translate(fields, os.getpid(), all_ours, list)
        assert ("MAINPID" in dict(told)) is named
        assert bool(problem) is not named
