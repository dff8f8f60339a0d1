"""Timers, and what holds of them whatever befalls the manager (systemd.timer(5)).

Each job notes who started it. So a run is held against the elapse that it belongs to: every elapse that is
told leads to a run, none to two, two runs are never under way at once, a date that was missed is caught up
on (Persistent=), and in the end all of them go on.
"""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.harness import until
from tests.faults.books import Tail
from tests.faults.guest import Guest
from tests.faults.oracle import PEACE, eventually

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tests.faults.soak import Soak

NEVER = "2199-06-01 12:00:00 UTC"
JOBS = {  # seconds that a run takes; what says when
    "tick": (0.1, "OnCalendar=*:*:*\nPersistent=yes"),
    "slow": (1.3, "OnCalendar=*:*:*\nPersistent=yes"),
    "beat": (0.05, "OnActiveSec=200ms\nOnUnitActiveSec=1s"),
    "rest": (0.2, "OnActiveSec=200ms\nOnUnitInactiveSec=700ms"),
    "date": (0.05, "OnCalendar={date}\nPersistent=yes"),
}
GAPS = {"beat": 1.0, "rest": 0.7}  # seconds between two elapses, at least
VERBS = ("start", "stop", "restart")
MICRO = 1_000_000


@dataclass
class Run:
    """One run of a job. `realtime` (seconds since 1970) and `monotonic`: its elapse; 0: not a timer's."""

    token: str
    realtime: float
    monotonic: float
    began: float  # seconds of CLOCK_BOOTTIME


