"""Rows of the directive table for [Unit] and [Install]: what a unit is called, needs and follows."""

from __future__ import annotations

from typing import Any

from gitproc.units.conditions import (
    ASSERT,
    CONDITION,
    KINDS,
    Condition,
    parse_mounts_for,
    parser_of,
)
from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.names import is_valid_instance, is_valid_name
from gitproc.units.rows import exactly, flag, known, known_flag, one, text, words
from gitproc.units.timespan import parse_span
from gitproc.units.values import parse_path, parse_unsigned
from gitproc.units.words import split_words


def parse_unit_names(value: str) -> tuple[str, ...]:
    """Unit names separated by blanks; ValueError names the first that is none."""
    names = tuple(split_words(value))
    for name in names:
        if not is_valid_name(name):
            raise ValueError(f"{name!r} is not a unit name")
    return names


def parse_dependencies(value: str) -> tuple[str, ...]:
    """Unit names that can run: a template needs an instance name here."""
    names = parse_unit_names(value)
    for name in names:
        if "@." in name:
            raise ValueError(f"{name!r} is a template: name an instance of it")
    return names


def parse_instance(value: str) -> str:
    """The instance part of a unit name."""
    if not is_valid_instance(value):
        raise ValueError(f"'{value}' is not a valid instance name")
    return value


def _dependency(
    name: str, doc: str, support: Support = Support.ENFORCED
) -> Directive[tuple[str, ...]]:
    return Directive(
        "Unit",
        name,
        parse_dependencies,
        (),
        Repeat.DEPENDENCY,
        Change.NONE,
        support,
        doc,
        Specifiers.WORDS,
    )


def _install(
    name: str, doc: str, support: Support = Support.ENFORCED
) -> Directive[tuple[str, ...]]:
    return Directive(
        "Install",
        name,
        parse_unit_names,
        (),
        Repeat.LIST,
        Change.NONE,
        support,
        doc,
        Specifiers.WORDS,
    )


DESCRIPTION = text("Unit", "Description", "Short title, shown wherever the unit is.", Change.NONE)
DOCUMENTATION = words(
    "Unit", "Documentation", "Where to read on: URIs (https:, file:, man:, info:).", Change.NONE
)
REQUIRES = _dependency(
    "Requires", "Units started too; if one cannot start, or is stopped, so it is with this one."
)
WANTS = _dependency("Wants", "Units started too, whatever becomes of them.")
BINDS_TO = _dependency(
    "BindsTo", "As Requires=, and this unit stops when one of them is down for any reason."
)
PART_OF = _dependency("PartOf", "Units whose stop or restart is one of this unit too.")
CONFLICTS = _dependency(
    "Conflicts", "Units that cannot be up together with this one: starting one stops the other."
)
BEFORE = _dependency("Before", "Units whose start waits for this one; stops happen in reverse.")
AFTER = _dependency("After", "Units whose start this one waits for; stops happen in reverse.")
DEFAULT_DEPENDENCIES = flag(
    "Unit",
    "DefaultDependencies",
    True,
    "Add the usual order against sysinit.target, basic.target and shutdown.target.",
    Change.NONE,
)
REQUISITE = _dependency(
    "Requisite", "Units that must be up already: they are not started, and this one not without."
)
UPHOLDS = _dependency(
    "Upholds", "Units started too, and again whenever they end while this one is up."
)
ON_FAILURE = _dependency("OnFailure", "Units started when this one has failed for good.")
ON_SUCCESS = _dependency("OnSuccess", "Units started when this one has ended well.")
PROPAGATES_STOP_TO = _dependency("PropagatesStopTo", "Units that are stopped with this one.")
STOP_PROPAGATED_FROM = _dependency("StopPropagatedFrom", "Units whose stop stops this one.")
PROPAGATES_RELOAD_TO = _dependency("PropagatesReloadTo", "Units that are reloaded with this one.")
RELOAD_PROPAGATED_FROM = _dependency("ReloadPropagatedFrom", "Units whose reload reloads this one.")
JOINS_NAMESPACE_OF: Directive[tuple[str, ...]] = Directive(
    "Unit",
    "JoinsNamespaceOf",
    parse_dependencies,
    (),
    Repeat.DEPENDENCY,
    Change.RESTART,
    Support.ENFORCED,
    "Running units whose private /tmp, network and IPC it shares, where both ask for such.",
    Specifiers.WORDS,
)
STOP_WHEN_UNNEEDED = flag(
    "Unit",
    "StopWhenUnneeded",
    False,
    "Run only while a unit that pulls this one in is up or coming up.",
    Change.NONE,
)
REQUIRES_MOUNTS_FOR: Directive[tuple[Condition, ...]] = Directive(
    "Unit",
    "RequiresMountsFor",
    parse_mounts_for,
    (),
    Repeat.DEPENDENCY,
    Change.NONE,
    Support.ENFORCED,
    "Paths: fail the start while a file system of /etc/fstab on the way to one is not mounted.",
    Specifiers.WORDS,
)
REFUSE_MANUAL_START = flag(
    "Unit",
    "RefuseManualStart",
    False,
    "Refuse an operator's start or restart: other units start it.",
    Change.NONE,
)
REFUSE_MANUAL_STOP = flag(
    "Unit", "RefuseManualStop", False, "Refuse an operator's stop or restart.", Change.NONE
)
START_LIMIT_INTERVAL_SEC = one(
    "Unit",
    "StartLimitIntervalSec",
    parse_span,
    10.0,
    "Window (default 10 s) for StartLimitBurst=; 0 lifts the limit.",
    Change.LIVE,
)
START_LIMIT_BURST = one(
    "Unit",
    "StartLimitBurst",
    parse_unsigned,
    5,
    "Starts allowed within StartLimitIntervalSec=; one more and the unit stays failed.",
    Change.LIVE,
)

