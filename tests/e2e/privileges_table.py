"""What units take away from their processes or give to them, and what these then can do and cannot.

One program tries all; each unit has one thing said differently. Only the standard library: the same table is held
against systemd, in the virtual machine.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

EPERM, NO_FAMILY = errno.EPERM, errno.EAFNOSUPPORT
KILLED = -31  # by SIGSYS
NOBODY = 65534
#: Whether the kernel itself refuses memory that is written and executed (PR_SET_MDWE).
REFUSES_CODE = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) >= (6, 3)

#: Prints, for each thing that is tried (all, or what the arguments name), 0 or the error number, or what it found;
#: negative: the signal it died of.
ATTEMPTS = r"""
import ctypes, fcntl, json, mmap, os, socket, sys, tempfile
libc = ctypes.CDLL(None, use_errno=True)
CALLS = {'x86_64': dict(adjtimex=159, delete_module=176, iopl=172, socket=41, sysctl=156, clone3=435,
                        unshare=272, setns=308, sched_setattr=314, openat2=437, chown=92)}
NR = CALLS.get(os.uname().machine, {})
def call(number, *args):
    words = [ctypes.c_ulong(x) if isinstance(x, int) else x for x in args]
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        raise OSError(ctypes.get_errno(), '')
def named(name, *args):
    words = [ctypes.c_ulong(x) if isinstance(x, int) else x for x in args]
    if getattr(libc, name)(*words) in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), '')
def temporary(f):
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        f(folder)
def write_execute():
    mmap.mmap(-1, 4096, prot=7)
def make_executable():
    area = mmap.mmap(-1, 4096, prot=3)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    named('mprotect', address, 4096, 5)
def read_implies_execute():
    named('personality', 0x0400000)
    code = b'\xc3' if os.uname().machine == 'x86_64' else b'\xc0\x03\x5f\xd6'  # return
    area = mmap.mmap(-1, 4096, prot=3)
    area[:len(code)] = code
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
def realtime():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
def other_machine():
    code = bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3])  # getpid of 32-bit programs
    area = mmap.mmap(-1, 4096, prot=7)
    area[:8] = code
    got = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
    if got != os.getpid(): raise OSError(-got, '')
def chown(folder):
    os.chown(folder, os.getuid(), -1)
def suid(folder):
    open(folder + '/x', 'w').close()
    os.chmod(folder + '/x', 0o4755)
def sgid(folder):
    os.close(os.open(folder + '/y', os.O_CREAT | os.O_WRONLY, 0o2755))
def nameless(folder):
    fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o4755)
    assert os.fstat(fd).st_mode & 0o4000
def openat2(folder):
    how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    call(NR['openat2'], ctypes.c_long(-100), (folder + '/z').encode(), how, 24)
def join(kind):
    fd = os.open('/proc/self/ns/' + kind, os.O_RDONLY)
    call(NR['setns'], fd, 0)
TRIED = {
    'unix': lambda: socket.socket(socket.AF_UNIX).close(),
    'inet': lambda: socket.socket(socket.AF_INET).close(),
    'netlink': lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    'disguised': lambda: call(NR['socket'], 1 << 32 | 2, 1, 0),
    'write+execute': write_execute,
    'make executable': make_executable,
    'read implies execute': read_implies_execute,
    'realtime': realtime,
    'sched_setattr': lambda: call(NR['sched_setattr'], 0, (ctypes.c_uint64 * 6)(48, 0, 0, 0, 0, 0), 0),
    'suid': lambda: temporary(suid),
    'sgid': lambda: temporary(sgid),
    'nameless': lambda: temporary(nameless),
    'openat2': lambda: temporary(openat2),
    'unshare uts': lambda: call(NR['unshare'], 0x04000000),
    'unshare ipc': lambda: call(NR['unshare'], 0x08000000),
    'setns': lambda: join('uts'),
    'clone3': lambda: call(NR['clone3'], 0, 0),
    'modules': lambda: call(NR['delete_module'], b'no_such_module', 0),
    'kernel log': lambda: named('klogctl', 10, None, 0),
    'clock': lambda: call(NR['adjtimex'], (ctypes.c_uint64 * 64)()),
    'raw io': lambda: call(NR['iopl'], 0),
    'host name': lambda: named('sethostname', os.uname().nodename.encode(), len(os.uname().nodename)),
    'sysctl': lambda: call(NR['sysctl'], None),
    'personality': lambda: named('personality', 8),
    'other machine': other_machine,
    'chown': lambda: temporary(chown),
    'unknown': lambda: call(9999),
    'open_tree_attr': lambda: call(467, -1, -1, -1, -1, -1),  # of all architectures
    'setuid': lambda: os.setresuid(65534, 65534, 65534),
}
def outcome(f):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        number = 0
        try: f()
        except OSError as error: number = error.errno
        except BaseException: number = 999
        os.write(write, number.to_bytes(2, 'little'))
        os._exit(0)
    os.close(write)
    said = os.read(read, 2)
    os.close(read)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else int.from_bytes(said, 'little')
