"""The facts of this machine."""

from __future__ import annotations

import os
import subprocess

from gitproc.kernel.host import features, read_host
from gitproc.kernel.namespaces import has_capability, missing_namespaces


def test_facts_agree_with_the_machines_own_tools():
    host = read_host()
    assert host.hostname == subprocess.check_output(["uname", "-n"], text=True).strip()
    assert host.kernel_release == subprocess.check_output(["uname", "-r"], text=True).strip()
    assert len(host.boot_id) == 32
    assert host.uid == os.getuid()
    script = '. /etc/os-release; printf %s "$ID $VERSION_ID"'
    os_release = subprocess.check_output(["sh", "-c", script], text=True)
    assert f"{host.os_id} {host.os_version_id}" == os_release
    assert (host.run, host.state) == ("/run", "/var/lib")


def test_a_users_directories_are_those_of_the_session():
    host = read_host({"HOME": "/home/x", "XDG_RUNTIME_DIR": "/run/user/5"}, user_mode=True)
    assert host.run == "/run/user/5"
    assert host.state == "/home/x/.local/state"
    assert host.logs == "/home/x/.local/state/log"
    assert host.cache == "/home/x/.cache"
    assert host.config == "/home/x/.config"
    moved = read_host({"HOME": "/h", "XDG_STATE_HOME": "/s", "TMPDIR": "/t"}, user_mode=True)
    assert (moved.state, moved.tmp, moved.var_tmp) == ("/s", "/t", "/t")


def test_features_are_probed():
    found = features()
    assert found["pidfd"]
    assert not found["cgroup.freeze"], "no group was named"
    assert found["pid namespaces"] is ("pid" not in missing_namespaces())
    if os.getuid() == 0:
        assert has_capability(0), "root may chown"
