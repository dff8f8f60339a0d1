"""Capabilities and filters of a child: what cannot be had ends with the number of its step."""

from __future__ import annotations

import struct
import sys

import pytest

#: Every call is allowed.
ALLOW = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
#: Every call that write(2) is on x86-64 fails with EPERM.
NO_WRITE = b"".join(
    struct.pack("<HBBI", *one)
    for one in (
        (0x20, 0, 0, 0),
        (0x15, 0, 1, 1),
        (0x06, 0, 0, 0x00050001),
        (0x06, 0, 0, 0x7FFF0000),
    )
)


@pytest.mark.root
def test_filters_hold_from_exec_on(client):
    text, status = client.run("a", "grep Seccomp: /proc/self/status", seccomp=[["SECCOMP", ALLOW]])
    assert (text.split(), status) == (["Seccomp:", "2"], (1, 0))


@pytest.mark.root
def test_a_program_that_cannot_be_executed_is_told_although_a_filter_forbids_to_write(client):
    filters = [["SECCOMP", NO_WRITE]]
    assert client.fails("a", "/no/such", seccomp=filters) == ("EXEC", 2, (1, 203))
    assert client.fails("b", "/etc/passwd", seccomp=filters) == ("EXEC", 13, (1, 203))


@pytest.mark.root
def test_what_the_kernel_does_not_take_ends_with_the_number_of_its_step(client):
    for step, status in (("SECCOMP", 228), ("ADDRESS_FAMILIES", 232)):
        found = client.fails(step, "/bin/true", seccomp=[[step, bytes(8)]])
        assert found == (step, 22, (1, status))
    assert client.fails("b", "/bin/true", secure_bits=1 << 20) == ("SECUREBITS", 1, (1, 213))


#: Has a filter for itself and all that come from it: PR_SET_NO_NEW_PRIVS fails with EPERM.
WITHOUT = """
import ctypes, os, struct, sys
prctl = {'x86_64': 157, 'aarch64': 167, 'riscv64': 167}[os.uname().machine]
rules = [(0x20, 0, 0, 0), (0x15, 0, 3, prctl), (0x20, 0, 0, 16), (0x15, 0, 1, 38), (0x06, 0, 0, 0x00050001),
         (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b''.join(struct.pack('<HBBI', *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(rules), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, program, 0, 0):
    raise OSError(ctypes.get_errno(), 'cannot filter')
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.root
def test_no_service_starts_that_could_gain_privileges_after_all(shims):
    """The kernel refuses NoNewPrivileges= to nobody; a filter around the whole of us does."""
    client = shims(prefix=(sys.executable, "-I", "-S", "-c", WITHOUT)).connect()
    assert client.run("a", "echo runs")[0] == "runs\n"
    assert client.fails("b", "/bin/true", no_new_privs=True) == ("NO_NEW_PRIVILEGES", 1, (1, 227))


def test_an_ordinary_user_cannot_give_or_take_capabilities_but_filter(user_shim):
    client = user_shim.connect()
    assert client.fails("a", "/bin/true", bounding=0) == ("CAPABILITIES", 1, (1, 218))
    assert client.fails("b", "/bin/true", ambient=1) == ("CAPABILITIES", 1, (1, 218))
    assert client.fails("c", "/bin/true", secure_bits=1) == ("SECUREBITS", 1, (1, 213))
    filters = [["SECCOMP", ALLOW]]
    assert client.fails("d", "/bin/true", seccomp=filters) == ("SECCOMP", 13, (1, 228))
    text, status = client.run(
        "e", "grep Seccomp: /proc/self/status", seccomp=filters, no_new_privs="unprivileged"
    )
    assert (text.split(), status) == (["Seccomp:", "2"], (1, 0))
