"""What the shim's own processes do to themselves: title, descriptors, limits, signals; and what they ask of /proc.

`signal`, `socket` and `json` are left out on purpose: they import `enum` and `re`, which would double the
memory of a process that exists once per machine and is forked for every service.
"""

from __future__ import annotations

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)
import _signal  # type: ignore[import-not-found]
import ctypes
import errno
import fcntl
import os
import resource
import select

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    Words = tuple[ctypes.c_long, ...]

_libc = ctypes.PyDLL(None, use_errno=True)
for _name in ("syscall", "prctl", "pthread_sigmask", "capget", "capset", "mount", "personality"):
    getattr(_libc, _name)  # looked up now, and not by each child
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_MM = 35
_PR_SET_MM_ARG_END = 9
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_NR_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30}
_NR_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}
_NR_SET_MEMPOLICY = {"x86_64": 238, "aarch64": 237, "riscv64": 237}
_MACHINE = os.uname().machine
_IOPRIO_WHO_PROCESS = 1
_MNT_DETACH = 2
_CAPABILITY_VERSION = 0x20080522
_CAPABILITY_HEADER, _CAPABILITY_DATA = ctypes.c_uint32 * 2, ctypes.c_uint32 * 6
# Not `_signal.pthread_sigmask`, which makes a set of what was blocked before: a child pays for each page.
_BLOCK_ALL, _BLOCK_NONE = (
    (ctypes.c_int(_signal.SIG_SETMASK), (ctypes.c_ubyte * 128)(*bytes((fill,)) * 128), None)
    for fill in (0xFF, 0)
)
ALL_SIGNALS = tuple(number for number in range(1, 65) if number not in (32, 33))  # not libc's own
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_SLAVE = 2, 4, 8, 0x4000, 0x80000


def say(text: str) -> None:
    """A line on standard error, unless that would block."""
    try:
        poll = select.poll()
        poll.register(2, select.POLLOUT)
        if poll.poll(0):
            os.write(2, f"gitproc-shim: {text}\n".encode("utf-8", "replace")[:4000])
    except OSError:
        pass


