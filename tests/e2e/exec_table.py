"""What units say of their processes, what these find, and how it ends where that cannot be had.

Only the standard library: the same tables are held against systemd, in the virtual machine.
"""

from __future__ import annotations

import base64
import grp
import os
import pwd
from pathlib import Path
from typing import Any, NamedTuple

NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")
GAMES = grp.getgrnam("games").gr_gid
PROBE = """
import ctypes, json, os, resource, sys
def shares():  # whether the user's keyring is linked into the session's
    call, keyctl = ctypes.CDLL(None).syscall, 250 if os.uname().machine == 'x86_64' else 219
    linked = (ctypes.c_int32 * 50)()
    count = call(keyctl, 11, ctypes.c_int(-3), linked, 200) // 4
    return call(keyctl, 0, ctypes.c_int(-4), 1) in linked[:max(count, 0)]
status = dict(x.split(':', 1) for x in open('/proc/self/status').read().splitlines())
print(json.dumps({
    'env': dict(x.split('=', 1) for x in open('/proc/self/environ').read().split(chr(0)) if x),
    'uid': os.getresuid(), 'gid': os.getresgid(), 'groups': sorted(os.getgroups()),
    'cwd': os.getcwd(), 'umask': status['Umask'].strip(), 'pid': os.getpid(), 'sid': os.getsid(0),
    'nice': os.getpriority(os.PRIO_PROCESS, 0),
    'oom': int(open('/proc/self/oom_score_adj').read()),
    'policy': os.sched_getscheduler(0), 'priority': os.sched_getparam(0).sched_priority, 'shares': shares(),
    'merged': ctypes.CDLL(None).prctl(68, 0, 0, 0, 0),
    'cpus': sorted(os.sched_getaffinity(0)),
    'io': ctypes.CDLL(None).syscall(252 if os.uname().machine == 'x86_64' else 31, 1, 0),
    'locks': [x.split()[3:5] for x in open('/proc/self/limits') if x.startswith('Max file locks')][0],
    'dump': int(open('/proc/self/coredump_filter').read(), 16),
    'memory': os.path.exists('/proc/self/numa_maps') and open('/proc/self/numa_maps').readline().split()[1],
    'slack': int(open('/proc/self/timerslack_ns').read()),
    'limits': {x[7:]: resource.getrlimit(getattr(resource, x)) for x in dir(resource)
               if x.startswith('RLIMIT_')},
    'input': sys.stdin.read(), 'in': os.readlink('/proc/self/fd/0'),
    'argv': sys.argv[1:],
}))
"""
ALLOWED = sorted(os.sched_getaffinity(0))


def _read_nodes() -> str:
    try:
        return Path("/sys/devices/system/node/online").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Place(NamedTuple):
    """Where the units run: what stands for {root} and {unique} in the tables."""

    root: str
    unique: str

    def fill(self, text: Any, name: str = "{name}") -> Any:
        """A text of a table as it is meant here."""
        if not isinstance(text, str):
            return text
        for mark, value in (("{root}", self.root), ("{unique}", self.unique), ("{name}", name)):
            text = text.replace(mark, value)
        return text

    def differences(self, found: Any, wanted: dict[str, Any], name: str) -> list[str]:
        """Where the answer of unit `name` is not what was wished for."""
        wishes = [(path, _dig(found, path), self.fill(wanted[path], name)) for path in wanted]
        return [f"{path}: {there}, not {wish}" for path, there, wish in wishes if there != wish]


def _dig(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else found[int(key)]
    return found


#: Settings of a unit, and what its process says: path into the answer -> value.
WISHES: list[tuple[str, dict[str, Any]]] = [
    (
        "",
        {
            "cwd": "/",
            "umask": "0022",
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "oom": 0,
            "policy": 0,
            "input": "",
        },
    ),
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
    ("IOSchedulingClass=realtime", {"io": 1 << 13 | 4}),
    ("IOSchedulingClass=best-effort\nIOSchedulingPriority=1", {"io": 2 << 13 | 1}),
    ("IOSchedulingPriority=6", {"io": 2 << 13 | 6}),
    ("CoredumpFilter=elf-headers\nCoredumpFilter=shared-dax 1", {"dump": 0x111}),
    ("CoredumpFilter=all\nCoredumpFilter=\nCoredumpFilter=default", {"dump": 0x33}),
    ("TimerSlackNSec=1ms", {"slack": 1_000_000}),
    ("LimitCORE=1K:2K\nLimitNOFILE=99", {"limits.CORE": [1024, 2048], "limits.NOFILE": [99, 99]}),
    ("LimitFSIZE=1G\nLimitCPU=1min", {"limits.FSIZE": [1 << 30] * 2, "limits.CPU": [60, 60]}),
    (
        "LimitSTACK=4M:8M\nLimitDATA=1G",
        {"limits.STACK": [4 << 20, 8 << 20], "limits.DATA.0": 1 << 30},
    ),
    ("LimitNPROC=50:60\nLimitAS=4G", {"limits.NPROC": [50, 60], "limits.AS": [4 << 30] * 2}),
    ("LimitSIGPENDING=9\nLimitMSGQUEUE=8K", {"limits.SIGPENDING": [9, 9]}),
    (
        "LimitMSGQUEUE=8K\nLimitMEMLOCK=4K",
        {"limits.MSGQUEUE": [8192] * 2, "limits.MEMLOCK.0": 4096},
    ),
    ("LimitRTPRIO=0\nLimitNICE=0", {"limits.RTPRIO": [0, 0], "limits.NICE": [0, 0]}),
    ("LimitRSS=1M\nLimitRTTIME=5s", {"limits.RTTIME": [5_000_000] * 2, "limits.RSS.0": 1 << 20}),
    ("LimitLOCKS=12:34", {"locks": ["12", "34"]}),
    (
        "CacheDirectory={unique}/m\nCacheDirectoryMode=0750",
        {"env.CACHE_DIRECTORY": "/var/cache/{unique}/m"},
    ),
    (
        "LogsDirectory={unique}/m\nLogsDirectoryMode=0711",
        {"env.LOGS_DIRECTORY": "/var/log/{unique}/m"},
    ),
    (
        "ConfigurationDirectory={unique}/m\nConfigurationDirectoryMode=0710",
        {"env.CONFIGURATION_DIRECTORY": "/etc/{unique}/m"},
    ),
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

#: The same, and what cannot be had, where the kernel knows nodes of memory.
NODES = [
    ("", {"memory": "default"}),
    ("NUMAPolicy=bind\nNUMAMask=0\nCPUAffinity=numa", {"memory": "bind:0"}),
    ("NUMAPolicy=interleave\nNUMAMask=all", {"memory": f"interleave:{_read_nodes()}"}),
    ("NUMAPolicy=local\nNUMAMask=0", {"memory": "local"}),
]
NODES_FAILURES = [("NUMAPolicy=bind", 242), ("NUMAPolicy=bind\nNUMAMask=1000", 242)]

#: The same where the kernel has keyrings, where it merges equal pages, and where it has real time for whoever may.
KEYRINGS = [("", {"shares": False}), ("KeyringMode=shared", {"shares": True})]
MERGING = [("", {"merged": 0}), ("MemoryKSM=yes", {"merged": 1})]
REAL_TIME = [
    ("CPUSchedulingPolicy=rr\nCPUSchedulingPriority=7", {"policy": os.SCHED_RR, "priority": 7}),
]

#: Settings that cannot be had, and the exit status of their step.
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