WANTED_BY = _install("WantedBy", "Units that want this one; being in the commit is being enabled.")
REQUIRED_BY = _install(
    "RequiredBy", "Units that require this one; being in the commit is being enabled."
)
UPHELD_BY = _install(
    "UpheldBy", "Units that uphold this one; being in the commit is being enabled."
)
ALIAS = _install("Alias", "Further names of this unit.")
ALSO = _install(
    "Also", "Units to enable together; every unit of a commit is enabled.", Support.NO_EFFECT
)
DEFAULT_INSTANCE = one(
    "Install",
    "DefaultInstance",
    parse_instance,
    "",
    "Of a template: the instance that being in the commit enables.",
    Change.NONE,
    Specifiers.TEXT,
)

_RULES = {CONDITION: "Start only if", ASSERT: "Fail the start unless"}


def _condition(prefix: str, kind: str, what: str) -> Directive[tuple[Condition, ...]]:
    return Directive(
        "Unit",
        prefix + kind,
        parser_of(prefix, kind),
        (),
        Repeat.LIST,
        Change.NONE,
        Support.ENFORCED,
        f"{_RULES[prefix]} {what}.",
        Specifiers.TEXT,
    )


_UNENFORCED_FLAGS = {
    "SurviveFinalKillSignal": "Survive the last kill of a shutdown: not arranged yet.",
    "DebugInvocation": "Raise the log level on a restart after a failure: not done yet.",
}
_NO_EFFECT_FLAGS = {
    "AllowIsolate": "May be isolated; there is no isolate verb.",
    "IgnoreOnIsolate": "Survive an isolate; there is no isolate verb.",
}
_NO_EFFECT = {
    "WantsMountsFor": "Paths whose mounts are wanted: what is not mounted is no obstacle.",
    "JobTimeoutRebootArgument": "Argument of the reboot of JobTimeoutAction=.",
    "FailureActionExitStatus": "Exit status of the manager for FailureAction=exit.",
    "SuccessActionExitStatus": "Exit status of the manager for SuccessAction=exit.",
    "RebootArgument": "Argument of the reboot of FailureAction= and its like.",
}

ROWS: tuple[Directive[Any], ...] = (
    DESCRIPTION,
    DOCUMENTATION,
    REQUIRES,
    WANTS,
    BINDS_TO,
    PART_OF,
    CONFLICTS,
    BEFORE,
    AFTER,
    REQUISITE,
    UPHOLDS,
    ON_FAILURE,
    ON_SUCCESS,
    PROPAGATES_STOP_TO,
    STOP_PROPAGATED_FROM,
    PROPAGATES_RELOAD_TO,
    RELOAD_PROPAGATED_FROM,
    DEFAULT_DEPENDENCIES,
    STOP_WHEN_UNNEEDED,
    REQUIRES_MOUNTS_FOR,
    REFUSE_MANUAL_START,
    REFUSE_MANUAL_STOP,
    START_LIMIT_INTERVAL_SEC,
    START_LIMIT_BURST,
    JOINS_NAMESPACE_OF,
    *(known_flag("Unit", n, Support.UNENFORCED, d) for n, d in _UNENFORCED_FLAGS.items()),
    *(known_flag("Unit", n, Support.NO_EFFECT, d) for n, d in _NO_EFFECT_FLAGS.items()),
    known(
        "Unit",
        "CollectMode",
        Support.NO_EFFECT,
        "When to forget an ended unit; units of a commit are never forgotten.",
        exactly("inactive", "inactive-or-failed"),
        "inactive",
    ),
    known(
        "Unit",
        "SourcePath",
        Support.NO_EFFECT,
        "File that the unit was generated from; information only.",
        parse_path,
        "",
    ),
    *(known("Unit", n, Support.NO_EFFECT, d) for n, d in _NO_EFFECT.items()),
    *(_condition(prefix, kind, what) for prefix in _RULES for kind, what in KINDS.items()),
    WANTED_BY,
    REQUIRED_BY,
    UPHELD_BY,
    ALIAS,
    ALSO,
    DEFAULT_INSTANCE,
)
