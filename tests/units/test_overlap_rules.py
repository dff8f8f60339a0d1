"""Which services Update=overlap is refused for, and where that is said."""

from __future__ import annotations

import pytest

from gitproc.core.graph_check import check
from gitproc.units.loader import LoadOptions, load
from tests.units.trees import HOST, source

SOCKET = "[Socket]\nListenStream=/run/s\n"


def found(files: dict[str, str]) -> list[str]:
    units = load([source(k, v) for k, v in files.items()], HOST, LoadOptions(frozenset(), False))
    return [str(x) for x in (*units.diagnostics, *check(units))]


def service(*lines: str) -> str:
    return "\n".join(("[X-GitProc]", "Update=overlap", "[Service]", "ExecStart=/bin/true", *lines))


@pytest.mark.parametrize("kind", ["simple", "exec", "notify", "notify-reload"])
def test_it_is_accepted_where_a_socket_serves(kind):
    assert not found({"a.socket": SOCKET, "a.service": service(f"Type={kind}")})
    assert not found({"a.socket": SOCKET, "a.service": service("Environment=A=%%d")})
    other = {"b.socket": f"{SOCKET}Service=b.service\n", "b.service": service()}
    assert not found({**other, "a.service": service("Sockets=b.socket")})


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (("Type=forking",), 2, "not for Type=forking"),
        (("Type=oneshot",), 2, "not for Type=oneshot"),
        (("Type=idle",), 2, "not for Type=idle"),
        (("Type=dbus", "BusName=a.b"), 2, "not for Type=dbus"),
        (("BusName=a.b", "Type=simple"), 5, "BusName= cannot be used"),
        (("PIDFile=/run/a.pid",), 5, "PIDFile= cannot be used"),
        (("RemainAfterExit=yes",), 5, "RemainAfterExit= cannot be used"),
        (("FileDescriptorStoreMax=3",), 5, "FileDescriptorStoreMax= cannot be used"),
        (("Environment=A=%%%d/x",), 5, "CREDENTIALS_DIRECTORY"),
    ],
)
def test_what_cannot_have_two_instances_is_refused_at_its_line(lines, line, words):
    errors = [x for x in found({"a.socket": SOCKET, "a.service": service(*lines)}) if words in x]
    assert len(errors) == 1
    assert errors[0].startswith(f"a.service:{line}: error: ")


def test_two_that_would_bind_both_are_warned_of():
    [warning] = found({"a.service": service()})
    assert warning.startswith("a.service:2: warning: ") and "no socket unit" in warning


def test_an_instance_for_each_connection_and_other_units_are_refused():
    files = {"a.socket": f"{SOCKET}Accept=yes\n", "a@.service": service()}
    [error] = found(files)
    assert error.startswith("a@.service:2: error: ")
    text = f"{SOCKET}[X-GitProc]\nUpdate=overlap\n"
    [error] = found({"a.socket": text, "a.service": "[Service]\nExecStart=/bin/true\n"})
    assert error.startswith("a.socket:4: error: ")


def test_only_two_words_are_known():
    assert (
        "is not one of restart, overlap"
        in found({"a.service": service().replace("overlap", "x")})[0]
    )