class Timed(Guest):
    """The timers of one machine."""

    program = "timed_job.py"

    def __init__(self, soak: Soak) -> None:
        super().__init__(soak)
        self.date = NEVER
        self.due = 0.0  # seconds since 1970: the date that this round brings; 0: none
        self.value = dict.fromkeys(JOBS, 0)
        self.runs: dict[str, list[Run]] = defaultdict(list)  # of this round, and what was left open
        self.told: dict[str, list[float]] = defaultdict(list)  # when it was said that it elapsed
        self.cut: dict[str, float] = {}  # seconds since 1970: what came before was asked about
        self._tails = {name: Tail(self.notes / f"{name}.runs") for name in JOBS}

    def owns(self, name: str) -> bool:
        """A timer or a job of one."""
        return name.removesuffix(".timer") in JOBS

    def files(self) -> dict[str, str]:
        """All timers and jobs."""
        found = {}
        for name, (seconds, when) in JOBS.items():
            found[f"{name}.timer"] = (
                f"[Timer]\n{when.format(date=self.date)}\nAccuracySec=1ms\n"
                "[Install]\nWantedBy=timers.target\n"
            )
            found[f"{name}.service"] = (
                "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\n"
                f"Environment=VALUE={self.value[name]}\nExecStart={self.command(name, seconds)}\n"
            )
        return found

    def begin(self) -> None:
        """Look at what has been; what follows is this round's."""
        self._read()
        self.due = 0.0
        self.asked: dict[str, list[Future[Any]]] = defaultdict(list)  # by job
        self.changed: set[str] = set()  # jobs that a commit has changed
        self.rearmed: set[str] = set()  # whose timer began anew
        self.withheld: set[str] = set()  # whose job or timer was stopped

    def live(self) -> None:
        """A date, a change of a job, a question of an operator's, or the end of a job."""
        kind = self.dice.choice(["date", "date", "change", "job", "timer", "kill"])
        name = self.dice.choice(list(JOBS))
        if kind == "date" and self.soak.committing and not self.due:
            self.due = ceil(time.time()) + self.dice.randint(0, 2)
            self.date = f"{datetime.fromtimestamp(self.due, UTC):%Y-%m-%d %H:%M:%S} UTC"
            self.commit()
            self.soak.count("dates")
        elif kind == "change" and self.soak.committing:
            self.value[name] += 1
            self.changed.add(name)
            self.commit()
        elif kind == "job":
            self._ask(name, f"{name}.service", self.dice.choice(["start", "start", "stop"]))
        elif kind == "timer":
            self.rearmed.add(name)
            self._ask(name, f"{name}.timer", self.dice.choice(VERBS))
        elif kind == "kill":
            self._kill(name)

    def _ask(self, name: str, unit: str, verb: str) -> None:
        if self.asked[name]:
            return  # what two verbs at once come to is nobody's promise
        if verb == "stop":
            self.withheld.add(name)
        self.asked[name].append(self.soak.aside(self.machine.ask, verb, units=[unit]))
        self.soak.count("verbs of timers")

    def _kill(self, name: str) -> None:
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[4:6] == [os.fsencode(self.notes), name.encode()]:
                    os.kill(int(entry.name), signal.SIGKILL)

    def check(self) -> None:
        """All go on, and every elapse is accounted for."""
        for futures in self.asked.values():
            for done in futures:
                done.exception()
        if self.soak.forgotten:  # that a hold had ended
            self.withheld |= JOBS.keys()
        for name in sorted(self.withheld):
            self.machine.rpc("start", units=[f"{name}.service"])
            self.machine.rpc("start", units=[f"{name}.timer"])
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        for name in JOBS:
            if name != "date":
                until(lambda name=name: self._goes_on(name, now), f"{name}.timer goes on", PEACE)
        self._dates()
        for name in JOBS:
            self._once(name)
            self._accounted(name)
        self.soak.count("runs of timers", sum(map(len, self.runs.values())))

    def _goes_on(self, name: str, since: float) -> bool:
        self._read()
        return any(run.began > since and run.realtime for run in self.runs[name])

    def _read(self) -> None:
        for name, tail in self._tails.items():
            for line in tail.lines():
                token, alone, realtime, monotonic, began = line.decode().split()
                assert alone == "alone", f"{name}: {token} began while another run was under way"
                run = Run(token, int(realtime) / MICRO, int(monotonic) / MICRO, float(began))
                self.runs[name].append(run)
        for event in self.news():
            name = event["unit"].removesuffix(".service")
            if event["kind"] == "unit.triggered" and name in JOBS:
                self.told[name].append(event["time"])

    def _dates(self) -> None:
        """The date of this round has come, once; also if nobody was there when it did."""
        if not self.due or self.soak.forgotten or "date" in self.withheld | self.changed:
            return

        def come() -> list[Run]:
            self._read()
            return [run for run in self.runs["date"] if run.realtime >= self.due]

        until(come, f"{self.date} is caught up on", PEACE)

    def _once(self, name: str) -> None:
        """No elapse has two runs, none comes too soon after another."""
        if self.soak.forgotten:
            return
        again = name in self.changed  # a commit restarts a job that runs
        runs = [run for run in self.runs[name] if run.realtime]
        tokens = [run.token for run in self.runs[name]]
        assert len(tokens) == len({*tokens}), f"{name}: {tokens}"
        for before, after in pairwise(runs):
            text = f"{name}: {before} and {after}"
            assert after.realtime > before.realtime or again, text
            if name in GAPS and name not in self.rearmed and not self.soak.unreachable:
                apart = after.monotonic - before.monotonic
                assert apart > GAPS[name] - 0.001 or again, text
            if name in ("tick", "slow") and name not in self.rearmed:
                assert int(after.realtime) > int(before.realtime) or again, text
            if name == "date":
                assert not (self.due and before.realtime >= self.due) or again, text

    def _accounted(self, name: str) -> None:
        """What is told and what has run take turns: an elapse, the word of it, the next elapse."""
        soak, now = self.soak, time.time()
        lenient = soak.forgotten or soak.events_lost or soak.exits_unseen or soak.unreachable
        lenient = lenient or soak.state_full or name in self.withheld | self.changed | self.rearmed

        since = self.cut.get(name, 0.0)

        def wrong() -> str:
            self._read()
            runs = [(run.realtime, 0) for run in self.runs[name] if run.realtime]
            turns = sorted([*runs, *((at, 1) for at in self.told[name])])
            turns = [turn for turn in turns if turn[0] >= since]
            if turns and turns[0][1]:
                turns.pop(0)  # of a run that was asked about
            for (at, what), (then, next_) in pairwise(turns):
                if what == next_ and at < now:
                    return f"{name}: {('elapsed', 'told')[what]} at {at} and {then}"
            untold = [at for at, what in turns[-1:] if at < now and not what]
            return f"{name}: elapsed at {untold}, and that is not told" if untold else ""

        if not lenient:
            eventually(wrong)
        self.cut[name] = now
        self.runs[name] = [run for run in self.runs[name] if run.realtime >= now]
        self.told[name] = [at for at in self.told[name] if at >= now]
