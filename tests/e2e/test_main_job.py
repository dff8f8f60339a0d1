"""A commit becomes running services, in order; a change touches what it must and nothing else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.harness import WANTED, free_port, service, shell, until

pytestmark = pytest.mark.root

SERVER = """
import http.server, os, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        healthy = not pathlib.Path(sys.argv[2]).exists()
        self.send_response(200 if healthy else 503)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *args): pass
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def constellation(machine, port):
    """prepare (oneshot) -> http (with a health check) -> worker."""
    log = machine.root / "order"
    say = f"echo %s >> {log}"
    check = f"HealthCheckURL=http://127.0.0.1:{port}/\nHealthCheckInterval=0.2\n"
    check += "HealthCheckStartPeriod=1h\n"  # however long its program takes to be there
    server = f"/usr/bin/python3 -I -S -u ${{GITPROC_TREE}}/server.py {port} {machine.root}/sick"
    return {
        "server.py": SERVER,
        "prepare.service": service(
            shell(say % "prepared"), "Type=oneshot\nRemainAfterExit=yes", "Description=P"
        ),
        "http.service": service(
            server,
            f"Type=exec\nExecStopPost={shell(say % 'http-down')}\nMemoryMax=100M",
            "Description=H\nRequires=prepare.service\nAfter=prepare.service",
        )
        + f"[X-GitProc]\nRestartTriggers=server.py\n{check}HealthCheckRetries=2\n",
        "worker.service": service(
            shell(f"{say % 'worker-up'}; exec sleep 1000"),
            f"ExecStopPost={shell(say % 'worker-down')}",
            "Requires=http.service\nAfter=http.service",
        ),
        "bystander.service": service(),
    }


def order(machine):
    return (machine.root / "order").read_text().split()


@pytest.fixture
def running(machine):
    machine.port = free_port()
    machine.files = constellation(machine, machine.port)
    machine.first = machine.deploy(machine.files)
    return machine


def test_a_commit_becomes_services_in_order_and_the_end_is_in_reverse(running):
    units = running.units()
    assert {n: u["sub_state"] for n, u in units.items()} == {
        "prepare": "exited",
        "http": "running",
        "worker": "running",
        "bystander": "running",
    }
    assert units["http"]["health"]["state"] == "healthy"
    until(lambda: order(running) == ["prepared", "worker-up"], "the worker runs its program")
    started = [e["unit"] for e in running.events("unit.started")]
    chain = [f"{x}.service" for x in ("prepare", "http", "worker")]
    assert [x for x in started if x in chain] == chain
    until(lambda: "serving" in running.gitproc("logs", "http").out, "its words are told")
    pids = [pid for pid in running.pids().values() if pid]
    running.stop()
    assert order(running) == ["prepared", "worker-up", "worker-down", "http-down"]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_change_restarts_that_unit_and_who_requires_it(running):
    before = running.pids()
    running.deploy({"worker.service": running.files["worker.service"] + "[Service]\nNice=1\n"})
    middle = running.pids()
    assert [n for n in before if before[n] != middle[n]] == ["worker"]

    changed = running.files["http.service"].replace("Type=exec", "Type=exec\nNice=1")
    running.deploy({"http.service": changed})
    after = running.pids()
    assert sorted(n for n in before if after[n] != middle[n]) == ["http", "worker"]
    last = ["worker-down", "http-down", "worker-up"]
    until(lambda: order(running)[-3:] == last, "the worker runs its program")


def test_a_file_beside_the_units_restarts_who_names_it(running):
    before = running.pids()
    running.deploy({"server.py": SERVER.replace('"serving"', '"serving anew"')})
    after = running.pids()
    assert sorted(n for n in before if before[n] != after[n]) == ["http", "worker"]
    assert running.log("http").splitlines()[-1] == "serving anew"
    assert after["prepare"] == before["prepare"]


