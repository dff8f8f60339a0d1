"""From assignments to values: what a unit's settings add up to, and what GitProc cannot do of them.

Assignments are folded in order of effect: the last wins, lists add up and an empty one starts over,
dependencies only ever add up. What is known but not enforced is judged by the value that comes out, so a
drop-in that turns `ProtectSystem=` off silences it. Errors do not stop the fold: all are found in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

from gitproc.immutable import NamedTuple
from gitproc.pattern import pattern
from gitproc.units import directives_path, directives_timer
from gitproc.units.access_lists import NOTHING
from gitproc.units.assignments import Assignments, Setting
from gitproc.units.conditions import RESET_TOGETHER
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.directives import SECTIONS, TABLE
from gitproc.units.directives_sandbox import CAPABILITY_BOUNDING_SET
from gitproc.units.names import split_name
from gitproc.units.specifiers import Host, bare, expand
from gitproc.units.spellings import STANDS_FOR

_EMPTY_IS_A_VALUE = frozenset({CAPABILITY_BOUNDING_SET.key})
"""Lists whose empty assignment asks for something: here, for no capability at all."""

_RESET_TOGETHER = {**RESET_TOGETHER, **directives_timer.RESETS, **directives_path.RESETS}


_SHORT = 24  # characters
_TEMPLATE = pattern(r"(?<=[^\s@])@\.[a-z]+(?=\s|$)")


class Values(NamedTuple):
    """What settings add up to: values by key, which setting gave a dependency, texts that decide how a unit runs."""

    values: dict[str, Any]
    origins: dict[tuple[str, object], int]
    texts: dict[str, list[str]]
    diagnostics: list[Diagnostic]


class _Rule(NamedTuple):
    """What an assignment does to one key that it counts for: of a row of the table what folding needs."""

    target: str
    parse: Callable[[str], Any]
    specifiers: Specifiers
    last: bool
    dependency: bool
    traced: bool
    decides: bool


def targets_of(key: str) -> tuple[str, ...]:
    """The keys an assignment counts for: itself, or what it is another spelling of."""
    return STANDS_FOR.get(key) or (key,)


def evaluate(name: str, kind: str, fragment: str, settings: Assignments, host: Host) -> Values:
    """Fold the settings of unit `name`. Unknown directives are passed over (`check_names` reports them)."""
    values: dict[str, Any] = {}
    origins: dict[tuple[str, object], int] = {}
    texts: dict[str, list[str]] = {}
    found: list[Diagnostic] = []
    lists: dict[str, list[Any]] = {}
    rules = _rules_of(kind)
    for index, (key, text) in enumerate(settings.assigned):
        for (
            target,
            parse,
            specifiers,
            last,
            dependency,
            traced,
            decides,
        ) in rules.get(key, ()):
            if not text:
                if target in _EMPTY_IS_A_VALUE:
                    values[target], texts[target] = (NOTHING,), [""]
                    lists.pop(target, None)
                elif not dependency:
                    for key_too in _RESET_TOGETHER.get(target, (target,)):
                        values.pop(key_too, None)
                        texts.pop(key_too, None)
                        lists.pop(key_too, None)
                continue
            if dependency and "@." in text:
                text = _fill(text, name)
            try:
                if "%" in text and specifiers is not Specifiers.NONE:
                    value = parse(expand(text, name, host, fragment=fragment, how=specifiers))
                    if specifiers is Specifiers.WHOLE:
                        value = bare(value)
                else:
                    value = _parse_short(parse, text) if len(text) <= _SHORT else parse(text)
            except ValueError as error:
                written = key.partition(".")[2]
                where = settings.where(index)
                found.append(Diagnostic(where, "error", written, _explain(text, error)))
                continue
            if last:
                values[target] = value
                if decides:
                    texts[target] = [text]
                continue
            if decides:
                texts.setdefault(target, []).append(text)
            if dependency and len(value) > 1:
                value = tuple(dict.fromkeys(value))
            if traced:
                for item in value:
                    origins.setdefault((target, item), index)
            old = values.get(target)
            if old is None:
                values[target] = value  # usually the only one: nothing is copied
            elif type(value) is not tuple:
                values[target] = old | value
            elif target in lists:
                lists[target] += value  # joined at the end: a tuple would grow
            else:
                lists[target] = [*old, *value]
    for target, items in lists.items():
        once = TABLE[target].repeat is Repeat.DEPENDENCY
        values[target] = tuple(dict.fromkeys(items) if once else items)
    return Values(values, origins, texts, found)


def judge(
    values: Mapping[str, Any], settings: Assignments, allow_unenforced: frozenset[str]
) -> list[Diagnostic]:
    """What is asked for and not done: warnings, or errors for what would restrict the service."""
    if _not_done().isdisjoint(values):
        return []
    asked = {
        key: row
        for key in values.keys() & _not_done()
        if values[key] != (row := TABLE[key]).default
    }
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
def _rules_of(kind: str) -> dict[str, tuple[_Rule, ...]]:
    """By each key that means something in units of a kind, what its assignments do."""
    sections = SECTIONS.get(kind, frozenset())
    rules = {key: tuple(map(_rule, targets_of(key))) for key in (*TABLE, *STANDS_FOR)}
    return {key: to for key, to in rules.items() if key.rpartition(".")[0] in sections}


def _rule(target: str) -> _Rule:
    row = TABLE[target]
    dependency = row.repeat is Repeat.DEPENDENCY
    return _Rule(
        target,
        row.parse,
        row.specifiers,
        last=row.repeat is Repeat.LAST,
        dependency=dependency,
        traced=dependency or row.section == "Install",
        decides=row.change is not Change.NONE,
    )


@lru_cache(maxsize=512)
def _parse_short(parse: Callable[[str], Any], text: str) -> Any:
    # The same few values fill most units: sharing them saves time and, at ten thousand units, memory. Long
    # ones (commands) are each unit's own, and would only push the others out.
    return parse(text)


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
