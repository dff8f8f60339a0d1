"""A service on a terminal finds it fit, and so does who comes after it (systemd.exec(5), TTYReset= and its kin)."""

from __future__ import annotations

import os
import pwd
import termios
import tty
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.harness import service, until

pytestmark = pytest.mark.root


def is_raw(name):
    fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
    try:
        return not termios.tcgetattr(fd)[3] & termios.ICANON
    finally:
        os.close(fd)


def is_cut_off(fd):
    try:
        os.write(fd, b"")
        termios.tcgetattr(fd)
    except (OSError, termios.error):
        return True
    return False


def test_a_terminal_is_fit_before_and_after(machine):
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    later = -1
    tty.setraw(theirs)
    daemon = pwd.getpwnam("daemon").pw_uid
    settings = (
        f"User=daemon\nStandardInput=tty\nTTYPath={name}\nTTYReset=yes\nTTYVHangup=yes\n"
        "TTYRows=17\nTTYColumns=71\nKillSignal=SIGKILL\nTTYVTDisallocate=yes"
    )
    try:
        machine.deploy({"a.service": service(settings=settings)})
        assert is_cut_off(theirs)
        os.set_blocking(ours, False)
        assert b"\033[2J" in os.read(ours, 65536), "the screen is cleared"
        assert not is_raw(name)
        later = os.open(name, os.O_RDWR | os.O_NOCTTY)
        assert os.get_terminal_size(later) == (71, 17)
        info = Path(name).stat()
        assert (info.st_uid, info.st_mode & 0o777) == (daemon, 0o620)
        tty.setraw(later)
        assert machine.gitproc("stop", "a").status == 0
        until(lambda: is_cut_off(later), "those who had it open are disconnected")
        until(lambda: Path(name).stat().st_uid == 0, "it is root's again")
        assert not is_raw(name)
    finally:
        for fd in (ours, theirs, later):
            with suppress(OSError):
                os.close(fd)


def test_a_terminal_is_brought_to_its_usual_settings(machine):
    """TTYReset= alone: whoever has it open stays."""
    pairs = {reset: os.openpty() for reset in ("yes", "no")}
    try:
        for _, theirs in pairs.values():
            tty.setraw(theirs)
        settings = "StandardInput=tty\nTTYPath={}\nTTYReset={}\nKillSignal=SIGKILL"
        machine.deploy(
            {
                f"{reset}.service": service(settings=settings.format(os.ttyname(theirs), reset))
                for reset, (_, theirs) in pairs.items()
            }
        )
        raw = {reset: is_raw(os.ttyname(theirs)) for reset, (_, theirs) in pairs.items()}
        assert raw == {"yes": False, "no": True}
    finally:
        for pair in pairs.values():
            for fd in pair:
                os.close(fd)
