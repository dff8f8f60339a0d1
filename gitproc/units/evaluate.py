"""From assignments to values: what a unit's settings add up to, and what GitProc cannot do of them.

Assignments are folded in order of effect: the last wins, lists add up and an empty one starts over,
dependencies only ever add up. What is known but not enforced is judged by the value that comes out, so a
drop-in that turns `ProtectSystem=` off silences it. Errors do not stop the fold: all are found in one go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from gitproc.units import directives_path, directives_timer
from gitproc.units.access_lists import NOTHING
from gitproc.units.conditions import RESET_TOGETHER
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.directives import SECTIONS, TABLE
from gitproc.units.directives_sandbox import CAPABILITY_BOUNDING_SET
from gitproc.units.names import split_name
from gitproc.units.parser import Setting
from gitproc.units.specifiers import Host, expand
from gitproc.units.spellings import STANDS_FOR

_EMPTY_IS_A_VALUE = frozenset({CAPABILITY_BOUNDING_SET.key})
"""Lists whose empty assignment asks for something: here, for no capability at all."""

_RESET_TOGETHER = {**RESET_TOGETHER, **directives_timer.RESETS, **directives_path.RESETS}


_SHORT = 24  # characters
_TEMPLATE = re.compile(r"(?<=[^\s@])@\.[a-z]+(?=\s|$)")


class Values(NamedTuple):
    """What settings add up to: values by key, where dependencies came from, texts in force."""

    values: dict[str, Any]
    origins: dict[tuple[str, object], Setting]
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
    origins: dict[tuple[str, object], Setting] = {}
    texts: dict[str, list[str]] = {}
    found: list[Diagnostic] = []
    lists: set[str] = set()
    rows = _rows_of(kind)
    for setting in settings:
        key, text, _, _ = setting
        for target, row in rows.get(key, ()):
            if not text:
                if target in _EMPTY_IS_A_VALUE:
                    values[target], texts[target] = [NOTHING], [""]
                    lists.add(target)
                elif row.repeat is not Repeat.DEPENDENCY:
                    for key_too in _RESET_TOGETHER.get(target, (target,)):
                        values.pop(key_too, None)
                        texts.pop(key_too, None)
                continue
            if "@." in text and row.repeat is Repeat.DEPENDENCY:
                text = _fill(text, name)
            try:
                if "%" not in text or row.specifiers is Specifiers.NONE:
                    value = _parse_plain(target, text) if len(text) <= _SHORT else row.parse(text)
                else:
                    protect = row.specifiers is Specifiers.ESCAPED
                    value = row.parse(expand(text, name, host, fragment=fragment, protect=protect))
            except ValueError as error:
                written = key.partition(".")[2]
                found.append(Diagnostic(setting.where, "error", written, _explain(text, error)))
                continue
            if row.repeat is Repeat.LAST:
                values[target] = value
                texts[target] = [text]
                continue
            if row.repeat is Repeat.DEPENDENCY or row.section == "Install":
                for item in value:
                    origins.setdefault((target, item), setting)
            texts.setdefault(target, []).append(text)
            if isinstance(value, tuple) and not hasattr(value, "_fields"):
                lists.add(target)
                values.setdefault(target, []).extend(value)  # joined at the end: a tuple would grow
            else:
                old = values.get(target)
                values[target] = value if old is None else old | value
    for target in lists:
        if (items := values.get(target)) is not None and not isinstance(items, tuple):
            once = TABLE[target].repeat is Repeat.DEPENDENCY
            values[target] = tuple(dict.fromkeys(items) if once else items)
    return Values(values, origins, texts, found)


def judge(
    values: Mapping[str, Any], settings: Iterable[Setting], allow_unenforced: frozenset[str]
) -> list[Diagnostic]:
    """What is asked for and not done: warnings, or errors for what would restrict the service."""
    asked = {
        key: row
        for key in values.keys() & _not_done()
        if values[key] != (row := TABLE[key]).default
    }
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


def _fill(text: str, name: str) -> str:
    """A template among dependencies is its instance of the unit's own, or else of the unit's prefix."""
    prefix, instance, _ = split_name(name)
    return _TEMPLATE.sub(lambda found: f"@{instance or prefix}{found[0][1:]}", text)


@cache
def _not_done() -> frozenset[str]:
    """The keys that are known and asked for in vain, if not in silence."""
    fine = (Support.ENFORCED, Support.NO_EFFECT)
    return frozenset(key for key, row in TABLE.items() if row.support not in fine)


@cache
def _rows_of(kind: str) -> dict[str, tuple[tuple[str, Directive[Any]], ...]]:
    """By each key that means something in units of a kind, the rows that its assignments count for."""
    sections = SECTIONS.get(kind, frozenset())
    rows = {key: [(to, TABLE[to]) for to in targets_of(key)] for key in (*TABLE, *STANDS_FOR)}
    return {key: tuple(to) for key, to in rows.items() if key.rpartition(".")[0] in sections}


@lru_cache(maxsize=512)
def _parse_plain(key: str, text: str) -> Any:
    # The same few values fill most units: sharing them saves time and, at ten thousand units, memory. Long
    # ones (commands) are each unit's own, and would only push the others out.
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
