"""What the settings of a service must be together, and what follows from them unsaid.

The rules are those by which systemd refuses to load a service (`service_verify`), and its defaults that
depend on other settings: they become values here, so that no reader of a unit has to know them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from gitproc.units import exec_rules, overlap_rules, sandbox_rules
from gitproc.units.assignments import Assignments
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive
from gitproc.units.directives import (
    BUS_NAME,
    EXEC_START,
    EXEC_STOP,
    HEALTH_CHECK_EXEC,
    HEALTH_CHECK_RETRIES,
    HEALTH_CHECK_TCP,
    HEALTH_CHECK_URL,
    KILL_MODE,
    KILL_SIGNAL,
    NOTIFY_ACCESS,
    OOM_POLICY,
    PID_FILE,
    PRIVATE_PIDS,
    REMAIN_AFTER_EXIT,
    RESTART,
    RESTART_FORCE_EXIT_STATUS,
    RESTART_KILL_SIGNAL,
    RESTART_MAX_DELAY_SEC,
    RESTART_SEC,
    RESTART_STEPS,
    RUNTIME_MAX_SEC,
    RUNTIME_RANDOMIZED_EXTRA_SEC,
    TIMEOUT_ABORT_SEC,
    TIMEOUT_START_SEC,
    TIMEOUT_STOP_SEC,
    TYPE,
    UPDATE,
    WATCHDOG_SEC,
)
from gitproc.units.directives_gitproc import SECTION
from gitproc.units.directives_resources import DELEGATE
from gitproc.units.findings import Findings
from gitproc.units.service_types import (
    KillMode,
    NotifyAccess,
    OOMPolicy,
    Restart,
    ServiceType,
)
from gitproc.units.spellings import HEALTH_KEYS

_HEALTH = frozenset(f"{SECTION}.{name}" for name in HEALTH_KEYS)
_OLD_HEALTH = frozenset(f"Service.{name}" for name in HEALTH_KEYS)
_CHECKS = (HEALTH_CHECK_URL, HEALTH_CHECK_TCP, HEALTH_CHECK_EXEC)
_PACE = (RESTART_STEPS, RESTART_MAX_DELAY_SEC, RUNTIME_MAX_SEC, RUNTIME_RANDOMIZED_EXTRA_SEC)
_SETTLED_BY = frozenset(
    {
        *(x.key for x in (TYPE, WATCHDOG_SEC, TIMEOUT_STOP_SEC, DELEGATE, KILL_SIGNAL)),
        *_HEALTH,
        *exec_rules.SETTLED_BY,
        *sandbox_rules.SETTLED_BY,
    }
)
"""What most services do without: where none of it is set, nothing follows, ..."""
_SAYS_OF = frozenset(
    {
        *(x.key for x in (*_PACE, *_CHECKS, PID_FILE, KILL_MODE, UPDATE, PRIVATE_PIDS)),
        *exec_rules.SAYS_OF,
        *sandbox_rules.SAYS_OF,
    }
)
"""... and where none of this is, no rule but those about Type= and ExecStart= can be broken."""


def derive(values: dict[str, Any], settings: Assignments, *, private_pids: bool = False) -> None:
    """Add the values that follow from others and are not set; `private_pids`: the host's default."""
    if TYPE.key not in values:
        if values.get(BUS_NAME.key):
            values[TYPE.key] = ServiceType.DBUS
        elif EXEC_START.key not in values:
            values[TYPE.key] = ServiceType.ONESHOT
    if not _SETTLED_BY.isdisjoint(values):
        _settle(values, settings)
    if private_pids and TYPE.of(values) is not ServiceType.FORKING:
        values.setdefault(PRIVATE_PIDS.key, True)


def verify(
    values: Mapping[str, Any], where: Callable[[Directive[Any]], Location]
) -> list[Diagnostic]:
    """The rules a service breaks; `where` gives the place of a directive (the file, if unset)."""
    found = Findings(where)
    starts = values.get(EXEC_START.key, ())
    if len(starts) != 1 or TYPE.key in values:
        _verify_type(values, found.refuse)
    if not _SAYS_OF.isdisjoint(values):
        _verify_others(values, found.refuse, found.warn)
    return found.told


