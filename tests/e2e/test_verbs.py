"""What operators ask and read: every verb by the real command line, its words and exit status."""

from __future__ import annotations

import json
import os
import select
import signal
import time

import pytest

from gitproc.daemon.log_answers import PATIENCE as LOGGER
from tests.e2e.harness import alive, service, shell, until

pytestmark = pytest.mark.root


@pytest.fixture
def two(machine):
    machine.deploy({"a.service": service(), "b.service": service(unit="Requires=a.service")})
    return machine


def test_stop_holds_and_start_ends_the_hold(two):
    assert two.gitproc("stop", "b") == (0, "Service stopped\n", "")
    assert two.gitproc("is-active", "b") == (3, "inactive\n", "")
    status, out, _ = two.gitproc("status", "b")
    assert status == 3
    assert "Hold: stopped by root" in out
    assert "held" in two.gitproc("status").out
    two.kill_manager()
    assert two.unit("b")["hold"]["by"].startswith("root")
    two.deploy({"c.service": service()})  # another unit's commit does not end it
    assert two.unit("b")["active_state"] == "inactive"
    status, out, _ = two.gitproc("start", "b")
    assert (status, out) == (0, f"Service started (PID: {two.pids()['b']})\n")
    assert two.unit("b")["hold"] is None
    assert two.gitproc("is-active", "a", "b") == (0, "active\nactive\n", "")


def test_status_of_a_process_is_that_of_its_unit(two):
    pid = two.pids()["b"]
    status, out, err = two.gitproc("status", str(pid))
    assert (status, out.split()[1], err) == (0, "b.service", "")
    assert two.gitproc("status", "1").status == 4
    assert two.gitproc("status", "9" * 100).status == 4


def test_a_hold_ends_with_a_commit_that_changes_the_unit(two):
    two.gitproc("stop", "b")
    two.stop()
    two.start()
    two.wait("a")
    assert two.unit("b")["hold"] is not None
    two.deploy({"b.service": service("/bin/sleep 2000")})
    assert two.unit("b")["active_state"] == "active"


def test_a_verb_finds_what_was_committed_before_it(two):
    """Of a commit and a verb right after it the manager hears at once, but of the commit by a hint alone."""
    before = two.pids()
    os.kill(two.manager, signal.SIGSTOP)
    files = {"b.service": service("/bin/sleep 2000"), "new.service": service()}
    sha = two.repository.commit(files)
    with two.asking("start", units=["new"]) as start, two.asking("stop", units=["b"]) as stop:
        os.kill(two.manager, signal.SIGCONT)
        answers = [start(), stop()]
    results = [outcome["result"] for x in answers for outcome in x["result"]["units"].values()]
    assert results == ["done", "done"], answers
    two.verdict(sha)
    assert two.unit("b")["hold"]["by"].startswith(
        "root"
    )  # the commit came first and does not end it
    assert two.unit("new")["active_state"] == "active"
    assert two.pids()["a"] == before["a"]


def test_who_starts_something_hears_that_the_branch_is_not_in_force(two):
    assert two.gitproc("restart", "b").err == ""
    bad = two.repository.commit({"b.service": "[Service]\nExecStrat=/bin/true\n"})
    status, out, err = two.gitproc("restart", "b")
    assert (status, out) == (0, f"Service restarted (PID: {two.pids()['b']})\n")
    assert err == f"gitproc: warning: {bad[:12]} is refused: see `gitproc status`\n"
    assert two.gitproc("stop", "b").err == ""
    two.repository.path.rename(two.root / "aside")
    found = two.gitproc("start", "b")
    (two.root / "aside").rename(two.repository.path)
    assert found.status == 0
    assert "repository" in found.err.splitlines()[0]


def test_stop_takes_along_who_requires_it(two):
    assert two.gitproc("stop", "a").status == 0
    until(lambda: two.unit("b")["active_state"] == "inactive", "b follows")
    assert "held" in two.unit("b")["reason"]
    assert two.gitproc("start", "a").status == 0
    two.wait("b")


