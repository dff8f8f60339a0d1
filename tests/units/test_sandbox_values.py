"""What the directives of the sandbox say: lists that allow or deny, marked paths, mounts."""

import errno

import pytest

from gitproc.units.access_lists import EVERYTHING, NOTHING, Filter, Rule, fold_filter, fold_set
from gitproc.units.capabilities import (
    ALL,
    CAPABILITIES,
    ambient_set,
    bounding_set,
    mask,
    parse_capabilities,
    parse_secure_bits,
)
from gitproc.units.mounts import (
    BindMount,
    EmptyMount,
    MarkedPath,
    parse_bind_mounts,
    parse_empty_mounts,
    parse_marked_paths,
)
from gitproc.units.restrictions import (
    NAMESPACES,
    allowed_namespaces,
    parse_architectures,
    parse_calls,
    parse_errno,
    parse_families,
    parse_namespaces,
)
from tests.units.facts import cases
from tests.units.trees import SERVICE, texts, tree


def found(settings):
    return texts(tree({"a.service": f"{SERVICE}{settings}\n"}))


def test_an_unknown_group_is_an_error_where_it_stands_and_an_unknown_call_a_warning():
    body = "SystemCallFilter=read\nSystemCallFilter=@no-such\n"
    [error] = found(body)
    assert error.startswith("a.service:4: error: SystemCallFilter")
    assert "'@no-such' is not a group" in error
    [warning] = found("SystemCallFilter=read chwon")
    assert warning.startswith("a.service:3: warning: SystemCallFilter")
    assert "'chwon'" in warning
    assert not found("SystemCallFilter=~@mount:EPERM read\nSystemCallLog=chown")


KILL, CHOWN = "CAP_KILL", "CAP_CHOWN"


def rules(parse, *texts):
    return tuple(rule for text in texts for rule in parse(text))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), ALL),
        (("cap_kill",), {KILL}),
        (("CAP_KILL CAP_CHOWN", "~CAP_CHOWN"), {KILL}),
        (("CAP_KILL", "CAP_CHOWN"), {KILL, CHOWN}),
        (("~CAP_KILL",), ALL - {KILL}),
        (("~CAP_KILL", "~CAP_CHOWN"), ALL - {KILL, CHOWN}),
        (("CAP_KILL", "~"), ALL),
    ],
)
def test_the_bounding_set(texts, expected):
    assert bounding_set(rules(parse_capabilities, *texts)) == expected


@cases("numbers", "errno")
def test_error_numbers_as_systemd_reads_them(case):
    if "error" in case:
        with pytest.raises(ValueError, match=r"."):
            parse_errno(case["in"])
    else:
        out = case["out"]
        assert parse_errno(case["in"]) == str(getattr(errno, out) if isinstance(out, str) else out)


def test_an_empty_bounding_set_leaves_nothing():
    assert bounding_set((Rule(False, (KILL,)), NOTHING)) == frozenset()
    assert bounding_set((NOTHING, Rule(False, (KILL,)))) == {KILL}


def test_ambient_capabilities_start_from_none():
    assert ambient_set(()) == frozenset()
    assert ambient_set(rules(parse_capabilities, "CAP_KILL", "CAP_CHOWN")) == {KILL, CHOWN}
    assert ambient_set(rules(parse_capabilities, "~CAP_KILL")) == ALL - {KILL}


def test_a_mask_has_the_kernels_bits():
    assert mask({KILL, CHOWN}) == 1 << 5 | 1 << 0
    assert mask(ALL) == (1 << 41) - 1
    assert CAPABILITIES[21] == "CAP_SYS_ADMIN"


def test_what_is_no_capability_is_named():
    with pytest.raises(ValueError, match="'CAP_FLY' is not a capability"):
        parse_capabilities("CAP_KILL CAP_FLY")


