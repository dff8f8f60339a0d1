"""How a shim begins: its sockets, its limits, its arguments, or the state of its former image."""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import _socket
import errno
import gc
import marshal
import os
import resource

from gitproc.shim import child, process
from gitproc.shim.shim import Shim

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any, NoReturn

_USAGE = (
    "usage: gitproc-shim --socket PATH --notify PATH [--title T] [--manager JSON] [--foreground]"
)
_SO_PASSCRED, _SO_RCVBUFFORCE = 16, 33
_NOTIFY_BUFFER = 8 << 20  # bytes
_NOTIFY_QUEUE = 4096  # datagrams that wait before a sender blocks
_QUEUE_LIMIT = "/proc/sys/net/unix/max_dgram_qlen"


def main(arguments: list[str]) -> NoReturn:
    """Be the shim; exits with its status."""
    options = _options(arguments)
    process.set_name("gitproc-shim")
    gc.disable()  # nothing here makes cycles, and a collection would unshare every page of the forks
    gc.collect()
    gc.freeze()
    while (null := os.open("/dev/null", os.O_RDWR)) <= 2:  # 0, 1 and 2 exist from here on
        pass
    if "state" in options:
        os.set_inheritable(null, False)
        shim = _resumed(int(options["state"]), options, null)
    else:
        if null > 3:
            os.dup2(null, 3, inheritable=False)
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # what others left open
        os.set_inheritable(3, False)
        shim = _fresh(options, 3)
    status = shim.run()
    for name in ("notify", "socket"):  # in this order: the latter keeps another shim from starting
        try:
            os.unlink(options[name])
        except OSError:
            pass
    os._exit(status)


def _options(arguments: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--foreground":
            continue
        if name not in ("--socket", "--notify", "--title", "--manager", "--state"):
            _fail(_USAGE, 2)
        options[name[2:]] = value if equals else next(words, "")
    if not options.get("socket") or not options.get("notify"):
        _fail(_USAGE, 2)
    return options


def _fail(text: str, status: int) -> NoReturn:
    process.say(text)
    os._exit(status)


def _words(text: str) -> list[str]:
    """A JSON list of strings, without the memory of the json package."""
    if not text:
        return []
    from _json import scanstring

    words: list[str] = []
    at = 0
    while True:
        at = text.find('"', at)
        if at < 0:
            return words
        word, at = scanstring(text, at + 1, True)
        words.append(word)


def _fresh(options: dict[str, str], null: int) -> Shim:
    try:
        nofile = _raise_limits()
        host = child.Host(nofile, null, _guard())
        listener = _listen(options["socket"])
        notify, depth = _bind_notify(options["notify"])
        process.become_subreaper()
        shim = Shim(listener, notify, host, _words(options.get("manager", "")))
    except (OSError, ValueError) as error:
        _fail(f"cannot start: {error}", 1)
    shim.features = {"notify_queue": depth, "oom_guard": host.oom_lowered}
    shim.start()
    return shim


def _resumed(memfd: int, options: dict[str, str], null: int) -> Shim:
    with open(memfd, "rb") as file:
        state: dict[str, Any] = marshal.load(file)
    host = child.Host(tuple(state["nofile"]), null, state["oom_lowered"])
    listener = _socket.socket(fileno=state["listener"])
    notify = _socket.socket(fileno=state["notify"])
    for row in state["inherited"]:
        os.set_inheritable(row, False)
    shim = Shim(listener, notify, host, _words(options.get("manager", "")))
    shim.resume(state)
    return shim


def _raise_limits() -> tuple[int, int]:
    """All descriptors that may be had; returns what services get by default."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(hard, 1 << 20) if hard >= 0 else hard
    for top in (wanted, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (top, top))
            break
        except (OSError, ValueError):
            continue
    return (min(1024, hard) if hard >= 0 else 1024, hard)


def _guard() -> bool:
    """Keep the kernel's OOM killer away; whether that was allowed."""
    for value in ("-1000", "-900"):
        try:
            process.write_small("/proc/self/oom_score_adj", value)
            return True
        except OSError:
            continue
    return False


def _listen(path: str) -> _socket.socket:
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        probe.connect(path)
        raise OSError(errno.EADDRINUSE, "another shim serves this socket", path)
    except (FileNotFoundError, ConnectionRefusedError):
        pass
    finally:
        probe.close()
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK)
    _bind(listener, path, 0o600)
    listener.listen(16)
    return listener


def _bind(sock: _socket.socket, path: str, mode: int) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(path)
    finally:
        os.umask(before)


def _bind_notify(path: str) -> tuple[_socket.socket, int]:
    """The notify socket, and how many datagrams it holds while nobody reads.

    The kernel fixes that number when the socket is made, from a setting of which the default (10) would
    make services block in sd_notify(3) while the manager is down: raise it for that moment.
    """
    depth, before = _NOTIFY_QUEUE, process.read_small(_QUEUE_LIMIT).decode().strip()
    try:
        process.write_small(_QUEUE_LIMIT, str(max(depth, int(before))))
    except OSError:
        depth = int(before)
    try:
        notify = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK)
    finally:
        if depth != int(before):
            process.write_small(_QUEUE_LIMIT, before)
    notify.setsockopt(_socket.SOL_SOCKET, _SO_PASSCRED, 1)
    for option in (_SO_RCVBUFFORCE, _socket.SO_RCVBUF):
        try:
            notify.setsockopt(_socket.SOL_SOCKET, option, _NOTIFY_BUFFER)
            break
        except OSError:
            continue
    _bind(notify, path, 0o666)
    return notify, depth
