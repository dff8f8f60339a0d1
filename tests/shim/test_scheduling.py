"""How a child is scheduled and spared, as the kernel says it."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from tests.shim.client import NOBODY

root = pytest.mark.root
SYSCALL = ctypes.CDLL(None, use_errno=True).syscall
IOPRIO_GET = {"x86_64": 252, "aarch64": 31}


@pytest.mark.parametrize(
    ("spec", "policy", "priority"),
    [
        ([os.SCHED_BATCH, 0, False], os.SCHED_BATCH, 0),
        ([os.SCHED_IDLE, 0, False], os.SCHED_IDLE, 0),
        ([os.SCHED_OTHER, 0, True], os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, 0),
    ],
)
def test_policies(client, spec, policy, priority):
    _, pid = client.start("a", "/bin/sleep", "1000", scheduling=spec, nice=3)
    assert os.sched_getscheduler(pid) == policy
    assert os.sched_getparam(pid).sched_priority == priority
    assert os.getpriority(os.PRIO_PROCESS, pid) == 3, "the policy does not undo it"


def test_processors_and_timer_slack(client):
    allowed = sorted(os.sched_getaffinity(0))
    _, pid = client.start("a", "/bin/sleep", "1000", cpus=allowed[:1], timer_slack=123456)
    assert os.sched_getaffinity(pid) == set(allowed[:1])
    assert Path(f"/proc/{pid}/timerslack_ns").read_text().strip() == "123456"


@pytest.mark.skipif(os.uname().machine not in IOPRIO_GET, reason="number of the call not known")
@pytest.mark.parametrize("priority", [[3, 4], [2, 7]])
def test_io_priority(client, priority):
    _, pid = client.start("a", "/bin/sleep", "1000", io_priority=priority)
    assert SYSCALL(IOPRIO_GET[os.uname().machine], 1, pid) == priority[0] << 13 | priority[1]


def test_merging_of_pages_is_done_or_said(client):
    request = client.ask("a", "/bin/sleep", "1000", memory_ksm=True)
    id, pid = client.expect("started", request)[2:4]
    client.expect("executed", id)
    flags = Path(f"/proc/{pid}/ksm_stat")
    warned = any(message[:2] == ("warning", id) for message in client.kept)
    assert warned or "ksm_merge_any: yes" in flags.read_text() or not flags.exists()


@pytest.mark.parametrize(
    ("spec", "step", "number", "status"),
    [
        ({"scheduling": [99, 0, False]}, "SETSCHEDULER", errno.EINVAL, 214),
        ({"scheduling": [os.SCHED_OTHER, 5, False]}, "SETSCHEDULER", errno.EINVAL, 214),
        ({"cpus": [8000]}, "CPUAFFINITY", errno.EINVAL, 215),
        ({"io_priority": [7, 0]}, "IOPRIO", errno.EINVAL, 211),
        ({"timer_slack": "long"}, "TIMERSLACK", errno.EINVAL, 212),
        ({"links": [["STATE_DIRECTORY", "x", "/dev/null"]]}, "STATE_DIRECTORY", errno.EEXIST, 238),
    ],
)
def test_failing_steps(client, spec, step, number, status):
    assert client.fails("a", "/bin/true", **spec) == (step, number, (1, status))


def test_an_ordinary_users_nice_level_is_the_closest_there_is(user_shim):
    client = user_shim.connect()
    id, pid = client.start("a", "/bin/sleep", "1000", nice=-15)
    assert "-15" in client.expect("warning", id)[2]
    assert os.getpriority(os.PRIO_PROCESS, pid) > -15
    assert client.fails("b", "/bin/true", io_priority=[1, 0]) == (
        "IOPRIO", errno.EPERM, (1, 211),
    )  # fmt: skip


@root
def test_links_are_made_once_and_nothing_is_overwritten(client, tmp_path):
    spec = {
        "directories": [["STATE_DIRECTORY", str(tmp_path / "a"), 0o755, NOBODY, NOBODY]],
        "links": [["STATE_DIRECTORY", "../a", str(tmp_path / "deep" / "b")]],
    }
    for cookie in ("a", "b"):
        id, _ = client.start(cookie, "/bin/true", **spec)
        assert client.exit_of(id) == (1, 0)
    assert (tmp_path / "deep" / "b").readlink() == Path("../a")
    spec["links"] = [["STATE_DIRECTORY", "../other", str(tmp_path / "deep" / "b")]]
    assert client.fails("c", "/bin/true", **spec) == ("STATE_DIRECTORY", errno.EEXIST, (1, 238))


@root
def test_a_configuration_folder_that_exists_keeps_its_mode(client, tmp_path):
    (tmp_path / "a").mkdir(mode=0o700)
    made = [[step, str(tmp_path / "a"), 0o755, -1, -1] for step in ("CONFIGURATION_DIRECTORY",)]
    id, _ = client.start("a", "/bin/true", directories=made)
    assert client.exit_of(id) == (1, 0)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    made[0][0] = "STATE_DIRECTORY"
    id, _ = client.start("b", "/bin/true", directories=made)
    assert client.exit_of(id) == (1, 0)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
