"""The directive table: complete, consistent, and typed by its defaults."""

from __future__ import annotations

import pytest

from gitproc.units import directives as d
from gitproc.units import (
    directives_exec,
    directives_exec_credentials,
    directives_exec_memory,
    directives_exec_scheduling,
    directives_exec_streams,
    directives_exec_terminal,
    directives_gitproc,
    directives_job,
    directives_path,
    directives_resources,
    directives_sandbox,
    directives_socket,
    directives_timer,
    directives_triggers,
    directives_unit,
)
from gitproc.units.conditions import CONDITION_KEYS
from gitproc.units.directive import Change, Directive, Repeat, Support
from gitproc.units.directives import SECTIONS, TABLE, suggest
from gitproc.units.spellings import STANDS_FOR

MODULES = (
    d,
    directives_gitproc,
    directives_job,
    directives_sandbox,
    directives_unit,
    directives_path,
    directives_timer,
    directives_triggers,
    directives_socket,
    directives_exec,
    directives_exec_credentials,
    directives_exec_memory,
    directives_exec_scheduling,
    directives_exec_streams,
    directives_exec_terminal,
    directives_resources,
    directives_sandbox,
)
CONSTANTS = [
    (name, value)
    for module in MODULES
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, Directive)
]


def snake(name: str) -> str:
    return name.replace("_", "").lower()


def test_every_enforced_directive_is_a_constant_of_its_name():
    enforced = {
        row.key for row in TABLE.values() if row.support is Support.ENFORCED
    } - STANDS_FOR.keys()
    enforced -= CONDITION_KEYS  # known by what they test
    twins = {key: key.replace("Slice.", "Service.") for key in enforced}  # the same in a slice
    enforced = {twins[key] for key in enforced}
    assert enforced <= {row.key for _, row in CONSTANTS}
    for name, row in CONSTANTS:
        assert snake(name) in (row.name.lower(), f"{row.section}{row.name}".lower())
        assert TABLE[row.key] is row


def test_rows_say_in_one_line_what_they_do():
    for key, row in TABLE.items():
        assert key == row.key
        assert row.doc.endswith((".", "..")), key
        assert "\n" not in row.doc
        assert len(row.doc) < 100, key


def test_lists_start_empty_and_what_is_not_done_changes_nothing():
    for row in TABLE.values():
        if row.repeat is not Repeat.LAST:
            assert not row.default, row.key
        if row.support is not Support.ENFORCED:
            assert row.change is Change.NONE, row.key


def test_other_spellings_stand_for_rows_of_the_table():
    for key, targets in STANDS_FOR.items():
        assert key in TABLE
        assert all(target in TABLE and target not in STANDS_FOR for target in targets)


# What Debian's own units use most; none may be unknown.
@pytest.mark.parametrize(
    "key",
    [
        "Unit.ConditionPathExists",
        "Unit.AssertPathExistsGlob",
        "Unit.OnFailure",
        "Unit.RequiresMountsFor",
        "Unit.StartLimitInterval",
        "Service.StartLimitBurst",
        "Service.PermissionsStartOnly",
        "Service.WatchdogSec",
        "Service.ReadWriteDirectories",
        "Service.InaccessibleDirectories",
        "Service.MemoryLimit",
        "Service.PAMName",
        "Service.SystemCallFilter",
        "Service.LoadCredential",
        "Service.TTYVHangup",
        "Service.OOMPolicy",
        "Service.FileDescriptorStoreMax",
        "Service.UtmpMode",
        "Service.ProcSubset",
        "Service.StartupIOWeight",
        "Service.FailureAction",
        "Service.IPAddressDeny",
        "Unit.JobTimeoutAction",
        "Service.PrivatePIDs",
        "Service.ExitType",
        "Service.RestartSteps",
        "Slice.MemoryMax",
        "Install.UpheldBy",
    ],
)
def test_directives_of_systemd_are_known(key):
    assert key in TABLE


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5.0), ("0", float("inf")), ("infinity", float("inf"))]
)
def test_a_timeout_of_zero_is_none(text, value):
    assert d.TIMEOUT_START_SEC.parse(text) == value


def test_values_of_some_directives():
    assert d.MEMORY_MAX.parse("512M").absolute == 512 << 20
    assert d.CPU_QUOTA.parse("150%") == 1.5
    assert d.PID_FILE.parse("x.pid") == "/run/x.pid"
    assert d.PID_FILE.parse("/var/run/x/y.pid") == "/run/x/y.pid"
    assert d.HEALTH_CHECK_TCP.parse("6379") == "127.0.0.1:6379"
    assert d.HEALTH_CHECK_TCP.parse("[::1]:80") == "[::1]:80"
    assert d.RESTART_TRIGGERS.parse("/conf/a.conf ./b") == ("conf/a.conf", "b")
    assert d.RUNTIME_DIRECTORY_PRESERVE.parse("true") == "yes"


@pytest.mark.parametrize(
    ("directive", "text"),
    [
        (d.TYPE, "fork"),
        (d.RESTART, "on-fail"),
        (d.HEALTH_CHECK_URL, "localhost/health"),
        (d.HEALTH_CHECK_TCP, "host:99999"),
        (d.HEALTH_CHECK_TCP, "::80"),
        (d.HEALTH_CHECK_RETRIES, "0"),
        (d.HEALTH_CHECK_INTERVAL, "0"),
        (d.RESTART_TRIGGERS, "../secret"),
        (d.AFTER, "nginx"),
        (d.AFTER, "foo@.service"),
        (d.RUNTIME_DIRECTORY, "a:b:ro"),
        (d.STANDARD_OUTPUT, "journald"),
    ],
)
def test_values_that_are_refused(directive, text):
    with pytest.raises(ValueError, match=r"."):
        directive.parse(text)


def test_suggestions():
    service = SECTIONS["service"]
    assert suggest("Service", "Restrat", service) == "; did you mean Restart=?"
    assert suggest("Service", "execstart", service) == "; did you mean ExecStart=?"
    assert suggest("Unit", "ExecStart", service) == "; it belongs in [Service]"
    assert suggest("Service", "Quux", service) == ""
