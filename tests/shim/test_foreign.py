"""How a process ended that somebody else reaps: from /proc until it is reaped, from its pidfd after that."""

import contextlib
import os
import platform
import signal

import pytest

from gitproc.shim.foreign import exit_of

KERNEL = tuple(int(part) for part in platform.release().split(".")[:2])


@pytest.fixture
def ended():
    def end(how):
        pid = os.fork()
        if pid == 0:
            if how > 128:
                os.kill(os.getpid(), how - 128)
            os._exit(how)
        made.append((pid, os.pidfd_open(pid)))
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return made[-1]

    made: list[tuple[int, int]] = []
    yield end
    for pid, pidfd in made:
        os.close(pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("how", "told"), [(0, (1, 0)), (3, (1, 3)), (128 + signal.SIGKILL, (2, signal.SIGKILL))]
)
def test_it_is_told_before_it_is_reaped_and_after(ended, how, told):
    pid, pidfd = ended(how)
    assert exit_of(pid, pidfd) == told
    os.waitpid(pid, 0)
    assert exit_of(pid, pidfd) == (told if KERNEL >= (6, 15) else (0, 0))
