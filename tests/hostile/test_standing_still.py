"""A file system that does not answer, as a network's whose server is gone: whoever looks at it waits for ever."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import service, until

pytestmark = pytest.mark.root


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """A folder in which every look waits, until the end of the test."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    if libc.mount(b"silent", bytes(tmp_path), b"fuse", 0, options.encode()):
        os.close(device)
        pytest.skip(f"no FUSE here: {os.strerror(ctypes.get_errno())}")
    try:
        yield tmp_path
    finally:
        os.close(device)  # nobody answers any more, so all who wait get an error
        libc.umount2(bytes(tmp_path), 2)


def test_conditions_on_it_hold_up_their_units_alone(machine, silent):
    waits = {
        f"waits{n}.service": service(unit=f"ConditionPathExists={silent}/{n}") for n in range(20)
    }
    machine.commit(waits)
    until(lambda: len(machine.units()) >= 20, "they are there")
    machine.commit({"web.service": service()})
    machine.wait("web")
    assert machine.unit("waits0")["active_state"] == "activating"
    machine.kill_manager()
    assert machine.unit("web")["active_state"] == "active"
    manager = machine.manager
    assert machine.gitproc("daemon-reexec").status == 0
    until(lambda: machine.manager != manager, "the next manager takes over")
    machine.ready()