def test_patterns_mean_units_that_run(machine):
    quiet = "[Service]\nExecStart=/bin/sleep 1000\n"
    machine.deploy({"a1.service": service(), "a2.service": service(), "a3.service": quiet})

    def running():
        return {name: pid for name, pid in machine.pids().items() if pid}

    before = running()
    assert machine.gitproc("restart", "a*").status == 0
    after = running()
    assert set(before) == set(after) == {"a1", "a2"}
    assert not set(before.values()) & set(after.values())
    assert machine.gitproc("stop", "a[12].service").status == 0
    assert machine.unit("a3")["hold"] is None
    assert running() == {}
    assert machine.gitproc("stop", "a*") == (5, "", "gitproc: no running unit matches a*\n")
    assert machine.gitproc("start", "a?.service").status == 0
    assert set(running()) == {"a1", "a2", "a3"}
    assert machine.gitproc("kill", "-s", "KILL", "a?.service").status == 0
    until(lambda: machine.unit("a1")["active_state"] == "failed", "a1 is killed")


def test_restart_try_restart_reload_kill_and_reset_failed(two):
    before = two.pids()
    assert two.gitproc("restart", "b") == (0, f"Service restarted (PID: {two.pids()['b']})\n", "")
    after = two.pids()
    assert (after["a"], after["b"] == before["b"]) == (before["a"], False)
    two.gitproc("restart", "a")
    until(lambda: two.pids()["b"] not in (after["b"], None), "b requires it")
    two.gitproc("stop", "b")
    status = two.gitproc("try-restart", "b").status
    assert (status, two.unit("b")["active_state"]) == (0, "inactive")
    status, _, err = two.gitproc("reload", "a")
    assert (status, "ExecReload" in err) == (1, True)
    assert two.gitproc("kill", "-s", "KILL", "a").status == 0
    two.wait("a", "failed")
    assert two.unit("a")["result"] == "signal"
    assert two.gitproc("is-failed", "a") == (0, "failed\n", "")
    assert two.gitproc("status", "a").status == 3
    assert two.gitproc("reset-failed").status == 0
    assert two.unit("a")["sub_state"] == "dead"
    assert two.gitproc("sync").status == 0


def test_reload_or_restart(machine):
    mark = machine.root / "reloaded"
    machine.deploy({
        "a.service": service(settings=f"ExecReload=/usr/bin/touch {mark}"),
        "b.service": service(),
    })  # fmt: skip
    before = machine.pids()
    assert machine.gitproc("reload-or-restart", "a") == (
        0,
        f"Service reloaded (PID: {before['a']})\n",
        "",
    )
    assert mark.exists()
    status, out, _ = machine.gitproc("reload-or-restart", "b")
    assert (status, out) == (0, f"Service restarted (PID: {machine.pids()['b']})\n")
    assert machine.pids()["b"] != before["b"]
    machine.gitproc("stop", "b")
    assert machine.gitproc("try-reload-or-restart", "b").status == 0
    assert machine.unit("b")["active_state"] == "inactive"


def test_lists_by_kind_and_state_and_relation(machine):
    off = "[X-GitProc]\nEnabled=no\n"
    machine.deploy({
        "a.service": service("/bin/false") + off,
        "b.service": service(unit="Requires=c.service\nAfter=c.service"),
        "c.service": service().partition("[Install]")[0],
        "m.service": "",
    })  # fmt: skip
    machine.gitproc("start", "a")
    machine.wait("a", "failed")

    def names(*options: str) -> set[str]:
        out = machine.gitproc("list", *options).out
        return {line.split()[0] for line in out.splitlines()[1:]}

    assert names("--failed") == names("--state=failed") == {"a.service"}
    assert names("--state", "running,failed") == {"a.service", "b.service", "c.service"}
    assert names("-t", "service", "--state=active") == {"b.service", "c.service"}
    assert not names("--type=timer")
    enabled = machine.gitproc("is-enabled", "a", "b", "c", "m", "nobody")
    assert enabled == (0, "disabled\nenabled\nstatic\nmasked\nnot-found\n", "")
    assert [machine.gitproc("is-enabled", x).status for x in "abcm"] == [1, 0, 0, 1]
    assert machine.gitproc("is-enabled", "nobody").status == 4
    tree = machine.gitproc("list-dependencies").out
    assert tree.startswith("● multi-user.target\n")
    assert "● ├─b.service\n" in tree
    assert "c.service" not in tree  # targets alone are opened
    assert "● │ └─c.service\n" in machine.gitproc("list-dependencies", "--all").out
    up = machine.gitproc("list-dependencies", "--reverse", "c").out
    assert up == "● c.service\n● └─b.service\n"
    assert "c.service\n" in machine.gitproc("list-dependencies", "b", "--after").out
    assert "─b.service\n" in machine.gitproc("list-dependencies", "c", "--before").out
    assert machine.gitproc("list-dependencies", "nobody").status == 4
    machine.gitproc("logs", "b")
    assert machine.gitproc("status", "-n", "0", "-l", "b").status == 0


