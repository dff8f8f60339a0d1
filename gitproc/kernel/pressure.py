"""How much of the time work has had to wait for memory, processors or disks: the kernel's PSI files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial

from gitproc.units.conditions import split_pressure
from gitproc.units.specifiers import Host

_ROOT = "/sys/fs/cgroup"


def share(text: str, window: float) -> float:
    """The share (0.1 = 10 %) of the last `window` seconds in which all, or where that is not told some,
    work had to wait; ValueError if the text is no pressure file."""
    for word in ("full", "some"):
        found = re.search(rf"^{word} .*\bavg{window:.0f}=([0-9.]+)", text, re.MULTILINE)
        if found is not None:
            return float(found[1]) / 100
    raise ValueError("not a pressure file")


def _file(resource: str, slice_name: str) -> str:
    if not slice_name:
        return f"/proc/pressure/{resource}"
    if "/" in slice_name or not slice_name.endswith(".slice"):
        raise ValueError(f"{slice_name!r} is not a slice")
    parts = slice_name.removesuffix(".slice").split("-")
    path = "/".join("-".join(parts[: i + 1]) + ".slice" for i in range(len(parts)))
    return f"{_ROOT}/{path}/{resource}.pressure"


def _below(resource: str, parameter: str, _: Host) -> bool:
    slice_name, limit, window = split_pressure(parameter)
    path = _file(resource, slice_name)
    if not os.path.exists(path):
        return True  # where the kernel does not tell, there is no pressure (systemd.unit(5))
    with open(path, encoding="ascii") as file:
        return share(file.read(), window) <= limit


TESTS: Mapping[str, Callable[[str, Host], bool]] = {
    "MemoryPressure": partial(_below, "memory"),
    "CPUPressure": partial(_below, "cpu"),
    "IOPressure": partial(_below, "io"),
}
