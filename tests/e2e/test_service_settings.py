"""Settings of services that no other test is about, each met by a program: in a machine with its own /run and /var."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE, KEEP, free_port, service, shell, until
from tests.e2e.private import PrivateMachine

pytestmark = pytest.mark.root

PYTHON = "/usr/bin/python3 -I -S"
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: time.sleep(100)
"""

LISTEN = """
import http.server, os, threading
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        if self.path == "/hang": threading.Event().wait()
        super().do_GET()
server = http.server.ThreadingHTTPServer(("127.0.0.1", {}), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("open", flush=True)
input()
os._exit(0)
"""


@pytest.fixture(scope="module")
def machine():
    with PrivateMachine(config=KEEP) as machine:
        yield machine.start()


def test_deadlines(machine):
    """RuntimeRandomizedExtraSec=, WatchdogSignal=, TimeoutSec=: who is ended, when, and by what."""
    machine.repository.write({"deaf.py": DEAF})
    deaf = f"{PYTHON} ${{GITPROC_TREE}}/deaf.py"
    machine.commit(
        {
            "short.service": service(settings="RuntimeMaxSec=1ms"),
            "spread.service": service(
                settings="RuntimeMaxSec=1ms\nRuntimeRandomizedExtraSec=9000w"
            ),
            "dog.service": service(settings="WatchdogSec=100ms\nWatchdogSignal=SIGUSR1"),
            "start.service": service(settings="Type=notify\nTimeoutSec=300ms"),
            "stop.service": service(deaf, "TimeoutSec=2"),
        }
    )
    for name in ("short", "start"):
        assert machine.wait(name, "failed")["result"] == "timeout", name
    until(lambda: "ready" in machine.log("stop"), "it ignores SIGTERM")
    assert machine.gitproc("stop", "stop").status == 0
    assert machine.unit("stop")["exec_main_status"] == signal.SIGKILL
    ended = machine.wait("dog", "failed")
    found = (ended["result"], ended["exec_main_code"], ended["exec_main_status"])
    assert found == ("watchdog", "killed", signal.SIGUSR1)
    assert machine.unit("spread")["sub_state"] == "running"


#: TimeoutStartFailureMode= and TimeoutStopFailureMode= -> what ends the main process.
MODES = {"terminate": signal.SIGTERM, "abort": signal.SIGABRT, "kill": signal.SIGKILL}


def test_what_ends_a_start_and_a_stop_that_take_too_long(machine):
    files = {}
    for mode in MODES:
        start = f"Type=notify\nTimeoutStartSec=300ms\nTimeoutStartFailureMode={mode}\nLimitCORE=0"
        files[f"start-{mode}.service"] = service(settings=start)
        stop = f"ExecStop=/bin/sleep 1000\nTimeoutStopSec=2\nTimeoutStopFailureMode={mode}\nLimitCORE=0"
        files[f"stop-{mode}.service"] = service(settings=stop)
    machine.commit(files)
    for mode in MODES:
        machine.wait(f"stop-{mode}")
    machine.gitproc("stop", *(f"stop-{mode}" for mode in MODES))
    for mode, number in MODES.items():
        for name in (f"start-{mode}", f"stop-{mode}"):
            unit = machine.wait(name, "failed")
            found = (unit["result"], unit["exec_main_code"], unit["exec_main_status"])
            assert found == ("timeout", "killed", number), name


def test_restarts_are_forgotten_in_time(machine):
    again = "Restart=always\nRestartSec=0"
    machine.deploy(
        {
            "cured.service": service(settings=again) + "[X-GitProc]\nRestartResetSec=500ms\n",
            "marked.service": service(settings=again),
        }
    )
    pids = machine.pids()
    for name in ("cured", "marked"):
        os.kill(pids[name], signal.SIGKILL)
        told = until(lambda n=name: machine.events("unit.restarting", f"{n}.service"), "a restart")
        assert len(told) == 1
    until(lambda: machine.unit("cured")["restarts"] == 0, "it is forgotten")
    assert machine.wait("marked")["restarts"] == 1