def test_what_is_not_there(two):
    assert two.gitproc("start", "nobody").status == 5
    status, _, err = two.gitproc("status", "nobody")
    assert (status, "could not be found" in err) == (4, True)
    assert two.gitproc("is-active", "nobody").status == 4
    assert two.gitproc("cat", "nobody").status != 0
    assert two.gitproc("logs", "nobody").status != 0
    assert two.gitproc("sttart", "a").status == 2
    assert "did you mean" in two.gitproc("sttart", "a").err
    assert "gitproc sync" in two.gitproc("daemon-reload").err
    assert "[Install]" in two.gitproc("enable", "a").err


def test_without_a_daemon(machines):
    machine = machines(start=False)
    for verb in (["status"], ["start", "a"], ["sync"], ["doctor"]):
        status, out, err = machine.gitproc(*verb)
        assert status != 0
        assert "daemon" in out + err


def test_start_that_fails_says_why(machine):
    files = {
        "bad.service": service("/nonexistent/program", "Type=exec").replace("[Install]", ""),
        "slow.service": "[Service]\nType=notify\nExecStart=/bin/sleep 1000\nTimeoutStartSec=0.2\n",
    }
    machine.commit({name: text.replace("WantedBy", "X-") for name, text in files.items()})
    until(lambda: len(machine.units()) == 2, "both are loaded")
    status, _, err = machine.gitproc("start", "bad")
    assert (status, "/nonexistent/program" in err) == (1, True), err
    unit = machine.unit("bad")
    assert (unit["result"], unit["exec_main_status"]) == ("exit-code", 203)
    status, _, err = machine.gitproc("start", "slow")
    assert (status, "timed out" in err) == (1, True), err
    assert machine.unit("slow")["result"] == "timeout"


