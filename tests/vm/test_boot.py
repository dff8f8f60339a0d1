"""The project under a real systemd: each test boots a machine of its own."""

import shutil
import subprocess

import pytest

from tests.vm import vm

pytestmark = [
    pytest.mark.vm,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(vm.unavailable()), reason=vm.unavailable()),
]


@pytest.fixture(scope="module", autouse=True)
def image():
    subprocess.run([vm.PROJECT / "tools/debian", "vm"], check=True)


def shown(outcome):
    print(outcome.output)
    print(outcome.report)
    return outcome.status == 0


#: Run files of `inside/` with Debian's packages, without the suite's own conftest: what they start is to go on.
INSIDE = """\
cd /src
inside() {
    for f; do set -- "$@" tests/vm/inside/$f.py; shift; done
    python3 -m pytest --noconftest -p no:cacheprovider --timeout 300 -v -s --tb=short "$@"
}
"""


def test_systemd_keeps_to_what_the_unit_file_counts_on():
    script = f"{INSIDE}inside systemd_mechanics exec_directives life relations sandbox privileges exposure"
    assert shown(vm.run(script, timeout=2400))


#: Before the reboot, and after it.
PACKAGE = """\
if [[ ! -e /var/lib/rebooted ]]; then
    inside package_installed gitproc_service limits slices knobs reclaim host_units overlap dynamic_users \\
        clock real_daemons
    rm -f /var/lib/stopped
    touch /var/lib/rebooted
    systemctl reboot
    sleep infinity
fi
inside package_removed
"""

#: Parts of the suite behind which a package of Debian's stands, and those of cgroups, on the installed package.
SUBSET = """\
dpkg -i /debs/*.deb
rm -rf gitproc
ln -s /usr/lib/gitproc/gitproc gitproc
export PYTHONPATH=/usr/lib/gitproc
inside debian_packages
systemctl stop gitproc
python3 -m pytest -p no:cacheprovider -q --tb=short --timeout 200 tests/kernel/test_resource_controller.py \
    tests/kernel/test_slices.py tests/kernel/test_guards.py tests/kernel/test_disk_limits.py \
    tests/kernel/test_processor_shares.py \
    tests/kernel/test_cgroup_layout.py tests/kernel/test_processes.py tests/kernel/test_host.py \
    tests/source/test_git_monitor.py tests/source/test_rollback.py::TestWithWorkTree tests/daemon/test_config.py
"""


@pytest.fixture
def debs():
    made = vm.packages("0.1.0", "0.1.1")
    yield made
    shutil.rmtree(made)


def test_the_package_from_its_installation_to_its_purge(debs):
    outcome = vm.run(INSIDE + PACKAGE, "--mount", f"{debs}:/debs", "--reboots", timeout=2800)
    assert shown(outcome)


@pytest.mark.debian
def test_the_oldest_packages_are_debians_own(debs):
    for newer in sorted(debs.iterdir())[1:]:
        newer.unlink()
    assert shown(vm.run(INSIDE + SUBSET, "--mount", f"{debs}:/debs", timeout=2000))


#: With a kernel that shares disks out, and two nodes of memory.
SHARED = """\
python3 -m pytest --noconftest -p no:cacheprovider -v -s -rs --tb=short --timeout 200 \
    tests/kernel/test_memory_nodes.py tests/kernel/test_disk_weights.py \
    -k "node or by_cost or (by_bfq and BlockIODeviceWeight)"
"""


def test_memory_nodes_and_shares_of_disks():
    outcome = vm.run(SHARED, "--engine", "tcg", "--nodes", "2", timeout=2000)
    assert shown(outcome)
    assert "SKIPPED" not in outcome.output
