"""Restart policy: what a process's end means, whether the unit is started again, and when.

The table is systemd's (systemd.service(5), "Restart="), in systemd's order: what is in
RestartPreventExitStatus= never restarts, what is in RestartForceExitStatus= always does, then the table.
"""

from __future__ import annotations

import math

from gitproc.core.events import ExitCode
from gitproc.core.states import UNBEGUN, Result
from gitproc.core.unit_state import LastExit, UnitState
from gitproc.core.world import Settings, World
from gitproc.units import directives as d
from gitproc.units.service_types import Restart, ServiceType
from gitproc.units.unit import Unit
from gitproc.units.values import StatusSet

# SIGHUP, SIGINT, SIGTERM, SIGPIPE: a service that dies of one of these has ended well.
CLEAN_SIGNALS = frozenset({1, 2, 15, 13})
SIGKILL = 9

_ALWAYS = frozenset(Result) - {Result.START_LIMIT_HIT, Result.EXEC_CONDITION} - UNBEGUN
_ABNORMAL = frozenset(
    {
        Result.SIGNAL,
        Result.CORE_DUMP,
        Result.TIMEOUT,
        Result.WATCHDOG,
        Result.OOM_KILL,
        Result.PROTOCOL,
        Result.RESOURCES,
        Result.HEALTH_CHECK,
    }
)
RESTARTS: dict[Restart, frozenset[Result]] = {
    Restart.NO: frozenset(),
    Restart.ALWAYS: _ALWAYS,
    Restart.ON_SUCCESS: frozenset({Result.SUCCESS}),
    Restart.ON_FAILURE: _ALWAYS - {Result.SUCCESS},
    Restart.ON_ABNORMAL: _ABNORMAL,
    Restart.ON_ABORT: frozenset({Result.SIGNAL, Result.CORE_DUMP}),
    Restart.ON_WATCHDOG: frozenset({Result.WATCHDOG}),
}


def result_of_exit(
    unit: Unit, code: ExitCode, status: int, *, main: bool, oom: bool = False
) -> Result:
    """What the end of a process means for its unit.

    `main`: the main process of ExecStart=; only there (and not for oneshot) are SuccessExitStatus= and the
    clean signals honoured. `oom`: the kernel's OOM killer was seen in the unit's cgroup.
    """
    success = unit[d.SUCCESS_EXIT_STATUS] if main else StatusSet(frozenset(), frozenset())
    match code:
        case ExitCode.EXITED:
            good = status == 0 or status in success.codes
            return Result.SUCCESS if good else Result.EXIT_CODE
        case ExitCode.KILLED:
            if oom and status == SIGKILL:
                return Result.OOM_KILL
            daemon = main and unit[d.TYPE] is not ServiceType.ONESHOT
            if status in success.signals or (daemon and status in CLEAN_SIGNALS):
                return Result.SUCCESS
            return Result.SIGNAL
        case ExitCode.DUMPED:
            return Result.SUCCESS if status in success.signals else Result.CORE_DUMP
        case ExitCode.LOST:
            # Its parent died with it and nobody can tell: better one restart too many.
            return Result.EXIT_CODE


def _contains(statuses: StatusSet, last: LastExit) -> bool:
    if last.code == ExitCode.EXITED:
        return last.status in statuses.codes
    if last.code in (ExitCode.KILLED, ExitCode.DUMPED):
        return last.status in statuses.signals
    return False


def shall_restart(unit: Unit, result: Result, last: LastExit) -> bool:
    """Whether a service that ended by itself is to be started again. `last`: its main process's end."""
    if _contains(unit[d.RESTART_PREVENT_EXIT_STATUS], last):
        return False
    if _contains(unit[d.RESTART_FORCE_EXIT_STATUS], last):
        return True
    return result in RESTARTS[unit[d.RESTART]]


def restart_delay(unit: Unit, settings: Settings, restart: int = 1) -> float:
    """Seconds to wait before an automatic restart, the `restart`th in a row (from 1).

    It grows by the same factor each time, from RestartSec= to RestartMaxDelaySec= in RestartSteps= steps.
    """
    first = unit.get(d.RESTART_SEC, settings.restart_sec)
    steps, most = unit[d.RESTART_STEPS], unit[d.RESTART_MAX_DELAY_SEC]
    if restart <= 1 or not steps or first <= 0 or most == math.inf or first >= most:
        return first
    return most if restart > steps else float(first * (most / first) ** ((restart - 1) / steps))


def restart_reset(unit: Unit, settings: Settings, restart: int = 1) -> float:
    """Seconds of being up after which earlier restarts are forgotten (RestartResetSec=)."""
    span = unit[d.RESTART_RESET_SEC]
    return span if span is not None else max(10 * restart_delay(unit, settings, restart), 60.0)


def start_limit_hit(state: UnitState, unit: Unit, settings: Settings, at: float) -> bool:
    """Whether an automatic start at `at` would be one too many (systemd.unit(5), StartLimit*).

    The first start counts as well, but never fails: an operator's `start` and a commit's begin anew.
    """
    interval = unit.get(d.START_LIMIT_INTERVAL_SEC, settings.start_limit_interval)
    burst = unit.get(d.START_LIMIT_BURST, settings.start_limit_burst)
    if interval <= 0 or burst <= 0:
        return False
    state.starts = [start for start in state.starts if at - start < interval]
    return len(state.starts) >= burst


def cured_at(world: World, state: UnitState) -> float | None:
    """When a unit that has been restarted will have been up for long enough (RestartResetSec=)."""
    if not state.restarts or not state.up or state.active_since is None:
        return None
    return state.active_since + restart_reset(state.definition, world.settings, state.restarts)


def forget_restarts(world: World, state: UnitState) -> None:
    """Count a unit as cured if it is."""
    at = cured_at(world, state)
    if at is not None and world.now >= at:
        state.restarts = 0
        world.dirty[state.name] = None
