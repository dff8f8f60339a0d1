"""What values the host's configuration may hold: each converter takes TOML's value or says what it expected."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitproc.units.timespan import parse_span
from gitproc.units.values import parse_size

Converter = Callable[[Any], Any]


def line(value: Any) -> str:
    """A text of one line."""
    if not isinstance(value, str):
        raise ValueError(f"expected a text in quotes, not {kind(value)}")
    if "\0" in value or "\n" in value:
        raise ValueError("a text of one line is expected")
    return value


def path(value: Any) -> Path:
    """An absolute path without `..`."""
    if not line(value).startswith("/"):
        raise ValueError(f"expected an absolute path, not {value!r}")
    if ".." in Path(value).parts:
        raise ValueError("a path without .. is expected")
    return Path(value)


def branch(value: Any) -> str:
    """The name of a branch (git-check-ref-format(1))."""
    name = line(value).removeprefix("refs/heads/")
    if not name or re.search(r"^[-/.]|[/.]$|\.\.|//|@\{|\.lock$|[\x00-\x20\x7f~^:?*\[\\]", name):
        raise ValueError(f"{value!r} is no name of a branch (git-check-ref-format(1))")
    return name


def cgroup(value: Any) -> str:
    """A cgroup's name below the hierarchy's root."""
    name = line(value).strip("/")
    if not name or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError("expected a cgroup's name below the hierarchy's root, like gitproc")
    return name


def flag(value: Any) -> bool:
    """A yes or no."""
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {kind(value)}")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('expected a list of texts, like ["RestrictAddressFamilies"]')
    return tuple(value)


def command(value: Any) -> tuple[str, ...]:
    """A program by its absolute path, with arguments; no shell reads it. Empty: none."""
    words = texts(value)
    if (words and not words[0].startswith("/")) or any("\0" in word for word in words):
        raise ValueError(
            'expected a program and its arguments, like ["/usr/local/bin/tell", "ops"]'
        )
    return words


def webhook(value: Any) -> str:
    """A URL to POST to: http, https or http+unix. Empty: none."""
    if line(value):
        from gitproc.health.url import check_url

        check_url(value)
    return str(value)


def missing(value: Any) -> str:
    """What to do where a host lacks something."""
    if value not in ("fail", "warn"):
        raise ValueError('expected "fail" or "warn" (leave it out for the default)')
    return str(value)


def one_of(*words: str) -> Converter:
    """One of a few words."""

    def convert(value: Any) -> str:
        if value not in words:
            raise ValueError("expected " + " or ".join(f'"{word}"' for word in words))
        return str(value)

    return convert


def count(least: int) -> Converter:
    """A whole number of `least` or more."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"expected a whole number of {least} or more, not {kind(value)}")
        return value

    return convert


def number(least: float, most: float) -> Converter:
    """A number from `least` to `most`."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"expected a number from {least} to {most}, not {kind(value)}")
        if not least <= value <= most:
            raise ValueError(f"expected a number from {least} to {most}, not {value}")
        return float(value)

    return convert


def span(least: float, *, finite: bool) -> Converter:
    """A time span in seconds, from `least` on."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f'expected a time span like "90s" or seconds, not {kind(value)}')
        seconds = parse_span(value) if isinstance(value, str) else float(value)
        if math.isnan(seconds) or seconds < least or (finite and math.isinf(seconds)):
            raise ValueError(f"{value} is out of range: from {least:g} s")
        return seconds

    return convert


def timeout(value: Any) -> float:
    """A span where 0 means never, as in TimeoutStopSec= (systemd.service(5))."""
    return float(span(0, finite=False)(value)) or math.inf


def size(value: Any) -> int:
    """The size of a file, or of several, in bytes."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f'expected a size like "10M" or bytes, not {kind(value)}')
    size = parse_size(value) if isinstance(value, str) else value
    if size < 4096:
        raise ValueError("4096 bytes are the least")
    return size


def kind(value: Any) -> str:
    """What a value is, for people."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    return repr(value) if isinstance(value, str | int | float) else str(value)
