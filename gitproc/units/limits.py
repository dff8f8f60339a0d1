"""Resource limits (LimitNOFILE= and its kin): soft and hard, each in the unit of its resource."""

from __future__ import annotations

from collections.abc import Callable

from gitproc.immutable import NamedTuple
from gitproc.units.scalars import parse_unsigned
from gitproc.units.sizes import parse_size
from gitproc.units.timespan import parse_microseconds

INFINITY = -1
_MAX_U64 = 2**64 - 1


class Limit(NamedTuple):
    """One rlimit: seconds (CPU), microseconds (RTTIME), bytes or a count; -1 is infinity."""

    soft: int
    hard: int


def _count(text: str) -> int:
    return parse_unsigned(text, 0, _MAX_U64)


def _seconds(text: str) -> int:
    micros = parse_microseconds(text)
    return INFINITY if micros is None else -(-micros // 1_000_000)


def _microseconds(text: str) -> int:
    micros = parse_microseconds(text, 1)
    return INFINITY if micros is None else micros


def _niceness(text: str) -> int:
    # The kernel counts 20 - nice, so 40 is the most favoured; a sign tells a nice level from that.
    if text.startswith("+"):
        return 20 - parse_unsigned(text[1:], 0, 19)
    if text.startswith("-"):
        return 20 + parse_unsigned(text[1:], 0, 20)
    return parse_unsigned(text, 0, 40)


_PARSERS: dict[str, Callable[[str], int]] = {
    "CPU": _seconds,
    "FSIZE": parse_size,
    "DATA": parse_size,
    "STACK": parse_size,
    "CORE": parse_size,
    "RSS": parse_size,
    "NOFILE": _count,
    "AS": parse_size,
    "NPROC": _count,
    "MEMLOCK": parse_size,
    "LOCKS": _count,
    "SIGPENDING": _count,
    "MSGQUEUE": parse_size,
    "NICE": _niceness,
    "RTPRIO": _count,
    "RTTIME": _microseconds,
}


def parse_limit(resource: str, text: str) -> Limit:
    """`SOFT:HARD`, or one value for both; `resource` is `NOFILE` or `LimitNOFILE`.

    ValueError if a part does not parse or the soft limit is above the hard one.
    """
    parse = _PARSERS[resource.removeprefix("Limit")]
    soft_text, colon, hard_text = text.partition(":")
    soft = INFINITY if soft_text == "infinity" else parse(soft_text)
    if not colon:
        return Limit(soft, soft)
    hard = INFINITY if hard_text == "infinity" else parse(hard_text)
    if hard != INFINITY and (soft == INFINITY or soft > hard):
        raise ValueError(f"the soft limit {soft_text} is above the hard limit {hard_text}")
    return Limit(soft, hard)
