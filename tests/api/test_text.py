"""The plain text of results: what operators and scripts read, to the letter where it matters."""

import time

import pytest

from gitproc.api.since import parse_since
from gitproc.api.text import Style, failure, render
from gitproc.api.text_style import ago, safe, size, table
from gitproc.errors import ConfigError, NoSuchUnit, RefusedError, UsageError
from tests.api.example_manager import COMMIT, NASTY, unit

PLAIN = Style()
TERMINAL = Style(width=80, color=True)


def status_of(*units, style=PLAIN):
    names = [one["name"] for one in units]
    return render("status", {"units": names}, {"units": list(units)}, style)


def test_status_of_a_unit_shows_what_systemctl_shows_and_the_commit():
    now = time.time()
    out = status_of(
        unit(
            "web.service", active_state="active", sub_state="running", main_pid=42, since=now - 330,
            drop_ins=["web.service.d/10.conf"], memory=5 << 20, memory_max=512 << 20, memory_peak=6 << 20,
            tasks=2, tasks_max=64, cpu_seconds=61.25, cgroup="/gitproc/web", restarts=2,
            commit={**COMMIT, "time": now - 7200},
            processes=[{"pid": 42, "title": "/bin/web -p 80"}, {"pid": 43, "title": "worker"}],
            health={"state": "unhealthy", "failures": 2, "detail": "HTTP 500"}, log=["one", "two"],
        )
    ).out.splitlines()  # fmt: skip
    active = out.pop(3)
    assert active.startswith("     Active: active (running) since ")
    assert active.endswith("; 5min ago")
    assert out == [
        "● web.service - The web service",
        "     Loaded: loaded (web.service)",
        "    Drop-In: web.service.d/10.conf",
        "     Commit: 1234567890 web: more memory (Ada, 2h ago)",
        "   Main PID: 42 (web)",
        "     Health: unhealthy, 2 failed in a row: HTTP 500",
        "   Restarts: 2",
        "      Tasks: 2 (limit: 64)",
        "     Memory: 5M (max: 512M peak: 6M)",
        "        CPU: 1min 1.250s",
        "     CGroup: /gitproc/web",
        "             ├─42 /bin/web -p 80",
        "             └─43 worker",
        "",
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    ("code", "status", "line"),
    [
        ("exited", 1, "   Main PID: 7 (code=exited, status=1/FAILURE)"),
        ("exited", 203, "   Main PID: 7 (code=exited, status=203/EXEC)"),
        ("exited", 3, "   Main PID: 7 (code=exited, status=3)"),
        ("killed", 15, "   Main PID: 7 (code=killed, signal=TERM)"),
        ("dumped", 6, "   Main PID: 7 (code=dumped, signal=ABRT)"),
        ("lost", 0, "   Main PID: 7 (code=lost)"),
    ],
)
def test_how_a_main_process_ended_is_said_as_systemctl_says_it(code, status, line):
    ended = {"exec_main_pid": 7, "exec_main_code": code, "exec_main_status": status}
    assert line in status_of(unit("a.service", **ended)).out.splitlines()


def test_what_a_service_says_of_its_error():
    said = {"errno": 2, "bus_error": f"org.x{NASTY}", "exit_status": 7}
    text = status_of(unit("a.service", status_error=said)).out
    line = next(x for x in text.splitlines() if "Error:" in x)
    assert line.startswith("      Error: 2 (No such file or directory); D-Bus: org.x")
    assert line.endswith("; exit status: 7")
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["active"], 0),
        (["reloading"], 0),
        (["inactive"], 3),
        (["failed"], 3),
        (["activating"], 3),
        (["active", "failed"], 3),
    ],
)
def test_exit_status_of_status(states, expected):
    units = [unit(f"u{n}.service", active_state=state) for n, state in enumerate(states)]
    assert status_of(*units).status == expected


def test_status_of_an_unknown_unit_exits_4():
    found = status_of(
        {"name": "nope.service", "load_state": "not-found", "active_state": "inactive"}
    )
    assert (found.status, found.out) == (4, "")
    assert "nope.service could not be found" in found.err