def test_who_prepares_and_what_is_kept_of_what_is_said(machine):
    who = machine.root / "who"
    who.mkdir(mode=0o777)
    who.chmod(0o777)
    steps = f"ExecStartPre=/bin/sh -c 'id -u >{who}/%N'"
    (machine.root / "variables").write_text("A=of a file\nB=of the file\n")
    several = "; ".join(f"echo {n}" for n in range(6))
    words = "echo plain; echo \\<7\\>quiet; echo \\<3\\>loud"
    machine.deploy(
        {
            "helped.service": service(
                settings=f"{steps}\nUser=nobody\nPermissionsStartOnly=yes", command="/usr/bin/id -u"
            ),
            "alone.service": service(
                settings=f"{steps}\nUser=nobody\nType=oneshot", command="/usr/bin/id -u"
            ),
            "usual.service": service(shell(words), "Type=oneshot\nLogLevelMax=info"),
            "lower.service": service(
                shell(words), "Type=oneshot\nLogLevelMax=info\nSyslogLevel=debug"
            ),
            "reads.service": service(
                "/usr/bin/printenv A B C",
                f"EnvironmentFile={machine.root}/variables\nEnvironment=A=no C=of the unit",
            ).replace("C=of the unit", '"C=of the unit"'),
            "few.service": service(
                shell(several), "LogRateLimitIntervalSec=1h\nLogRateLimitBurst=2"
            ),
            "all.service": service(
                shell(several), "LogRateLimitIntervalSec=0\nLogRateLimitBurst=2"
            ),
            "whole.service": service(
                shell(words), "Type=oneshot\nLogLevelMax=info\nSyslogLevelPrefix=no"
            ),
            "each@.service": "[Service]\nExecStart=/bin/true\nSyslogLevelPrefix=no\n",
        }
    )
    assert [(who / x).read_text() for x in ("helped", "alone")] == ["0\n", "65534\n"]
    for name in ("helped", "alone"):
        until(lambda n=name: machine.log(n) == "65534\n", f"{name} tells who it is")
    variables = ["of a file", "of the file", "of the unit"]
    until(lambda: machine.log("reads").splitlines() == variables, "it has its environment")
    until(lambda: len(machine.log("all").split()) == 6, "all is kept")
    until(lambda: machine.log("few").startswith("0\n1\ngitproc: 4 lines"), "the rest is dropped")
    assert machine.log("usual").split() == ["plain", "<3>loud"]
    assert machine.log("lower").split() == ["<3>loud"]
    assert machine.log("whole").split() == ["plain", "<7>quiet", "<3>loud"]
    assert_levels_are_no_text(machine)


def assert_levels_are_no_text(machine):
    """`<N>` in front of a line is its level in every form, unless SyslogLevelPrefix=no says that it is text."""

    def shown(*words):
        done = machine.gitproc(*words)
        assert done.status == 0, done.err
        return done.out.splitlines()

    assert shown("logs", "usual") == ["plain", "loud"]
    assert shown("logs", "usual", "-o", "cat", "-p", "err") == ["loud"]
    assert shown("logs", "-o", "short", "usual", "-g", "^loud")[0].endswith(" usual: loud")
    assert machine.gitproc("status", "usual").out.splitlines()[-2:] == ["plain", "loud"]
    followed = machine.follow("logs", "-f", "-n", "1", "usual")
    try:
        assert followed.stdout.readline() == "loud\n"
    finally:
        followed.kill()
        followed.communicate()
    told = [json.loads(line) for line in shown("logs", "usual", "-o", "json")]
    assert [(one["PRIORITY"], one["MESSAGE"]) for one in told] == [("6", "plain"), ("3", "loud")]
    lines = machine.rpc("logs", unit="usual")["lines"]
    assert [(one["priority"], one["text"]) for one in lines] == [(6, "plain"), (3, "loud")]
    assert shown("logs", "whole") == ["plain", "<7>quiet", "<3>loud"]
    told = [json.loads(line) for line in shown("logs", "whole", "-o", "json")]
    assert {(one["PRIORITY"], one["MESSAGE"]) for one in told} >= {("6", "<3>loud")}
    assert machine.gitproc("status", "whole").out.splitlines()[-1] == "<3>loud"
    (machine.logs / "each@.log").write_text("<3>loud\n")  # as instances for connections do
    assert shown("logs", "each@.service") == ["<3>loud"]


def test_the_old_names_of_settings(machine):
    """ReadOnlyDirectories=, ReadWriteDirectories=, InaccessibleDirectories=; MemoryLimit=, of a slice as well."""
    root = machine.root
    (root / "shut/open").mkdir(parents=True)
    (root / "hidden").mkdir()
    (root / "hidden/file").touch()
    tries = {
        "shut": f"touch {root}/shut/made",
        "open": f"touch {root}/shut/open/made",
        "seen": f"cat {root}/hidden/file",
    }
    script = "; ".join(f"{word} 2>/dev/null && echo {name}" for name, word in tries.items())
    lines = [
        f"ReadOnlyDirectories={root}/shut",
        f"ReadWriteDirectories={root}/shut/open",
        f"InaccessibleDirectories={root}/hidden",
    ]
    machine.deploy(
        {
            "old.service": service(shell(f"{script}; true"), "\n".join(("Type=oneshot", *lines))),
            "new.service": service(shell(script), "Type=oneshot"),
            "small.service": service(settings="MemoryLimit=77M"),
            "tight.slice": "[Slice]\nMemoryLimit=78M\n",
            "within.service": service(settings="Slice=tight.slice"),
        }
    )
    assert machine.log("old").split() == ["open"]
    assert machine.log("new").split() == ["shut", "open", "seen"]
    group = machine.group_of("small", "memory")
    assert memory_limit(group) == 77 << 20
    assert memory_limit(machine.group_of("within", "memory").parent) == 78 << 20


