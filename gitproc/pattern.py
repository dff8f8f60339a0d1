"""Regular expressions that are compiled when they are first used.

A manager imports some eighty of them and uses a quarter: compiling the others is 8 ms of every start, and they
stay in memory for nothing.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, Generic, cast

_METHODS = ("fullmatch", "match", "search", "sub", "split", "findall", "finditer")


class _Late(Generic[AnyStr]):
    """Stands for a pattern. After its first use its methods are the pattern's own: they cost no more."""

    def __init__(self, text: AnyStr, flags: int) -> None:
        self._text: AnyStr = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(self._text, self._flags)
        self.__dict__.update((method, getattr(compiled, method)) for method in _METHODS)
        return getattr(compiled, name)


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`, except that what is wrong with `text` shows at its first use."""
    return cast("re.Pattern[AnyStr]", _Late(text, flags))
