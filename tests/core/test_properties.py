"""What `show` prints, beside what `systemctl show` of systemd 252 printed of the same unit."""

from __future__ import annotations

import pytest

from gitproc.core.properties import properties, property_name, unit_properties
from gitproc.core.status import unit_status
from gitproc.core.world import Settings
from tests.core.fake_kernel import Machine
from tests.units.trees import tree

UNIT = """\
[Unit]
Description=A thing
Documentation=man:thing(8) https://example.org/
StartLimitIntervalSec=1min
[Service]
Type=exec
ExecStartPre=-/bin/mkdir -p /run/thing
ExecStartPre=/bin/true
ExecStart=@/bin/sleep thing 60 "two words" ${A}
Environment=A=1 "B=two words"
EnvironmentFile=-/etc/default/thing
EnvironmentFile=/etc/thing
TimeoutStopSec=90
RestartSec=250ms
Restart=on-failure
SuccessExitStatus=143 SIGKILL 77
KillSignal=SIGINT
UMask=027
LimitNOFILE=1024:4096
LimitCORE=infinity
MemoryMax=64M
CPUQuota=150%
TasksMax=10
RuntimeDirectory=thing thing/sub
RuntimeDirectoryMode=0750
WorkingDirectory=-/srv
User=nobody
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""
NOT_RUN = " start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
SYSTEMD = {
    "Description": "A thing",
    "Documentation": '"man:thing(8)" https://example.org/',
    "StartLimitIntervalUSec": "1min",
    "StartLimitBurst": "5",
    "Type": "exec",
    "ExecStart": [
        "{ path=/bin/sleep ; argv[]=thing 60 two words ${A} ; ignore_errors=no ;" + NOT_RUN,
    ],
    "ExecStartPre": [
        "{ path=/bin/mkdir ; argv[]=/bin/mkdir -p /run/thing ; ignore_errors=yes ;" + NOT_RUN,
        "{ path=/bin/true ; argv[]=/bin/true ; ignore_errors=no ;" + NOT_RUN,
    ],
    "EnvironmentFiles": [
        "/etc/default/thing (ignore_errors=yes)", "/etc/thing (ignore_errors=no)",
    ],
    "Environment": 'A=1 "B=two words"',
    "TimeoutStopUSec": "1min 30s",
    "TimeoutStartUSec": "infinity",
    "RestartUSec": "250ms",
    "Restart": "on-failure",
    "SuccessExitStatus": "77 143 KILL",
    "KillSignal": "2",
    "RestartKillSignal": "2",
    "FinalKillSignal": "9",
    "UMask": "0027",
    "LimitNOFILE": "4096",
    "LimitNOFILESoft": "1024",
    "LimitCORE": "infinity",
    "LimitCORESoft": "infinity",
    "MemoryMax": "67108864",
    "CPUQuotaPerSecUSec": "1.500000s",
    "TasksMax": "10",
    "RuntimeDirectory": "thing thing/sub",
    "RuntimeDirectoryMode": "0750",
    "StateDirectoryMode": "0755",
    "WorkingDirectory": "!/srv",
    "User": "nobody",
    "SendSIGKILL": "yes",
    "RemainAfterExit": "no",
    "KillMode": "control-group",
}  # fmt: skip


@pytest.fixture(scope="module")
def shown():
    units = tree({"thing.service": UNIT})
    assert not units.has_errors
    return unit_properties(units.units["thing.service"], Settings())


@pytest.mark.parametrize("name", sorted(SYSTEMD))
def test_a_property_as_systemctl_shows_it(shown, name):
    assert shown[name] == SYSTEMD[name]


def test_lists_that_are_empty_are_left_out_and_other_kinds_directives_too(shown):
    assert not {"ExecStop", "SupplementaryGroups", "OnCalendar", "WantedBy"} & set(shown)


def test_the_hosts_defaults_show(shown):
    unit = tree({"a.service": "[Service]\nExecStart=/bin/true\n"}).units["a.service"]
    settings = Settings(timeout_start=7, timeout_stop=8, restart_sec=3, start_limit_burst=9)
    found = unit_properties(unit, settings)
    assert [found[name] for name in ("TimeoutStartUSec", "TimeoutStopUSec", "RestartUSec")] == [
        "7s", "8s", "3s",
    ]  # fmt: skip
    assert found["StartLimitBurst"] == "9"


def test_what_is_not_read_is_shown_as_written():
    unit = tree({"a.service": "[Service]\nExecStart=/bin/true\nAppArmorProfile=-x  y\n"}).units
    assert unit_properties(unit["a.service"], Settings())["AppArmorProfile"] == '"-x  y"'


def test_relations_both_ways_names_and_file_state():
    machine = Machine()
    machine.commit({
        "a.service": "[Service]\nExecStart=/bin/true\n[Unit]\nRequires=b.service\nAfter=b.service\n",
        "b.service": "[Service]\nExecStart=/bin/true\n[Install]\nAlias=c.service\nWantedBy=multi-user.target\n",
    })  # fmt: skip

    def of(name):
        return properties(machine.world, name, unit_status(machine.world, name, 0.0))

    assert (of("a.service")["Requires"], of("a.service")["UnitFileState"]) == (
        "b.service",
        "static",
    )
    assert of("b.service")["RequiredBy"] == "a.service"
    assert "a.service" in of("b.service")["Before"].split()
    assert (of("b.service")["Names"], of("b.service")["UnitFileState"]) == (
        "b.service c.service", "enabled",
    )  # fmt: skip
    assert of("b.service")["WantedBy"] == "multi-user.target"


def test_names_of_properties():
    assert [property_name(name) for name in ("RestartSec", "TimerSlackNSec", "CPUQuota", "Nice")] == [
        "RestartUSec", "TimerSlackNSec", "CPUQuotaPerSecUSec", "Nice",
    ]  # fmt: skip
