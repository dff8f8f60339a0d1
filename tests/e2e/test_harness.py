"""What a machine of the tests says to be left of its daemon, among all else that runs."""

from __future__ import annotations

import subprocess

import pytest

from tests.e2e.harness import Machine, service

pytestmark = pytest.mark.root


def test_what_is_left_is_told_whatever_others_are_called():
    """A process of somebody else with a command line that is no text, and one that works for this machine."""
    with Machine() as machine:
        machine.start().deploy({"a.service": service()})
        of_others = [b"\xff\xfe", b"1000"]
        of_ours = [f"sleep of {machine.root}", "1000"]
        with (
            subprocess.Popen(of_others, executable="/bin/sleep") as other,
            subprocess.Popen(of_ours, executable="/bin/sleep") as ours,
        ):
            try:
                machine.stop()
                assert machine.left() == [f"process {ours.pid}: {' '.join(of_ours)} "]
            finally:
                other.kill()
                ours.kill()
