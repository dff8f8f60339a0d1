"""systemd.exec(5) and systemd.kill(5), but for the sandbox: what a unit says is what its processes find.

One program prints what it got; each unit of a table has one thing said differently. Then the same for what
cannot be had: the exit status of the step, as systemd numbers them.
"""

from __future__ import annotations

import base64
import ctypes
import grp
import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import service, shell, until

pytestmark = pytest.mark.root

NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")
GAMES = grp.getgrnam("games").gr_gid
PROBE = """
import ctypes, json, os, resource, sys
status = dict(x.split(':', 1) for x in open('/proc/self/status').read().splitlines())
print(json.dumps({
    'env': dict(x.split('=', 1) for x in open('/proc/self/environ').read().split(chr(0)) if x),
    'uid': os.getresuid(), 'gid': os.getresgid(), 'groups': sorted(os.getgroups()),
    'cwd': os.getcwd(), 'umask': status['Umask'].strip(), 'pid': os.getpid(), 'sid': os.getsid(0),
    'nice': os.getpriority(os.PRIO_PROCESS, 0),
    'oom': int(open('/proc/self/oom_score_adj').read()),
    'policy': os.sched_getscheduler(0), 'cpus': sorted(os.sched_getaffinity(0)),
    'io': ctypes.CDLL(None).syscall(252 if os.uname().machine == 'x86_64' else 31, 1, 0),
    'slack': int(open('/proc/self/timerslack_ns').read()),
    'limits': {x[7:]: resource.getrlimit(getattr(resource, x)) for x in dir(resource)
               if x.startswith('RLIMIT_')},
    'input': sys.stdin.read(), 'in': os.readlink('/proc/self/fd/0'),
    'argv': sys.argv[1:],
}))
"""
RUN = "/usr/bin/python3 -I -S ${GITPROC_TREE}/probe.py"
ALLOWED = sorted(os.sched_getaffinity(0))