def test_overall_status_names_the_refused_commit_with_its_lines():
    found = [
        {"file": "a.service", "line": 7, "severity": "error", "directive": "X", "message": "no"}
    ]
    commit = {
        "branch": "main",
        "head": "x",
        "applied": COMMIT,
        "refused": COMMIT,
        "diagnostics": found,
    }
    out = render("status", {}, {"commit": commit, "units": [unit("a.service")]}, PLAIN).out
    assert "    Refused: 1234567890 web: more memory (Ada, " in out
    assert "             a.service:7: error: X: no\n" in out
    assert "    Applied: 1234567890" in out
    assert "a.service inactive dead" in " ".join(out.split())


def test_overall_status_before_the_first_commit():
    out = render("status", {}, {"commit": {"branch": "main"}, "units": []}, PLAIN).out
    assert "nothing yet" in out


@pytest.mark.parametrize(
    ("verb", "word"),
    [("start", "started (PID: 7)"), ("stop", "stopped"), ("restart", "restarted (PID: 7)")],
)
def test_a_verb_says_what_the_founding_document_says(verb, word):
    result = {"units": {"web.service": {"result": "done", "pid": 7}}}
    assert render(verb, {}, result, PLAIN) == (0, f"Service {word}\n", "")


def test_verbs_on_several_units_name_each_and_take_the_worst_status():
    outcomes = {
        "a.service": {"result": "done", "pid": 7},
        "b.service": {"result": "failed", "message": "exit-code"},
        "c.service": {"result": "queued"},
        "d.service": {"result": "skipped", "message": "already running"},
    }
    found = render("start", {}, {"units": outcomes}, PLAIN)
    assert found.status == 1
    assert found.out == "a.service: Service started (PID: 7)\nd.service: already running\n"
    assert "gitproc: cannot start b.service: exit-code" in found.err
    assert "gitproc logs b.service" in found.err
    outcomes["e.service"] = {"result": "not-found"}
    assert render("start", {}, {"units": outcomes}, PLAIN).status == 5


@pytest.mark.parametrize(
    ("method", "states", "expected"),
    [
        ("is-active", ["active", "failed"], 0),
        ("is-active", ["failed"], 3),
        ("is-active", [None], 4),
        ("is-active", ["inactive", None], 3),
        ("is-failed", ["failed", "active"], 0),
        ("is-failed", ["active"], 1),
        ("is-failed", [None], 4),
    ],
)
def test_exit_status_of_is(method, states, expected):
    units = [
        {"active_state": state or "inactive", "load_state": "loaded" if state else "not-found"}
        for state in states
    ]
    assert render(method, {}, {"units": units}, PLAIN).status == expected


