"""Values of systemd.exec(5), and what follows from several of them together."""

from __future__ import annotations

import base64

import pytest

from gitproc.units import directives as d
from gitproc.units import directives_exec as e
from gitproc.units import directives_exec_memory as memory
from gitproc.units import directives_exec_scheduling as scheduling
from gitproc.units import directives_exec_streams as streams
from gitproc.units import directives_exec_terminal as terminal
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.evaluate import judge
from gitproc.units.service_rules import verify
from gitproc.units.specifiers import Host
from gitproc.units.streams import DATA, INHERIT, JOURNAL, NULL, Stream
from gitproc.units.unit import Setting, Unit


def unit(text: str) -> tuple[Unit, list[Diagnostic]]:
    """A service of these assignments, and everything there is to say about it."""
    settings = [Setting("Service.ExecStart", "/bin/true", *Location("a.service", 1))]
    for line, assignment in enumerate(text.splitlines(), 2):
        key, _, value = assignment.partition("=")
        settings.append(Setting(f"Service.{key}", value, *Location("a.service", line)))
    found: list[Diagnostic] = []
    made = Unit("a.service", "a.service", settings, Host(), diagnostics=found)
    found += judge(made.values, made.settings, frozenset()) + verify(made.values, made.where)
    return made, found


@pytest.mark.parametrize(
    ("directive", "text", "value"),
    [
        (streams.STANDARD_INPUT, "null", NULL),
        (streams.STANDARD_INPUT, "data", DATA),
        (streams.STANDARD_INPUT, "tty-force", Stream("tty-force")),
        (streams.STANDARD_INPUT, "file:/a//b/", Stream("file", "/a/b")),
        (streams.STANDARD_INPUT, "fd", Stream("fd")),
        (streams.STANDARD_INPUT, "fd:x.socket", Stream("fd", "x.socket")),
        (streams.STANDARD_OUTPUT, "journal", JOURNAL),
        (streams.STANDARD_OUTPUT, "syslog", JOURNAL),
        (streams.STANDARD_OUTPUT, "syslog+console", Stream("journal", "console")),
        (streams.STANDARD_OUTPUT, "kmsg", Stream("journal", "kmsg")),
        (streams.STANDARD_OUTPUT, "append:/x", Stream("append", "/x")),
        (streams.STANDARD_OUTPUT, "truncate:/x", Stream("truncate", "/x")),
        (streams.STANDARD_ERROR, "socket", Stream("socket")),
        (streams.STANDARD_INPUT_TEXT, "a\\tb", (b"a\tb\n",)),
        (streams.STANDARD_INPUT_DATA, "aGVs bG8=", (b"hello",)),
        (streams.LOG_LEVEL_MAX, "warning", 4),
        (streams.LOG_LEVEL_MAX, "7", 7),
        (streams.LOG_RATE_LIMIT_INTERVAL_SEC, "5min", 300.0),
        (scheduling.CPU_AFFINITY, "0-2 5,7", frozenset({0, 1, 2, 5, 7})),
        (scheduling.CPU_AFFINITY, "numa", frozenset({scheduling.OF_NODES})),
        (scheduling.IO_SCHEDULING_CLASS, "idle", 3),
        (scheduling.IO_SCHEDULING_CLASS, "1", 1),
        (scheduling.TIMER_SLACK_NSEC, "1ms", 1_000_000),
        (scheduling.TIMER_SLACK_NSEC, "50", 50),
        (memory.COREDUMP_FILTER, "private-anonymous shared-dax 0x10 ff", (1, 256, 16, 255)),
        (memory.COREDUMP_FILTER, "all default", (0xFFFF_FFFF, 0x33)),
        (memory.NUMA_MASK, "0-1,3", frozenset({0, 1, 3})),
        (memory.NUMA_MASK, "all", frozenset({memory.ALL_NODES})),
        (terminal.TTY_ROWS, "25", 25),
        (e.EXEC_SEARCH_PATH, "/a:/b//c:", ("/a", "/b/c")),
        (e.SET_LOGIN_ENVIRONMENT, "no", False),
    ],
)
def test_values(directive, text, value):
    assert directive.parse(text) == value


