"""Steps of a child's set-up: namespaces other than that of mounts (PrivateNetwork= and its kin of systemd.exec(5))."""

from __future__ import annotations

import errno
import os

from gitproc.shim import directories, process
from gitproc.shim import mount_calls as calls

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup

_KINDS = {"net": calls.CLONE_NEWNET, "ipc": calls.CLONE_NEWIPC}
_STEPS = {"net": "NETWORK", "ipc": "NAMESPACE"}
_MOST = 4294967295


def join_given(setup: Setup) -> None:
    """Enter the namespaces that came as descriptors: before these are closed for good."""
    for kind, fd in setup.spec.get("join_fds", ()):
        setup.step = _STEPS[kind]
        calls.join(fd, _KINDS[kind])


def enter(setup: Setup) -> None:
    """Enter namespaces that have a path; make those that are this process's alone."""
    for kind, path in setup.spec.get("join_paths", ()):
        setup.step = _STEPS[kind]
        fd = _open(path)
        try:
            calls.join(fd, _KINDS[kind])
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
        finally:
            os.close(fd)
    setup.step = "NAMESPACE"
    if setup.spec.get("own_cgroups"):
        setup.have_own(calls.CLONE_NEWCGROUP, "the cgroup tree")


def _open(path: str) -> int:
    """A namespace's file: a process's in /proc, or one that nobody else could have put a link to."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    parts = path.split("/")
    if len(parts) == 5 and parts[1] == "proc" and parts[3] == "ns":
        return os.open(path, flags)
    return directories.open_below(path, flags, 0)


def own_host_name(setup: Setup) -> None:
    """A host name of its own: what is set there, nobody else sees."""
    if setup.spec.get("own_host_name"):
        setup.have_own(calls.CLONE_NEWUTS, "host names")


def own_users(setup: Setup) -> None:
    """A user namespace: `self` (root and its own user), `identity` (the first 65536) or `full` (all)."""
    kind = setup.spec.get("own_users")
    if not kind:
        return
    uid, gid = setup.spec.get("uid", -1), setup.spec.get("gid", -1)
    maps = [("setgroups", "allow")] if kind == "full" else []
    maps += [("uid_map", _map(kind, uid)), ("gid_map", _map(kind, gid))]
    try:
        _map_from_outside(os.getpid(), maps)
    except OSError as error:
        setup.excuse("users", error)


def _map(kind: str, own: int) -> str:
    if kind == "identity":
        return "0 0 65536"
    if kind == "full":
        return f"0 0 1\n1 1 {_MOST - 1}"  # not one line: by that some tell that they are in none
    return "0 0 1" if own <= 0 else f"0 0 1\n{own} {own} 1"


def _map_from_outside(pid: int, maps: list[tuple[str, str]]) -> None:
    """Enter a new user namespace, whose maps only somebody outside of it may write: a child of ours."""
    go, ready = os.pipe2(os.O_CLOEXEC)
    writer = os.fork()
    if writer == 0:
        status = 0
        try:
            os.close(ready)
            if os.read(go, 1):
                for name, text in maps:
                    process.write_small(f"/proc/{pid}/{name}", text)
        except OSError as error:
            status = min(error.errno or errno.EIO, 255)
        finally:
            os._exit(status)
    os.close(go)
    try:
        calls.unshare(calls.CLONE_NEWUSER)
        os.write(ready, b"x")
    finally:
        os.close(ready)
        status = os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1])
    if status:
        raise OSError(abs(status), os.strerror(abs(status)), "uid_map")
