"""Users that are made up for a run (DynamicUser=): a number for a name, as long as something runs under it.

The numbers are systemd's (61184 to 65519). Which are taken stands in files of one folder below /run, so it holds
over a crash of the manager and ends with the boot. A name gets the number that its folders have belonged to, or
one worked out from the name, so that what it keeps on disk need not change hands. The host's name service learns
the name from a record (`user_records`), as long as the number is taken.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import suppress

from gitproc.kernel.launch import LaunchError
from gitproc.kernel.name_service import ask
from gitproc.kernel.user_records import REAL_NAME, UserRecords
from gitproc.units import directives as d
from gitproc.units.directives_sandbox import DYNAMIC_USER
from gitproc.units.seats import home
from gitproc.units.unit import Unit
from gitproc.units.user_names import is_valid_user_name

FIRST, LAST = 61184, 65519
_ROOM = LAST - FIRST + 1
PRIVATE = "private"
"""Below /var/lib and its kin: what dynamic users own lies in here, where nobody else gets in."""
_KEPT = (
    (d.STATE_DIRECTORY, "/var/lib"),
    (d.CACHE_DIRECTORY, "/var/cache"),
    (d.LOGS_DIRECTORY, "/var/log"),
)
_OF_SYSTEMD = "/run/systemd/dynamic-uid"


class DynamicUsers:
    """The numbers that are taken, by name, as files of a folder say; `records`: the name service's folder."""

    def __init__(self, folder: str, records: str) -> None:
        self._folder = folder
        self._taken = dict(_stored(folder))
        self._records = UserRecords(records, folder)
        self._records.reconcile(self._taken)

    def take(self, name: str, owners: Iterable[int] = ()) -> int:
        """The number of `name`, which is taken from now on, and known to the host's name service.

        LaunchError (USER): none is left, or none can be stored, or the name is that of somebody else's group or
        record. `owners`: to whom its folders belong, which are preferred.
        """
        if name not in self._taken:
            _check_group(name)
            numbers = set(self._taken.values())
            wishes = [x for x in owners if FIRST <= x <= LAST]
            for number in (*wishes, *_candidates(name)):
                if (
                    number not in numbers
                    and self._records.is_free(number)
                    and _is_free(number, name)
                ):
                    self._store(name, number)
                    break
            else:
                raise LaunchError("USER", f"no number is left for the dynamic user {name}")
        return self._taken[name]

    def number(self, name: str) -> int:
        """The number of a name that is taken; -1 if it is not."""
        return self._taken.get(name, -1)

    def names(self) -> list[str]:
        """The names that are taken."""
        return sorted(self._taken)

    def ended(self, unit: Unit, running: Iterable[Unit]) -> None:
        """The instance of a unit has ended; `running`: the definitions of all others that have not."""
        if not unit[DYNAMIC_USER]:
            return
        name = name_of(unit)
        if name in self._taken and name not in _names(running):
            self._free(name)

    def keep(self, living: Iterable[Unit]) -> None:
        """Once it is known what lives: what was taken for others is free."""
        for name in self._taken.keys() - _names(living):
            self._free(name)

    def _free(self, name: str) -> None:
        self._records.remove(name, self._taken.pop(name))
        with suppress(OSError):
            os.unlink(f"{self._folder}/{name}")

    def _store(self, name: str, number: int) -> None:
        try:
            os.makedirs(self._folder, 0o755, exist_ok=True)
            temporary = f"{self._folder}/.{name}"
            with open(temporary, "w", encoding="ascii") as file:
                file.write(f"{number}\n")
            os.rename(temporary, f"{self._folder}/{name}")
        except OSError as error:
            raise LaunchError("USER", f"cannot take a dynamic user: {error}") from error
        self._taken[name] = number
        try:
            self._records.write(name, number)
        except LaunchError:
            self._free(name)
            raise


_registries: dict[str, DynamicUsers] = {}


def open_registry(folder: str, records: str) -> DynamicUsers:
    """Have this process take its dynamic users from a folder, and tell their names in another."""
    _registries["own"] = DynamicUsers(folder, records)
    return _registries["own"]


def registry() -> DynamicUsers:
    """The one that was opened. LaunchError (USER) if none was."""
    if "own" not in _registries:
        raise LaunchError("USER", "there is no folder for dynamic users")
    return _registries["own"]


def is_dynamic(unit: Unit) -> bool:
    """Whether a unit runs as a user that is made up: DynamicUser=, and no user of the name is there."""
    if not unit[DYNAMIC_USER]:
        return False
    name = name_of(unit)
    if "own" in _registries and _registries["own"].number(name) >= 0:
        return True
    try:
        return (
            ask(pwd.getpwnam, name).pw_gecos == REAL_NAME
        )  # what a cache still knows, or another manager's
    except KeyError:
        return True


def name_of(unit: Unit) -> str:
    """User=, or the unit's own name, or where that cannot be a user's, one made from it."""
    wanted: str = unit[d.USER] or unit.prefix
    if is_valid_user_name(wanted):
        return wanted
    return f"_du{hashlib.blake2b(home(unit.name).encode(), digest_size=8).hexdigest()}"


def owners_of(unit: Unit) -> Iterator[int]:
    """To whom the folders belong that a unit has kept from an earlier run."""
    for directive, root in _KEPT:
        for own in unit[directive]:
            with suppress(OSError):
                yield os.stat(f"{root}/{PRIVATE}/{own.path}", follow_symlinks=False).st_uid


def _stored(folder: str) -> Iterator[tuple[str, int]]:
    names: list[str] = []
    with suppress(OSError):
        names = os.listdir(folder)
    for name in names:
        with suppress(OSError, ValueError):
            if is_valid_user_name(name):
                with open(f"{folder}/{name}", encoding="ascii") as file:
                    yield name, int(file.read(16))


def _candidates(name: str) -> Iterator[int]:
    start = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    for step in range(_ROOM):
        yield FIRST + (start + step) % _ROOM


def _is_free(number: int, name: str) -> bool:
    """Whether neither an account nor systemd has it; what a cache still knows of the same name does not count."""
    with suppress(KeyError):
        if ask(pwd.getpwuid, number).pw_gecos != REAL_NAME:
            return False
    with suppress(KeyError):
        if ask(grp.getgrgid, number).gr_name != name:
            return False
    return not os.path.exists(f"{_OF_SYSTEMD}/{number}")


def _check_group(name: str) -> None:
    """systemd, too, refuses a name that is a group's already, and no user's."""
    with suppress(KeyError):
        if not FIRST <= ask(grp.getgrnam, name).gr_gid <= LAST:
            raise LaunchError("USER", f"{name} is a group of the host's, but no user")


def _names(units: Iterable[Unit]) -> set[str]:
    return {name_of(unit) for unit in units if unit[DYNAMIC_USER]}