def _settle(values: dict[str, Any], settings: Assignments) -> None:
    """What follows from settings that most services do without."""
    kind = TYPE.of(values)
    if kind is ServiceType.ONESHOT:
        values.setdefault(TIMEOUT_START_SEC.key, math.inf)
    speaks = kind in (ServiceType.NOTIFY, ServiceType.NOTIFY_RELOAD) or WATCHDOG_SEC.of(values)
    if speaks and NOTIFY_ACCESS.of(values) is NotifyAccess.NONE:
        values[NOTIFY_ACCESS.key] = NotifyAccess.MAIN
    if TIMEOUT_STOP_SEC.key in values:
        values.setdefault(TIMEOUT_ABORT_SEC.key, values[TIMEOUT_STOP_SEC.key])
    if values.get(DELEGATE.key) is not None:
        values.setdefault(OOM_POLICY.key, OOMPolicy.CONTINUE)  # it looks after its own processes
    if KILL_SIGNAL.key in values:
        values.setdefault(RESTART_KILL_SIGNAL.key, values[KILL_SIGNAL.key])
    exec_rules.settle(values, settings)
    sandbox_rules.settle(values)
    if HEALTH_CHECK_RETRIES.key not in values and not _HEALTH.isdisjoint(values):
        if not _OLD_HEALTH.isdisjoint([key for key, _ in settings.assigned]):
            values[HEALTH_CHECK_RETRIES.key] = 1  # its rule: the first failure restarts


def _verify_type(values: Mapping[str, Any], refuse: Callable[[Directive[Any], str], None]) -> None:
    oneshot = TYPE.of(values) is ServiceType.ONESHOT
    starts = EXEC_START.of(values)
    acts = values.get("Unit.SuccessAction", "none") != "none"
    if not starts and not EXEC_STOP.of(values) and not acts:
        refuse(EXEC_START, "missing: a service needs ExecStart=, or ExecStop= with Type=oneshot")
    elif not starts and not oneshot:
        refuse(EXEC_START, "missing: only a Type=oneshot service can do without")
    elif not starts and not REMAIN_AFTER_EXIT.of(values) and not acts:
        refuse(EXEC_START, "missing: only a RemainAfterExit=yes service can do without")
    if len(starts) > 1 and not oneshot:
        refuse(EXEC_START, "several commands are for Type=oneshot only")
    if oneshot and RESTART.of(values) in (Restart.ALWAYS, Restart.ON_SUCCESS):
        refuse(RESTART, f"Restart={RESTART.of(values)} cannot be used with Type=oneshot")
    if oneshot and RESTART_FORCE_EXIT_STATUS.of(values):
        refuse(RESTART_FORCE_EXIT_STATUS, "cannot be used with Type=oneshot")
    if TYPE.of(values) is ServiceType.DBUS and not BUS_NAME.of(values):
        refuse(TYPE, "Type=dbus needs BusName=")


def _verify_others(
    values: Mapping[str, Any],
    refuse: Callable[[Directive[Any], str], None],
    warn: Callable[[Directive[Any], str], None],
) -> None:
    """The rules about settings that most services do without."""
    _verify_pace(values, warn)
    if PID_FILE.of(values) and TYPE.of(values) is not ServiceType.FORKING:
        warn(PID_FILE, "not read: only a Type=forking service names its main process by it")
    if PRIVATE_PIDS.of(values) and TYPE.of(values) is ServiceType.FORKING:
        refuse(PRIVATE_PIDS, "cannot be used with Type=forking: what stays is not what was started")
    if KILL_MODE.of(values) is KillMode.NONE:
        warn(KILL_MODE, "KillMode=none leaves processes behind at every stop")
    exec_rules.verify(values, warn)
    sandbox_rules.verify(values, warn)
    overlap_rules.verify(values, refuse)
    given = [check for check in _CHECKS if check.key in values]
    if len(given) > 1:
        refuse(given[1], f"a unit has one health check, and {given[0].name}= is one already")


def _verify_pace(values: Mapping[str, Any], warn: Callable[[Directive[Any], str], None]) -> None:
    """What has no effect without its other half, as systemd says it."""
    steps, longest = RESTART_STEPS.of(values), RESTART_MAX_DELAY_SEC.of(values)
    if steps and longest == math.inf:
        warn(RESTART_STEPS, "has no effect without RestartMaxDelaySec=")
    if longest != math.inf and not steps:
        warn(RESTART_MAX_DELAY_SEC, "has no effect without RestartSteps=")
    elif longest < RESTART_SEC.of(values):
        warn(RESTART_MAX_DELAY_SEC, "is shorter than RestartSec=: the pause does not grow")
    oneshot = TYPE.of(values) is ServiceType.ONESHOT
    if RUNTIME_MAX_SEC.key in values and oneshot:
        warn(RUNTIME_MAX_SEC, "has no effect on Type=oneshot: use TimeoutStartSec=")
    if RUNTIME_RANDOMIZED_EXTRA_SEC.of(values) and RUNTIME_MAX_SEC.of(values) == math.inf:
        warn(RUNTIME_RANDOMIZED_EXTRA_SEC, "has no effect without RuntimeMaxSec=")
