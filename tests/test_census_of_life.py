"""Each directive that says when, how and with whom a unit lives has a test in which real processes meet it.

The other half of test_census.py, for all that does not confine. What the tables of the tests try is read from
them; the rest stands with its test here. A directive that becomes enforced without any fails this.
"""

from __future__ import annotations

import pytest

from gitproc.units.directive import Support
from gitproc.units.directives import TABLE
from tests import test_census as confining
from tests.e2e import (
    conditions_table,
    exec_table,
    life_table,
    socket_table,
    test_socket_settings,
    test_timer_settings,
    test_unit_settings,
)
from tests.test_census import named, source_of

CONFINING = {f"{section}.{x}" for x in confining.CENSUS for section in ("Service", "Slice")}
CENSUS = {key for key, row in TABLE.items() if row.support is Support.ENFORCED} - CONFINING


def within(section: str, names: set[str]) -> set[str]:
    """Keys of the table, of those that are in the census."""
    return {f"{section}.{name}" for name in names} & CENSUS


#: Test -> what stands in its table: a unit lives, or not, as each row of it says.
TABLES = {
    "e2e/test_conditions.py::test_each_condition_lets_start_and_keeps_from_starting": {
        f"Unit.{prefix}{kind}"
        for kind in conditions_table.HOLDS
        for prefix in ("Condition", "Assert")
    },
    "e2e/test_timer_settings.py": within(
        "Timer", named(*(lines for lines, _ in test_timer_settings.TIMED.values()))
    ),
    "e2e/test_exec.py::test_each_process_finds_what_its_unit_says": within(
        "Service", named(*(lines for lines, _ in (*exec_table.WISHES, *exec_table.NODES)))
    ),
    "e2e/test_commands.py::test_commands_run_in_order_and_what_fails_ends_the_start": within(
        "Service",
        {*life_table.COMMANDS.values(), *named(*(x[1] for x in life_table.CASES.values()))},
    ),
    "e2e/test_socket_settings.py::test_a_service_finds_its_sockets_as_their_units_say": within(
        "Socket",
        named(
            *(f"{x[0]}\n{x[1]}" for x in socket_table.OPTIONS),
            *(x[1] for x in socket_table.ONLY_ROOT),
            *(x[1] for x in test_socket_settings.ROUNDED),
        ),
    ),
    "e2e/test_socket_settings.py::test_how_commands_of_a_socket_end": within(
        "Socket",
        named(
            *(x[0] for x in test_socket_settings.STOPPED.values()),
            *(x[0] for x in test_socket_settings.OVERDUE.values()),
        ),
    ),
    "e2e/test_unit_settings.py::test_how_often_it_may_start": {
        *within("Unit", named(*(x[0] for x in test_unit_settings.LIMITS.values()))),
        *within("Service", named(*(x[1] for x in test_unit_settings.LIMITS.values()))),
    },
}

