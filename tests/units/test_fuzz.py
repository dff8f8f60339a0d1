"""Whatever stands in a file: a value or an error of ours, in time that grows as the text does.

How time grows is told by a ratio: a text eight times as long may take forty times as long (machines are
noisy), not the sixty-four of what is quadratic. Texts are long enough for the difference to show.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitproc.units.commands import ExecCommand
from gitproc.units.directive import Directive, Specifiers
from gitproc.units.directives import SECTIONS, TABLE
from gitproc.units.environment import expand_argv, parse_environment_file
from gitproc.units.escaping import escape, path_escape, path_unescape, unescape
from gitproc.units.names import is_valid_name, mangle, parent_slice, split_name, template_of
from gitproc.units.parser import parse
from gitproc.units.specifiers import Host, expand
from gitproc.units.words import ASSIGNMENTS, COMMAND, LIST, VARIABLE, split_words
from tests.units.trees import Link, source, tree

ALPHABET = st.sampled_from(
    list("abzAZ019 \t\\\"'%$={}[]#;:,.-+@!~/|&*?\u00e9\u2030\ud800\x7f\x01\n")
)
TEXT = st.text(ALPHABET, max_size=40)
WORDS = st.sampled_from([
    "infinity", "yes", "no", "%i", "%%", "/bin/sh", "a.service", "b@.service", "b@1.service", "5min 3s", "10%",
    "1G", "0-3", "SIGTERM", "0755", "1:2", "~", "-/etc/x", "K=V", "user", "-1", "1.5", "x" * 300, "none", "[::]:80",
    "char-pts rw", "tcp:80", "CAP_KILL", "@system-service", "Mon..Fri *-*-* 1/2:00:00", "1.2.3.4/8",
])  # fmt: skip
VALUE = st.one_of(TEXT, st.lists(st.one_of(WORDS, TEXT), max_size=4).map(" ".join))
GROWING = {
    "words": "a ", "digits": "1", "quotes": "'", "double quotes": '"a" ', "backslashes": "\\", "escapes": "\\x41",
    "specifiers": "%n ", "percent": "%", "dashes": "-", "commas": "a,", "colons": "a:", "semicolons": "a ; ",
    "slashes": "/", "paths": "/a ", "dots": "../", "assignments": "A=b ", "dollars": "${A}", "open braces": "{",
    "spans": "1s ", "ranges": "1-2 ", "tildes": "~", "spaces": " ", "brackets": "[", "bangs": "!", "stars": "*",
    "units": "a.service ", "signals": "SIGTERM ", "octets": "1.2.3.4/8 ", "letters": "x",
}  # fmt: skip
SHORT, TIMES, ALLOWED = 2_000, 8, 40
NOISE = 0.004  # seconds that a measurement may be off by


def cost(work) -> float:
    """CPU seconds, the least of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def attempt(work, *args):
    try:
        return work(*args)
    except ValueError as error:
        assert str(error)
        return None


def grows_like_the_text(work, piece: str) -> None:
    short, long = piece * (SHORT // len(piece)), piece * (SHORT * TIMES // len(piece))
    for last in (False, False, True):  # a host with much to do may be slow just then
        took = cost(lambda: attempt(work, long))
        if took <= NOISE:  # what takes next to nothing is not worth a second look
            return
        most = max(cost(lambda: attempt(work, short)), NOISE / TIMES) * ALLOWED
        if took < most:
            return
        assert not last, (took, most)


@given(st.one_of(st.binary(max_size=200), st.lists(VALUE, max_size=12).map("\n".join).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)))  # fmt: skip
def test_any_bytes_are_a_file(data):
    parsed = parse(b"[Service]\n" + data, "x")
    last = data.count(b"\n") + data.count(b"\r") + 2
    assert all(1 <= one.where.line <= last for one in parsed.settings)
    assert all(1 <= one.line <= last for one in parsed.sections)
    assert all(1 <= one.location.line <= last for one in parsed.diagnostics)
    assert all("\n" not in one.text for one in parsed.settings)


@pytest.mark.parametrize("section", sorted({row.section for row in TABLE.values()}))
@given(data=st.data())
def test_any_text_is_a_value_or_an_error_of_ours(section, data):
    rows = [row for row in TABLE.values() if row.section == section]
    row = data.draw(st.sampled_from(rows))
    text = data.draw(VALUE)
    value = attempt(row.parse, text)
    assert value is None or hash(value) is not None


@given(
    VALUE,
    st.sampled_from(["a.service", "a@b.service", "a-b@-.service"]),
    st.sampled_from(Specifiers),
)
def test_specifiers_in_any_text(text, name, how):
    attempt(lambda: expand(text, name, Host(), fragment="/x/y", how=how))


@given(VALUE)
def test_any_text_as_a_name(text):
    attempt(split_name, text)
    attempt(template_of, text)
    attempt(parent_slice, text)
    for work in (unescape, path_unescape, path_escape, mangle):
        attempt(work, text)
    found = attempt(mangle, text)
    assert found is None or is_valid_name(found)
    encodable = text.encode("utf-8", "ignore").decode()
    assert unescape(escape(encodable)) == encodable


