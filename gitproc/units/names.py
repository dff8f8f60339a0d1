"""Names of units: what is one, its parts, templates and instances, slices (systemd.unit(5))."""

from __future__ import annotations

from functools import lru_cache
from sys import intern

from gitproc.pattern import pattern
from gitproc.units.escaping import escape, path_escape, path_unescape, unescape
from gitproc.units.wildcards import is_pattern

__all__ = [
    "RESERVED",
    "UNIT_SUFFIXES",
    "bare_name",
    "comes_on_demand",
    "escape",
    "instantiate",
    "is_instance",
    "is_template",
    "is_valid_instance",
    "is_valid_name",
    "is_valid_slice",
    "mangle",
    "parent_slice",
    "path_escape",
    "path_unescape",
    "split_name",
    "template_of",
    "unescape",
]

UNIT_SUFFIXES = (
    ".service", ".socket", ".target", ".device", ".mount", ".automount", ".swap", ".timer",
    ".path", ".slice", ".scope",
)  # fmt: skip
RESERVED = frozenset({"daemon", "events"})
"""Services with these bare names keep their full name: their log files would meet the manager's own."""
_MAX_NAME = 255
_NAME = pattern(
    r"([A-Za-z0-9:_.\\-]+)(?:@([A-Za-z0-9:_.\\@-]*))?(\.(?:"
    + "|".join(suffix[1:] for suffix in UNIT_SUFFIXES)
    + "))"
)
_INSTANCE = pattern(r"[A-Za-z0-9:_.\\@-]+")
_SLICE = pattern(r"[A-Za-z0-9:_.\\]+(?:-[A-Za-z0-9:_.\\]+)*")
_UNMANGLED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.\\-@")
_GLOB = frozenset(b"*?[]!")


def is_valid_name(name: str) -> bool:
    """Whether this names a unit: plain, template or instance, of any kind systemd has."""
    return _cut(name) is not None


def is_valid_instance(text: str) -> bool:
    """Whether this can stand between `@` and the suffix."""
    return _INSTANCE.fullmatch(text) is not None


def bare_name(unit: str) -> str:
    """What a unit's log and cgroup are called: `nginx` for nginx.service, else the full name.

    A service called like another unit keeps its full name, too: no two units share one.
    """
    bare = unit.removesuffix(".service")
    if not bare or bare in RESERVED or bare in (".", "..") or bare.endswith(UNIT_SUFFIXES):
        return unit
    return bare


def split_name(name: str) -> tuple[str, str | None, str]:
    """Prefix, instance ("" for a template, None for a plain name), and suffix with its dot.

    ValueError if `name` is no unit name.
    """
    parts = _cut(name)
    if parts is None:
        raise ValueError(f"'{name}' is not a valid unit name")
    return parts


@lru_cache(maxsize=512)
def _cut(name: str) -> tuple[str, str | None, str] | None:
    match = _NAME.fullmatch(name) if len(name) <= _MAX_NAME else None
    return None if match is None else (match[1], match[2], intern(match[3]))


def is_template(name: str) -> bool:
    """Whether this is `foo@.service`."""
    return is_valid_name(name) and split_name(name)[1] == ""


def is_instance(name: str) -> bool:
    """Whether this is `foo@bar.service`."""
    return is_valid_name(name) and bool(split_name(name)[1])


def template_of(name: str) -> str | None:
    """`foo@.service` for `foo@bar.service` (and for itself); None for a plain name."""
    prefix, instance, suffix = split_name(name)
    return None if instance is None else f"{prefix}@{suffix}"


def instantiate(template: str, instance: str) -> str:
    """`foo@bar.service`; ValueError for a plain name or an instance that is none."""
    prefix, old, suffix = split_name(template)
    if old is None:
        raise ValueError(f"'{template}' is not a template")
    if not is_valid_instance(instance):
        raise ValueError(f"'{instance}' is not a valid instance name")
    name = f"{prefix}@{instance}{suffix}"
    if len(name) > _MAX_NAME:
        raise ValueError(f"the unit name '{name}' is too long")
    return name


def is_valid_slice(name: str) -> bool:
    """Whether this names a slice: no template, and no empty part between dashes."""
    if name == "-.slice":
        return True
    return name.endswith(".slice") and _SLICE.fullmatch(name[:-6]) is not None


def comes_on_demand(name: str) -> bool:
    """Whether a unit of this name may be made of the name: of a template, or a slice without a file."""
    return "@" in name or name.endswith(".slice")


def parent_slice(name: str) -> str | None:
    """The slice a slice lies in: `foo.slice` for `foo-bar.slice`; None for the root, `-.slice`."""
    if not is_valid_slice(name):
        raise ValueError(f"'{name}' is not a valid slice name")
    if name == "-.slice":
        return None
    parent = name[:-6].rpartition("-")[0]
    return f"{parent or '-'}.slice"


def mangle(text: str, suffix: str = ".service", *, globs: bool = False) -> str:
    """The unit an operator means: `foo` is `foo.service`, `/dev/sda` is `dev-sda.device`.

    With `globs` a pattern stays one. ValueError if no name comes out.
    """
    if not text:
        raise ValueError("the name of a unit is missing")
    if is_valid_name(text):
        return text
    if text.startswith("/"):
        try:
            device = text.startswith(("/dev/", "/sys/")) and text.rstrip("/") not in (
                "/dev",
                "/sys",
            )
            return path_escape(text) + (".device" if device else ".mount")
        except ValueError:
            pass  # not the path of a device or mount: escaped like any other text
    is_glob = globs and is_pattern(text)
    allowed = _UNMANGLED | _GLOB if is_glob else _UNMANGLED
    name = "".join(
        "-" if byte == 0x2F else chr(byte) if byte in allowed else f"\\x{byte:02x}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
    if is_glob:
        return name
    if not is_valid_name(name):
        name += suffix
    if not is_valid_name(name):
        raise ValueError(f"'{text}' cannot name a unit")
    return name
