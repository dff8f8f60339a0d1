"""One unit: how settings fold, what follows from them, its identity, and what a service must be."""

from __future__ import annotations

import json
import math

import pytest

from gitproc.units import directives as d
from gitproc.units.diagnostics import Location
from gitproc.units.sandbox_rules import capabilities_left
from gitproc.units.service_types import KillMode, NotifyAccess, Restart, ServiceType
from gitproc.units.unit import Unit
from tests.units.trees import HOST, SERVICE, texts, tree


def unit(text: str, name: str = "a.service", *, private_pids: bool = False) -> Unit:
    units = tree({name: text}, "*", private_pids=private_pids)
    assert not units.has_errors, texts(units)
    return units.units[name]


def service(body: str, *, private_pids: bool = False) -> Unit:
    return unit(SERVICE + body, private_pids=private_pids)


def errors(body: str, *allowed: str) -> list[str]:
    return texts(tree({"a.service": body}, *allowed), "error")


def test_defaults_are_systemds():
    it = service("")
    assert it[d.TYPE] is ServiceType.SIMPLE
    assert it[d.RESTART] is Restart.NO
    assert it[d.RESTART_SEC] == 0.1
    assert it[d.TIMEOUT_START_SEC] == it[d.TIMEOUT_STOP_SEC] == 90
    assert it[d.KILL_MODE] is KillMode.CONTROL_GROUP
    assert it[d.UMASK] == 0o022
    assert (it[d.START_LIMIT_INTERVAL_SEC], it[d.START_LIMIT_BURST]) == (10, 5)
    assert not it.has(d.TYPE)


def test_the_last_assignment_wins_and_an_empty_one_goes_back_to_the_default():
    assert service("Restart=always\nRestart=on-failure\n")[d.RESTART] is Restart.ON_FAILURE
    assert service("Restart=always\nRestart=\n")[d.RESTART] is Restart.NO


def test_lists_add_up_and_an_empty_assignment_starts_over():
    assert service("Environment=A=1\nEnvironment=B=2\n")[d.ENVIRONMENT] == ("A=1", "B=2")
    assert service("Environment=A=1\nEnvironment=\nEnvironment=B=2\n")[d.ENVIRONMENT] == ("B=2",)
    it = service("SuccessExitStatus=1 SIGKILL\nSuccessExitStatus=DATAERR\n")
    assert it[d.SUCCESS_EXIT_STATUS].codes == {1, 65}
    assert it[d.SUCCESS_EXIT_STATUS].signals == {9}


def test_dependencies_are_never_taken_back():
    it = unit("[Unit]\nAfter=b.service c.service\nAfter=\nAfter=b.service d.service\n" + SERVICE)
    assert it[d.AFTER] == ("b.service", "c.service", "d.service")
    assert it.where(d.AFTER, "c.service") == Location("a.service", 2)
    assert it.where(d.AFTER, "d.service") == Location("a.service", 4)


def test_places_of_values():
    it = service("Restart=always\nUser=me\nRestart=no\n")
    assert it.where(d.RESTART) == Location("a.service", 5)
    assert it.where(d.NICE) == Location("a.service", 0)


def test_old_spellings_count_for_the_new_ones():
    it = service("StartLimitInterval=1min\nStartLimitBurst=2\nTimeoutSec=7\nMemoryLimit=1M\n")
    assert (it[d.START_LIMIT_INTERVAL_SEC], it[d.START_LIMIT_BURST]) == (60, 2)
    assert (it[d.TIMEOUT_START_SEC], it[d.TIMEOUT_STOP_SEC]) == (7, 7)
    assert it[d.MEMORY_MAX].absolute == 1 << 20
    assert it.where(d.TIMEOUT_STOP_SEC).line == 5


def test_what_follows_from_the_type():
    oneshot = service("Type=oneshot\n")
    assert oneshot[d.TIMEOUT_START_SEC] == math.inf
    assert service("Type=oneshot\nTimeoutStartSec=5\n")[d.TIMEOUT_START_SEC] == 5
    umbrella = unit("[Service]\nRemainAfterExit=yes\nExecStop=/bin/true\n")
    assert umbrella[d.TYPE] is ServiceType.ONESHOT
    assert service("Type=notify\n")[d.NOTIFY_ACCESS] is NotifyAccess.MAIN
    assert service("Type=notify\nNotifyAccess=all\n")[d.NOTIFY_ACCESS] is NotifyAccess.ALL


