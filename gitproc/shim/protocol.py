"""What manager and shim say to each other: one tuple a packet over SOCK_SEQPACKET, file descriptors beside it.

A packet is a header (magic, length) and one tuple in marshal format version 2, which every supported
interpreter reads and writes without importing anything; the header turns garbage into an error before
marshal sees it. Packets over 64 kB travel as a memfd, because a packet must fit into the socket's buffer.

manager to shim                                   shim to manager
("hello", VERSION)                                ("welcome", VERSION, pid, epoch, features) + notify socket
("spawn", request, cookie, spec) + fds            ("started", request, id, pid, start_time, init_pid) + pidfd
                                                  ("refused", request, step, errno, text)
                                                  ("executed", id)
                                                  ("setup_failed", id, step, errno, text)
                                                  ("warning", id, text)          id 0: about no process
                                                  ("exited", seq, id, cookie, pid, code, status,
                                                   (user s, system s, maxrss bytes), realtime s)
("adopt", request, cookie, pid, start_time)       ("started", ...), ("executed", id), or ("refused", ...)
("list", request)                                 ("table", request, page, last, rows) + pidfds of those alive
("ack", [seq, ...])
("signal", request, id, signo)                    ("signalled", request, errno)
("hold", request, owner, name, note) + fds        ("held", request)
("drop", request, owner, name or None)            ("dropped", request, count)
("holdings", request)                             ("holdings", request, page, last, rows) + fds
("reopen", request)                               ("reopened", request)
("drain", request)                                ("drained", request)   what was in the pipes is in the logs
("reexec", request)                               ("reexeced", request)
("shutdown",)                                     ("terminate", signo)
A request that makes no sense is answered by ("error", text), one that cannot be done by ("refused", ...). A
row of the table is (id, cookie, pid, start_time, alive, executed, init_pid), one of the holdings (owner, name,
note, number of its descriptors). Exits that are not acknowledged are sent (again) after the last page of a
`list`; before a connection has listed, no exit is sent to it. `code` is one of CLD_EXITED (1),
CLD_KILLED (2), CLD_DUMPED (3) of waitid(2).

The spec of a spawn (keys are optional but for path and argv):
path str, argv [str], env ["K=V"], pid_env [K] (variables set to the child's own pid), cwd str,
cwd_optional bool, chroot str, uid int, gid int, groups [int], umask int, nice int, oom_score_adjust int,
rlimits [[resource, soft, hard]] (-1: infinity; NOFILE defaults to 1024:hard), ignore_sigpipe bool,
no_new_privs bool | "unprivileged" (without CAP_SYS_ADMIN alone), bounding int (capabilities kept, as bits),
ambient int, secure_bits int, personality int, seccomp [[step, program]] (bytes of sock_filter, loaded last),
cgroup str (directory of the v2 tree), cgroup_procs [str] (files of v1 trees),
credentials {"path", "unit", "uid", "gid", "load": [[name, path, may be missing]], "set": [[name, bytes]],
"fresh": whether to read anew}, directories [[step, path, mode, uid, gid]] (-1: leave), links [[step, target, path]],
moves [[step, source, target]] (folders, before all others are made),
scheduling [policy, priority, reset on fork], cpus [int], io_priority [class, level], timer_slack int (ns),
memory_ksm bool, coredump_filter int, numa [policy, [node]], terminal: see `terminals.make_fit`,
utmp [utmp, wtmp, identifier, line, "init" | "login" | "user", user],
join_fds [(kind, index)], join_paths [(kind, path)] (kinds "net", "ipc"), own_host_name bool,
own_users "" | "self" | "identity" | "full", own_cgroups bool, lenient bool (go on without a namespace that
cannot be made), mounts {hidden: folder, entries: see `mount_order`, root: path, propagation: "shared" | "slave" |
"private"}, keyring "" | "private" | "shared", pid_namespace "" | "init" | "direct", mount_proc bool,
stdin / output / error: "null" | "inherit" | {"fd": index} |
{"file": path, "how": "read" | "both" | "write" | "append" | "truncate"} | {"tty": path, "acquire": "" | "wait" |
"force" | "fail"}, stdin also {"data": bytes}, output / error (which defaults to output) also "stdin" (as that) and
{"log": path, "max_bytes": int, "files": int, "rules": see `logrules`}, fds [index] (placed at 3, 4 ...).
"""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import struct

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Message = tuple[Any, ...]

VERSION = 1
INLINE_BYTES = 65536
MEMFD_BYTES = 64 << 20
MAX_FDS = 253
PAGE_ROWS = 100