def dig(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else found[int(key)]
    return found


#: Settings of a unit, and what its process says: path into the answer -> value.
WISHES: list[tuple[str, dict[str, Any]]] = [
    ("", {"cwd": "/", "umask": "0022", "nice": 0, "oom": 0, "policy": 0, "input": ""}),
    ("", {"in": "/dev/null", "uid.0": 0, "env.USER": None, "env.HOME": None, "argv": []}),
    ("", {"env.JOURNAL_STREAM": None, "env.MEMORY_PRESSURE_WATCH": None}),
    ("User=nobody", {"uid": [NOBODY.pw_uid] * 3, "gid": [NOBODY.pw_gid] * 3}),
    ("User=nobody", {"env.USER": "nobody", "env.LOGNAME": "nobody", "env.HOME": None}),
    ("User=daemon", {"env.USER": "daemon", "env.HOME": DAEMON.pw_dir, "env.SHELL": None}),
    ("User=root", {"env.USER": "root", "env.HOME": "/root", "groups": []}),
    ("User=nobody\nSetLoginEnvironment=no", {"env.USER": "nobody", "env.HOME": None}),
    ("SetLoginEnvironment=yes", {"env.USER": "root", "env.HOME": "/root"}),
    ("Group=daemon", {"uid.0": 0, "gid": [DAEMON.pw_gid] * 3, "groups": []}),
    ("User=nobody\nSupplementaryGroups=daemon 4", {"groups.0": DAEMON.pw_gid, "groups.1": 4}),
    ("WorkingDirectory=/usr", {"cwd": "/usr"}),
    ("WorkingDirectory=~\nUser=daemon", {"cwd": DAEMON.pw_dir}),
    ("WorkingDirectory=-/no/such", {"cwd": "/"}),
    ("SupplementaryGroups=daemon", {"uid.0": 0, "groups": [DAEMON.pw_gid]}),
    ("User=daemon\nGroup=games", {"gid.0": GAMES, "groups": [GAMES]}),
    ("UMask=0077", {"umask": "0077"}),
    ("Nice=5", {"nice": 5}),
    ("OOMScoreAdjust=300", {"oom": 300}),
    ("CPUSchedulingPolicy=batch\nNice=3", {"policy": os.SCHED_BATCH, "nice": 3}),
    (
        "CPUSchedulingPolicy=idle\nCPUSchedulingResetOnFork=yes",
        {"policy": os.SCHED_IDLE | os.SCHED_RESET_ON_FORK},
    ),
    (f"CPUAffinity={ALLOWED[0]}", {"cpus": ALLOWED[:1]}),
    ("IOSchedulingClass=idle", {"io": 3 << 13 | 4}),
    ("IOSchedulingPriority=6", {"io": 2 << 13 | 6}),
    ("TimerSlackNSec=1ms", {"slack": 1_000_000}),
    ("LimitCORE=1K:2K\nLimitNOFILE=99", {"limits.CORE": [1024, 2048], "limits.NOFILE": [99, 99]}),
    ("LimitFSIZE=1G\nLimitCPU=1min", {"limits.FSIZE": [1 << 30] * 2, "limits.CPU": [60, 60]}),
    ("LimitSTACK=4M:8M\nLimitDATA=1G", {"limits.STACK": [4 << 20, 8 << 20]}),
    ("LimitNPROC=50:60\nLimitAS=4G", {"limits.NPROC": [50, 60], "limits.AS": [4 << 30] * 2}),
    ("LimitSIGPENDING=9\nLimitMSGQUEUE=8K", {"limits.SIGPENDING": [9, 9]}),
    ("LimitMSGQUEUE=8K\nLimitMEMLOCK=4K", {"limits.MSGQUEUE": [8192] * 2}),
    ("LimitRTPRIO=0\nLimitNICE=0", {"limits.RTPRIO": [0, 0], "limits.NICE": [0, 0]}),
    ("LimitRSS=1M\nLimitRTTIME=5s", {"limits.RTTIME": [5_000_000] * 2, "limits.RSS.0": 1 << 20}),
    ("Environment=A=1 'B=x y'\nUnsetEnvironment=A", {"env.A": None, "env.B": "x y"}),
    ("PassEnvironment=FROM_OUTSIDE", {"env.FROM_OUTSIDE": "passed"}),
    ("Environment=PATH=/x", {"env.PATH": "/x"}),
    ("ExecSearchPath=/opt/x:/usr/bin", {"env.PATH": "/opt/x:/usr/bin"}),
    ("StandardInputText=one\nStandardInputText=%N", {"input": "one\n{name}\n"}),
    (
        f"StandardInput=data\nStandardInputData={base64.b64encode(b'bytes').decode()}",
        {"input": "bytes"},
    ),
    ("StandardInput=file:{root}/input", {"input": "of a file", "in": "{root}/input"}),
    ("StandardOutput=syslog+console\nStandardError=kmsg", {"cwd": "/"}),
    ("RuntimeDirectory={unique}/r", {"env.RUNTIME_DIRECTORY": "/run/{unique}/r"}),
    (
        "StateDirectory={unique}/a:{unique}/old {unique}/b\nStateDirectoryMode=0700\nUser=nobody",
        {"env.STATE_DIRECTORY": "/var/lib/{unique}/a:/var/lib/{unique}/b"},
    ),
    (
        "CacheDirectory={unique}\nLogsDirectory={unique}",
        {"env.CACHE_DIRECTORY": "/var/cache/{unique}", "env.LOGS_DIRECTORY": "/var/log/{unique}"},
    ),
]


def test_each_process_finds_what_its_unit_says(machines, unique):
    machine = machines(start=False)
    os.environ["FROM_OUTSIDE"], os.environ["SECRET_OUTSIDE"] = "passed", "leaked"
    try:
        machine.start()
    finally:
        del os.environ["FROM_OUTSIDE"], os.environ["SECRET_OUTSIDE"]
    (machine.root / "input").write_text("of a file")
    machine.repository.write({"probe.py": PROBE})

    def filled(text: Any, name: str) -> Any:
        if not isinstance(text, str):
            return text
        said = {"{root}": str(machine.root), "{unique}": unique, "{name}": name}
        for mark, value in said.items():
            text = text.replace(mark, value)
        return text

    units = {
        f"c{number}.service": service(RUN, f"Type=oneshot\n{filled(settings, '')}")
        for number, (settings, _) in enumerate(WISHES)
    }
    try:
        machine.deploy(units)
        base = set(json.loads(machine.log("c0"))["env"])
        assert base - {"LANG", "LC_CTYPE"} == {
            "PATH", "INVOCATION_ID", "GITPROC_TREE", "SYSTEMD_EXEC_PID",
        }  # fmt: skip
        for number, (settings, wanted) in enumerate(WISHES):
            name = f"c{number}"
            found = json.loads(until(lambda n=name: machine.log(n), f"{settings!r} speaks"))
            for path, value in wanted.items():
                assert dig(found, path) == filled(value, name), (settings, path)
            assert int(found["env"]["SYSTEMD_EXEC_PID"]) == found["pid"] == found["sid"]
            assert len(found["env"]["INVOCATION_ID"]) == 32
            assert "leaked" not in found["env"].values()
        state = Path("/var/lib", unique)
        assert (state / "old").readlink() == Path("a")
        info = (state / "a").stat()
        assert (info.st_mode & 0o777, info.st_uid) == (0o700, NOBODY.pw_uid)
        assert not Path("/run", unique, "r").exists(), "it goes with the end of the unit"
    finally:
        for root in ("/run", "/var/lib", "/var/cache", "/var/log"):
            shutil.rmtree(f"{root}/{unique}", ignore_errors=True)


FAILURES = [
    ("StandardInput=file:{root}/none", 208),
    ("StandardOutput=append:{root}/none/x", 209),
    ("StandardError=truncate:{root}/none/x", 222),
    ("StandardInput=tty\nTTYPath=/dev/null", 208),
    ("CPUAffinity=8000", 215),
    ("WorkingDirectory=/no/such", 200),
    ("User=nobody-at-all", 217),
    ("Group=nobody-at-all", 216),
    ("StateDirectory={unique}/a:{unique}/file", 238),
    ("RuntimeDirectory=null-{unique}/x\nExecStart=\nExecStart=/no/such", 203),
]


def test_what_cannot_be_had_ends_with_the_number_of_its_step(machine, unique):
    state = Path("/var/lib", unique)
    state.mkdir()
    (state / "file").touch()
    units = {}
    for number, (settings, _) in enumerate(FAILURES):
        text = settings.replace("{root}", str(machine.root)).replace("{unique}", unique)
        units[f"f{number}.service"] = service("/bin/sleep 1000", f"Type=exec\n{text}")
    try:
        machine.commit(units)
        for number, (settings, status) in enumerate(FAILURES):
            unit = machine.wait(f"f{number}", "failed")
            assert (unit["exec_main_code"], unit["exec_main_status"]) == ("exited", status), (
                settings
            )
    finally:
        shutil.rmtree(state)


def test_a_descriptor_that_nobody_gave_is_a_matter_of_resources(machine):
    files = {
        "socket.service": service(settings="StandardInput=socket"),
        "fd.service": service(settings="StandardOutput=fd:x"),
    }
    machine.commit(files)
    for name in ("socket", "fd"):
        assert machine.wait(name, "failed")["result"] == "resources"


def test_output_goes_where_the_unit_says(machine):
    out, error = machine.root / "out", machine.root / "error"
    say = "echo one; echo two >&2"
    levels = "echo '<3>loud'; echo '<6>usual'; echo '<7>quiet'; echo plain".replace("'", '"')
    flood = "for i in 1 2 3 4 5 6; do echo $i; done"
    machine.deploy(
        {
            "apart.service": service(
                shell(say), f"Type=oneshot\nStandardOutput=append:{out}\nStandardError=file:{error}"
            ),
            "null.service": service(
                shell(say), "Type=oneshot\nStandardOutput=null\nStandardError=journal"
            ),
            "level.service": service(shell(levels), "Type=oneshot\nLogLevelMax=info"),
            "rate.service": service(
                shell(flood), "Type=oneshot\nLogRateLimitIntervalSec=1h\nLogRateLimitBurst=2"
            ),
            "pipe.service": service("/bin/grep SigIgn /proc/self/status", "Type=oneshot"),
            "nopipe.service": service(
                "/bin/grep SigIgn /proc/self/status", "Type=oneshot\nIgnoreSIGPIPE=no"
            ),
        }
    )
    assert (out.read_text(), error.read_text()) == ("one\n", "two\n")
    assert machine.log("apart") == ""
    until(lambda: machine.log("null"), "it speaks")
    assert machine.log("null") == "two\n"
    until(lambda: "plain" in machine.log("level"), "it speaks")
    assert machine.log("level") == "<3>loud\n<6>usual\nplain\n"
    until(lambda: "suppressed" in machine.log("rate"), "the loss is told")
    assert machine.log("rate") == "1\n2\ngitproc: 4 lines suppressed by the rate limit\n"

    def ignores_sigpipe(name: str) -> bool:
        return bool(int(machine.log(name).split()[1], 16) >> 12 & 1)

    until(lambda: machine.log("pipe") and machine.log("nopipe"), "both speak")
    assert (ignores_sigpipe("pipe"), ignores_sigpipe("nopipe")) == (True, False)


TELL = """
import os, signal, sys, time
def told(number, frame):
    print(signal.Signals(number).name, flush=True)
    if number in ends: os._exit(0)
ends = [getattr(signal, x) for x in sys.argv[1:]]
for number in (1, 2, 3, 10, 12, 15): signal.signal(number, told)
if os.fork() == 0: # ignores all, and says nothing
    for number in (1, 2, 3, 10, 12, 15): signal.signal(number, signal.SIG_IGN)
    while True: time.sleep(100)
print('ready', flush=True)
while True: time.sleep(100)
"""


def test_a_stop_sends_what_the_unit_says(machine):
    machine.repository.write({"tell.py": TELL})
    run = "/usr/bin/python3 -I -S ${GITPROC_TREE}/tell.py"
    brief = "TimeoutStopSec=300ms"
    #: arguments, settings, what the main process says, the result
    table = {
        "term": ("SIGTERM", brief, ["SIGTERM"], "timeout"),
        "int": ("SIGINT", f"KillSignal=SIGINT\n{brief}", ["SIGINT"], "timeout"),
        "hup": ("SIGUSR1", f"SendSIGHUP=yes\n{brief}", ["SIGHUP", "SIGTERM"], "timeout"),
        "mixed": ("SIGTERM", "KillMode=mixed\nKillSignal=TERM", ["SIGTERM"], "success"),
        "final": ("SIGUSR2", f"FinalKillSignal=SIGUSR2\n{brief}", ["SIGTERM", "SIGUSR2"], "timeout"),
        "restart": (
                "SIGUSR1 SIGTERM", "KillMode=mixed\nRestartKillSignal=USR1", ["SIGUSR1"], "success",
            ),
    }  # fmt: skip
    machine.deploy(
        {
            f"{name}.service": service(f"{run} {ends}", settings)
            for name, (ends, settings, _, _) in table.items()
        }
    )
    for name in table:
        until(lambda n=name: "ready" in machine.log(n), f"{name} is ready")
    groups = {name: machine.group_of(name) for name in table}
    for name, (_, _, said, result) in table.items():
        verb = "restart" if name == "restart" else "stop"
        if name == "final":  # what ignores that too is left, and said to be
            for pid in (groups[name] / "cgroup.procs").read_text().split():
                if int(pid) != machine.pids()[name]:
                    os.kill(int(pid), 9)
        machine.gitproc(verb, name)
        lines = [x for x in machine.log(name).splitlines() if x != "ready"]
        assert sorted(set(lines)) == said, name
        if verb == "stop":
            assert machine.unit(name)["result"] == result, name
            assert not groups[name].exists(), name


def test_ipc_objects_go_with_the_last_unit_of_their_user(machine, unique):
    make = f"touch /dev/shm/{unique}; ipcmk -Q >/dev/null; ipcmk -S 1 >/dev/null; ipcmk -M 64"
    files = {
        "a.service": service(
            shell(f"{make} >/dev/null; exec sleep 1000"), "User=nobody\nRemoveIPC=yes"
        ),
        "b.service": service(settings="User=nobody"),
    }
    if shutil.which("ipcmk") is None:
        pytest.skip("there is no ipcmk")
    shared = Path("/dev/shm", unique)
    before = _ipc_of(NOBODY.pw_uid)
    ours = ctypes.CDLL(None).shmget(0, 4096, 0o600)
    try:
        machine.deploy(files)
        until(lambda: _ipc_of(NOBODY.pw_uid) == before + 3 and shared.exists(), "all is made")
        machine.gitproc("stop", "a")
        assert shared.exists(), "another unit runs as the same user"
        assert _ipc_of(NOBODY.pw_uid) == before + 3
        machine.gitproc("stop", "b")
        assert not shared.exists()
        assert _ipc_of(NOBODY.pw_uid) == 0
        listed = subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout
        assert f" {ours} " in listed, "root's stay"
    finally:
        ctypes.CDLL(None).shmctl(ours, 0, None)
        shared.unlink(missing_ok=True)


def _ipc_of(uid: int) -> int:
    count = 0
    for kind in ("shm", "sem", "msg"):
        head, *rows = Path("/proc/sysvipc", kind).read_text().splitlines()
        column = head.split().index("uid")
        count += sum(int(row.split()[column]) == uid for row in rows)
    return count
