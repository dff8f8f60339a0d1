"""Specifiers, against systemd's outcomes."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.units.commands import parse_command
from gitproc.units.conditions import Condition
from gitproc.units.device_access import DeviceRule
from gitproc.units.directive import Specifiers
from gitproc.units.mounts import BindMount, EmptyMount, MarkedPath
from gitproc.units.names import escape
from gitproc.units.own_directories import OwnDirectory
from gitproc.units.parser import parse
from gitproc.units.shares import ForDevice
from gitproc.units.specifiers import Host, expand
from gitproc.units.unit import Unit
from tests.units.facts import cases, table
from tests.units.trees import tree

HOST = Host(
    hostname="web1.example.org", machine_id="0" * 32, kernel_release="6.1.0", os_id="debian"
)

# Not here: scope "global" (there is no manager for all users at once), and instance_specifier_recursive
# (an instance name that holds a specifier is no valid name).


@cases("specifiers", "unit_printf")
def test_specifiers_as_systemd_expands_them(case):
    out = expand(case["in"], case["unit"], HOST, fragment="/tmp/blah.service")
    assert fnmatch.fnmatchcase(out, case["out"]) if case.get("match") else out == case["out"]


def test_specifiers_of_the_install_section():
    for case in table("specifiers")["install_printf"]:
        if case["scope"] == "system":
            assert expand(case["in"], case["unit"], HOST) == case["out"]


def test_the_host_and_its_directories():
    text = expand("%H %l %m %v %o %q|%t %S %C %L %E %T %V|%u %U %g %G %h %s", "a.service", HOST)
    assert text == (
        f"web1.example.org web1 {'0' * 32} 6.1.0 debian web1.example.org|/run /var/lib /var/cache "
        "/var/log /etc /tmp /var/tmp|root 0 root 0 /root /bin/sh"
    )


def test_a_users_manager_has_its_own_directories():
    host = Host(run="/run/user/1000", state="/home/x/.local/state", uid=1000, home="/home/x")
    assert (
        expand("%t %S %U %h", "a.service", host)
        == "/run/user/1000 /home/x/.local/state 1000 /home/x"
    )


def test_a_percent_sign_before_anything_but_a_letter_stands_for_itself():
    assert expand("50% 7%, 100%%n %", "a.service", HOST) == "50% 7%, 100%n %"


@pytest.mark.parametrize("text", ["%z", "x%Zy", "%c", "%r", "%é %k"])
def test_an_unknown_specifier_is_an_error(text):
    with pytest.raises(ValueError, match=r"unknown specifier %[a-zA-Z] "):
        expand(text, "a.service", HOST)


def test_the_units_file():
    assert expand("%y %Y", "a.service", HOST, fragment="/x/a.service") == "/x/a.service /x"
    with pytest.raises(ValueError, match="has none"):
        expand("%y", "a.service", HOST)


def test_what_is_put_in_is_not_expanded_again():
    assert expand("%h", "a.service", Host(home="/%h/%n")) == "/%h/%n"


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_a_protected_value_stays_one_word_and_unharmed(text):
    name = f"a@{escape(text)[:240]}.service"
    if len(escape(text)) > 240:
        return
    plain = expand("%I", name, HOST)
    assert plain == text
    assert parse_command(expand("/bin/x %I '%I' %i", name, HOST, how=Specifiers.ESCAPED)).argv == (
        "/bin/x",
        text,
        text,
        escape(text),
    )


@pytest.mark.parametrize("instance", ["a:b", "a b", "a b:c,d", "a /etc", "a'b", 'a"b', "a\\b"])
def test_what_an_instance_is_called_means_nothing_in_lists_of_paths(instance):
    """A path is cut before its specifiers are put in: none adds a path, a place or an option."""
    wanted_of = {
        "ReadWritePaths=/v/%I /w": (MarkedPath(f"/v/{instance}"), MarkedPath("/w")),
        "BindPaths=-/v/%I:/m/%I": (BindMount(f"/v/{instance}", f"/m/{instance}", True),),
        "TemporaryFileSystem=/v/%I:ro,size=1M": (EmptyMount(f"/v/{instance}", "ro,size=1M"),),
        "RuntimeDirectory=x/%I:y": (OwnDirectory(f"x/{instance}", "y"),),
    }
    name = f"t@{escape(instance)}.service"
    lines = "".join(f"{line}\n" for line in wanted_of)
    units = tree({"t@.service": f"[Service]\nExecStart=/bin/true\n{lines}"}, "*")
    unit = units.resolve(name)
    assert unit is not None
    assert units.misfits(name) == ()
    for line, wanted in wanted_of.items():
        found = unit.values[f"Service.{line.partition('=')[0]}"]
        assert (found, list(map(type, found))) == (wanted, list(map(type, wanted)))


def test_an_instance_that_is_more_than_one_line_does_not_fit_into_a_list_of_paths():
    units = tree({"t@.service": "[Service]\nExecStart=/bin/true\nReadWritePaths=/v/%I\n"}, "*")
    assert units.resolve("t@a\\x0a-etc.service") is None
    [problem] = units.misfits("t@a\\x0a-etc.service")
    assert "more than one line" in problem.message


@pytest.mark.parametrize(
    "instance", ["a b", "a\tb", "a'b", 'a"b', "a\nb", "'a", "a\\b", "\u00e4 b"]
)
def test_what_an_instance_is_called_does_not_cut_a_word(instance):
    """Words are cut before specifiers are put in: systemd's load-fragment.c."""
    wanted_of = {
        "Unit.Documentation=man:%I(1) x": (f"man:{instance}(1)", "x"),
        "Unit.RequiresMountsFor=/v/%I": (Condition("Requires", "MountsFor", f"/v/{instance}"),),
        "Service.DeviceAllow=/dev/%I r": (DeviceRule(f"/dev/{instance}", "r"),),
        "Service.IODeviceWeight=/v/%I 5": (ForDevice(f"/v/{instance}", 5),),
        "X-GitProc.RestartTriggers=conf/%I x": (f"conf/{instance}", "x"),
    }
    if instance.isprintable():
        wanted_of["Service.SupplementaryGroups=x %I"] = ("x", instance)
        wanted_of["Service.ExecSearchPath=/v/%I:/w"] = (f"/v/{instance}", "/w")
    lines = "".join("[" + line.replace(".", "]\n", 1) + "\n" for line in wanted_of)
    name = f"t@{escape(instance)}.service"
    unit = Unit(name, "t@.service", parse(lines.encode(), "t@.service").settings, HOST)
    for line, wanted in wanted_of.items():
        assert unit.values[line.partition("=")[0]] == wanted


@pytest.mark.parametrize("row", ["Unit]\nAfter", "Unit]\nWants", "Install]\nWantedBy", "Service]\nSockets",
                                 "Service]\nPassEnvironment", "Service]\nIPAddressAllow"])  # fmt: skip
def test_two_names_in_one_specifier_are_none(row):
    good = {"PassEnvironment": "A", "IPAddressAllow": "1.1.1.1", "Sockets": "a.socket"}
    one = good.get(row.partition("\n")[2], "a.service")
    units = tree({"t@.service": f"[{row}=%I\n[Service]\nExecStart=/bin/true\n"})
    assert units.misfits(f"t@{escape(one)}.service") == ()
    [problem] = units.misfits(f"t@{escape(f'{one} {one}')}.service")
    assert f"{one} {one}" in problem.message