def test_logs_by_count_by_time_and_as_they_come(machine):
    script = "trap 'echo more' USR1; echo one; echo two; while :; do sleep 1000 & wait; done"
    machine.deploy({"a.service": service(shell(script.replace("'", '"')))})
    until(lambda: machine.log("a") == "one\ntwo\n", "it has spoken")
    assert machine.gitproc("logs", "a").out == "one\ntwo\n"
    assert machine.gitproc("logs", "a", "-n", "1").out == "two\n"
    written = [line["time"] for line in machine.rpc("logs", unit="a")["lines"]]
    assert all(abs(at - time.time()) < 30 for at in written)
    following = machine.follow("logs", "a", "-n", "1", "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == "two\n"
    until(lambda: time.time() > max(written) + 0.01, "time passes")
    since = time.time()
    machine.gitproc("kill", "-s", "USR1", "--kill-whom", "main", "a")
    assert following.stdout.readline() == "more\n"
    following.terminate()
    following.wait()
    following.stdout.close()
    assert machine.gitproc("logs", "a", "--since", "1h ago").out == "one\ntwo\nmore\n"
    status, out, err = machine.gitproc("logs", "a", "--since", f"@{since}")
    assert (status, out) == (0, "more\n"), err
    # The log outlives its unit.
    machine.deploy({"a.service": None})
    assert machine.gitproc("logs", "a", "-n", "1").out == "more\n"


def test_what_was_written_before_a_stop_is_read_after_it(machine):
    script = 'trap "echo last words; exit" TERM; echo ready; sleep 1000 & wait'
    machine.deploy({"a.service": service(shell(script))})
    whole = ""
    for _ in range(10):
        until(lambda: machine.log("a") == f"{whole}ready\n", "it has spoken")  # noqa: B023
        os.kill(machine.logger, signal.SIGSTOP)  # it gets no processor for a while
        try:
            assert machine.gitproc("stop", "a").status == 0
            began = time.monotonic()
            reading = machine.follow("logs", "a")
            assert reading.stdout is not None
            heard, _, _ = select.select([reading.stdout], [], [], 0.3)
        finally:
            os.kill(machine.logger, signal.SIGCONT)
        said = reading.communicate()[0]
        whole += "ready\nlast words\n"
        if time.monotonic() < began + LOGGER:  # else it was too busy a host: nobody waits that long
            assert not heard  # the logger has a chance
            assert said == whole
            return
        machine.kill_manager()  # who trusts the logger again
        assert machine.gitproc("start", "a").status == 0
    pytest.skip("no logger was ever as quick as this asks for")


def test_a_logger_that_hangs_holds_up_nobody_for_long(machine):
    machine.deploy({"a.service": service(shell("echo ready; exec sleep 1000"))})
    until(lambda: machine.log("a") == "ready\n", "it has spoken")
    os.kill(machine.logger, signal.SIGSTOP)
    try:
        for _ in range(3):  # what there is; and who has waited in vain once does not wait again
            assert machine.gitproc("logs", "a").out == "ready\n"
            assert "ready" in machine.gitproc("status", "a").out
    finally:
        os.kill(machine.logger, signal.SIGCONT)


def test_logs_of_several_units(machine):
    say = shell("echo $1 one; echo $1 two; exec sleep 1000")
    machine.deploy({
        f"web-{name}.service": service(say.replace("$$1", name)) for name in "ab"
    } | {"other.service": service(shell("echo other; exec sleep 1000"))})  # fmt: skip
    for name, count in (("web-a", 2), ("web-b", 2), ("other", 1)):
        until(lambda n=name, c=count: machine.log(n).count("\n") == c, "they have spoken")
    lines = machine.gitproc("logs", "web-*", "-o", "cat").out.splitlines()
    assert sorted(lines) == ["a one", "a two", "b one", "b two"]
    assert [x for x in lines if x[0] == "a"] == ["a one", "a two"]
    named = machine.gitproc("logs", "web-a", "other", "-b").out
    assert " web-a: a two\n" in named and " other: other\n" in named
    assert " other: other\n" in machine.gitproc("logs").out
    assert machine.gitproc("logs", "-u", "web-b", "-g", "ONE|TWO", "-n1").out == ""
    assert machine.gitproc("logs", "-xeu", "web-b", "-g", "one|two", "-n1").out == "b two\n"
    assert machine.gitproc("logs", "web-b", "--until", "yesterday").out == ""
    assert (
        machine.gitproc("logs", "web-b", "-U", "+1h", "-S", "1h ago", "-r").out == "b two\nb one\n"
    )
    assert machine.gitproc("logs", "nothing-*").status == 4
    assert machine.gitproc("logs", "web-a", "nothing").status == 4
    following = machine.follow("logs", "-f", "web-*", "other", "-n", "all")
    assert following.stdout is not None
    seen = {following.stdout.readline().partition(": ")[2] for _ in range(5)}
    assert seen == {"a one\n", "a two\n", "b one\n", "b two\n", "other\n"}
    machine.gitproc("restart", "web-b")
    assert following.stdout.readline().endswith(" web-b: b one\n")
    following.terminate()
    following.wait()
    following.stdout.close()
    status, _, err = machine.gitproc("logs", "-f", "web-a", "--until", "now")
    assert (status, "has no end" in err) == (2, True)
    resting = service().partition("[Install]")[0]
    machine.deploy({f"many/x{number}.service": resting for number in range(101)})
    assert machine.gitproc("logs", "x*") == (0, "", "")
    status, _, err = machine.gitproc("logs", "-f", "x*")
    assert (status, "101 logs are too many" in err) == (2, True)


def test_events_tell_what_happened_and_who_asked(machine):
    following = machine.follow("events", "-f", "-n", "100", "--json")
    machine.deploy({"a.service": service()})
    machine.gitproc("restart", "a")
    assert following.stdout is not None
    kinds: list[str] = []
    while not kinds or kinds[-1] != "operator.asked":
        event = json.loads(following.stdout.readline())
        kinds.append(event["kind"])
    assert event["unit"] == "a.service"
    assert "root" in event["who"]
    following.terminate()
    following.wait()
    following.stdout.close()
    assert kinds.index("commit.applied") < kinds.index("unit.started") < kinds.index("commit.good")
    out = machine.gitproc("events").out
    assert "commit.good" in out
    assert "restart a.service" in out


def test_a_plan_tells_before_it_happens(two):
    before = two.pids()
    two.git("checkout", "-q", "-b", "next")
    two.repository.branch = "next"
    two.commit(
        {
            "a.service": service(settings="MemoryMax=50M"),
            "b.service": service("/bin/sleep 2000"),
            "c.service": service(),
        }
    )
    status, out, _ = two.gitproc("plan", "next")
    assert status == 0
    lines = [line.strip() for line in out.splitlines()]
    assert "+ start c.service: new" in lines
    assert any(line.startswith("~ live a.service") for line in lines)
    assert any("ExecStart: /bin/sleep 1000 -> /bin/sleep 2000  (b.service:4)" in x for x in lines)
    plan = json.loads(two.gitproc("--json", "plan", "next").out)
    assert plan["version"] == 1
    assert {x["unit"]: x["action"] for x in plan["actions"]} == {
        "a.service": "live",
        "b.service": "restart",
        "c.service": "start",
    }
    assert two.pids() == before
    assert "nothing that runs is touched" in two.gitproc("plan").out
    two.commit({"a.service": "[Service]\nMemoryMax=much\n"})
    status, out, _ = two.gitproc("plan", "next")
    assert (status, "a.service:2" in out) == (1, True)
    assert two.gitproc("verify", "next").status == 1
    assert two.gitproc("verify").status == 0


def test_sync_tries_again_what_gave_up(machine):
    flag = machine.root / "flag"
    needs = f"ExecStartPre=/usr/bin/test -e {flag}"
    machine.deploy({"a.service": service(settings=needs)}, "failed")
    machine.wait("a", "failed")
    first = machine.unit("a")["invocation"]
    machine.gitproc("sync")

    def tried() -> bool:
        unit = machine.unit("a")
        return unit["invocation"] != first and unit["active_state"] == "failed"

    until(tried, "it has been tried")
    flag.touch()
    machine.gitproc("sync")
    machine.wait("a")


def test_show_cat_list_and_doctor(two):
    status, out, _ = two.gitproc("show", "a", "-p", "MainPID,ActiveState", "-p", "FragmentPath")
    pid = two.pids()["a"]
    assert (status, out) == (0, f"MainPID={pid}\nActiveState=active\nFragmentPath=a.service\n")
    assert two.gitproc("show", "a", "-p", "MainPID", "--value").out == f"{pid}\n"
    path, commit, text = two.gitproc("cat", "a").out.split("\n", 2)
    assert (path, text) == ("# a.service", service())
    assert commit.startswith(f"# {two.git('rev-parse', 'HEAD')[:12]} ")
    out = two.gitproc("list").out
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["a.service", "active", "running"],
        ["b.service", "active", "running"],
    ]
    status, out, _ = two.gitproc("doctor")
    assert status == 0
    assert f"PID {two.manager}" in out
    assert "private networks" in out
    data = json.loads(two.gitproc("--json", "status").out)
    assert (data["version"], len(data["units"])) == (1, 2)


def test_the_plain_form_is_answered_in_kind(two):
    import socket

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(two.socket))
        connection.sendall(b'{"command": "status", "service": "a"}\n')
        with connection.makefile() as file:
            answer = json.loads(file.readline())
    assert answer["status"] == "success", answer
    assert str(two.pids()["a"]) in json.dumps(answer)


def test_a_second_daemon_is_refused(two):
    before = two.pids()
    status, _, err = two.gitproc("daemon")
    assert (status, "running already" in err) == (1, True)
    assert two.pids() == before


def test_a_wrong_configuration_ends_the_start_with_its_line(machines):
    machine = machines(start=False)
    machine.config_file.write_text("settle_secnds = 1\n")
    status, _, err = machine.gitproc("daemon")
    assert status != 0
    assert "config.toml:1" in err
    assert "settle_seconds" in err


def test_sigint_stops_all_and_sighup_looks(two):
    os.kill(two.manager, 1)
    pids = two.pids()
    two.stop(2)
    assert not any(alive(pid) for pid in pids.values())
