"""What may befall a log while a service floods it: see `blows.py`."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING

from tests.e2e.harness import until
from tests.faults.blows import full, manager_killed, shim_killed, shim_replaced
from tests.faults.floods import LINE, LINES, Floods
from tests.faults.oracle import eventually

if TYPE_CHECKING:
    from tests.faults.soak import Soak

_SUPPRESSED = re.compile(rb"gitproc: (\d+) lines suppressed by the rate limit")
_DROPPED = re.compile(
    r"^gitproc-shim: \S+/flood\.log: (?:writable again, )?(\d+) bytes were lost", re.MULTILINE
)


def _strike(soak: Soak, name: str) -> int:
    """Kill who moves the lines, and who is told of them, while it writes; how many loggers that were."""
    killed = 0
    for _ in range(soak.dice.randint(1, 5)):
        time.sleep(soak.dice.random() * 0.2)
        if soak.guest(Floods).progress(name)[2]:
            break
        what = soak.dice.choice(["logger", "logger", "logger", "manager", "shim replaced", "shim"])
        if what == "logger":
            logger = soak.machine.logger
            os.kill(logger, signal.SIGKILL)
            until(lambda old=logger: soak.machine.logger != old, "there is another")
            soak.count("logger killed")
            killed += 1
        elif what == "manager":
            manager_killed(soak)
        elif what == "shim":
            soak.allow_all()
            shim_killed(soak)
        else:
            shim_replaced(soak)
    return killed


def flood_and_kills(soak: Soak) -> None:
    """Not a line is lost, and none is there twice."""
    floods = soak.guest(Floods)
    floods.start("flood")
    _strike(soak, "flood")
    floods.over("flood")
    eventually(lambda: floods.complete("flood"))


def flood_within_limits(soak: Soak) -> None:
    """What a rate limit keeps out is counted; of what a killed logger had in its hands nothing is known."""
    floods = soak.guest(Floods)
    floods.start("limited")
    killed = _strike(soak, "limited") if soak.dice.random() < 0.5 else 0
    floods.over("limited")

    def wrong() -> str:
        numbers, others = floods.written("limited")
        if numbers != sorted({*numbers}):
            return "lines are not in order"
        said = [int(found[1]) for x in others if (found := _SUPPRESSED.fullmatch(x))]
        if not killed and len(said) != len(others):
            return f"{len(others)} that are no lines, as {others[0]!r}"
        total = len(numbers) + sum(said)
        right = total <= floods.lines if killed else total == floods.lines
        return "" if right else f"{len(numbers)} lines and {said} make {floods.lines}"

    eventually(wrong)


def flood_on_full_disk(soak: Soak) -> None:
    """What finds no room is counted, to the byte; who writes is not held up."""
    floods, said = soak.guest(Floods), soak.machine.root / "said"
    soak.lines_lost = soak.events_lost = True
    begun = said.stat().st_size
    floods.start("flood", LINES[1])
    time.sleep(soak.dice.random() * 0.1)
    with full(soak.machine.logs, soak.LOG_SIZE):
        time.sleep(soak.dice.random() * 0.3)
        if soak.dice.random() < 0.3:
            floods.over("flood")
    floods.over("flood")

    def wrong() -> str:
        numbers, _ = floods.written("flood")
        kept = floods.bytes_written("flood")
        text = said.read_text()[begun:]
        lost = sum(int(x) for x in _DROPPED.findall(text))
        if numbers != sorted({*numbers}):
            return "lines are not in order"
        right = kept + lost == floods.lines * LINE
        return "" if right else f"{kept} bytes kept and {lost} lost make {floods.lines * LINE}"

    eventually(wrong)