status = dict(x.split(':', 1) for x in open('/proc/self/status').read().splitlines())
wanted = [name.replace('_', ' ') if '_' in name and name not in TRIED else name for name in sys.argv[1:]]
found = {name: outcome(f) for name, f in TRIED.items() if not wanted or name in wanted}
found.update({x: int(status[x], 16) for x in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')})
found.update(no_new_privs=int(status['NoNewPrivs']), seccomp=int(status['Seccomp']), bits=libc.prctl(27, 0, 0, 0, 0),
             uid=os.getuid(), machine=os.uname().machine)
print(json.dumps(found))
"""


def _of_bounding_set() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1], 16) for x in lines if x.startswith("CapBnd:"))


ALL = _of_bounding_set()


def bit(*numbers: int) -> int:
    """Capabilities as the kernel shows them."""
    return sum(1 << number for number in numbers)


CHOWN, SETUID, SETPCAP, BIND, MODULE, RAWIO, ADMIN, TIME, MKNOD, SYSLOG, ALARM = (
    0, 7, 8, 10, 16, 17, 21, 25, 27, 34, 35
)  # fmt: skip

#: What can be done without any of it. What this machine forbids in any case (a container) is left out by the tests.
FREE = (
    "unix", "inet", "netlink", "disguised", "write+execute", "make executable", "realtime",
    "read implies execute", "sched_setattr", "suid", "sgid", "nameless",
    "openat2", "unshare uts", "unshare ipc", "setns", "clock", "raw io",
    "host name", "personality", "other machine", "chown", "setuid",
)  # fmt: skip
#: What fails by itself, with another error than a filter's.
BARREN = ("clone3", "modules", "sysctl", "unknown", "open_tree_attr")

#: Settings of a unit, and what its process finds that is not as it is without them.
WISHES: list[tuple[str, dict[str, Any]]] = [
    ("", {"no_new_privs": 0, "seccomp": 0, "bits": 0, "CapBnd": ALL, "CapEff": ALL, "CapAmb": 0}),
    ("NoNewPrivileges=yes", {"no_new_privs": 1}),
    ("RestrictAddressFamilies=AF_UNIX", dict.fromkeys(("inet", "netlink", "disguised"), NO_FAMILY)),
    ("RestrictAddressFamilies=AF_UNIX AF_INET", {"netlink": NO_FAMILY}),
    ("RestrictAddressFamilies=~AF_INET", dict.fromkeys(("inet", "disguised"), NO_FAMILY)),
    ("RestrictAddressFamilies=none", dict.fromkeys(("unix", "inet", "netlink"), NO_FAMILY)),
    ("MemoryDenyWriteExecute=yes", dict.fromkeys(("write+execute", "make executable"), EPERM)),
    *(
        [("MemoryDenyWriteExecute=yes", {"read implies execute": errno.EACCES})]
        if REFUSES_CODE
        else []
    ),
    ("RestrictRealtime=yes", {"realtime": EPERM, "sched_setattr": EPERM}),
    (
        "RestrictSUIDSGID=yes",
        {"suid": EPERM, "sgid": EPERM, "nameless": EPERM, "openat2": errno.ENOSYS},
    ),
    ("RestrictNamespaces=yes", dict.fromkeys(("unshare uts", "unshare ipc", "setns"), EPERM)),
    ("RestrictNamespaces=uts", {"unshare ipc": EPERM, "setns": EPERM, "clone3": errno.ENOSYS}),
    ("RestrictNamespaces=~uts", {"unshare uts": EPERM, "setns": EPERM}),
    ("LockPersonality=yes", {"personality": EPERM}),
    ("Personality=x86", {"machine": "i686"}),
    ("SystemCallArchitectures=native", {"other machine": KILLED}),
    ("SystemCallArchitectures=native x86", {"seccomp": 2}),
    ("SystemCallFilter=~chown", {"chown": KILLED}),
    ("SystemCallFilter=~@chown\nSystemCallErrorNumber=ENOTTY", {"chown": errno.ENOTTY}),
    ("SystemCallFilter=~@chown:EUCLEAN @clock", {"chown": errno.EUCLEAN, "clock": KILLED}),
    ("SystemCallFilter=~@chown\nSystemCallFilter=chown", {"chown": 0}),
    ("SystemCallFilter=@system-service", {"clock": KILLED, "unshare uts": 0}),
    ("SystemCallFilter=~@mount", {"open_tree_attr": KILLED, "clock": 0}),
    (
        "SystemCallFilter=@system-service\nSystemCallFilter=~@setuid @chown\nSystemCallErrorNumber=EPERM",
        {"chown": EPERM, "setuid": EPERM, "clock": EPERM, "modules": EPERM},
    ),
    ("SystemCallLog=chown", {"seccomp": 2, "chown": 0}),
    ("CapabilityBoundingSet=", {"CapBnd": 0, "CapEff": 0, "setuid": EPERM, "uid": 0}),
    ("CapabilityBoundingSet=CAP_CHOWN CAP_SETUID", {"CapBnd": bit(CHOWN, SETUID), "setuid": 0}),
    ("CapabilityBoundingSet=~CAP_SETUID", {"CapBnd": ALL & ~bit(SETUID), "setuid": EPERM}),
    ("User=nobody", {"CapEff": 0, "CapPrm": 0, "CapBnd": ALL, "no_new_privs": 0}),
    (
        "User=nobody\nAmbientCapabilities=CAP_NET_BIND_SERVICE",
        {"CapAmb": bit(BIND), "CapEff": bit(BIND), "CapPrm": bit(BIND), "CapInh": bit(BIND)},
    ),
    (
        "User=nobody\nAmbientCapabilities=CAP_CHOWN\nCapabilityBoundingSet=CAP_CHOWN\nNoNewPrivileges=yes",
        {"CapAmb": bit(CHOWN), "CapBnd": bit(CHOWN), "uid": NOBODY, "bits": 0, "no_new_privs": 1},
    ),
    ("User=nobody\nAmbientCapabilities=CAP_CHOWN\nCapabilityBoundingSet=~CAP_CHOWN", {"CapAmb": 0}),
    ("AmbientCapabilities=CAP_CHOWN", {"CapAmb": bit(CHOWN), "CapEff": ALL}),
    ("SecureBits=noroot noroot-locked", {"bits": 3, "CapEff": 0, "uid": 0}),
    ("User=nobody\nSecureBits=no-setuid-fixup", {"bits": 4, "CapEff": 0, "uid": NOBODY}),
    (
        "User=nobody\nSecureBits=noroot\nAmbientCapabilities=CAP_CHOWN",
        {"bits": 1, "CapEff": bit(CHOWN)},
    ),
    ("User=nobody\nRestrictRealtime=yes", {"no_new_privs": 1, "seccomp": 2}),
    ("RestrictRealtime=yes\nSystemCallArchitectures=native", {"no_new_privs": 0, "seccomp": 2}),
    # Of these, what they take away of system calls and capabilities: the rest is a matter of mounts.
    ("ProtectKernelModules=yes", {"modules": EPERM, "CapBnd": ALL & ~bit(MODULE)}),
    ("ProtectKernelLogs=yes", {"kernel log": EPERM, "CapBnd": ALL & ~bit(SYSLOG)}),
    ("ProtectKernelTunables=yes", {"sysctl": EPERM}),
    ("ProtectClock=yes", {"clock": EPERM, "CapBnd": ALL & ~bit(TIME, ALARM)}),
    ("ProtectHostname=yes", {"host name": EPERM}),
    ("PrivateDevices=yes", {"raw io": EPERM, "CapBnd": ALL & ~bit(RAWIO, MKNOD)}),
]
#: With a prefix of the command: `+` leaves all of it out, `!` the user alone.
PREFIXES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "+",
        "User=nobody\nNoNewPrivileges=yes\nSystemCallFilter=~chown\nCapabilityBoundingSet=",
        {"uid": 0, "CapBnd": ALL, "chown": 0, "no_new_privs": 0, "seccomp": 0},
    ),
    (
        "!",
        "User=nobody\nCapabilityBoundingSet=~CAP_SYSLOG\nSystemCallFilter=~adjtimex",
        {"uid": 0, "CapBnd": ALL & ~bit(SYSLOG), "clock": KILLED, "no_new_privs": 0},
    ),
    ("!!", "User=nobody\nAmbientCapabilities=CAP_CHOWN", {"uid": NOBODY, "CapAmb": bit(CHOWN)}),
]


def differences(found: dict[str, Any], wanted: dict[str, Any], plain: dict[str, Any]) -> list[str]:
    """Where a process found something else than was wished for; `plain`: what one finds without any setting.

    What cannot be done on this machine in any case says nothing.
    """
    told = []
    for name, wish in wanted.items():
        if name in FREE and plain[name] != 0:
            continue
        if found[name] != wish:
            told.append(f"{name}: {found[name]}, not {wish}")
    return told