def test_show_prints_name_and_value_or_the_value_alone():
    result = {"units": {"a.service": {"Id": "a", "MainPID": 5}, "b.service": {"Id": "b"}}}
    assert render("show", {}, result, PLAIN).out == "Id=a\nMainPID=5\n\nId=b\n"
    assert render("show", {}, result, Style(value=True)).out == "a\n5\n\nb\n"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ActiveEnterTimestamp", "@1715076000.250000", "Tue 2024-05-07 10:00:00 UTC"),
        ("ActiveEnterTimestamp", "", ""),
        ("NextElapseUSecRealtime", "@1715076000.000000", "Tue 2024-05-07 10:00:00 UTC"),
        ("LastTriggerUSec", "", ""),
        ("NextElapseUSecMonotonic", "90.500000s", "1min 30.500000s"),
        ("NextElapseUSecMonotonic", "0.000000s", "infinity"),
        (
            "TimersCalendar",
            "{ OnCalendar=*:0 ; next_elapse=@1715076000.000000 }",
            "{ OnCalendar=*:0 ; next_elapse=Tue 2024-05-07 10:00:00 UTC }",
        ),
        (
            "TimersCalendar",
            "{ OnCalendar=*:0 ; next_elapse=n/a }",
            "{ OnCalendar=*:0 ; next_elapse=n/a }",
        ),
        ("StatusText", "@1715076000.250000", "@1715076000.250000"),
    ],
)
def test_show_prints_times_in_words(name, value, said, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        result = {"units": {"a": {name: value}}}
        assert render("show", {}, result, PLAIN).out == f"{name}={said}\n"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_logs_are_exact_for_a_program_and_harmless_on_a_terminal():
    result = {"lines": [{"text": f"a\tb {NASTY} \udcff"}]}
    assert render("logs", {}, result, PLAIN).out == f"a\tb {NASTY} \udcff\n"
    out = render("logs", {}, result, TERMINAL).out
    assert out == "a\tb \\x1b]0;owned\\x07 \\x9b31m red \\u202e txt \\xff\n"


def test_colours_of_a_service_reach_a_terminal_that_wants_them():
    result = {"lines": [{"text": "\x1b[32mok\x1b[2J\x1b[0;1mx"}]}
    assert render("logs", {}, result, TERMINAL).out == "\x1b[32mok\\x1b[2J\x1b[0;1mx\x1b[0m\n"
    assert render("logs", {}, result, Style(width=80)).out == "ok\\x1b[2Jx\n"
    assert render("logs", {}, result, PLAIN).out == result["lines"][0]["text"] + "\n"


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        (
            "status",
            {"units": ["x"]},
            {"units": [unit(NASTY, reason=NASTY, fragment=NASTY, log=[NASTY])]},
        ),
        (
            "status",
            {},
            {"commit": {"applied": {**COMMIT, "subject": NASTY}}, "units": [unit(NASTY)]},
        ),
        ("list", {}, {"units": [unit(NASTY)]}),
        ("show", {}, {"units": {"a": {"Description": NASTY}}}),
        ("cat", {}, {"units": {"a": [{"path": NASTY, "text": NASTY}]}}),
        ("start", {}, {"units": {NASTY: {"result": "failed", "message": NASTY}}}),
        ("verify", {}, {"diagnostics": [{"file": NASTY, "message": NASTY}]}),
        ("plan", {}, {"actions": [{"unit": NASTY, "action": NASTY, "reason": NASTY}]}),
        ("history", {}, {"entries": [{**COMMIT, "author": NASTY, "units": {NASTY: NASTY}}]}),
        (
            "events",
            {},
            {"events": [{"kind": NASTY, "unit": NASTY, "message": NASTY, "who": NASTY}]},
        ),
        ("sync", {}, {"commit": {**COMMIT, "subject": NASTY}, "units": {NASTY: {"result": NASTY}}}),
        ("rollback", {}, {"commit": {**COMMIT, "subject": NASTY}, "restored": COMMIT}),
        (
            "doctor",
            {},
            {"checks": [{"name": NASTY, "state": "fail", "detail": NASTY, "advice": NASTY}]},
        ),
    ],
)
def test_nothing_from_outside_is_obeyed_by_a_terminal(method, params, result):
    found = render(method, params, result, Style(width=80))
    assert not set("\x1b\x07\x9b\u202e") & set(found.out + found.err)


def test_colours_only_where_wanted():
    one = unit("a.service", active_state="failed")
    assert "\x1b[1;31m" in status_of(one, style=TERMINAL).out
    assert "\x1b" not in status_of(one, style=Style(width=80)).out


def test_an_error_lists_its_diagnostics_and_its_place():
    found = [
        {"file": "a.service", "line": 3, "severity": "error", "directive": "T", "message": "m"}
    ]
    assert failure("rollback", RefusedError("cannot", diagnostics=found)) == (
        1, "", "gitproc: cannot\na.service:3: error: T: m\n",
    )  # fmt: skip
    assert failure("status", ConfigError("bad key", file="c.toml", line=4)) == (
        78, "", "gitproc: c.toml:4: bad key\n",
    )  # fmt: skip
    assert failure("start", NoSuchUnit("no unit")).status == 5
    assert failure("logs", NoSuchUnit("no unit")).status == 4