def test_a_restart_is_asked_for_by_the_signal_of_a_stop_unless_set():
    assert service("KillSignal=SIGINT\n")[d.RESTART_KILL_SIGNAL] == 2
    assert service("KillSignal=INT\nRestartKillSignal=HUP\n")[d.RESTART_KILL_SIGNAL] == 1


def test_private_pids_by_the_hosts_default():
    assert service("", private_pids=True)[d.PRIVATE_PIDS]
    assert not service("PrivatePIDs=no\n", private_pids=True)[d.PRIVATE_PIDS]
    assert not service("Type=forking\n", private_pids=True)[d.PRIVATE_PIDS], "it cannot be had"


def test_health_checks_in_both_places():
    ours = service("[X-GitProc]\nHealthCheckURL=http://localhost/\n")
    assert ours[d.HEALTH_CHECK_URL] == "http://localhost/"
    assert ours[d.HEALTH_CHECK_RETRIES] == 3
    old = service("HealthCheckURL=http://localhost/\nHealthCheckInterval=10\n")
    assert (old[d.HEALTH_CHECK_INTERVAL], old[d.HEALTH_CHECK_RETRIES]) == (10, 1)


def test_a_specifier_that_gives_blanks_stays_one_word():
    units = tree(
        {
            "a@.service": "[Service]\nExecStart=/bin/echo %I %% '%i'\nEnvironment=X=%I\n",
            "t.target": "[Unit]\nWants=a@b\\x20\\x27c.service\n",
        }
    )
    it = units.units["a@b\\x20\\x27c.service"]
    assert it[d.EXEC_START][0].argv == ("/bin/echo", "b 'c", "%", "b\\x20\\x27c")
    assert it[d.ENVIRONMENT] == ("X=b 'c",)


def test_percent_signs_of_numbers_are_no_specifiers():
    it = service("CPUQuota=20%\nTasksMax=50%\n")
    assert (it[d.CPU_QUOTA], it[d.TASKS_MAX].fraction) == (0.2, 0.5)


@pytest.mark.parametrize(
    "same",
    [
        "# comment\n\n[Service]\nExecStart=/bin/sleep 1\n",
        "[Unit]\nDescription=x\nAfter=b.service\n[Service]\nExecStart=/bin/sleep 1\n",
        "[Service]\nExecStart=/bin/true\nExecStart=\nExecStart=/bin/sleep 1\n",
        SERVICE + "[Install]\nWantedBy=multi-user.target\n",
    ],
)
def test_the_fingerprint_is_of_what_runs(same):
    assert unit(same).fingerprint == service("").fingerprint


@pytest.mark.parametrize(
    "other", ["Nice=1\n", "MemoryMax=1G\n", "ExecStop=/bin/true\n", "Environment=A=1\n"]
)
def test_the_fingerprint_changes_with_what_runs(other):
    assert service(other).fingerprint != service("").fingerprint


def test_the_same_text_under_another_name_is_another_thing():
    assert unit(SERVICE, "b.service").fingerprint != unit(SERVICE, "a.service").fingerprint


def test_a_frozen_unit_comes_back():
    files = {
        "a.service": "[Unit]\nAfter=b.service\n"
        + SERVICE
        + "Type=notify\nMemoryMax=50%\nEnvironment=H=%H\nHealthCheckTCP=80\n"
        + "[X-GitProc]\nRestartTriggers=conf\n",
        "a.service.d/x.conf": "[Service]\nNice=3\n",
        "conf": "x",
    }
    units = tree(files, private_pids=True)
    assert not units.has_errors, texts(units)
    it = units.units["a.service"]
    back = Unit.thaw(json.loads(json.dumps(it.freeze())), HOST)
    assert back == it
    assert back.values == it.values
    assert back.triggers == it.triggers
    assert back.fingerprint == it.fingerprint
    assert back.where(d.AFTER, "b.service") == it.where(d.AFTER, "b.service")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("[Service]\nType=simple\n", "a.service: error: ExecStart: missing"),
        ("[Service]\nType=simple\nExecStop=/bin/true\n", "a.service: error: ExecStart: missing"),
        ("[Service]\nExecStop=/bin/true\n", "a.service: error: ExecStart: missing"),
        (SERVICE + "ExecStart=/bin/true\n", "a.service:3: error: ExecStart: several"),
        (SERVICE + "Type=oneshot\nRestart=always\n", "a.service:4: error: Restart: Restart=always"),
        (SERVICE + "Type=oneshot\nRestartForceExitStatus=1\n", "a.service:4: error: Restart"),
        (SERVICE + "Type=dbus\n", "a.service:3: error: Type: Type=dbus needs BusName="),
        (SERVICE + "Type=forkin\n", "a.service:3: error: Type: 'forkin' is not one of"),
        (SERVICE + "Restart=no # never\n", "a.service:3: error: Restart: 'no # never'"),
        (SERVICE + "RestartSec=soon\n", "a.service:3: error: RestartSec: 'soon'"),
        (SERVICE + "HealthCheckTCP=80\nHealthCheckURL=http://x/\n", "a.service:3: error: Health"),
        (SERVICE + "RootImage=/srv\n", "a.service:3: error: RootImage: not supported"),
    ],
)
def test_what_a_service_cannot_be(body, line):
    found = errors(body)
    assert len(found) == 1
    assert found[0].startswith(line)


