"""Specifiers: `%i`, `%n`, `%t` and their kin in a unit file's values (systemd.unit(5)).

What a specifier stands for comes from the unit's name and from `Host`, a plain record that someone above
fills in once: so a unit reads the same on every machine given the same Host, and in a user's manager,
whose directories differ. An unknown letter is an error here (systemd keeps it as it stands): it is a typo
or a `%` that should have been `%%`, and both only show once the service misbehaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from gitproc.immutable import immutable
from gitproc.pattern import pattern
from gitproc.units.directive import Specifiers
from gitproc.units.escaping import path_unescape, unescape
from gitproc.units.names import split_name
from gitproc.units.words import as_part

_SPECIFIER = pattern(r"%([A-Za-z%])")
_PROTECTED = pattern(r"[ \t\n\r\\'\";]")
#: What cuts words, or what is in them, and the character of no meaning that stands for it meanwhile.
_COVERS = {ord(char): 0xE000 + ord(char) for char in " '\"\\:,"}
_BARE = {cover: char for char, cover in _COVERS.items()}


@immutable
class Host:
    """What specifiers say about the machine, the system, and the user the manager runs as.

    Text that is unknown is empty. `architecture` is systemd's word (`x86-64`, `arm64`), `os_*` are
    the fields of os-release(5), ids are lower-case hexadecimal without dashes.
    """

    hostname: str = "localhost"
    pretty_hostname: str = ""
    machine_id: str = ""
    boot_id: str = ""
    kernel_release: str = ""
    architecture: str = ""
    os_id: str = ""
    os_version_id: str = ""
    os_build_id: str = ""
    os_variant_id: str = ""
    os_image_id: str = ""
    os_image_version: str = ""
    run: str = "/run"
    state: str = "/var/lib"
    cache: str = "/var/cache"
    logs: str = "/var/log"
    config: str = "/etc"
    data: str = "/usr/share"
    tmp: str = "/tmp"
    var_tmp: str = "/var/tmp"
    user_name: str = "root"
    uid: int = 0
    group_name: str = "root"
    gid: int = 0
    home: str = "/root"
    shell: str = "/bin/sh"


_OF_HOST: dict[str, Callable[[Host], str]] = {
    "a": lambda host: host.architecture,
    "A": lambda host: host.os_image_version,
    "b": lambda host: host.boot_id,
    "B": lambda host: host.os_build_id,
    "C": lambda host: host.cache,
    "D": lambda host: host.data,
    "E": lambda host: host.config,
    "g": lambda host: host.group_name,
    "G": lambda host: str(host.gid),
    "h": lambda host: host.home,
    "H": lambda host: host.hostname,
    "l": lambda host: host.hostname.partition(".")[0],
    "L": lambda host: host.logs,
    "m": lambda host: host.machine_id,
    "M": lambda host: host.os_image_id,
    "o": lambda host: host.os_id,
    "q": lambda host: host.pretty_hostname or host.hostname,
    "s": lambda host: host.shell,
    "S": lambda host: host.state,
    "t": lambda host: host.run,
    "T": lambda host: host.tmp,
    "u": lambda host: host.user_name,
    "U": lambda host: str(host.uid),
    "v": lambda host: host.kernel_release,
    "V": lambda host: host.var_tmp,
    "w": lambda host: host.os_version_id,
    "W": lambda host: host.os_variant_id,
}


def expand(
    text: str,
    name: str,
    host: Host,
    *,
    fragment: str = "",
    how: Specifiers = Specifiers.TEXT,
) -> str:
    """`text` with the specifiers of unit `name` replaced; `fragment` is its file (`%y`, `%Y`).

    `how` it is put in: systemd cuts words first, we do it last. ESCAPED it is C-escaped where needed, so that
    a value whose words are cut and unescaped only afterwards (command lines, Environment=) gets it as one
    piece and unharmed. It is not for lists whose words keep their backslashes. In WORDS it stays in its word,
    as `split_words` knows. WHOLE it keeps out of all syntax, until `bare` takes the covers from what was parsed.
    ValueError for an unknown specifier, or one this unit has nothing for.
    """
    if "%" not in text:
        return text
    return _SPECIFIER.sub(partial(_replacement, name, host, fragment, how), text)


def bare(value: Any) -> Any:
    """A value that was parsed from text under cover, with the characters that were meant."""
    if isinstance(value, str):
        return value.translate(_BARE)
    if not isinstance(value, tuple):
        return value
    items = [bare(item) for item in value]
    return type(value)(*items) if hasattr(value, "_fields") else tuple(items)


def of_instance(text: str) -> bool:
    """Whether `text` reads otherwise for each instance of a template."""
    return any(match[1] in "dfiInN" for match in _SPECIFIER.finditer(text))


def _replacement(
    name: str, host: Host, fragment: str, how: Specifiers, match: re.Match[str]
) -> str:
    letter = match[1]
    if letter == "%":
        return "%"
    of_host = _OF_HOST.get(letter)
    value = of_host(host) if of_host else _of_unit(letter, name, host, fragment)
    if how is Specifiers.ESCAPED:
        value = _PROTECTED.sub(lambda char: f"\\x{ord(char[0]):02x}", value)
    elif how is Specifiers.WORDS:
        value = as_part(value)
    elif how is Specifiers.WHOLE:
        if any(char in value for char in "\t\n\r"):
            raise ValueError(f"%{letter} stands for more than one line, or a tabulator")
        value = value.translate(_COVERS)
    return value


def _of_unit(letter: str, name: str, host: Host, fragment: str) -> str:
    prefix, instance, suffix = split_name(name)
    match letter:
        case "n":
            return name
        case "N":
            return name.removesuffix(suffix)
        case "p":
            return prefix
        case "P":
            return unescape(prefix)
        case "i":
            return instance or ""
        case "I":
            return unescape(instance or "")
        case "j":
            return prefix.rpartition("-")[2]
        case "J":
            return unescape(prefix.rpartition("-")[2])
        case "f":
            return path_unescape(instance or prefix)
        case "d":
            return f"{host.run}/credentials/{name}"
        case "y" | "Y":
            if not fragment:
                raise ValueError(f"%{letter} stands for the unit's file, and {name} has none")
            return fragment if letter == "y" else fragment.rpartition("/")[0] or "/"
        case _:
            raise ValueError(f"unknown specifier %{letter} (a plain percent sign is written %%)")