def test_what_needs_no_restart_keeps_every_process(running):
    before = running.pids()
    text = running.files["http.service"].replace("Description=H", "Description=Other words")
    running.deploy({"http.service": text})
    assert running.unit("http")["description"] == "Other words"
    limits = text.replace("MemoryMax=100M", "MemoryMax=90M\nTasksMax=9")
    running.deploy({"http.service": limits})
    unit = running.unit("http")
    assert (unit["memory_max"], unit["tasks_max"]) == (90 << 20, 9)
    running.deploy({"http.service": limits.replace("MemoryMax=90M\n", "")})
    assert running.unit("http")["memory_max"] is None
    assert running.pids() == before


def test_a_commit_that_changes_nothing_is_good_at_once(running):
    before = running.pids()
    running.deploy({"README.md": "words\n"})
    assert running.pids() == before


def test_reload_where_a_reload_is_enough(machine):
    script = 'trap "echo reloaded" USR1; echo up; while :; do sleep 1000 & wait; done'
    files = {
        "a.service": service(shell(script), "ExecReload=/bin/kill -USR1 $MAINPID")
        + "[X-GitProc]\nReloadTriggers=a.conf\n",
        "a.conf": "1",
    }
    machine.deploy(files)
    until(lambda: machine.log("a") == "up\n", "it takes signals")
    pid = machine.pids()["a"]
    machine.deploy({"a.conf": "2"})
    until(lambda: machine.log("a") == "up\nreloaded\n", "the service has read it again")
    assert machine.gitproc("reload", "a") == (0, f"Service reloaded (PID: {pid})\n", "")
    until(lambda: machine.log("a").count("reloaded") == 2, "and once more")
    assert machine.pids()["a"] == pid


def test_units_come_and_go(running):
    before = running.pids()
    running.deploy({"new.service": service(), "worker.service": None})
    after = running.pids()
    assert after.keys() == before.keys() - {"worker"} | {"new"}
    assert not Path(f"/proc/{before['worker']}").exists()
    assert all(after[n] == before[n] for n in ("http", "prepare", "bystander"))


def test_the_old_definition_stops_and_the_new_one_starts(machine):
    note = machine.root / "note"
    text = service(settings=f"ExecStop={shell(f'echo old $MAINPID >> {note}')}")
    machine.deploy({"a.service": text})
    pid = machine.pids()["a"]
    machine.deploy({"a.service": service("/bin/sleep 2000")})
    assert note.read_text() == f"old {pid}\n"
    assert machine.pids()["a"] != pid


def test_a_bad_commit_is_refused_with_its_lines_and_disturbs_nothing(running):
    before = running.pids()
    running.commit(
        {
            "worker.service": "[Unit]\nRequires=nobody.service\n[Service]\nExecStart=/bin/true\n",
            "sub/extra.service": service() + "[Service]\nRestrat=always\nMemoryMax=lots\n",
            "bystander.service": service("/bin/sleep 5"),
        }
    )
    bad = running.git("rev-parse", "HEAD")
    running.verdict(bad, "refused")
    commit = running.status()["commit"]
    assert commit["applied"]["sha"] == running.first
    assert commit["applied"]["verdict"] == "good"
    text = running.gitproc("status").out
    assert "sub/extra.service:9: error: Restrat" in text
    assert "sub/extra.service:10: error: MemoryMax" in text
    assert running.pids() == before

    missing = running.commit({"sub/extra.service": None})
    running.verdict(missing, "refused")
    assert "worker.service:2: error: Requires" in running.gitproc("status").out
    assert running.pids() == before

    good = running.deploy({"worker.service": running.files["worker.service"]})
    commit = running.status()["commit"]
    assert (commit["applied"]["sha"], commit["refused"]) == (good, None)
    after = running.pids()
    assert [n for n in before if before[n] != after[n]] == ["bystander"]


