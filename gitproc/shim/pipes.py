"""Standard input, output and error as far as the shim has them before the fork: /dev/null, its own, pipes."""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import os

from gitproc.shim.streams import made_by_child

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any

    from gitproc.shim.logger import Stream
    from gitproc.shim.setup import Spec


def standard(
    spec: Spec, fds: list[int], null: int, ours: list[int], streams: list[Stream]
) -> list[int]:
    """Descriptors for 0, 1 and 2. Pipes to the logger are made here: their write ends are added to `ours`
    (to be closed after the fork), what the logger needs to `streams`. `null` stands for what the child opens.
    """
    uid = spec.get("uid", -1)

    def resolve(value: Any, inherited: int) -> int:
        if value in (None, "null", "stdin") or made_by_child(value):
            return null
        if value == "inherit":
            return inherited
        if "fd" in value:
            passed: int = fds[value["fd"]]
            return passed
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reading, False)
        ours.append(writing)
        rules = value.get("rules")
        streams.append((reading, value["log"], value["max_bytes"], value["files"], rules))
        if uid > 0:  # so that a service that is not root can open /dev/stdout again
            try:
                os.fchown(writing, uid, -1)
            except PermissionError:
                pass
        return writing

    output = resolve(spec.get("output"), 1)
    error = resolve(spec["error"], 2) if "error" in spec else output
    if spec.get("output") == "inherit" and "error" not in spec:
        error = 2
    return [resolve(spec.get("stdin"), 0), output, error]
