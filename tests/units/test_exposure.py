"""Scores of exposure: what counts, what does not, and when a commit makes a service too exposed."""

from __future__ import annotations

import pytest

from gitproc.units.directive import Support
from gitproc.units.directives import TABLE
from gitproc.units.exposure import expose, too_exposed
from tests.units.trees import tree

PLAIN = "[Service]\nExecStart=/bin/true\n"


def exposure(text: str, as_written: bool = True):
    return expose(tree({"a.service": text}, "*").units["a.service"], as_written=as_written)


def test_a_plain_service_is_unsafe_and_each_gap_names_its_line():
    found = exposure(PLAIN)
    assert (found.score, found.level) == (9.6, "UNSAFE")
    shown = found.as_dict()
    first = shown["points"][0]
    assert (first["name"], first["line"], first["set"]) == (
        "PrivateNetwork=", "PrivateNetwork=yes", False,
    )  # fmt: skip
    assert all(x["line"] and x["text"] for x in shown["points"])


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "User=daemon\nSupplementaryGroups=adm",
        "User=nobody",
        "User=root\nDynamicUser=yes",
        "RestrictAddressFamilies=~AF_INET",
        "RestrictAddressFamilies=~AF_UNIX AF_INET AF_INET6",
        "RestrictAddressFamilies=AF_UNIX AF_ALG AF_CAN",
        "SystemCallArchitectures=native x86",
        "IPAddressDeny=any\nIPAddressAllow=10.0.0.0/8",
        "DevicePolicy=closed\nDeviceAllow=char-pts",
        "SystemCallFilter=@system-service @mount",
        "SystemCallFilter=~@mount",
        "RestrictNamespaces=uts net",
        "RestrictNamespaces=~uts",
        "CapabilityBoundingSet=CAP_SYS_ADMIN CAP_CHOWN\nAmbientCapabilities=CAP_CHOWN",
        "Delegate=yes\nNotifyAccess=all\nKeyringMode=shared\nUMask=0\nProtectHome=tmpfs",
    ],
)
def test_the_line_that_closes_a_gap_closes_it(lines):
    base = f"{PLAIN}{lines}\n"
    for gap in exposure(base).points:
        if gap.badness:
            value = "daemon" if gap.line.startswith("User=") else "/srv"
            text = f"{base}{gap.line.replace('...', value)}\n"
            assert next(x for x in exposure(text).points if x.name == gap.name).badness == 0, gap


def test_a_gap_that_another_setting_opens_has_no_line():
    found = exposure(f"{PLAIN}ProtectClock=yes\nDevicePolicy=closed\n")
    assert next(x for x in found.points if x.name == "DeviceAllow=").line == ""


def test_all_lines_together_close_all_gaps_in_the_order_in_which_they_are_shown():
    shown = exposure(PLAIN).as_dict()["points"]
    lines = [x["line"].replace("...", "/srv") for x in shown if x["set"] is False]
    left = [x for x in exposure("\n".join([PLAIN, *lines, ""])).points if x.badness]
    assert [x.name for x in left] == ["DeviceAllow="]  # the clock that ProtectClock= lets be read


@pytest.mark.parametrize(
    ("lines", "point"),
    [
        ("DynamicUser=yes", "User=/DynamicUser="),
        ("DynamicUser=yes", "ProtectSystem="),
        ("DynamicUser=yes", "NoNewPrivileges="),
        ("PrivateTmp=yes", "PrivateMounts="),
        ("PrivateDevices=yes", "DeviceAllow="),
        ("PrivateDevices=yes", "CapabilityBoundingSet=~CAP_MKNOD"),
        ("ProtectClock=yes", "CapabilityBoundingSet=~CAP_SYS_TIME"),
        ("SystemCallFilter=@system-service\nSystemCallFilter=~@resources", "SystemCallFilter=~@resources"),
    ],
)  # fmt: skip
def test_what_a_setting_brings_along(lines, point):
    def closed(text):
        return next(x for x in exposure(text).points if x.name == point).badness == 0

    assert not closed(PLAIN)
    assert closed(f"{PLAIN}{lines}\n")


def test_what_is_not_enforced_here_does_not_count():
    rows = [row for row in TABLE.values() if row.support is Support.RESTRICTS]
    choice = {"Service.ProtectProc": "invisible", "Service.PrivateUsers": "yes"}
    for key, value in choice.items():
        text = f"{PLAIN}{key.partition('.')[2]}={value}\n"
        lower = exposure(text, as_written=False).score < exposure(PLAIN).score
        assert lower is (TABLE[key] not in rows)
        assert exposure(text).score < exposure(PLAIN).score


def test_a_commit_may_not_make_a_service_more_exposed_than_allowed():
    def units(**texts):
        return tree({f"{name}.service": text for name, text in texts.items()}, "*").units

    sandboxed = f"{PLAIN}User=daemon\nUMask=0077\n"
    before = units(a=sandboxed, old=PLAIN, same=PLAIN)
    after = units(a=PLAIN, old=sandboxed, same=PLAIN, new=PLAIN, fine=sandboxed)
    found = [str(x) for x in too_exposed(before, after, after, 9.4)]
    assert len(found) == 2
    assert found[0].startswith("a.service: error: a.service is too exposed: 9.2 → 9.6, at most 9.4")
    assert found[1].startswith("new.service: error: new.service is too exposed: 9.6, at most 9.4")
    assert found[1].endswith(
        "most would come of PrivateNetwork=yes, DynamicUser=yes, RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"
    )
    assert too_exposed(before, after, after, 9.6) == []
    listed = units(a=f"{PLAIN}RestrictAddressFamilies=~AF_INET AF_INET6\nUser=root\n")
    [problem] = too_exposed({}, listed, listed, 8)
    assert "\n" not in problem.message


def test_a_refusal_says_what_would_help_or_that_nothing_would():
    shown = exposure(PLAIN).as_dict()["points"]
    lines = [x["line"].replace("...", "/srv") for x in shown if x["set"] is False]
    sealed = "\n".join([PLAIN, *lines, ""])

    def refused(more):
        units = tree({"a.service": sealed + more}, "*").units
        [problem] = too_exposed({}, units, units, 0.0)
        return problem.message.partition("(policy.max_exposure); ")[2]

    own = "no setting would lower it, as others ask for what is left: it reaches device nodes"
    assert refused("") == own
    assert refused("SystemCallArchitectures=x86\n") == (
        "most would come of SystemCallArchitectures=native"
    )
    assert refused("AmbientCapabilities=CAP_KILL\n") == "most would come of AmbientCapabilities="