def test_a_cycle_is_refused(machine):
    files = {
        "a.service": service(unit="Requires=b.service\nAfter=b.service"),
        "b.service": service(unit="Requires=a.service\nAfter=a.service"),
    }
    machine.deploy(files, "refused")
    text = machine.gitproc("status").out
    assert ".service:" in text
    assert "a.service" in text
    assert "cycle" in text


def test_a_service_that_fails_its_health_check_is_replaced(running):
    before = running.pids()
    (running.root / "sick").touch()
    until(lambda: running.events("unit.unhealthy"), "it is seen")
    until(lambda: running.unit("http")["restarts"] >= 1, "it is replaced")
    (running.root / "sick").unlink()
    running.wait("http")
    until(lambda: running.unit("http")["health"]["state"] == "healthy", "it is well again")
    assert running.pids()["http"] != before["http"]
    assert running.pids()["bystander"] == before["bystander"]


def test_a_crash_is_mended_by_restart_and_seen_as_it_was(machine):
    machine.deploy({"a.service": service(settings="Restart=on-failure\nRestartSec=0")})
    pid = machine.pids()["a"]
    os.kill(pid, signal.SIGSEGV)
    until(lambda: machine.unit("a")["main_pid"] not in (pid, None), "there is another")
    unit = machine.unit("a")
    assert (unit["restarts"], unit["active_state"]) == (1, "active")
    (ended,) = machine.events("unit.main-exited", "a.service")
    assert ended["data"]["code"] in ("killed", "dumped")
    assert ended["data"]["status"] == signal.SIGSEGV


def test_a_crash_loop_ends_at_the_start_limit_and_fails_the_commit(machine):
    looping = service(shell("exit 3"), "Type=notify\nRestart=always\nRestartSec=0.01")
    bad = machine.deploy({"a.service": looping, "b.service": service()}, "failed")
    unit = machine.wait("a", "failed")
    assert unit["result"] == "start-limit-hit"
    assert (unit["exec_main_code"], unit["exec_main_status"]) == ("exited", 3)
    assert machine.unit("b")["active_state"] == "active"
    status, out, _ = machine.gitproc("status")
    assert (status, "failed" in out, bad[:10] in out) == (0, True, True)
    assert machine.gitproc("is-failed", "a") == (0, "failed\n", "")
    good = machine.deploy({"a.service": service()})
    assert machine.unit("a")["active_state"] == "active"
    assert machine.status()["commit"]["last_good"]["sha"] == good


def test_a_newer_commit_supersedes_one_that_has_not_settled(machine):
    slow = service(settings=f"ExecStartPre={shell('sleep 1000')}")
    first = machine.commit({"a.service": slow})
    machine.wait("a", "start-pre")
    assert machine.status()["commit"]["deploying"]["sha"] == first
    assert "Deploying" in machine.gitproc("status").out
    second = machine.deploy({"a.service": service()})
    entries = machine.rpc("history")["entries"]
    assert {e["sha"]: e["verdict"] for e in entries} == {first: "superseded", second: "good"}


def test_units_in_a_target_templates_aliases_and_drop_ins(machine):
    machine.deploy(
        {
            "all.target": f"[Unit]\nWants=one@x.service one@y.service\n{WANTED}",
            "one@.service": "[Service]\nExecStart=/bin/sh -c 'echo %i $WHO; exec sleep 1000'\n",
            "one@y.service.d/10.conf": "[Service]\nEnvironment=WHO=drop-in\n",
            "nobody.service": "[Service]\nExecStart=/bin/sleep 1000\n",
        }
    )
    until(lambda: machine.log("one@y") == "y drop-in\n", "the instance speaks")
    until(lambda: machine.log("one@x") == "x\n", "so does the other")
    units = machine.units()
    assert units["nobody"]["active_state"] == "inactive"
    before = machine.pids()
    machine.deploy({"one@y.service.d/10.conf": "[Service]\nEnvironment=WHO=other\n"})
    after = machine.pids()
    assert before["one@x"] == after["one@x"]
    assert before["one@y"] != after["one@y"]
