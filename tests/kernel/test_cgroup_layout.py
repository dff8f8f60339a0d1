"""Names of groups, and what /proc says of hierarchies."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitproc.errors import HostError
from gitproc.kernel.cgroup_layout import (
    Kind,
    Layout,
    bare_name,
    detect,
    group_name,
    parse_membership,
    parse_mounts,
    unit_name,
)
from gitproc.kernel.knobs import cpu_max


@pytest.mark.parametrize(
    ("unit", "bare", "group"),
    [
        ("nginx.service", "nginx", "nginx"),
        ("foo@bar.service", "foo@bar", "foo@bar"),
        ("multi-user.target", "multi-user.target", "multi-user.target"),
        ("daemon.service", "daemon.service", "daemon.service"),
        ("events.service", "events.service", "events.service"),
        ("a.target.service", "a.target.service", "a.target.service"),
        ("x.service.service", "x.service.service", "x.service.service"),
        ("tasks.service", "tasks", "_tasks"),
        ("cgroup.procs.service", "cgroup.procs", "_cgroup.procs"),
        ("pids.max.service", "pids.max", "_pids.max"),
        ("_a.service", "_a", "__a"),
        (".a.service", ".a", "_.a"),
        ("memory.service", "memory", "memory"),
    ],
)
def test_names(unit, bare, group):
    assert bare_name(unit) == bare
    assert group_name(unit) == group
    assert unit_name(group) == unit


@pytest.mark.parametrize(
    "unit", ["", "a/b.service", "..", "a b.service", "é.service", "a\n.service"]
)
def test_what_is_no_unit_name_is_refused(unit):
    with pytest.raises(HostError):
        group_name(unit)


def test_membership():
    text = "5:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/a:b\n"
    assert parse_membership(text) == {
        "cpu": "/x",
        "cpuacct": "/x",
        "name=systemd": "/y",
        "": "/a:b",
    }


def test_mounts_may_show_a_part_of_their_hierarchy():
    text = (
        "33 23 0:29 /docker/a /sys/fs/cgroup/cpu\\040x rw - cgroup cgroup rw,cpu,cpuacct\n"
        "34 23 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
        "35 23 0:38 / /sys/fs/cgroup/unified rw shared:1 - cgroup2 cgroup2 rw\n"
        "36 23 0:38 /x /elsewhere rw - cgroup2 cgroup2 rw\n"
        "37 23 0:39 / /tmp rw - tmpfs cgroup rw\n"
    )
    points, roots = parse_mounts(text)
    assert points == {
        "cpu": "/sys/fs/cgroup/cpu x",
        "": "/sys/fs/cgroup/unified",
    }
    assert roots == {"cpu": "/docker/a"}
    layout = Layout(Kind.HYBRID, roots=roots)
    assert layout.below_mount("cpu", "/docker/a") == "/"
    assert layout.below_mount("cpu", "/docker/a/gitproc/x") == "/gitproc/x"
    assert layout.below_mount("cpu", "/docker/ab") is None
    assert layout.below_mount("", "/any") == "/any"


def test_the_machine_is_recognised():
    layout = detect()
    pure = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    if layout.kind is Kind.V2:
        assert pure
        assert layout.v2_mount == "/sys/fs/cgroup"
    elif layout.kind is Kind.HYBRID:
        assert not pure
        assert layout.v1
    assert detect(2**22 + 1).kind is Kind.NONE
    assert detect(v1=False, v2=False).kind is Kind.NONE


def test_quotas():
    assert cpu_max(1.5) == "150000 100000"
    assert cpu_max(None) == "max 100000"
    assert cpu_max(0.001) == "1000 1000000", "the kernel takes no less than a millisecond"
    assert cpu_max(0.005) == "1000 200000"
    assert cpu_max(0.5, 0.01) == "5000 10000"
