"""The project under a real systemd: each test boots a machine of its own."""

import subprocess

import pytest

from tests.vm import vm

pytestmark = [
    pytest.mark.vm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(vm.unavailable()), reason=vm.unavailable()),
]


@pytest.fixture(scope="module", autouse=True)
def image():
    subprocess.run([vm.PROJECT / "tools/debian", "vm"], check=True)


def shown(outcome):
    print(outcome.output)
    print(outcome.report)
    return outcome.status == 0


def test_systemd_keeps_to_what_the_unit_file_counts_on():
    assert shown(vm.run_tests("systemd_mechanics.py"))


def test_gitproc_under_systemd():
    assert shown(vm.run_tests("gitproc_service.py", timeout=600))
