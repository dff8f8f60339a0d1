r"""How paths and other text become parts of unit names, and back (systemd-escape(1)).

`/` turns into `-`, and every byte a name may not hold, `-` and a leading dot included, into `\xNN`.
"""

from __future__ import annotations

import re

from gitproc.pattern import pattern
from gitproc.units.paths import is_normalized, path_simplify

_MAX_NAME = 255
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.")
_ESCAPED = pattern(r"-|\\(?:x([0-9a-fA-F]{2}))?")


def escape(text: str) -> str:
    """Text as a part of a unit name (`systemd-escape TEXT`)."""
    out: list[str] = []
    for index, byte in enumerate(text.encode("utf-8", "surrogateescape")):
        if byte == 0x2F:
            out.append("-")
        elif byte in _PLAIN and (index or byte != 0x2E):
            out.append(chr(byte))
        else:
            out.append(f"\\x{byte:02x}")
    return "".join(out)


def unescape(text: str) -> str:
    r"""The reverse of escape; ValueError for a backslash that starts no `\xNN`, and for `\x00`."""
    if "\\" not in text:
        return text.replace("-", "/")

    def plain(match: re.Match[str]) -> str:
        if match[0] == "-":
            return "/"
        code = int(match[1] or "0", 16)
        if code == 0:
            raise ValueError(f"'{text}': a backslash must be followed by x and two digits")
        return chr(code if code < 0x80 else 0xDC00 + code)

    # Bytes of one character are decoded together.
    raw = _ESCAPED.sub(plain, text).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "surrogateescape")


def path_escape(path: str) -> str:
    """A path as a part of a unit name: without slashes at either end, `-` for the root.

    ValueError for `.` or `..` in the path, and for one too long for any unit's name.
    """
    simple = path_simplify(path)
    if simple in ("", "/"):
        return "-"
    if not is_normalized(simple):
        raise ValueError(f"the path '{path}' contains . or ..")
    name = escape(simple.strip("/"))
    if len(name) > _MAX_NAME:
        raise ValueError(f"the path '{path}' is too long for a unit's name")
    return name


def path_unescape(text: str) -> str:
    """The absolute path that path_escape turned into `text`; ValueError if it can have been none."""
    if text == "-":
        return "/"
    path = unescape(text)
    if not path or path[0] == "/" or path[-1] == "/" or "//" in path or not is_normalized(path):
        raise ValueError(f"'{text}' does not stand for a path")
    return "/" + path
