"""From assignments to values: what a unit's settings add up to, and what GitProc cannot do of them.

Assignments are folded in order of effect: the last wins, lists add up and an empty one starts over,
dependencies only ever add up. What is known but not enforced is judged by the value that comes out, so a
drop-in that turns `ProtectSystem=` off silences it. Errors do not stop the fold: all are found in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from gitproc.units.access_lists import NOTHING
from gitproc.units.conditions import RESET_TOGETHER
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.directives import SECTIONS, TABLE
from gitproc.units.directives_sandbox import CAPABILITY_BOUNDING_SET
from gitproc.units.directives_timer import RESETS
from gitproc.units.parser import Setting
from gitproc.units.specifiers import Host, expand
from gitproc.units.spellings import STANDS_FOR

_EMPTY_IS_A_VALUE = frozenset({CAPABILITY_BOUNDING_SET.key})
"""Lists whose empty assignment asks for something: here, for no capability at all."""

_RESET_TOGETHER = {**RESET_TOGETHER, **RESETS}


class Values(NamedTuple):
    """What settings add up to: values by key, where dependencies came from, texts in force."""

    values: dict[str, Any]
    origins: dict[tuple[str, object], Location]
    texts: dict[str, list[str]]
    diagnostics: list[Diagnostic]


def targets_of(key: str) -> tuple[str, ...]:
    """The keys an assignment counts for: itself, or what it is another spelling of."""
    return STANDS_FOR.get(key) or (key,)


def evaluate(
    name: str, kind: str, fragment: str, settings: Iterable[Setting], host: Host
) -> Values:
    """Fold the settings of unit `name`. Unknown directives are passed over (`check_names` reports them)."""
    values: dict[str, Any] = {}
    origins: dict[tuple[str, object], Location] = {}
    texts: dict[str, list[str]] = {}
    found: list[Diagnostic] = []
    sections = SECTIONS.get(kind, frozenset())
    for key, text, where in settings:
        for target in targets_of(key):
            row = TABLE.get(target)
            if row is None or row.section not in sections:
                continue
            if not text:
                if target in _EMPTY_IS_A_VALUE:
                    values[target], texts[target] = (NOTHING,), [""]
                elif row.repeat is not Repeat.DEPENDENCY:
                    for key_too in _RESET_TOGETHER.get(target, (target,)):
                        values.pop(key_too, None)
                        texts.pop(key_too, None)
                continue
            try:
                value = _parse(row, target, text, name, fragment, host)
            except ValueError as error:
                written = key.partition(".")[2]
                found.append(Diagnostic(where, "error", written, _explain(text, error)))
                continue
            if row.repeat is Repeat.LAST:
                values[target] = value
                texts[target] = [text]
                continue
            if row.repeat is Repeat.DEPENDENCY or row.section == "Install":
                for item in value:
                    origins.setdefault((target, item), where)
            old = values.get(target)
            if old is not None:
                value = (old | value) if not isinstance(old, tuple) else old + value
            if row.repeat is Repeat.DEPENDENCY:
                value = tuple(dict.fromkeys(value))
            values[target] = value
            texts.setdefault(target, []).append(text)
    return Values(values, origins, texts, found)


def judge(
    values: Mapping[str, Any], settings: Iterable[Setting], allow_unenforced: frozenset[str]
) -> list[Diagnostic]:
    """What is asked for and not done: warnings, or errors for what would restrict the service."""
    asked: dict[str, Directive[Any]] = {}
    for key, value in values.items():
        row = TABLE[key]
        if row.support not in (Support.ENFORCED, Support.NO_EFFECT) and value != row.default:
            asked[key] = row
    if not asked:
        return []
    places: dict[str, Setting] = {}
    for setting in settings:
        for target in targets_of(setting.key):
            if target in asked:
                places[target] = setting
    return [_verdict(asked[key], at, allow_unenforced) for key, at in places.items()]


def fingerprint(name: str, texts: Mapping[str, list[str]], triggers: Mapping[str, str]) -> str:
    """sha256 (hex) of what decides how the unit runs: not of its description, order or comments."""
    parts = [name]
    for key in sorted(texts):
        if TABLE[key].change is not Change.NONE:
            parts.append(key)
            parts += texts[key]
    for path in sorted(triggers):
        parts += ("\0", path, triggers[path])
    return sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()


def _parse(row: Directive[Any], key: str, text: str, name: str, fragment: str, host: Host) -> Any:
    if "%" not in text or row.specifiers is Specifiers.NONE:
        return _parse_plain(key, text)
    protect = row.specifiers is Specifiers.ESCAPED
    expanded = expand(text, name, host, fragment=fragment, protect=protect)
    return row.parse(expanded)


@lru_cache(maxsize=2048)
def _parse_plain(key: str, text: str) -> Any:
    # The same few values fill most units: sharing them saves time and, at ten thousand units, memory.
    return TABLE[key].parse(text)


def _explain(text: str, error: ValueError) -> str:
    message = str(error)
    return message if text in message else f"'{text[:200]}': {message}"


def _verdict(row: Directive[Any], at: Setting, allowed: frozenset[str]) -> Diagnostic:
    written = at.key.partition(".")[2]
    what = row.doc.rstrip(".")
    if row.support is Support.REFUSED:
        return Diagnostic(at.where, "error", written, f"not supported: {what}")
    if row.support is not Support.RESTRICTS:
        return Diagnostic(at.where, "warning", written, f"not enforced: {what}")
    if allowed & {"*", row.name, written}:
        message = f"not enforced, as the configuration allows; the service runs without it: {what}"
        return Diagnostic(at.where, "warning", written, message)
    message = f"not enforced yet, and the service must not run without it: {what}"
    hint = f' (allow_unenforced = ["{row.name}"] in config.toml lets it)'
    return Diagnostic(at.where, "error", written, message + hint)