def prctl(option: int, *args: int) -> int:
    """The system call of this name: what it returns; OSError if refused."""
    padded = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    result: int = _libc.prctl(ctypes.c_int(option), *padded)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def capabilities() -> tuple[int, int, int]:
    """Of this process, as bits: effective, permitted, inheritable."""
    header, data = _CAPABILITY_HEADER(_CAPABILITY_VERSION, 0), _CAPABILITY_DATA()
    if _libc.capget(header, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    low, high = data[:3], data[3:]
    return low[0] | high[0] << 32, low[1] | high[1] << 32, low[2] | high[2] << 32


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Inverse of `capabilities`; OSError if refused."""
    sets, bits = (effective, permitted, inheritable), 0xFFFFFFFF
    data = _CAPABILITY_DATA(*(x & bits for x in sets), *(x >> 32 for x in sets))
    if _libc.capset(_CAPABILITY_HEADER(_CAPABILITY_VERSION, 0), data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def become_subreaper() -> None:
    """Orphans of descendants become children of this process."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_io_priority(kind: int, level: int) -> None:
    """ioprio_set(2) for this process: class (1 real-time, 2 best-effort, 3 idle) and level (0 to 7)."""
    make(_words(_NR_IOPRIO_SET, _IOPRIO_WHO_PROCESS, 0, kind << 13 | level))


def set_memory_policy(policy: int, nodes: list[int]) -> None:
    """set_mempolicy(2) for this process; OSError if refused."""
    words = [0] * (max(nodes, default=0) // 64 + 1)
    for node in nodes:
        words[node // 64] |= 1 << node % 64
    mask = (ctypes.c_uint64 * len(words))(*words)
    bits = len(words) * 64 + 1 if nodes else 0
    make(_words(_NR_SET_MEMPOLICY, policy, ctypes.addressof(mask) if nodes else 0, bits))


def keyctl(operation: int, *args: int) -> Words:
    """The system call of this name, for `make`."""
    return _words(_NR_KEYCTL, operation, *args, *(0,) * (4 - len(args)))


def make(call: Words) -> None:
    """Make a system call that has been put together before; OSError if refused."""
    if _libc.syscall(*call) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _words(numbers: dict[str, int], *args: int) -> Words:
    # Where it is unknown: no system call has this number, and the kernel says ENOSYS.
    return tuple(ctypes.c_long(word) for word in (numbers.get(_MACHINE, -1), *args))


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process when its parent ends, kept over exec; at once if `parent` is gone already."""
    prctl(_PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        os.kill(os.getpid(), 9)


def set_personality(number: int) -> None:
    """personality(2); OSError if refused."""
    if _libc.personality(ctypes.c_ulong(number)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def no_new_privileges() -> None:
    """NoNewPrivileges= of systemd.exec(5)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_name(name: str) -> None:
    """The short name (comm, 15 bytes) of this process."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    prctl(_PR_SET_NAME, ctypes.addressof(buffer))


def set_title(title: str) -> None:
    """The whole command line of this process, as others see it, and its short name."""
    try:
        set_name(title)
        fields = read_small("/proc/self/stat").rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        text = title.encode()[: end - start - 1]
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, len(text))
        prctl(_PR_SET_MM, _PR_SET_MM_ARG_END, start + len(text) + 1)  # else: padded with zeros
    except (OSError, ValueError, IndexError):
        pass


def read_small(path: str, dir_fd: int | None = None) -> bytes:
    """The first 4 kB of a file of procfs."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def write_small(path: str, text: str) -> None:
    """One write to a file of procfs or cgroupfs."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def start_time(pid: int, proc: int | None = None) -> int:
    """Start of the process in clock ticks since boot (field 22 of proc_pid_stat(5)); 0 if it is gone."""
    try:
        path = f"/proc/{pid}/stat" if proc is None else f"{pid}/stat"
        return int(read_small(path, proc).rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor but these: for processes that fork and never exec."""
    low = 0
    for fd in sorted(keep):
        if fd > low:
            os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def block_signals() -> None:
    """Block everything: a signal between fork and reset would run the parent's handler in the child."""
    _libc.pthread_sigmask(*_BLOCK_ALL)


def unblock_signals() -> None:
    """Let everything through."""
    _libc.pthread_sigmask(*_BLOCK_NONE)


def altered_signals() -> tuple[list[int], list[int]]:
    """Signals whose disposition is not the default (handled, or ignored by whoever started us); those that
    are ignored."""
    found, ignored = [], []
    for number in ALL_SIGNALS:
        try:
            how = _signal.getsignal(number)
        except ValueError:
            continue
        if how is not _signal.SIG_DFL:
            found.append(number)
        if how is _signal.SIG_IGN:
            ignored.append(number)
    return found, ignored


def default_signals(numbers: list[int]) -> None:
    """Back to the default disposition."""
    for number in numbers:
        try:
            _signal.signal(number, _signal.SIG_DFL)
        except (OSError, ValueError):
            pass


def ignore_signals(*numbers: int) -> None:
    """Ignore these."""
    for number in numbers:
        _signal.signal(number, _signal.SIG_IGN)


def catch_signals(wakeup_fd: int, *numbers: int) -> None:
    """Each of these writes its number to `wakeup_fd`; nothing else happens. A full pipe is no error."""
    for number in numbers:
        _signal.signal(number, _nothing)
        _signal.siginterrupt(number, False)
    _signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)


def _nothing(number: int, frame: object) -> None:
    pass


def wait_signal() -> tuple[int, int]:
    """The next signal of a process that blocks them all: its number, and the sender's pid (0: outside)."""
    while True:
        try:
            info = _signal.sigwaitinfo(ALL_SIGNALS)
            return info.si_signo, info.si_pid
        except InterruptedError:
            continue


def pidfd_signal(pidfd: int, number: int) -> int:
    """Send a signal; the errno (0: sent). A process that has ended is no error here: ESRCH."""
    try:
        _signal.pidfd_send_signal(pidfd, number)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    """The system call of this name; OSError if refused."""
    words = [None if x is None else x.encode() for x in (source, target, kind, options)]
    *names, data = map(ctypes.c_char_p, words)
    if _libc.mount(*names, ctypes.c_ulong(flags), data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target: str) -> bool:
    """Take the topmost file system off a place, at once; whether there was one that could be."""
    return bool(_libc.umount2(target.encode(), _MNT_DETACH) == 0)


def duplicate_above(fd: int, lowest: int) -> int:
    """A close-on-exec duplicate at `lowest` or higher."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