@given(VALUE, st.dictionaries(st.sampled_from(["A", "B", "a1"]), VALUE))
def test_any_command_with_any_environment(text, env):
    command = ExecCommand("/bin/x", tuple(text.split(" ")))
    assert all(isinstance(word, str) for word in expand_argv(command, env))


PATHS = st.sampled_from([
    "a.service", "b.service", "b@.service", "b@1.service", "c.target", "d.slice", "e.timer", "f.socket", "g.path",
    "x/a.service", "x/y/b@.service", "a.service.d/1.conf", "b@.service.d/1.conf", "b@1.service.d/2.conf",
    "service.d/1.conf", "a-.service.d/1.conf", "timer.d/9.conf", "a.service.wants/b.service",
    "a.service.requires/b@1.service", "c.target.upholds/a.service", "c.target.wants/nonsense", "README", ".h/a.service",
    "default.target", "multi-user.target.wants/b@2.service", "a.service.d", "z.mount", "d--e.slice",
    "d@f.slice",
])  # fmt: skip
LINES = st.sampled_from([
    "[Unit]", "[Service]", "[Install]", "[Timer]", "[X-GitProc]", "[", "ExecStart=/bin/true", "ExecStart=",
    "Type=oneshot",
    "Requires=b@1.service a.service", "After=c.target %i", "Alias=c.service a.service b@.service",
    "WantedBy=default.target",
    "RequiredBy=a.service", "Wants=%p@%j.service", "BindsTo=b@%i.service", "DefaultInstance=q", "Conflicts=b.service",
    "Enabled=no", "RestartTriggers=README", "Environment=%I", "PartOf=b@2.service", "Before=a.service", "nonsense",
    "OnCalendar=daily", "Unit=a.service", "ListenStream=80", "PathExists=/x", "Also=b@%i.service", "Slice=d.slice",
])  # fmt: skip
TARGETS = st.sampled_from([
    "a.service", "../a.service", "../b@.service", "/dev/null", "../../out", "b@.service", "nowhere", ".", "README", "",
])  # fmt: skip
FILES = st.dictionaries(
    PATHS, st.one_of(st.lists(LINES, max_size=10).map("\n".join), TARGETS.map(Link)), max_size=9
)


@given(FILES, FILES)
def test_any_tree_is_a_set_and_an_update_is_the_same_set(before, after):
    first = tree(before)
    changes = {path: source(path, text) for path, text in after.items()}
    changes |= {path: None for path in before if path not in after}
    updated, _ = first.updated(changes)
    fresh = tree(after)
    assert updated.units == fresh.units
    assert updated.aliases == fresh.aliases
    assert updated.diagnostics == fresh.diagnostics
    for name in ("a.service", "b@1.service", "b@7.service", "c.target", "nope", "default.target"):
        unit = updated.resolve(name)
        assert unit is None or unit == fresh.resolve(name)
        assert isinstance(updated.names_of(name), tuple)


@pytest.mark.parametrize("piece", GROWING.values(), ids=GROWING)
def test_the_time_for_a_value_grows_like_its_text(piece):
    by_parser: dict[str, Directive[Any]] = {}
    for row in TABLE.values():
        by_parser.setdefault(getattr(row.parse, "__qualname__", row.name), row)
    for row in by_parser.values():
        grows_like_the_text(row.parse, piece)


@pytest.mark.parametrize("piece", GROWING.values(), ids=GROWING)
def test_the_time_for_words_and_variables_grows_like_the_text(piece):
    for rules in (LIST, COMMAND, ASSIGNMENTS, VARIABLE):
        grows_like_the_text(lambda text, rules=rules: split_words(text, rules), piece)
    grows_like_the_text(lambda text: parse_environment_file(f"A={text}"), piece)
    grows_like_the_text(parse_environment_file, f"{piece}\n")
    grows_like_the_text(lambda text: expand_argv(ExecCommand("/x", (text,)), {"A": "b"}), piece)
    grows_like_the_text(
        lambda text: expand(text, "a@b.service", Host(), how=Specifiers.ESCAPED), piece
    )
    grows_like_the_text(mangle, piece)


@pytest.mark.parametrize(
    "line",
    [
        "After=a%d.service", "Requires=a.service", "Environment=A%d=b", "ExecStart=/bin/true %d", "Nonsense%d=1",
        "ConditionPathExists=/%d", "Alias=a%d.service", "[Service]", "SuccessExitStatus=%d", "nonsense %d",
        "RestartTriggers=f%d", "WantedBy=b%d.target", "BindsTo=t@%d.service", "Description=\\",
    ],
)  # fmt: skip
def test_the_time_for_a_unit_grows_like_its_lines(line):
    section = next(
        (row.section for row in TABLE.values() if row.name == line.partition("=")[0]), "Unit"
    )
    head = f"[{section}]\n" if section in SECTIONS["service"] else ""

    def load(count: int) -> None:
        lines = "\n".join(line % n if "%d" in line else line for n in range(count))
        tree({"a0.service": f"[Service]\nExecStart=/bin/true\n{head}{lines}\n", "t@.service": "x"})

    few, many = 400, 3_200
    assert cost(lambda: load(many)) < max(cost(lambda: load(few)), 0.002) * ALLOWED
