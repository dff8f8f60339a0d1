"""Services, and strangers beside them, that abuse what the manager gives to every process."""

from __future__ import annotations

import socket
import time

import pytest

from tests.e2e.harness import PAUSE, service, shell, until

pytestmark = [pytest.mark.root, pytest.mark.timeout(90)]
FLOOD = 3000
SAY = (
    "import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
    "s.connect(os.environ[`NOTIFY_SOCKET`]); "
)


def _python(script: str) -> str:
    quoted = script.replace("`", '\\"').replace("%", "%%").replace("$", "$$")
    return f'/usr/bin/env python3 -I -S -c "{quoted}"'


def test_strangers_cannot_fill_the_managers_log(machine):
    machine.deploy({"web.service": service()})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.connect(str(machine.root / "run/gitproc/notify"))
        for _ in range(FLOOD):
            stranger.send(b"READY=1")
    until(lambda: "notify:" in (machine.logs / "daemon.log").read_text(), "it is told")
    machine.rpc("ping")
    said = (machine.logs / "daemon.log").read_text()
    assert said.count("notify:") < 50


def test_a_main_pid_that_is_no_number_is_passed_over(machine):
    tell = SAY + (
        "s.send(`MAINPID=\u00b2`.encode()); s.send(b`MAINPID=` + b`9` * 3000); "
        "s.send(b`STATUS=here`); time.sleep(1000)"
    )
    machine.deploy({"web.service": service(_python(tell), "NotifyAccess=all")})
    until(lambda: machine.unit("web").get("status_text") == "here", "it has spoken")
    assert "Traceback" not in (machine.logs / "daemon.log").read_text()
    assert machine.unit("web")["main_pid"]


def test_no_service_has_a_descriptor_of_ours(machine):
    look = shell("ls -l /proc/self/fd; env; sleep 1000")
    once = shell("ls -l /proc/self/fd; env")
    machine.deploy(
        {
            "web.service": service(
                look, f"ExecStartPre={once}\nExecStartPost={once}\nExecReload={once}\nUser=nobody"
            ),
            "apart.service": service(look, "PrivatePIDs=yes"),
        }
    )
    assert machine.gitproc("reload", "web").status == 0
    until(lambda: machine.log("web").count("INVOCATION_ID=") == 4, "all four have looked")
    until(lambda: "INVOCATION_ID=" in machine.log("apart"), "and the other")
    for name in ("web", "apart"):
        for line in machine.log(name).splitlines():
            if " -> " in line:
                target = line.rpartition(" -> ")[2]
                assert target.startswith(("pipe:", "/dev/null", "/proc/")), line
            assert not line.startswith("NOTIFY_SOCKET="), line


def test_services_cannot_reach_what_is_roots(machine):
    """As nobody: the shim's socket, the caller's, the door, the state, the logs."""
    private = ["run/gitproc/shim.sock", "run/gitproc.sock", "run/gitproc/receive-pack.sock"]
    machine.deploy({"web.service": service()})
    for name in private:
        mode = (machine.root / name).stat().st_mode
        assert mode & 0o007 == 0, (name, oct(mode))
    for top in (machine.state, machine.logs):
        for path in top.rglob("*"):
            if "trees" in path.parts or "hooks" in path.parts or path.is_symlink():
                continue
            mode = path.stat().st_mode
            assert mode & 0o022 == 0, (path, oct(mode))
            if path.is_file():
                assert mode & 0o004 == 0, (path, oct(mode))


def test_escapes_reach_no_terminal_of_an_operator(machine):
    """Neither by the log of the daemon, nor by what it prints in the foreground."""
    evil = "\x1b]0;owned\x07\x9b2J\u202e"
    update = {"ref": f"refs/heads/{evil}", "old": "", "new": ""}
    machine.ask("push-begin", updates=[update])

    def told() -> str:
        return (machine.logs / "daemon.log").read_text() + machine.said()

    until(lambda: told().count("owned") == 2, "both tell it")
    said = told()
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)


def test_a_flood_of_news_leaves_the_manager_answering(machine):
    flood = SAY + "[s.send((`STATUS=` + str(n)).encode()) for n in iter(time.time_ns, 0)]"
    machine.deploy({"web.service": service(_python(flood), "NotifyAccess=all")})
    slowest = 0.0
    for _ in range(20):
        before = time.monotonic()
        machine.rpc("ping")
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(PAUSE)
    assert slowest < 10
    assert sum(x.stat().st_size for x in machine.state.glob("journal.*")) < 16 << 20
