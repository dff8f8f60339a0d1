"""What a unit's privileges become in the shim's spec, and what happens where this host cannot give them."""

from __future__ import annotations

import os

import pytest

from gitproc.kernel import filters, seccomp
from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.kernel.spec_privileges import privileges_of
from gitproc.units.specifiers import Host
from tests.kernel.parts import unit


def spec(text, *, warnings=None, **context):
    return privileges_of(
        unit(text), LaunchContext(Host(), **context), [] if warnings is None else warnings
    )


def test_a_unit_that_restricts_nothing_costs_nothing():
    assert spec("User=nobody\nLimitNOFILE=100") == {}


def test_each_key_stands_for_what_was_asked():
    assert spec("CapabilityBoundingSet=") == {"bounding": 0}
    assert spec("AmbientCapabilities=CAP_CHOWN CAP_KILL") == {"ambient": 1 | 1 << 5}
    assert spec("SecureBits=noroot noroot-locked") == {"secure_bits": 3}
    assert spec("NoNewPrivileges=yes") == {"no_new_privs": True}
    found = spec("RestrictRealtime=yes")
    assert found.pop("seccomp")[0][0] == "SECCOMP"
    assert found == {"no_new_privs": "unprivileged", "rlimits": [[14, 0, 0]]}
    assert "rlimits" not in spec("RestrictRealtime=yes\nLimitRTPRIO=5")
    assert spec("RestrictAddressFamilies=AF_UNIX")["seccomp"][0][0] == "ADDRESS_FAMILIES"
    assert spec("PrivateDevices=yes")["bounding"] == (1 << 41) - 1 & ~(1 << 17 | 1 << 27)


def test_one_filter_is_compiled_once_however_many_units_have_it():
    text = "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged"
    one, two = spec(text)["seccomp"], spec(text)["seccomp"]
    assert one[0][1] is two[0][1]
    assert 8 * 100 < len(one[0][1]) < 8 * 4096


def test_without_the_library_the_unit_fails_or_runs_with_a_warning(monkeypatch):
    monkeypatch.setattr(seccomp, "problem", lambda: "it is not installed")
    with pytest.raises(LaunchError, match="it is not installed") as caught:
        spec("LockPersonality=yes")
    assert caught.value.step == "SECCOMP"
    warnings: list[str] = []
    found = spec("LockPersonality=yes\nNoNewPrivileges=yes", warnings=warnings, warn_isolation=True)
    assert found == {"no_new_privs": True}
    assert warnings == ["system calls are not restricted: it is not installed"]


def test_architectures_and_personalities_of_other_machines():
    warnings: list[str] = []
    assert spec("SystemCallArchitectures=native alpha", warnings=warnings)["seccomp"]
    assert warnings == ["SystemCallArchitectures=: nothing is known of alpha here"]
    own, *others = seccomp.local_architectures()
    assert spec(f"Personality={own}") == {"personality": 0}
    if "x86" in others:
        assert spec("Personality=x86") == {"personality": 8}
    with pytest.raises(LaunchError) as caught:
        spec("Personality=alpha")
    assert caught.value.step == "PERSONALITY"


def test_programs_are_for_every_architecture_that_runs_here():
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers below are those of x86")
    code = seccomp.compiled(seccomp.Program(seccomp.ALLOW, (seccomp.CallRule(5 << 16, "chown"),)))
    words = [int.from_bytes(code[at + 4 : at + 8], "little") for at in range(0, len(code), 8)]
    assert {92, 182, 0x40000000 + 92} <= set(words)  # chown of x86-64, x86 and x32


def test_a_call_that_the_library_has_not_heard_of_is_left_out():
    assert not seccomp.knows_call("no_such_call")
    assert filters.programs_of(unit("SystemCallFilter=no_such_call read"))


def test_an_unprivileged_manager_leaves_capabilities_as_they_are_where_the_host_says_warn():
    text = "CapabilityBoundingSet=\nNoNewPrivileges=yes"
    warnings: list[str] = []
    found = spec(text, warnings=warnings, privileged=False, warn_isolation=True)
    assert found == {"no_new_privs": True}
    assert warnings == ["capabilities are as they are: the manager is not root"]
    assert spec(text, privileged=False)["bounding"] == 0  # and the start fails: 218
