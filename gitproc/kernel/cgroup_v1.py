"""The version 1 hierarchies, through cgroupspy's nodes and controllers: limits where the v2 tree has none.

Only the groups asked for are touched, never a whole hierarchy. A process joins a v1 hierarchy only for a
limit that is set: the write to `cgroup.procs` waits for a grace period of the kernel, milliseconds each.
Where there is no v2 tree at all, one hierarchy also keeps the units' processes together.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress

from cgroupspy.controllers import Controller
from cgroupspy.interfaces import BaseFileInterface, IntegerFile
from cgroupspy.nodes import Node

from gitproc.errors import HostError
from gitproc.kernel import cgroup_v2, disk_weights, v1_nesting
from gitproc.kernel.device_nodes import Node as Device
from gitproc.kernel.knobs import COUNTS, NO_RATE, Knob
from gitproc.kernel.live_limits import Reading, parse
from gitproc.kernel.v1_words import (
    CONTROLLER,
    RATES,
    UNLIMITED,
    WEIGHT,
    WEIGHT_OF_DISK,
    WORDS,
    Words,
)

_IO_COUNTS = {
    "blkio.throttle.io_service_bytes_recursive": {"Read": "rbytes", "Write": "wbytes"},
    "blkio.throttle.io_serviced_recursive": {"Read": "rios", "Write": "wios"},
}


class _Maximum(BaseFileInterface):  # type: ignore[misc]
    """A number, or `max` as None."""

    def sanitize_get(self, value: str) -> int | None:
        return None if value == "max" else int(value)

    def sanitize_set(self, value: int | None) -> str:
        return "max" if value is None else str(value)


class PidsController(Controller):  # type: ignore[misc]
    """The pids hierarchy, which cgroupspy does not know."""

    max = _Maximum("pids.max")
    current = IntegerFile("pids.current", readonly=True)


class FreezerController(Controller):  # type: ignore[misc]
    """The freezer hierarchy, which cgroupspy does not know."""

    state = BaseFileInterface("freezer.state")


class Group(Node):  # type: ignore[misc]
    """One group by its absolute path, whatever its hierarchy is called (`cpu,cpuacct` is common)."""

    CONTROLLERS: Mapping[bytes, type[Controller]] = {
        **Node.CONTROLLERS,
        b"pids": PidsController,
        b"freezer": FreezerController,
    }

    def __init__(self, path: str, controller: str) -> None:
        self._controller_name = controller.encode()
        super().__init__(path)

    def _get_controller_type(self) -> bytes:
        return self._controller_name


class Hierarchies:
    """Our groups in the v1 hierarchies. `bases`: controller -> absolute path of our base there."""

    def __init__(self, bases: Mapping[str, str]) -> None:
        self._bases = dict(bases)
        # Where our base is not there, no group is: looking for each unit's would cost at every start.
        self._in_use = {name for name, path in self._bases.items() if os.path.isdir(path)}

    def has(self, controller: str) -> bool:
        """Whether we may make groups in that controller's hierarchy."""
        return controller in self._bases

    def tracker(self) -> str:
        """The hierarchy that keeps units together where there is no v2 tree."""
        for controller in ("freezer", "pids", *self._bases):
            if controller in self._bases:
                return controller
        raise HostError("no cgroup hierarchy may be written")

    def base(self, controller: str) -> str:
        """Where our base is in that hierarchy."""
        return self._bases[controller]

    def path(self, controller: str, group: str) -> str:
        """Where the unit's group in that hierarchy is, or would be."""
        return f"{self._bases[controller]}/{group}"

    def joined(self, group: str) -> list[str]:
        """The controllers in which the unit has a group, each hierarchy once."""
        seen: dict[str, str] = {}
        for controller in sorted(self._in_use):
            path = self.path(controller, group)
            if os.path.isdir(path):
                seen.setdefault(path, controller)
        return list(seen.values())

    def create(self, controller: str, group: str) -> bool:
        """Make a group in one hierarchy, and those above it; False if it was there.

        OSError as the kernel answers.
        """
        path = self._bases[controller]
        self._in_use.add(controller)
        made = False
        for part in ("", *group.split("/")):
            path = f"{path}/{part}" if part else path
            made = self._make(controller, path)
        return made

    def _make(self, controller: str, path: str) -> bool:
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            return False
        except FileNotFoundError:
            os.makedirs(path, 0o755)
        if controller == "cpuset":  # empty sets hold no process
            above, new = _open(os.path.dirname(path), controller), _open(path, controller)
            for name in ("cpuset.cpus", "cpuset.mems"):
                _put(new, name, _get(above, name))
        return True

    def limit(self, group: str, knob: Knob, members: Callable[[], Collection[int]]) -> None:
        """Turn a knob. OSError as the kernel answers, HostError where v1 has nothing like it.

        The running processes (`members`) join the hierarchy with the first limit that is set there; memory
        they took before stays on its former account.
        """
        controller = CONTROLLER.get(knob.controller, knob.controller)
        if knob.file not in (*WORDS, "io.max", "io.weight", COUNTS):
            if knob.asked:
                raise HostError(f"version 1 of the {controller} controller has nothing like it")
            return
        if not knob.asked and not os.path.isdir(self.path(controller, group)):
            return
        made = self.create(controller, group)
        try:
            self._turn(controller, group, knob)
        finally:
            if made:
                self.join(controller, group, members())

    def _turn(self, controller: str, group: str, knob: Knob) -> None:
        held = self._open(controller, group)
        if knob.file == "io.max":
            self._throttle(held, knob)
        elif knob.file == "io.weight":
            self._weigh(held, knob)
        elif knob.file != COUNTS:
            words, path = WORDS[knob.file], self.path(controller, group)
            if controller == "cpuset":
                v1_nesting.spread(path, knob.file, knob.text)
                return
            if knob.file == "cpu.max":
                v1_nesting.set_quota(path, *words.tell(knob.text))
                return
            try:
                for name, value in zip(words.files, words.tell(knob.text), strict=True):
                    _put(held, name, value)
            except OSError as error:
                if controller == "memory" and error.errno == errno.EBUSY:
                    raise HostError(
                        "more than that is in use, and v1 kills nobody for it"
                    ) from None
                raise

    def join(self, controller: str, group: str, pids: Collection[int]) -> None:
        """Have processes join a group that is there."""
        for pid in pids:
            with suppress(ProcessLookupError):
                cgroup_v2.write(self.path(controller, group), "cgroup.procs", str(pid))

    def _throttle(self, held: Controller, knob: Knob) -> None:
        wanted = {disk: _rates(line) for disk, line in knob.by_disk.items()}
        for key, name in RATES.items():
            now = {line.split()[0] for line in _get(held, name).splitlines()}
            for disk in now | wanted.keys():
                rate = wanted.get(disk, {}).get(key, NO_RATE)
                if rate != NO_RATE or disk in now:
                    _put(held, name, f"{disk} {0 if rate == NO_RATE else rate}")

    def _weigh(self, held: Controller, knob: Knob) -> None:
        _put(held, WEIGHT, disk_weights.told(knob.text))  # which ends the weights of disks
        for disk, weight in knob.by_disk.items():
            _put(held, WEIGHT_OF_DISK, f"{disk} {disk_weights.told(weight)}")

    def reading(self, group: str, knob: Knob) -> Reading | None:
        """What a knob is at now; None where the unit has no group there, or v1 nothing like it."""
        controller = CONTROLLER.get(knob.controller, knob.controller)
        if not self.has(controller) or not os.path.isdir(self.path(controller, group)):
            return None
        held = self._open(controller, group)
        with suppress(OSError, ValueError):
            if knob.file == "io.max":
                by_disk: dict[str, list[str]] = {}
                for key, name in RATES.items():
                    for line in _get(held, name).splitlines():
                        disk, rate = line.split()
                        by_disk.setdefault(disk, []).append(f"{key}={rate}")
                return Reading("", {disk: " ".join(parts) for disk, parts in by_disk.items()})
            if knob.file == "io.weight":
                return disk_weights.in_our_words(parse(knob.file, _weights(held)), knob)
            words = WORDS.get(knob.file)
            if words is None or (controller == "cpuset" and not knob.asked):
                return None
            texts = tuple(_get(held, name) for name in words.files)
            if texts == self._possible(self.path(controller, group), knob, words):
                return Reading(knob.text, {})
            return Reading(words.hear(texts), {})
        return None

    def _possible(self, path: str, knob: Knob, words: Words) -> tuple[str, ...]:
        """The texts of a knob's files when it is turned as far as what is around the group allows."""
        if knob.controller == "cpuset":
            return (v1_nesting.allowed(path, knob.file, knob.text),)
        texts = words.tell(knob.text)
        if knob.file == "cpu.max":
            return texts[0], v1_nesting.quota(path, *texts)
        return texts

    def devices(
        self, group: str, nodes: Iterable[Device] | None, members: Callable[[], Collection[int]]
    ) -> bool:
        """Allow these devices alone (None: all). OSError as the kernel answers; False: nothing to do."""
        if nodes is None and not os.path.isdir(self.path("devices", group)):
            return False
        made = self.create("devices", group)
        held = self._open("devices", group)
        _put(held, "devices.allow" if nodes is None else "devices.deny", "a")
        for node in nodes or ():
            _put(held, "devices.allow", str(node))
        if made:
            self.join("devices", group, members())
        return True

    def swap(self, group: str) -> int | None:
        """Bytes of swap in use; None where nobody counts."""
        if not self.has("memory"):
            return None
        with suppress(OSError, ValueError):
            held = self._open("memory", group)
            both = int(_get(held, "memory.memsw.usage_in_bytes"))
            return max(0, both - int(held.usage_in_bytes))
        return None

    def io(self, group: str) -> dict[str, int]:
        """Bytes and operations on disks so far, in the words of `io.stat`; empty where nobody counts."""
        found: dict[str, int] = {}
        if not self.has("blkio") or not os.path.isdir(self.path("blkio", group)):
            return found
        held = self._open("blkio", group)
        for name, keys in _IO_COUNTS.items():
            found.update(dict.fromkeys(keys.values(), 0))
            with suppress(OSError, ValueError):
                for line in _get(held, name).splitlines():
                    words = line.split()
                    if len(words) == 3 and words[1] in keys:
                        found[keys[words[1]]] += int(words[2])
        return found

    def freeze(self, group: str, frozen: bool) -> None:
        """Stop or resume every process of the group, where the machine has a freezer."""
        if self.has("freezer"):
            with suppress(OSError):
                self._open("freezer", group).state = "FROZEN" if frozen else "THAWED"

    def oom_kills(self, group: str) -> int | None:
        """How often the kernel's OOM killer struck in the group; None if it is not there."""
        if not self.has("memory") or not os.path.isdir(self.path("memory", group)):
            return None
        with suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
            return int(self._open("memory", group).oom_control["oom_kill"])
        return None

    def memory(self, group: str) -> tuple[int, int, int | None] | None:
        """Bytes now, at most so far, and the limit (None: none) of a group; None if it has none."""
        if not self.has("memory"):
            return None
        with suppress(OSError, ValueError):
            held = self._open("memory", group)
            limit = int(held.limit_in_bytes)
            now, peak = int(held.usage_in_bytes), int(held.max_usage_in_bytes)
            return now, peak, None if limit >= UNLIMITED else limit
        return None

    def tasks(self, group: str) -> tuple[int, int | None] | None:
        """Threads now and the limit (None: none); None where the unit has no group in that hierarchy."""
        if not self.has("pids"):
            return None
        with suppress(OSError, ValueError):
            held = self._open("pids", group)
            return int(held.current), held.max
        return None

    def remove(self, group: str) -> bool:
        """Remove the unit's groups everywhere; False if one is still busy."""
        busy = [each for each in self.joined(group) if not cgroup_v2.remove(self.path(each, group))]
        return not busy

    def remove_empty(self, group: str) -> None:
        """Remove a slice's groups, where nothing is left in them."""
        for controller in self.joined(group):
            with suppress(OSError):
                os.rmdir(self.path(controller, group))

    def remove_bases(self) -> None:
        """Remove our bases, those that are empty."""
        for base in set(self._bases.values()):
            for each in cgroup_v2.subgroups(base):
                with suppress(OSError):
                    os.rmdir(each)

    def _open(self, controller: str, group: str) -> Controller:
        return _open(self.path(controller, group), controller)


def _open(path: str, controller: str) -> Controller:
    return Group(path, controller).controller


def _put(held: Controller, name: str, text: str) -> None:
    held.set_property(name.encode(), text)


def _get(held: Controller, name: str) -> str:
    return str(held.get_property(name.encode()))


def _weights(held: Controller) -> str:
    return f"{_get(held, WEIGHT_OF_DISK)}\n{_get(held, WEIGHT)}"


def _rates(line: str) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in line.split())