def test_verify_counts_and_fails_on_errors_only():
    warning = {"file": "a", "line": 1, "severity": "warning", "message": "m"}
    assert render("verify", {}, {"diagnostics": [warning], "units": 3}, PLAIN) == (
        0,
        "a:1: warning: m\n",
        "",
    )
    found = render("verify", {}, {"diagnostics": [{**warning, "severity": "error"}]}, PLAIN)
    assert found.status == 1
    assert found.out.endswith("1 error: this would be refused\n")


def test_plan_shows_each_directive():
    change = {"directive": "MemoryMax", "old": "1G", "new": "2G", "where": "web.service:4"}
    action = {"unit": "web.service", "action": "live", "reason": "limits", "changes": [change]}
    lines = render("plan", {}, {"actions": [action]}, PLAIN).out.splitlines()
    assert lines == [
        "  ~ live web.service: limits", "      MemoryMax: 1G -> 2G  (web.service:4)",
    ]  # fmt: skip
    assert "nothing that runs" in render("plan", {}, {"actions": []}, PLAIN).out


def test_a_table_fits_the_terminal_and_no_line_has_trailing_space():
    lines = table(("A", "B"), [("x", "long " * 40), ("yy", "")], Style(width=40))
    assert max(map(len, lines)) <= 40
    assert lines[1].endswith("…")
    assert all(line == line.rstrip() for line in lines)


def test_a_table_without_what_is_asked_to_be_left_out():
    rows = [("x", "long " * 40), ("yy", "")]
    whole = ["  x  " + ("long " * 40).rstrip(), "  yy"]
    assert table(("A", "B"), rows, Style(width=40, legend=False, full=True)) == whole
    assert table(("A", "B"), rows, Style(legend=False)) == whole
    painted = table(("A",), [("x",)], Style(color=True, legend=False), colors=[("red",)])
    assert painted == ["  \x1b[1;31mx\x1b[0m"]
    assert table(("A", "B"), [], Style(legend=False)) == []
    narrow = table(("A", "B"), rows, Style(width=5))
    assert narrow[1] == "  x  long lo…"  # there is no room for it: it takes little more


def test_lists_without_a_legend():
    bare = Style(width=80, legend=False)
    for method, key in (("list-timers", "timers"), ("list-sockets", "sockets"), ("list", "units")):
        assert render(method, {}, {key: []}, bare).out == ""
        assert render(method, {}, {key: []}, TERMINAL).out.endswith(("listed.\n", "units\n"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "just now"), (59, "59s ago"), (61, "1min 1s ago"), (330, "5min ago"), (3600, "1h ago"),
        (7 * 3600 + 60, "7h ago"), (90000, "1 day 1h ago"), (-5, "just now"), (9e8, "28 years 6 months ago"),
    ],
)  # fmt: skip
def test_ago(seconds, text):
    assert ago(seconds) == text


def test_sizes_are_systemds():
    assert [size(n) for n in (0, 1023, 1024, 1536, 512 << 20, 5 << 40)] == [
        "0B", "1023B", "1K", "1.5K", "512M", "5T",
    ]  # fmt: skip


def test_safe_keeps_people_and_escapes_machines():
    assert safe("Grüße 日本 🙂") == "Grüße 日本 🙂"
    assert safe("a\nb\x00\udc80") == "a\\x0ab\\x00\\x80"


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("5min ago", 300),
        ("-1h", 3600),
        ("90", 90),
        ("1h 30min", 5400),
        ("now", 0),
        ("@1000000", 1e9 - 1e6),
    ],
)
def test_since_relative(text, back):
    assert parse_since(text, 1e9) == pytest.approx(1e9 - back)


def test_since_absolute():
    moment = time.mktime((2024, 5, 31, 14, 30, 0, 0, 0, -1))
    assert parse_since("2024-05-31 14:30") == moment
    assert parse_since("2024-05-31T14:30:00") == moment
    assert parse_since(12.5) == 12.5
    for bad in ("", "soon", "@x", "@nan", "2024-13-01", "ago", "-", float("inf")):
        with pytest.raises(UsageError):
            parse_since(bad)