#: Test -> what it shows beside the tables, by section.
SHOWN = {
    "e2e/test_bus.py::test_a_service_of_the_bus_is_up_with_its_name": "Service: BusName",
    "e2e/test_conditions.py::test_each_condition_lets_start_and_keeps_from_starting": (
        "Unit: RequiresMountsFor"
    ),
    "e2e/test_dependants.py::test_a_direct_restart_is_hidden_from_all_until_it_is_given_up": (
        "Service: RestartMode"
    ),
    "e2e/test_edges.py::test_bound_units_follow_and_conflicting_ones_give_way": (
        "Unit: BindsTo PartOf Conflicts"
    ),
    "e2e/test_edges.py::test_masks_and_enabled_no": "X-GitProc: Enabled",
    "e2e/test_ends.py::test_who_may_not_be_killed_must_have_ended_before_a_new_start": (
        "Service: SendSIGKILL"
    ),
    "e2e/test_exec.py::test_output_goes_where_the_unit_says": (
        "Service: IgnoreSIGPIPE LogLevelMax StandardError StandardOutput"
    ),
    "e2e/test_exec.py::test_a_stop_sends_what_the_unit_says": (
        "Service: FinalKillSignal KillSignal RestartKillSignal SendSIGHUP TimeoutStopSec"
    ),
    "e2e/test_life.py::test_a_reload_by_signal_is_answered_over_a_crash_of_the_manager": (
        "Service: ReloadSignal"
    ),
    "e2e/test_life.py::test_run_time_ends_and_a_service_that_leaves_by_itself_is_let_go": (
        "Service: RuntimeMaxSec"
    ),
    "e2e/test_life.py::test_the_last_process_may_be_what_counts": "Service: ExitType",
    "e2e/test_life.py::test_forking_without_a_pid_file": "Service: GuessMainPID Type",
    "e2e/test_life.py::test_whom_a_stop_signals": "Service: KillMode",
    "e2e/test_life_crashes.py::test_in_every_state_the_manager_may_be_killed": (
        "Service: TimeoutAbortSec"
    ),
    "e2e/test_main_job.py::test_a_commit_becomes_services_in_order_and_the_end_is_in_reverse": (
        "Unit: After"
    ),
    "e2e/test_main_job.py::test_what_needs_no_restart_keeps_every_process": "Unit: Description",
    "e2e/test_main_job.py::test_a_file_beside_the_units_restarts_who_names_it": (
        "X-GitProc: RestartTriggers"
    ),
    "e2e/test_main_job.py::test_reload_where_a_reload_is_enough": "X-GitProc: ReloadTriggers",
    "e2e/test_commands.py::test_of_whom_words_are_taken": "Service: NotifyAccess",
    "e2e/test_oom_policy.py": "Service: OOMPolicy",
    "e2e/test_overlap.py": "X-GitProc: Update",
    "e2e/test_path_units.py::test_each_kind_of_path": (
        "Path: PathExists PathExistsGlob PathChanged PathModified DirectoryNotEmpty MakeDirectory"
        " DirectoryMode"
    ),
    "e2e/test_processes.py::test_forking_with_a_pid_file": "Service: PIDFile",
    "e2e/test_processes.py::test_user_directories_environment_and_limits": (
        "Service: RuntimeDirectoryMode"
    ),
    "e2e/test_relations.py::test_what_ends_starts_others_and_what_is_passed_on": (
        "Unit: OnFailure OnSuccess PropagatesReloadTo PropagatesStopTo RefuseManualStop Requires"
        " StopWhenUnneeded Upholds X-GitProc: OnRetry"
    ),
    "e2e/test_restarts.py::test_the_table_of_restarts_by_real_processes": (
        "Service: Restart RestartForceExitStatus RestartPreventExitStatus SuccessExitStatus"
        " TimeoutStartSec WatchdogSec"
    ),
    "e2e/test_restarts.py::test_how_long_it_waits_between_restarts_grows": (
        "Service: RestartMaxDelaySec RestartSec RestartSteps"
    ),
    "e2e/test_sandbox.py::test_what_an_instance_shares_and_who_joins_it": "Unit: JoinsNamespaceOf",
    "e2e/test_sandbox.py::test_sandboxes_of_a_unit_with_its_own_process_1": (
        "X-GitProc: PIDNamespaceInit"
    ),
    "e2e/test_service_settings.py::test_deadlines": (
        "Service: RuntimeRandomizedExtraSec TimeoutSec WatchdogSignal"
    ),
    "e2e/test_service_settings.py::test_restarts_are_forgotten_in_time": "X-GitProc: RestartResetSec",
    "e2e/test_service_settings.py::test_what_ends_a_start_and_a_stop_that_take_too_long": (
        "Service: TimeoutStartFailureMode TimeoutStopFailureMode"
    ),
    "e2e/test_service_settings.py::test_who_prepares_and_what_is_kept_of_what_is_said": (
        "Service: EnvironmentFile LogRateLimitBurst LogRateLimitIntervalSec PermissionsStartOnly"
        " SyslogLevel SyslogLevelPrefix"
    ),
    "e2e/test_service_settings.py::test_the_old_names_of_settings": (
        "Service: InaccessibleDirectories MemoryLimit ReadOnlyDirectories ReadWriteDirectories"
        " Slice: MemoryLimit"
    ),
    "e2e/test_service_settings.py::test_how_long_a_runtime_directory_lasts": (
        "Service: RuntimeDirectoryPreserve"
    ),
    "e2e/test_service_settings.py::test_records_of_who_is_on_a_terminal": (
        "Service: UtmpIdentifier UtmpMode"
    ),
    "e2e/test_service_settings.py::test_health": " ".join(
        f"{section}: HealthCheckExec HealthCheckInterval HealthCheckRetries HealthCheckStartPeriod"
        " HealthCheckTCP HealthCheckTimeout HealthCheckURL"
        for section in ("Service", "X-GitProc")
    ),
    "e2e/test_socket_settings.py::test_a_service_finds_its_sockets_as_their_units_say": (
        "Service: Sockets Socket: Backlog FileDescriptorName Service SocketProtocol"
    ),
    "e2e/test_socket_settings.py::test_what_a_service_is_given_may_block_and_how_much_a_fifo_holds": (
        "Service: NonBlocking Socket: PipeSize"
    ),
    "e2e/test_socket_settings.py::test_commands_of_a_socket_find_what_it_says": (
        "Socket: Environment EnvironmentFile Group LimitNOFILE Nice PassEnvironment SocketGroup"
        " SupplementaryGroups UMask UnsetEnvironment User WorkingDirectory"
    ),
    "e2e/test_socket_settings.py::test_how_commands_of_a_socket_end": "Socket: TimeoutSec",
    "e2e/test_socket_settings.py::test_how_often_a_socket_or_a_path_may_start_its_service": (
        "Socket: PollLimitIntervalSec TriggerLimitBurst TriggerLimitIntervalSec"
        " Path: TriggerLimitBurst TriggerLimitIntervalSec Unit"
    ),
    "e2e/test_sockets.py::test_sockets_of_every_kind_are_passed_in_their_order": (
        "Socket: DirectoryMode ListenDatagram ListenSequentialPacket ListenStream SocketMode SocketUser"
    ),
    "e2e/test_sockets.py::test_each_datagram_socket_and_fifo_wakes_its_service": "Socket: ListenFIFO",
    "e2e/test_sockets.py::test_each_connection_has_an_instance_of_its_own": (
        "Socket: Accept MaxConnections MaxConnectionsPerSource"
    ),
    "e2e/test_sockets.py::test_a_service_that_never_accepts_ends_in_a_failed_socket": (
        "Socket: PollLimitBurst"
    ),
    "e2e/test_sockets.py::test_its_commands_run_around_the_socket_and_its_links_go_with_it": (
        "Socket: ExecStartPost ExecStartPre ExecStopPost ExecStopPre RemoveOnStop Symlinks"
    ),
    "e2e/test_sockets.py::test_stored_descriptors_come_back_with_the_next_start": (
        "Service: FileDescriptorStoreMax FileDescriptorStorePreserve"
    ),
    "e2e/test_sockets.py::test_what_waits_when_a_service_has_ended_is_dropped_if_so_asked": (
        "Socket: FlushPending"
    ),
    "e2e/test_terminals.py::test_a_terminal_is_fit_before_and_after": (
        "Service: TTYColumns TTYPath TTYRows TTYVHangup TTYVTDisallocate"
    ),
    "e2e/test_terminals.py::test_a_terminal_is_brought_to_its_usual_settings": "Service: TTYReset",
    "e2e/test_timers.py::test_a_persistent_timer_catches_up": "Timer: Persistent",
    "e2e/test_unit_settings.py::test_order": "Unit: Before DefaultDependencies",
    "e2e/test_unit_settings.py::test_who_is_started_stopped_and_reloaded_with_whom": (
        "Unit: BindTo PropagateReloadFrom PropagateReloadTo RefuseManualStart ReloadPropagatedFrom"
        " RequiresOverridable Requisite RequisiteOverridable StopPropagatedFrom Wants"
    ),
    "e2e/test_unit_settings.py::test_what_being_in_the_commit_enables": (
        "Install: Alias DefaultInstance RequiredBy UpheldBy WantedBy"
    ),
    "e2e/test_unit_settings.py::test_how_long_a_start_may_wait_and_take": (
        "Unit: JobRunningTimeoutSec JobTimeoutSec"
    ),
    "vm/inside/clock.py::test_a_step_of_the_wall_clock_changes_nothing": "Timer: OnClockChange",
    "vm/inside/knobs.py::test_what_is_asked_for_is_what_the_kernel_has": (
        "Service: BlockIOReadBandwidth BlockIOWriteBandwidth"
        " Slice: BlockIOReadBandwidth BlockIOWriteBandwidth"
    ),
}

#: Of these no process can notice anything.
NOBODYS = {"Unit.Documentation": "shown to people, and nothing else"}


def keys(text: str) -> list[str]:
    """`Unit: After Service: Type` as keys of the table."""
    found, section = [], ""
    for word in text.split():
        if word.endswith(":"):
            section = word[:-1]
        else:
            found.append(f"{section}.{word}")
    return found


def test_every_other_directive_has_a_test():
    shown = {key for text in SHOWN.values() for key in keys(text)}
    tried = {key for keys_ in TABLES.values() for key in keys_}
    assert sorted(CENSUS - tried - shown - NOBODYS.keys()) == []
    assert sorted((tried | shown | NOBODYS.keys()) - CENSUS) == []


@pytest.mark.parametrize("test", SHOWN)
def test_the_tests_that_are_named_are_there(test):
    text = source_of(test)
    assert [key for key in keys(SHOWN[test]) if f"{key.partition('.')[2]}=" not in text] == []
