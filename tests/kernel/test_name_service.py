"""Who is asked for users and groups, what is known of their answers, and by whom."""

from __future__ import annotations

import grp
import os
import pwd
import threading

import pytest

from gitproc.kernel import name_service
from gitproc.kernel.name_service import Unanswered, answered, ask, groups_of


@pytest.fixture(autouse=True)
def ignorant():
    yield
    name_service.forget()


@pytest.mark.parametrize(
    ("text", "local", "records"),
    [
        ("passwd: files systemd\ngroup:\tfiles [SUCCESS=merge] systemd\nhosts: dns\n", True, True),
        ("passwd: files systemd\ngroup: files # systemd\nshadow: systemd\n", True, False),
        ("#passwd: systemd\ngroup: systemd\n", True, False),
        ("passwd: files\ngroup: files [NOTFOUND=continue UNAVAIL=return] ldap", False, False),
        ("passwd: files sss systemd\ngroup: files systemd\n", False, True),
        ("passwd: files\ngroup: files\ninitgroups: files sss\n", False, False),
        ("passwd: compat\ngroup: compat\npasswd_compat: nis\n", False, False),
        ("", True, False),
    ],
)
def test_who_is_asked(tmp_path, text, local, records):
    file = tmp_path / "nsswitch.conf"
    assert name_service.is_local(str(file))
    assert not name_service.knows_records(str(file))
    file.write_text(text)
    assert name_service.is_local(str(file)) is local
    assert name_service.knows_records(str(file)) is records
    file.write_text(f"{text}\ngroup: elsewhere\n")
    assert not name_service.is_local(str(file))


def test_the_groups_of_a_user_are_those_of_the_c_library():
    for entry in pwd.getpwall():
        assert groups_of(entry.pw_name, entry.pw_gid) == os.getgrouplist(
            entry.pw_name, entry.pw_gid
        )


def test_what_was_asked_elsewhere_is_believed_as_far_as_it_is_recent():
    def count(what):
        calls.append(what)
        if what == "nobody":
            raise KeyError(what)
        return what.upper()

    calls: list[str] = []
    with name_service.asking(0.0), pytest.raises(Unanswered) as missing:
        ask(count, "a")
    assert calls == []
    assert ask(count, "a") == "A"
    for what, at in (("a", 5.0), ("nobody", 6.0)):
        name_service.learn((count, (what,)), answered((count, (what,)), at))
    calls.clear()
    assert missing.value.question == (count, ("a",))
    with name_service.asking(5.0):
        assert ask(count, "a") == "A"
        with pytest.raises(KeyError):
            ask(count, "nobody")
    with name_service.asking(5.1), pytest.raises(Unanswered):
        ask(count, "a")
    assert ask(count, "a") == "A"
    assert calls == []
    other = threading.Thread(target=ask, args=(count, "a"))
    other.start()
    other.join()
    assert calls == ["a"]
    name_service.forget()
    ask(count, "a")
    assert calls == ["a", "a"]


def test_what_cannot_be_answered_is_an_answer():
    assert isinstance(answered((grp.getgrnam, ("no-such-group",)), 0.0).error, KeyError)
    assert isinstance(answered((pwd.getpwuid, (1 << 70,)), 0.0).error, OverflowError | KeyError)