def test_a_broken_command_is_not_also_a_missing_one():
    assert len(errors("[Service]\nExecStart='\n")) == 1


def test_sandboxing_that_is_not_enforced_is_an_error_unless_allowed():
    body = SERVICE + "RestrictFileSystems=~debugfs\nAppArmorProfile=x\nPrivateDevices=no\n"
    assert [line.split(": ")[2] for line in errors(body)] == [
        "RestrictFileSystems",
        "AppArmorProfile",
    ]
    assert [line.split(": ")[2] for line in errors(body, "RestrictFileSystems")] == [
        "AppArmorProfile"
    ]
    assert errors(body, "*") == []
    assert len(texts(tree({"a.service": body}, "*"), "warning")) == 2


def test_a_restriction_taken_back_is_none():
    assert errors(SERVICE + "ProtectSystem=strict\nProtectSystem=no\n") == []
    assert errors(SERVICE + "ReadOnlyPaths=/a\nReadOnlyPaths=\n") == []


def test_no_capabilities_at_all_is_a_restriction():
    unit = tree({"a.service": SERVICE + "CapabilityBoundingSet=\n"}).units["a.service"]
    assert capabilities_left(unit.values) == frozenset()


def test_things_not_done_are_warnings():
    body = SERVICE + "RootEphemeral=yes\nOpenFile=/x\nSyslogIdentifier=x\n"
    units = tree({"a.service": body})
    assert not units.has_errors
    assert [line[:32] for line in texts(units)] == [
        "a.service:3: warning: RootEpheme",
        "a.service:4: warning: OpenFile: ",
    ]
    assert not texts(tree({"a.service": SERVICE + "WatchdogSec=0\nSlice=system.slice\n"}))


@pytest.mark.parametrize("name", ["org.freedesktop.x", "a-b._c", ":1.42", "a.b" + "c" * 250])
def test_names_on_the_bus(name):
    assert errors(f"{SERVICE}Type=dbus\nBusName={name}\n") == []


@pytest.mark.parametrize(
    "name", ["x", "/a/../b", "a..b", ".a.b", "a.1b", "a.b.", "é.b", "a.b" + "c" * 260]
)
def test_what_is_no_name_on_the_bus(name):
    assert any("is not a D-Bus name" in x for x in errors(f"{SERVICE}Type=dbus\nBusName={name}\n"))


def test_documentation_that_leads_nowhere_is_said():
    body = "[Unit]\nDocumentation=man:a(8) https://x.org file:/x info:x http://y\nDocumentation=x, http:// é\n"
    assert texts(tree({"a.service": body + SERVICE})) == [
        f"a.service:3: warning: Documentation: '{x}' is no URI (https:, file:, man:, info:)"
        for x in ("http://", "x,", "é")
    ]


@pytest.mark.parametrize("line", [
    "[Unit]\nAllowIsolate=maybe", "[Unit]\nIgnoreOnIsolate=x", "[Unit]\nCollectMode=never",
    "CPUAccounting=x", "TasksAccounting=yes x", "TimeoutCleanSec=x",
])  # fmt: skip
def test_what_has_no_effect_is_read_all_the_same(line):
    [said] = errors(f"{SERVICE}{line}\n")
    assert f"{line.rpartition('[Unit]')[2].strip().partition('=')[0]}: " in said


def test_a_kind_of_device_may_be_named_by_a_path():
    """/proc/devices has such: systemd-logind is allowed char-/dev/console."""
    body = f"{SERVICE}DeviceAllow=char-/dev/console rw\nDeviceAllow=char-drm rw\n"
    assert errors(body) == []
    assert errors(f"{SERVICE}DeviceAllow=console\n")