def test_how_long_a_runtime_directory_lasts(machine):
    modes = {"no": (), "restart": ("restart",), "yes": ("restart", "stop")}
    machine.deploy(
        {
            f"keeps-{mode}.service": service(
                settings=f"RuntimeDirectory=keeps-{mode}\nRuntimeDirectoryPreserve={mode}"
            )
            for mode in modes
        }
    )
    for verb in ("restart", "stop"):
        assert (
            machine.inside("touch /run/keeps-no/x /run/keeps-restart/x /run/keeps-yes/x").status
            == 0
        )
        assert machine.gitproc(verb, *(f"keeps-{mode}" for mode in modes)).status == 0
        for mode, kept in modes.items():
            there = machine.inside(f"test -e /run/keeps-{mode}/x").status == 0
            assert there is (verb in kept), (mode, verb)


def memory_limit(group: Path) -> int:
    """What the kernel has for a group."""
    files = [group / x for x in ("memory.max", "memory.limit_in_bytes")]
    return int(next(x for x in files if x.exists()).read_text())


def test_records_of_who_is_on_a_terminal(machine):
    assert machine.inside("touch /run/utmp /var/log/wtmp").status == 0
    modes = {"init": "", "login": "LOGIN", "user": "daemon"}
    machine.deploy(
        {
            f"{mode}.service": service(
                settings=f"UtmpIdentifier={mode}\nUtmpMode={mode}\nUser=daemon"
            )
            for mode in modes
        }
        | {"nowhere.service": service(settings="User=daemon")}
    )
    shown = machine.inside("who -a /run/utmp").out.splitlines()
    assert len(shown) == len(modes)
    pids = machine.pids()
    for mode, who in modes.items():
        [line] = [x.split() for x in shown if str(pids[mode]) in x.split()]
        assert line[0] == who or not who, line
    assert machine.gitproc("stop", "login").status == 0
    [line] = [x for x in machine.inside("who -a /run/utmp").out.splitlines() if "id=ogin" in x]
    assert "term=" in line, "it is marked"


def test_health(machine):
    """HealthCheck...=, in [X-GitProc] and in [Service]."""
    port = free_port()
    often = "HealthCheckInterval=100ms\nHealthCheckRetries=1\n"
    tcp = f"HealthCheckTCP=127.0.0.1:{port}\n"
    url = f"HealthCheckURL=http://127.0.0.1:{port}/\n"
    hangs = f"HealthCheckURL=http://127.0.0.1:{port}/hang\nHealthCheckTimeout=100ms\n{often}"
    stuck = f"HealthCheckExec=/bin/sleep 1000\nHealthCheckTimeout=100ms\n{often}"
    fails = f"HealthCheckExec=/bin/false\n{often}"
    units = {
        "tcp.service": service(settings="Restart=no") + f"[X-GitProc]\n{tcp}{often}",
        "tcp-old.service": service(settings=f"Restart=no\n{tcp}{often}"),
        "url.service": service(settings="Restart=no") + f"[X-GitProc]\n{url}{often}",
        "url-old.service": service(settings=f"Restart=no\n{url}{often}"),
        "hangs.service": service(settings="Restart=no") + f"[X-GitProc]\n{hangs}",
        "hangs-old.service": service(settings=f"Restart=no\n{hangs}"),
        "spared.service": service() + f"[X-GitProc]\n{fails}HealthCheckStartPeriod=1h\n",
        "spared-old.service": service(settings=f"{fails}HealthCheckStartPeriod=1h\n"),
        "fails.service": service() + f"[X-GitProc]\n{fails}",
        "stuck.service": service() + f"[X-GitProc]\n{stuck}",
        "bears.service": service() + f"[X-GitProc]\n{fails}HealthCheckRetries=1000\n",
        "bears-old.service": service(settings=f"{fails}HealthCheckRetries=1000"),
    }
    (machine.root / "listen.py").write_text(LISTEN.format(port))
    server = machine.follow_inside(f"exec /usr/bin/python3 -I -S {machine.root}/listen.py")
    try:
        assert server.stdout is not None and server.stdin is not None
        assert server.stdout.readline() == "open\n"
        machine.commit(units)
        for name in ("tcp", "tcp-old", "url", "url-old"):
            until(
                lambda n=name: (machine.unit(n).get("health") or {}).get("state") == "healthy", name
            )
        for name in ("hangs", "hangs-old"):
            told = until(lambda n=name: machine.events("unit.unhealthy", f"{n}.service"), name)
            assert told[0]["message"].endswith("no answer within 0.1 s")
        server.stdin.write("\n")
        server.stdin.flush()
        server.wait(DEADLINE)
        for name in ("tcp", "tcp-old", "url", "url-old"):
            until(lambda n=name: machine.events("unit.unhealthy", f"{n}.service"), name)
    finally:
        server.kill()
        server.communicate()
    for name in ("fails", "stuck"):
        told = until(lambda n=name: machine.events("unit.restarting", f"{n}.service"), name)
        assert told[0]["data"]["result"] == "health-check"
    for name in ("bears", "bears-old"):
        told = until(lambda n=name: machine.events("unit.unhealthy", f"{n}.service")[2:], name)
        assert machine.unit(name)["sub_state"] == "running"
        assert "(3/1000)" in told[0]["message"]
    for name in ("spared", "spared-old"):
        assert not machine.events("unit.unhealthy", f"{name}.service"), name
        assert machine.unit(name)["sub_state"] == "running"