def test_secure_bits():
    assert parse_secure_bits("noroot keep-caps-locked") == (1, 32)
    with pytest.raises(ValueError, match="'root' is not one of"):
        parse_secure_bits("root")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), None),
        (("read write",), Filter(True, {"read": None, "write": None})),
        (("@basic-io", "~write"), Filter(True, {"@basic-io": None})),
        (("read write", "~write"), Filter(True, {"read": None})),
        (("read", "~write:EPERM"), Filter(True, {"read": None, "write": 1})),
        (("~reboot:EPERM",), Filter(False, {"reboot": 1})),
        (("~reboot kexec_load", "reboot"), Filter(False, {"kexec_load": None})),
        (("~@clock:kill",), Filter(False, {"@clock": -1})),
    ],
)
def test_a_filter_of_calls(texts, expected):
    assert fold_filter(rules(parse_calls, *texts)) == expected


@pytest.mark.parametrize("text", ["re ad;", "READ", "~a:EWHAT", "a:5000", "a:-1"])
def test_what_is_no_call(text):
    with pytest.raises(ValueError, match=r"'|range"):
        parse_calls(text)


def test_error_numbers():
    assert [parse_errno(x) for x in ("EPERM", "13", "kill")] == ["1", "13", "kill"]
    with pytest.raises(ValueError, match="'EWHAT' is neither"):
        parse_errno("EWHAT")


def test_architectures():
    assert parse_architectures("native x86-64") == ("native", "x86-64")
    with pytest.raises(ValueError, match="'z80' is not an architecture"):
        parse_architectures("z80")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("AF_UNIX", "AF_INET"), Filter(True, {"AF_UNIX": None, "AF_INET": None})),
        (("~AF_PACKET",), Filter(False, {"AF_PACKET": None})),
        (("none",), Filter(True, {})),
    ],
)
def test_address_families(texts, expected):
    assert fold_filter(rules(parse_families, *texts)) == expected


def test_what_is_no_family():
    with pytest.raises(ValueError, match="'INET' is not an address family"):
        parse_families("INET")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), set(NAMESPACES)),
        (("yes",), set()),
        (("no",), set(NAMESPACES)),
        (("user mnt",), {"user", "mnt"}),
        (("~user",), set(NAMESPACES) - {"user"}),
        (("~user", "~mnt"), set(NAMESPACES) - {"user", "mnt"}),
        (("yes", "uts"), {"uts"}),
    ],
)
def test_namespaces_that_may_be_made(texts, expected):
    assert allowed_namespaces(rules(parse_namespaces, *texts)) == expected


def test_what_is_no_namespace():
    with pytest.raises(ValueError, match="'space' is neither"):
        parse_namespaces("user space")


def test_a_rule_that_names_nothing_begins_anew():
    everything = frozenset({"a", "b"})
    assert fold_set((Rule(False, ("a",)), EVERYTHING), everything, frozenset()) == everything


def test_marked_paths():
    assert parse_marked_paths("-/a -+/b/ +/c /d") == (
        MarkedPath("/a", True),
        MarkedPath("/b", True, True),
        MarkedPath("/c", False, True),
        MarkedPath("/d"),
    )
    with pytest.raises(ValueError, match="not an absolute path"):
        parse_marked_paths("etc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a", BindMount("/a", "/a")),
        ("-/a:/b", BindMount("/a", "/b", True)),
        ("/a:/b:norbind", BindMount("/a", "/b", False, False)),
        (r"/a\:b:/c", BindMount("/a:b", "/c")),
    ],
)
def test_bind_mounts(text, expected):
    assert parse_bind_mounts(text) == (expected,)


@pytest.mark.parametrize("text", ["a", "/a:b", "/a:/b:exec", ":/b", "/a/../b", "/a:/../b/.."])
def test_what_is_no_bind_mount(text):
    with pytest.raises(ValueError, match="'"):
        parse_bind_mounts(text)


def test_empty_mounts():
    assert parse_empty_mounts("/a /b:size=1M,ro") == (
        EmptyMount("/a"),
        EmptyMount("/b", "size=1M,ro"),
    )