_TICK = 0.001  # seconds
_HEADER = struct.Struct("<4sI")
_MAGIC = b"GPs1"
_MSG_CMSG_CLOEXEC = 0x40000000
_FLAGS = _MSG_CMSG_CLOEXEC | _socket.MSG_DONTWAIT


class ProtocolError(ValueError):
    """The packet is not one of this protocol."""


def encode(message: Message) -> bytes:
    """One packet. ValueError if the tuple holds anything but plain values."""
    body = marshal.dumps(message, 2)
    return _HEADER.pack(_MAGIC, len(body)) + body


def decode(packet: bytes) -> Message:
    """Inverse of `encode`; ProtocolError for everything else."""
    if len(packet) < _HEADER.size:
        raise ProtocolError("short packet")
    magic, length = _HEADER.unpack_from(packet)
    if magic != _MAGIC or length != len(packet) - _HEADER.size:
        raise ProtocolError("not a packet of this protocol")
    try:
        message = marshal.loads(memoryview(packet)[_HEADER.size :])
    except (ValueError, TypeError, EOFError, MemoryError) as error:
        raise ProtocolError(f"damaged packet: {error}") from None
    if type(message) is not tuple or not message or type(message[0]) is not str:
        raise ProtocolError("a packet holds a tuple that starts with a word")
    return message


def decode_all(data: bytes) -> list[Message]:
    """The packets in a byte stream (a pipe); a torn last one is left out."""
    messages = []
    while len(data) >= _HEADER.size:
        end = _HEADER.size + _HEADER.unpack_from(data)[1]
        if end > len(data):
            break
        messages.append(decode(data[:end]))
        data = data[end:]
    return messages


def send(sock: _socket.socket, packet: bytes, fds: tuple[int, ...] | list[int] = ()) -> None:
    """Send one encoded packet without blocking; OSError (EAGAIN among them) if it did not go out.

    The descriptors stay open here. A big packet travels in a memfd and takes no descriptor of `fds` along
    but the first 252.
    """
    if len(packet) <= INLINE_BYTES:
        _send(sock, packet, tuple(fds))
        return
    memfd = os.memfd_create("gitproc-message", os.MFD_CLOEXEC)
    try:
        view = memoryview(packet)
        while view:
            view = view[os.write(memfd, view) :]
        _send(sock, encode(("memfd",)), (memfd, *fds))
    finally:
        os.close(memfd)


def _send(sock: _socket.socket, packet: bytes, fds: tuple[int, ...]) -> None:
    ancillary = []
    if fds:
        rights = struct.pack(f"{len(fds)}i", *fds)
        ancillary.append((_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights))
    sock.sendmsg([packet], ancillary, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)


def receive(sock: _socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its descriptors (close-on-exec, owned by the caller), or None at the end.

    BlockingIOError: nothing is there yet. ProtocolError: garbage; its descriptors have been closed.
    """
    space = _socket.CMSG_SPACE(MAX_FDS * 4)
    packet, ancillary, flags, _ = sock.recvmsg(INLINE_BYTES + 64, space, _FLAGS)
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds.extend(struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4]))
    if not packet:
        close_all(fds)
        return None
    try:
        if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
            raise ProtocolError("a packet was cut short")
        message = decode(packet)
        if message == ("memfd",) and fds:
            message = decode(_read_memfd(fds[0]))
            os.close(fds.pop(0))
        return message, fds
    except BaseException:
        close_all(fds)
        raise


def _read_memfd(fd: int) -> bytes:
    try:
        size = os.fstat(fd).st_size
        if not 0 < size <= MEMFD_BYTES:
            raise ProtocolError("a message in a memfd is empty or too big")
        return os.pread(fd, size, 0)
    except OSError as error:
        raise ProtocolError(f"a message's memfd cannot be read: {error}") from None


def unlingering(call: Callable[..., Any], *arguments: Any) -> Any:
    """A call that may close what others made, and does not wait for it: a socket may linger (SO_LINGER) for days.

    Any signal ends that wait, so the clock sends some. For the main thread.
    """
    handler = _signal.signal(_signal.SIGALRM, _nothing)
    timer = _signal.setitimer(_signal.ITIMER_REAL, _TICK, _TICK)
    try:
        return call(*arguments)
    finally:
        _signal.setitimer(_signal.ITIMER_REAL, *timer)
        _signal.signal(_signal.SIGALRM, handler)


def _nothing(number: int, frame: object) -> None:
    pass


def close_all(fds: list[int]) -> None:
    """Close these descriptors; one that is closed already does not matter."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass
