"""Session keyrings, asked for by those who have them."""

from __future__ import annotations

import ctypes
import os

import pytest

from tests.shim.client import NOBODY

KEYCTL = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine, 0)
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        ctypes.CDLL(None).syscall(KEYCTL, 0, ctypes.c_int(-3), 0) < 0, reason="no keyrings here"
    ),
]
#: Serial number and description (type;uid;gid;permissions;name) of the session's, and what is linked into it.
ASK = f"""
import ctypes
call = ctypes.CDLL(None).syscall
text = ctypes.create_string_buffer(200)
call({KEYCTL}, 6, ctypes.c_int(-3), text, 200)
linked = (ctypes.c_int32 * 50)()
count = call({KEYCTL}, 11, ctypes.c_int(-3), linked, 200) // 4
user = call({KEYCTL}, 0, ctypes.c_int(-4), 1)
print(call({KEYCTL}, 0, ctypes.c_int(-3), 0), text.value.decode(), user in linked[:count])
"""


def session(client, cookie, **spec):
    script = f"exec /usr/bin/python3 -I -S - <<'END'\n{ASK}\nEND"
    text, status = client.run(cookie, script, **spec)
    assert status == (1, 0), text
    serial, description, shared = text.split()
    return serial, description.split(";")[1], shared


def test_private_shared_and_inherited(client):
    inherited = session(client, "a")
    assert session(client, "b") == inherited, "of the shim"
    one, two = (session(client, cookie, keyring="private") for cookie in "cd")
    assert len({one[0], two[0], inherited[0]}) == 3
    assert (one[1:], two[1:]) == (("0", "False"), ("0", "False"))
    assert session(client, "e", keyring="shared")[1:] == ("0", "True")


def test_it_belongs_to_the_user(client):
    user = {"uid": NOBODY, "gid": NOBODY}
    assert session(client, "a", keyring="private", **user)[1:] == (str(NOBODY), "False")
    assert session(client, "b", keyring="shared", **user)[1:] == (str(NOBODY), "True")
