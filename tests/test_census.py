"""Each directive that confines, limits or takes away has a test in which a real program meets it.

What the tables of the tests try is read from them; the rest names its test here. A directive that becomes
enforced without any fails this.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gitproc.units import (
    directives_exec,
    directives_exec_credentials,
    directives_exec_limits,
    directives_exec_scheduling,
    directives_resources,
    directives_sandbox,
)
from gitproc.units.directive import Support
from tests.e2e import exec_table, limits_table, privileges_table, sandbox_table
from tests.vm.inside import knobs

TESTS = Path(__file__).parent
ROWS = (
    *directives_sandbox.ROWS,
    *directives_resources.ROWS,
    *directives_exec_limits.LIMITS,
    *directives_exec_scheduling.ROWS,
    *directives_exec_credentials.ROWS,
    directives_exec.USER,
    directives_exec.GROUP,
    directives_exec.SUPPLEMENTARY_GROUPS,
    directives_exec.UMASK,
    directives_exec.REMOVE_IPC,
    directives_exec.KEYRING_MODE,
)
CENSUS = sorted({row.name for row in ROWS if row.support is Support.ENFORCED})


def named(*settings: str) -> set[str]:
    """The directives that lines of settings name."""
    return {line.partition("=")[0] for text in settings for line in text.splitlines() if line}


_SANDBOX = "e2e/test_sandbox.py::test_what_is_denied_and_what_is_granted"
#: A program tries what is forbidden, in vain, and does it without the directive.
TRIED = {
    _SANDBOX: named(*(x for x, _ in (*sandbox_table.DENIED, *sandbox_table.NEWER))),
    "e2e/test_privileges.py::test_what_is_forbidden_is_tried_in_vain": named(
        *(x for x, _ in privileges_table.WISHES)
    ),
    "e2e/test_process_limits.py::test_what_is_over_a_limit_is_tried_in_vain": named(
        *(limit for _, limit, _ in limits_table.DENIED)
    ),
}
#: A program cannot do something and can with the directive, or finds what it says and without it something else.
GIVEN = {
    _SANDBOX: named(*(more for _, more, _ in sandbox_table.GRANTED)),
    "e2e/test_exec.py::test_each_process_finds_what_its_unit_says": named(
        *(x for x, _ in exec_table.WISHES),
        *(x for x, _ in (*exec_table.KEYRINGS, *exec_table.MERGING, *exec_table.REAL_TIME)),
    ),
}
#: Of all of these.
TABLES = {name for table in (TRIED, GIVEN) for names in table.values() for name in names}
#: The kernel has it for the group (a machine with every controller), or the unit is told that it has not.
SET = named(*(text for text, _, _ in knobs.ASKED))

#: Tests beside the tables.
SHOWN = {
    "AllowedCPUs": "e2e/test_limits.py::test_slices_and_live_changes",
    "AllowedMemoryNodes": "kernel/test_memory_nodes.py::test_a_node_that_is_not_allowed_is_refused",
    "BlockIODeviceWeight": "kernel/test_disk_weights.py::test_disks_are_shared_as_weighted",
    "BlockIOWeight": "kernel/test_disk_weights.py::test_disks_are_shared_as_weighted",
    "CPUQuota": "vm/inside/limits.py::test_a_cpu_quota_is_kept_within_a_tenth",
    "CPUQuotaPeriodSec": "kernel/test_processor_shares.py::test_a_quota_of_a_longer_period_makes_longer_pauses",
    "CPUShares": "kernel/test_processor_shares.py::test_units_share_the_processor_as_old_weights_say",
    "CPUWeight": "kernel/test_slices.py::test_slices_share_the_processor_as_weighted",
    "DefaultMemoryLow": "vm/inside/knobs.py::test_what_is_asked_for_is_what_the_kernel_has",
    "DefaultMemoryMin": "vm/inside/knobs.py::test_what_is_asked_for_is_what_the_kernel_has",
    "Delegate": "e2e/test_limits.py::test_a_group_that_is_handed_over",
    "DelegateSubgroup": "e2e/test_limits.py::test_a_group_that_is_handed_over",
    "DeviceAllow": "e2e/test_limits.py::test_guards_hold_change_live_and_survive_the_manager",
    "DevicePolicy": "e2e/test_limits.py::test_guards_hold_change_live_and_survive_the_manager",
    "DisableControllers": "vm/inside/knobs.py::test_a_controller_that_a_slice_keeps_back_is_nobodys_below",
    "DynamicUser": "e2e/test_dynamic_user.py::test_a_user_of_its_own_with_what_it_keeps",
    "IOAccounting": "e2e/test_limits.py::test_what_is_read_from_disks_is_told_of_those_that_count_it",
    "IODeviceWeight": "kernel/test_disk_weights.py::test_disks_are_shared_as_weighted",
    "IOReadBandwidthMax": "kernel/test_disk_limits.py::test_reads_are_slowed_and_let_go",
    "IOReadIOPSMax": "kernel/test_disk_limits.py::test_what_takes_seconds_with_a_limit_is_done_at_once_without",
    "IOWeight": "kernel/test_disk_weights.py::test_disks_are_shared_as_weighted",
    "IOWriteBandwidthMax": "kernel/test_disk_limits.py::test_what_takes_seconds_with_a_limit_is_done_at_once_without",
    "IOWriteIOPSMax": "kernel/test_disk_limits.py::test_what_takes_seconds_with_a_limit_is_done_at_once_without",
    "IPAddressAllow": "e2e/test_limits.py::test_guards_hold_change_live_and_survive_the_manager",
    "IPAddressDeny": "e2e/test_limits.py::test_guards_hold_change_live_and_survive_the_manager",
    "IPCNamespacePath": "e2e/test_sandbox.py::test_what_an_instance_shares_and_who_joins_it",
    "ImportCredential": "e2e/test_credentials.py::test_what_is_given_is_found_by_the_service_alone",
    "LimitNICE": "vm/inside/limits.py::test_limits_that_are_raised",
    "LimitRTPRIO": "vm/inside/limits.py::test_limits_that_are_raised",
    "LoadCredential": "e2e/test_credentials.py::test_what_is_given_is_found_by_the_service_alone",
    "MemoryHigh": "vm/inside/knobs.py::test_who_is_above_memory_high_is_slowed_down",
    "MemoryLow": "vm/inside/reclaim.py::test_what_is_protected_stays_beside_a_glutton",
    "MemoryMax": "kernel/test_resource_controller.py::test_a_hog_is_killed_and_counted",
    "MemoryMin": "vm/inside/reclaim.py::test_what_is_protected_stays_beside_a_glutton",
    "MemorySwapMax": "vm/inside/reclaim.py::test_who_may_not_swap_is_killed_where_others_swap",
    "MemoryZSwapMax": "vm/inside/reclaim.py::test_compressed_swap_is_bounded",
    "NetworkNamespacePath": "e2e/test_networks.py::test_a_service_sees_the_network_it_is_put_into_and_no_other",
    "PrivatePIDs": "e2e/test_sandbox.py::test_sandboxes_of_a_unit_with_its_own_process_1",
    "RemoveIPC": "e2e/test_exec.py::test_ipc_objects_go_with_the_last_unit_of_their_user",
    "RootDirectoryStartOnly": "e2e/test_sandbox.py::test_a_root_for_the_service_alone",
    "SetCredential": "e2e/test_credentials.py::test_what_is_given_is_found_by_the_service_alone",
    "Slice": "kernel/test_slices.py::test_limits_of_a_slice_bind_its_units_and_change_live",
    "TasksMax": "kernel/test_resource_controller.py::test_the_tasks_limit_stops_forks",
}

#: Of these no more is shown than that a lack of them is said: none of the kernels that the suite was tried with
#: has them (6.18 with version 1 of memory and blkio, Debian 12's user-mode kernel, and its cloud kernel).
NO_MORE = {
    "IODeviceLatencyTargetSec",  # CONFIG_BLK_CGROUP_IOLATENCY is off in all three
    "MemoryZSwapWriteback",  # memory.zswap.writeback is of Linux 6.8, in the unified tree; Debian 12 has 6.1
}


def test_every_directive_that_confines_has_a_test():
    assert [x for x in CENSUS if x not in TABLES | SET | SHOWN.keys()] == []
    assert SHOWN.keys() | NO_MORE <= {*CENSUS}


def test_what_is_merely_set_is_known_by_name():
    assert {*CENSUS} - TABLES - SHOWN.keys() == NO_MORE


def source_of(test: str) -> str:
    """The text of the file of a test (`PATH::FUNCTION`, or PATH alone), which has to be there."""
    path, _, function = test.partition("::")
    text = (TESTS / path).read_text()
    if function:
        assert function in {x.name for x in ast.parse(text).body if isinstance(x, ast.FunctionDef)}
    return text


@pytest.mark.parametrize("name", SHOWN)
def test_the_tests_that_are_named_are_there(name):
    assert f"{name}=" in source_of(SHOWN[name])