@pytest.mark.parametrize(
    ("directive", "text"),
    [
        (streams.STANDARD_INPUT, "journal"),
        (streams.STANDARD_INPUT, "append:/x"),
        (streams.STANDARD_INPUT, "file:x"),
        (streams.STANDARD_INPUT, "fd:a:b"),
        (streams.STANDARD_OUTPUT, "data"),
        (streams.STANDARD_OUTPUT, "tty-force"),
        (streams.STANDARD_OUTPUT, "append"),
        (streams.STANDARD_INPUT_DATA, "a-b"),
        (streams.STANDARD_INPUT_TEXT, "\\q"),
        (streams.LOG_LEVEL_MAX, "8"),
        (streams.LOG_LEVEL_MAX, "loud"),
        (memory.COREDUMP_FILTER, "some"),
        (memory.COREDUMP_FILTER, "-1"),
        (memory.COREDUMP_FILTER, "1ffffffff"),
        (memory.NUMA_POLICY, "weighted"),
        (memory.NUMA_MASK, "2-1"),
        (terminal.TTY_ROWS, "65536"),
        (terminal.UTMP_MODE, "guest"),
        (terminal.TTY_COLUMNS, "-1"),
        (scheduling.CPU_SCHEDULING_POLICY, "deadline"),
        (scheduling.CPU_SCHEDULING_PRIORITY, "100"),
        (scheduling.IO_SCHEDULING_PRIORITY, "8"),
        (scheduling.IO_SCHEDULING_CLASS, "4"),
        (e.EXEC_SEARCH_PATH, "bin"),
    ],
)
def test_values_that_are_refused(directive, text):
    with pytest.raises(ValueError, match=r"."):
        directive.parse(text)


@pytest.mark.parametrize(
    ("text", "source", "output", "error"),
    [
        ("", NULL, JOURNAL, INHERIT),
        ("StandardOutput=inherit", NULL, JOURNAL, INHERIT),
        ("StandardInput=file:/x\nStandardOutput=inherit", Stream("file", "/x"), JOURNAL, INHERIT),
        ("StandardInput=socket", Stream("socket"), INHERIT, INHERIT),
        ("StandardInput=socket\nStandardError=journal", Stream("socket"), INHERIT, JOURNAL),
        ("StandardInput=socket\nStandardOutput=null", Stream("socket"), NULL, INHERIT),
        ("StandardInput=tty", Stream("tty"), INHERIT, INHERIT),
        ("StandardInput=fd:x", Stream("fd", "x"), INHERIT, INHERIT),
        ("StandardInputText=x", DATA, JOURNAL, INHERIT),
        ("StandardInputText=x\nStandardInput=socket", Stream("socket"), INHERIT, INHERIT),
    ],
)
def test_streams_follow_from_one_another(text, source, output, error):
    made, found = unit(text)
    assert not found
    ends = made[d.STANDARD_INPUT], made[d.STANDARD_OUTPUT], made[d.STANDARD_ERROR]
    assert ends == (source, output, error)


def given(text):
    made, found = unit(text)
    assert not found
    pieces: tuple[bytes, ...] = made[streams.STANDARD_INPUT_DATA]
    return b"".join(pieces)


def test_text_and_data_are_one_input_in_the_order_written():
    two = base64.b64encode(b"two ").decode()
    assert (
        given(f"StandardInputText=one\nStandardInputData={two}\nStandardInputText=three")
        == b"one\ntwo three\n"
    )
    assert given("StandardInputText=one\nStandardInputData=\nStandardInputText=three") == b"three\n"
    assert given(f"StandardInputData={two}\nStandardInputText=\nStandardInputText=a") == b"a\n"
    assert given("StandardInputText=a\nStandardInputText=") == b""


def test_specifiers_in_given_text_are_put_in():
    assert given("StandardInputText=%N 100%%") == b"a 100%\n"


@pytest.mark.parametrize(
    ("text", "severity", "said"),
    [
        ("StandardOutput=kmsg", "warning", "kernel's log"),
        ("StandardError=journal+console", "warning", "console"),
        ("CPUSchedulingPriority=5", "warning", "no meaning"),
        ("LogFilterPatterns=x", "warning", "everything is logged"),
        ("LogExtraFields=A=b", "warning", "no fields"),
        ("LogNamespace=x", "warning", "log of its own"),
        ("PAMName=login", "error", "PAM"),
    ],
)
def test_what_is_not_done_is_said_with_its_line(text, severity, said):
    _, (diagnostic,) = unit(text)
    assert (diagnostic.severity, diagnostic.location.line) == (severity, 2)
    assert said in diagnostic.message


@pytest.mark.parametrize(
    "text",
    [
        "SyslogIdentifier=x",
        "SyslogFacility=daemon",
        "StandardOutput=syslog",
        "CPUSchedulingPolicy=fifo\nCPUSchedulingPriority=5",
    ],
)
def test_what_asks_for_nothing_is_passed_in_silence(text):
    assert unit(text)[1] == []


def test_cpus_add_up_and_start_over():
    made, _ = unit("CPUAffinity=0\nCPUAffinity=2-3")
    assert made[scheduling.CPU_AFFINITY] == {0, 2, 3}
    made, _ = unit("CPUAffinity=0\nCPUAffinity=\nCPUAffinity=1")
    assert made[scheduling.CPU_AFFINITY] == {1}
