"""Which names of users and groups are taken.

A name that systemd refuses must be refused here too, and not silently run as root: that mistake has
been made before. Numbers are ids; 65535 and 4294967295 are none, they mean "no id" to the kernel.
"""

from __future__ import annotations

from gitproc.pattern import pattern

_ID = pattern(r"0|[1-9][0-9]{0,9}")
_STRICT = pattern(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")
_ONLY_DIGITS = pattern(r"-?[0-9]*")
_NO_IDS = frozenset({0xFFFF, 0xFFFFFFFF})


def is_valid_id(text: str) -> bool:
    """Whether this is a numeric user or group id."""
    return bool(_ID.fullmatch(text)) and int(text) < 2**32 and int(text) not in _NO_IDS


def is_valid_user_name(text: str, *, relax: bool = False, allow_numeric: bool = False) -> bool:
    """Whether this may name a user or group; `relax` lets in what other systems' accounts have."""
    if is_valid_id(text):
        return allow_numeric
    if not relax:
        return bool(_STRICT.fullmatch(text))
    return not (
        not text
        or len(text) > 255
        or text != text.strip()
        or not text.isprintable()
        or ":" in text
        or "/" in text
        or text in (".", "..")
        or _ONLY_DIGITS.fullmatch(text)
    )


def parse_user_name(text: str) -> str:
    """A name or numeric id for User= and Group=; ValueError if it can be neither."""
    if not is_valid_user_name(text, relax=True, allow_numeric=True):
        raise ValueError(f"'{text}' is not a valid user or group name")
    return text
