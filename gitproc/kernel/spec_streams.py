"""Standard input, output and error of a command, as the shim's spec says them (systemd.exec(5))."""

from __future__ import annotations

from typing import Any

from gitproc.core.events import Slot
from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.units import directives as d
from gitproc.units import directives_exec_streams as e
from gitproc.units.streams import Stream
from gitproc.units.unit import Unit

_ACQUIRE = {"tty": "wait", "tty-force": "force", "tty-fail": "fail"}
_HOW = {"file": "write", "append": "append", "truncate": "truncate"}
_STDIN = "stdin"
_RATE_INTERVAL, _RATE_BURST = 30.0, 10_000  # journald's, for the one that is not set


def streams_of(unit: Unit, slot: Slot, context: LaunchContext) -> dict[str, Any]:
    """The keys `stdin`, `output` and `error` of the spec. LaunchError: a descriptor that is not there.

    Terminals are the main process's alone; commands that are given no socket do without.
    """
    source = _source(unit[d.STANDARD_INPUT], slot, context)
    output, error = unit[d.STANDARD_OUTPUT], unit[d.STANDARD_ERROR]
    resolve = _Resolver(unit, source, slot, context)
    found = {"stdin": resolve.input((output, error)), "output": resolve.output(output, "stdout")}
    if error.kind != "inherit" and error != output:
        found["error"] = resolve.output(error, "stderr")
    return found


def log_of(unit: Unit, context: LaunchContext) -> str | dict[str, Any]:
    """The unit's log as an output, with the rules of what is kept out of it; nowhere if there is no log."""
    if context.log is None:
        return "null"
    log: dict[str, Any] = {
        "log": context.log.path,
        "max_bytes": context.log.max_bytes,
        "files": context.log.files,
    }
    highest, interval = unit[e.LOG_LEVEL_MAX], unit[e.LOG_RATE_LIMIT_INTERVAL_SEC]
    burst = unit[e.LOG_RATE_LIMIT_BURST]
    if highest is None and interval is None and burst is None:
        return log
    if interval is None:
        interval = _RATE_INTERVAL if burst is not None else 0.0
    if burst is None:
        burst = _RATE_BURST
    highest = -1 if highest is None else highest
    level, prefixed = unit[e.SYSLOG_LEVEL], unit[e.SYSLOG_LEVEL_PREFIX]
    log["rules"] = (highest, level, prefixed, interval, burst)
    return log


def _source(wanted: Stream, slot: Slot, context: LaunchContext) -> Stream:
    """The input, without what a side command does not get."""
    without = wanted.is_terminal or (wanted.kind == "socket" and not context.fd_names)
    return Stream("null") if without and slot is not Slot.MAIN else wanted


class _Resolver:
    def __init__(self, unit: Unit, source: Stream, slot: Slot, context: LaunchContext) -> None:
        self._unit = unit
        self._source = source
        self._slot = slot
        self._context = context

    def input(self, outputs: tuple[Stream, ...]) -> str | dict[str, Any]:
        source = self._source
        if source.is_terminal:
            return {"tty": self._unit[e.TTY_PATH], "acquire": _ACQUIRE[source.kind]}
        match source.kind:
            case "file":
                return {"file": source.name, "how": "both" if source in outputs else "read"}
            case "data":
                pieces = self._unit[e.STANDARD_INPUT_DATA]
                return {"data": b"".join(pieces)}
            case "socket":
                return {"fd": self._socket()}
            case "fd":
                return {"fd": self._named(source.name or "stdin")}
            case _:
                return "null"

    def output(self, wanted: Stream, usual: str) -> str | dict[str, Any]:
        if wanted.is_file:
            if self._source == Stream("file", wanted.name):
                return _STDIN
            return {"file": wanted.name, "how": _HOW[wanted.kind]}
        match wanted.kind:
            case "null":
                return "null"
            case "inherit":
                return self._inherited()
            case "tty":
                terminal = {"tty": self._unit[e.TTY_PATH], "acquire": ""}
                return _STDIN if self._source.is_terminal else terminal
            case "fd":
                return {"fd": self._named(wanted.name or usual)}
            case "socket" if self._context.fd_names or self._slot is Slot.MAIN:
                return {"fd": self._socket()}
            case _:
                return log_of(self._unit, self._context)

    def _inherited(self) -> str | dict[str, Any]:
        if self._source.is_two_way:
            return _STDIN
        if self._unit[d.STANDARD_INPUT].is_terminal:
            return {"tty": self._unit[e.TTY_PATH], "acquire": ""}
        return log_of(self._unit, self._context)

    def _socket(self) -> int:
        if len(self._context.fd_names) != 1:
            count = len(self._context.fd_names) or "no"
            raise LaunchError(
                "RESOURCES", f"a standard stream is to be the socket, and there is {count}"
            )
        return 0

    def _named(self, name: str) -> int:
        if name not in self._context.fd_names:
            raise LaunchError("RESOURCES", f"there is no descriptor named {name}")
        return self._context.fd_names.index(name)
