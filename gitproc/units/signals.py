"""Signals by name, with or without SIG, and the real-time ones by distance (RTMIN+3)."""

from __future__ import annotations

import signal

from gitproc.pattern import pattern

_NUMBERS = {
    name: int(getattr(signal, f"SIG{name}"))
    for name in (
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    )
    if hasattr(signal, f"SIG{name}")  # STKFLT and PWR are not on every architecture
}  # fmt: skip
_NAMES = {number: name for name, number in _NUMBERS.items()}
_RTMIN = int(signal.SIGRTMIN)
_RTMAX = int(signal.SIGRTMAX)
_REAL_TIME = pattern(r"(?:RTMIN(?:\+([0-9]{1,3}))?|RTMAX(?:-([0-9]{1,3}))?)")


def parse_signal(text: str) -> int:
    """The number of a signal given by name (`SIGTERM`, `TERM`, `RTMIN+3`) or number."""
    if text.isdecimal() and text.isascii():
        number = int(text)
        if not 0 < number <= _RTMAX:
            raise ValueError(f"there is no signal {text}")
        return number
    name = text.removeprefix("SIG")
    known = _NUMBERS.get(name)
    if known is not None:
        return known
    match = _REAL_TIME.fullmatch(name)
    if match is None:
        hint = f" (SIG{name.upper()}?)" if name.upper() in _NUMBERS else ""
        raise ValueError(f"'{text}' is not a signal{hint}")
    above, below = match.groups()
    number = _RTMIN + int(above or 0) if name.startswith("RTMIN") else _RTMAX - int(below or 0)
    if not _RTMIN <= number <= _RTMAX:
        raise ValueError(f"{text} is out of range: {_RTMAX - _RTMIN + 1} real-time signals exist")
    return number


def signal_name(number: int) -> str:
    """The name without SIG (`TERM`, `RTMIN+3`), as `$EXIT_STATUS` and `status` show it."""
    if number in _NAMES:
        return _NAMES[number]
    if number == _RTMIN:
        return "RTMIN"
    if _RTMIN < number <= _RTMAX:
        return f"RTMIN+{number - _RTMIN}"
    return str(number)
