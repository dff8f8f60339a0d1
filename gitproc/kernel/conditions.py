"""Testing Condition*= and Assert*= on this host (systemd.unit(5), "Conditions and Asserts").

Each test reads what it needs at the moment it is made, and looks at nothing but files of the kernel and of the
paths that are named. What cannot be found out is reported as such and counts as unmet.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Mapping

from gitproc.core.checked import Finding
from gitproc.kernel import machine, pressure
from gitproc.pattern import pattern
from gitproc.units.conditions import Condition
from gitproc.units.specifiers import Host

_BRACES = pattern(r"\{([^{}]*)\}")


def check(conditions: Iterable[Condition], host: Host) -> tuple[Finding, ...]:
    """Test all of them. May block for as long as a file system does not answer."""
    return tuple(_finding(one, host) for one in conditions)


def _finding(one: Condition, host: Host) -> Finding:
    try:
        holds = _TESTS[one.kind](one.parameter, host)
    except (OSError, ValueError) as error:
        return Finding(str(one), met=False, trigger=one.trigger, problem=str(error))
    return Finding(str(one), met=holds is not one.negate, trigger=one.trigger)


def _mode(path: str) -> int:
    """The type and permissions of what the path leads to; 0 if that is nothing."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _has_entries(path: str) -> bool:
    try:
        with os.scandir(path) as entries:
            return any(True for _ in entries)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # systemd takes a folder that cannot be read for one with something in it


def _not_empty(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def _executable(path: str) -> bool:
    mode = _mode(path)
    return stat.S_ISREG(mode) and bool(mode & 0o111)


def _expand_braces(pattern: str) -> list[str]:
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    head, tail = pattern[: found.start()], pattern[found.end() :]
    return [x for part in found[1].split(",") for x in _expand_braces(head + part + tail)]


def _matches(pattern: str) -> bool:
    return any(True for one in _expand_braces(pattern) for _ in glob.iglob(one))


def _mounted() -> set[str]:
    """The mount points, blanks escaped as the kernel (and fstab) does."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return {line.split(" ", 5)[4] for line in file}


def _escaped(path: str) -> str:
    return "".join(f"\\{ord(c):03o}" if c in " \t\n\\" else c for c in path)


def _mount_point(path: str) -> bool:
    return os.path.exists(path) and _escaped(os.path.realpath(path)) in _mounted()


def mounts_missing(path: str, fstab: str = "/etc/fstab") -> list[str]:
    """What fstab mounts at boot at the path or above, and is not mounted (fstab(5))."""
    try:
        with open(fstab, encoding="utf-8", errors="surrogateescape") as file:
            entries = [line.split() for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return []
    below = f"{_escaped(path)}/".replace("//", "/")
    points = [x[1] for x in entries if len(x) > 3 and "noauto" not in x[3].split(",")]
    needed = [x for x in points if x.startswith("/") and below.startswith(f"{x.rstrip('/')}/")]
    return sorted(set(needed) - _mounted())


def _mounts_for(path: str) -> bool:
    if missing := mounts_missing(path):
        raise ValueError(f"of /etc/fstab: {' '.join(missing)}")
    return True


def _writable(path: str) -> bool:
    try:
        return not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return True  # as systemd has it: only a file system known to be read-only says no


def _encrypted(path: str) -> bool:
    device = os.stat(path).st_dev
    return _device_encrypted(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")


def _device_encrypted(device: str) -> bool:
    """Whether a device mapper target of type crypt is below, whatever lies between."""
    if machine.line(f"{device}/dm/uuid").startswith("CRYPT-"):
        return True
    try:
        below = os.listdir(f"{device}/slaves")
    except OSError:
        return False
    return bool(below) and all(_device_encrypted(f"{device}/slaves/{name}") for name in below)


def _needs_update(path: str) -> bool:
    """Whether /usr is newer than what was last made of it in `path` (systemd-update-done.service(8))."""
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return False
        return os.lstat("/usr").st_mtime_ns > os.lstat(f"{path}/.updated").st_mtime_ns
    except OSError:
        return True  # better one update too many


def _of_path(test: Callable[[str], bool]) -> Callable[[str, Host], bool]:
    return lambda parameter, _: test(parameter)


_TESTS: Mapping[str, Callable[[str, Host], bool]] = {
    "PathExists": _of_path(os.path.exists),
    "PathExistsGlob": _of_path(_matches),
    "PathIsDirectory": _of_path(os.path.isdir),
    "PathIsSymbolicLink": _of_path(os.path.islink),
    "PathIsMountPoint": _of_path(_mount_point),
    "PathIsReadWrite": _of_path(_writable),
    "PathIsEncrypted": _of_path(_encrypted),
    "DirectoryNotEmpty": _of_path(_has_entries),
    "FileNotEmpty": _of_path(_not_empty),
    "FileIsExecutable": _of_path(_executable),
    "NeedsUpdate": _of_path(_needs_update),
    "MountsFor": _of_path(_mounts_for),
    **machine.TESTS,
    **pressure.TESTS,
}
