"""Values that are one number or one word: booleans, integers, modes, parts of a whole, CPU sets."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from gitproc.pattern import pattern
from gitproc.units.words import LIST, WHITESPACE, split_words

E = TypeVar("E", bound=StrEnum)

_BOOLEANS = {
    **dict.fromkeys(("1", "yes", "y", "true", "t", "on"), True),
    **dict.fromkeys(("0", "no", "n", "false", "f", "off"), False),
}
_INTEGER = pattern(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([0-9]+))")
_RATIO = pattern(r"([0-9]{1,12})(?:\.([0-9]{1,4}))?([%\u2030\u2031])")
_RATIO_PARTS = {"%": 100, "\u2030": 1_000, "\u2031": 10_000}
_MAX_INT = 2**31 - 1
_MAX_CPUS = 8192


def parse_boolean(text: str) -> bool:
    """True or False; ValueError for what is neither (systemd.syntax(7))."""
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError(f"'{text}' is neither yes nor no")
    return value


def parse_int(text: str, low: int = -(2**31), high: int = _MAX_INT) -> int:
    """A whole number in [low, high]: decimal, or 0x, 0o (or a leading 0), 0b."""
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a whole number")
    sign, hexadecimal, binary, octal, decimal = match.groups()
    if decimal is not None:
        number = int(decimal)
    elif octal is not None:
        number = int(octal, 8)
    elif hexadecimal is not None:
        number = int(hexadecimal, 16)
    else:
        number = int(binary, 2)
    if sign == "-":
        number = -number
    if not low <= number <= high:
        raise ValueError(f"{text} is out of range ({low} to {high})")
    return number


def parse_unsigned(text: str, low: int = 0, high: int = 2**32 - 1) -> int:
    """A whole number of at least 0 (or `low`), without a minus sign."""
    if text.startswith("-"):
        raise ValueError(f"'{text}' may not be negative")
    return parse_int(text, low, high)


def parse_mode(text: str) -> int:
    """Permission bits, octal, at most 7777."""
    if not text or text.strip("01234567"):
        raise ValueError(f"'{text}' is not an octal mode (such as 0755)")
    mode = int(text, 8)
    if mode > 0o7777:
        raise ValueError(f"mode {text} is out of range (0 to 7777)")
    return mode


def parse_nice(text: str) -> int:
    """-20 (favoured) to 19."""
    return parse_int(text, -20, 19)


def parse_oom_score_adjust(text: str) -> int:
    """-1000 (never killed) to 1000."""
    return parse_int(text, -1000, 1000)


def parse_ratio(text: str, parts: int = 10_000, *, bounded: bool = True) -> int:
    """A percentage as a whole number of `parts` of the whole: `55.5%` of 10000 is 5550.

    `%`, per mille and per ten thousand signs are understood, with as many decimals as `parts`
    can hold. More than the whole is a ValueError unless `bounded` is False.
    """
    match = _RATIO.fullmatch(text)
    scale = parts // _RATIO_PARTS[match[3]] if match else 0
    if match is None or scale == 0 or 10 ** len(match[2] or "") > scale:
        raise ValueError(f"'{text}' is not a percentage")
    decimals = match[2] or ""
    number = int(match[1] + decimals) * scale // int(10 ** len(decimals))
    if number > (parts if bounded else _MAX_INT):
        raise ValueError(f"{text} is out of range")
    return number


def parse_cpu_set(text: str) -> frozenset[int]:
    """CPU numbers: `0-3 8,9`. A range that runs backwards is a ValueError."""
    cpus: set[int] = set()
    for word in split_words(text, LIST, WHITESPACE + ","):
        first, dash, last = word.partition("-")
        low = parse_unsigned(first, 0, _MAX_CPUS - 1)
        high = parse_unsigned(last, 0, _MAX_CPUS - 1) if dash else low
        if high < low:
            raise ValueError(f"the range {word} runs backwards")
        cpus.update(range(low, high + 1))
    return frozenset(cpus)


def choice(kind: type[E]) -> Callable[[str], E]:
    """A parser of one of the words of `kind`; its ValueError lists them."""

    def parse(text: str) -> E:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"'{text}' is not one of {', '.join(kind)}") from None

    return parse
