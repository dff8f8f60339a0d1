"""Rounds of blows against a real machine, and after each the question whether everything it says is true.

`python -m tests.faults.soak --rounds 1000 --seed 5` (`make soak ROUNDS=1000`). The same seed gives the same
blows; what they hit depends on the machine's mood. A round is ordinary life (commits, verbs, exits) with one
blow in its midst; then peace, and `oracle.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tests.e2e.harness import Machine, alive
from tests.faults import oracle, witnesses
from tests.faults.books import Books
from tests.faults.doors import Doors
from tests.faults.floods import FILES, SIZE, Floods
from tests.faults.guest import Guest
from tests.faults.timed import Timed
from tests.faults.weights import LONG

CONFIG = "settle_seconds = 0.2\npoll_interval = 2.0\n[logs]\n"
GUESTS = (Timed, Doors, Floods)
VERBS = ("stop", "stop", "restart", "try-restart", "start", "kill", "reset-failed")
SLICES = ("-.slice", "s.slice", "s-t.slice", "u.slice")
_OWN = re.compile(r"^(Slice|TasksMax|Environment=VALUE)=(.*)$", re.MULTILINE)
BROKEN = "[Service]\nExecStrat=/bin/true\n"


T = TypeVar("T")
G = TypeVar("G", bound=Guest)


class Soak:
    """One machine, its witnesses, and what may be expected of them after the present round."""

    STATE_SIZE: ClassVar = "16m"
    LOG_SIZE: ClassVar = "1g"

    def __init__(self, seed: int, witnesses: int = 12, guests: Iterable[type[Guest]] = ()) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        size = f"max_bytes = {SIZE}\nfiles = {FILES}\n" if guests else 'max_bytes = "1G"\n'
        self.machine = Machine(config=CONFIG + size)
        self.figures: Counter[str] = Counter()
        self.adoptions: list[float] = []
        notes = self.machine.root / "notes"
        notes.mkdir()
        shutil.copy(Path(__file__).with_name("witness.py"), self.machine.root / "witness.py")
        for mount, size in (
            (self.machine.state, self.STATE_SIZE),
            (self.machine.logs, self.LOG_SIZE),
        ):
            mount.mkdir(parents=True)
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)], check=True
            )
            self.machine.mounts.append(mount)
        self.books = Books(notes, self.machine.logs)
        self.wanted: dict[str, str] = {}  # witness -> the value it must have been started with
        self.limits: dict[str, tuple[str, int]] = {}  # witness -> its slice, and TasksMax=
        self.maybe_held: set[str] = set()
        self.orphans: list[int] = []  # loggers whose shim was killed
        self.settled: Counter[str] = Counter()  # lives whose end has been asked about
        self.told_until = 0.0  # seconds since 1970: of what came before, events were lost
        self._pool = ThreadPoolExecutor(4)
        self._next = 0
        self._broken = False
        self.committing = True
        self._witnesses = witnesses
        self._unread: dict[str, list[dict[str, Any]]] = {"": []}
        self.guests = [kind(self) for kind in guests]
        self._unread |= {type(guest).__name__: [] for guest in self.guests}
        self._clear()

    def start(self) -> Soak:
        """Start the daemon and give it its witnesses."""
        self.machine.start()
        files = self.changes([self._new_witness() for _ in range(self._witnesses)])
        for guest in self.guests:
            files |= guest.files()
        self.commit_files(files)
        oracle.check(self, {})
        return self

    def _clear(self) -> None:
        self.allowed: Counter[str] = Counter()  # starts that this round may bring
        self.slain: dict[str, list[int]] = defaultdict(list)
        self.verbs: list[tuple[str, str, Future[Any]]] = []
        self.calls: list[tuple[str, socket.socket]] = []
        self.changed: set[str] = set()
        self.moved: set[str] = set()
        self.unreachable = self.exits_unseen = self.events_lost = self.lines_lost = (
            self.forgotten
        ) = self.state_full = False
        self.refusals: list[str] = []  # of pushes
        for guest in self.guests:
            guest.begin()

    def close(self) -> None:
        """End everything; fails if anything is left."""
        self._pool.shutdown()
        self.machine.close()
        left = [pid for pid in self.orphans if alive(pid)]
        assert not left, f"loggers without a shim and without writers: {left}"

    # -- ordinary life ---------------------------------------------------------------------------

    def count(self, what: str, number: int = 1) -> None:
        """For the figures."""
        self.figures[what] += number

    def adopted(self, began: float) -> None:
        """A manager answers again, `began` monotonic seconds ago its predecessor ended."""
        self.adoptions.append(time.monotonic() - began)

    def allow_all(self, number: int = 1) -> None:
        """Every witness may be started that often in this round."""
        for name in self.wanted:
            self.allowed[name] += number

    def meanwhile(self, acts: int) -> None:
        """Life goes on."""
        for _ in range(acts):
            kinds = ["commit", "verb", "end", "end", "call"]
            kind = self.dice.choice(kinds + ["guest"] * len(self.guests))
            if kind == "commit" and self.committing:
                self.commit()
            elif kind == "verb":
                self.verb()
            elif kind == "call":
                self.call()
            elif kind == "guest":
                self.dice.choice(self.guests).live()
            else:
                self.ends(1)
            time.sleep(self.dice.random() * 0.06)

    @contextmanager
    def no_commits(self) -> Iterator[None]:
        """The repository is not there for committers either."""
        self.committing = False
        try:
            yield
        finally:
            self.committing = True

    def _new_witness(self) -> str:
        kind = self.dice.choice(witnesses.KINDS)
        self._next += 1
        return f"{kind}{self._next}"

    def _files(self, name: str, value: str = "") -> dict[str, str]:
        value, root = value or self.wanted[name], self.machine.root
        lies_in, tasks = self.limits.setdefault(name, (SLICES[0], 50))
        more = f"Slice={lies_in}\nTasksMax={tasks}\nEnvironment=VALUE={value}\n"
        return witnesses.files(root, name, more)

    def changes(self, changes: Iterable[str]) -> dict[str, str]:
        """Give witnesses another value, or their first: the files that a commit must have then."""
        files: dict[str, str] = {}
        for name in changes:
            self._next += 1
            self.wanted[name] = str(self._next)
            self.allowed[name] += 1
            self.changed.add(name)
            files |= self._files(name)
        return files

    def next_value(self, name: str) -> dict[str, str]:
        """The files of a witness with a value that it may come to have."""
        self._next += 1
        return self._files(name, str(self._next))

    def believe_head(self, before: str) -> None:
        """Who else commits decides what is wanted: read it off the branch."""
        changes = len(self.machine.git("rev-list", f"{before}..HEAD").split())
        files = self.machine.git("ls-tree", "--name-only", "HEAD")
        there = re.findall(r"^([a-z]+\d+)\.service$", files, re.MULTILINE)
        for name in sorted({*self.wanted, *there}):
            text = self.machine.git("show", f"HEAD:{name}.service", check=False)
            self.wanted.pop(name, None)
            self.changed.add(name)
            self.allowed[name] += changes + 1
            if found := dict(_OWN.findall(text)):
                self.wanted[name] = found["Environment=VALUE"]
                self.limits[name] = found["Slice"], int(found["TasksMax"])
        for guest in self.guests:  # what is theirs is as it was
            guest.commit()

    def _commit(self, changes: Iterable[str]) -> str:
        return self.commit_files(self.changes(changes))

    def commit_files(self, files: Mapping[str, str | None]) -> str:
        """A commit of these files (None removes one); its id."""
        repository = self.machine.repository
        repository.write(files)
        repository.git("add", "-A")
        repository.git("commit", "-q", "--allow-empty", "-m", "change")
        self.count("commits")
        return repository.git("rev-parse", "HEAD")

    def commit_change(self) -> str:
        """A commit that changes one witness; its id."""
        return self._commit([self.dice.choice(sorted(self.wanted))])

    def commit(self) -> None:
        """A commit of any kind."""
        names = sorted(self.wanted)
        kind = self.dice.choice(["change", "limits", "limits", "add", "remove", "words", "break"])
        if kind == "change":
            self._commit(self.dice.sample(names, 2))
        elif kind == "limits":
            asked = {unit for _, unit, _ in self.verbs}  # another definition would end a hold
            self.commit_limits([x for x in self.dice.sample(names, 4) if x not in asked])
        elif kind == "add" and len(names) < 20:
            self._commit([self._new_witness()])
        elif kind == "remove" and len(names) > 8:
            name = self.dice.choice(names)
            gone = dict.fromkeys(self._files(name))
            del self.wanted[name]
            self.changed.add(name)
            self.commit_files(gone)
        elif kind == "break":
            self._broken = True
            self.commit_files({"broken.service": BROKEN})
        elif self._broken:
            self.mend()
        else:
            name = self.dice.choice(names)
            files = self._files(name)
            self.commit_files({x: f"# words {self._next}\n{files[x]}" for x in files})

    def commit_limits(self, names: list[str]) -> None:
        """Others limits, other slices: live, so it brings no start."""
        files: dict[str, str | None] = {
            name: f"[Slice]\nTasksMax={self.dice.randrange(500, 600)}\n"
            for name in self.dice.sample(SLICES[1:], 1)
        }
        for name in names:
            self.moved.add(name)
            self.limits[name] = self.dice.choice(SLICES), self.dice.randrange(50, 90)
            files |= self._files(name)
        self.commit_files(files)
        self.count("live changes", len(files))

    def mend(self) -> None:
        """The last commit must be one that can be applied."""
        if self._broken:
            self._broken = False
            self.commit_files({"broken.service": None})

    def verb(self) -> None:
        """An operator asks for something; the answer is looked at in peace."""
        name = self.dice.choice(sorted(self.wanted))
        if name in {unit for _, unit, _ in self.verbs} | self.moved:
            return
        verb = self.dice.choice(VERBS)
        self.allowed[name] += 1
        self.maybe_held.add(name)
        more = {"signal": self.dice.choice([9, 15])} if verb == "kill" else {}
        done = self.aside(self.machine.ask, verb, units=[name], **more)
        self.verbs.append((verb, name, done))
        self.count("verbs")

    def call(self) -> None:
        """Somebody calls a witness."""
        names = [x for x in sorted(self.wanted) if witnesses.kind_of(x) == "called"]
        if names:
            self.call_of(self.dice.choice(names))

    def call_of(self, name: str) -> None:
        """Connect to a witness; the answer is looked for in peace."""
        self.allowed[name] += 1  # if an operator has just stopped it
        caller = socket.socket(socket.AF_UNIX)
        self.calls.append((name, caller))
        caller.settimeout(oracle.PEACE)
        try:
            caller.connect(str(witnesses.called_at(self.machine.root, name)))
        except OSError as error:
            caller.close()
            away = name in self.changed or self.unreachable or self.forgotten
            assert away, f"{name} cannot be called: {error}"
        else:
            self.count("calls")

    def aside(self, act: Callable[..., T], *args: Any, **more: Any) -> Future[T]:
        """Do it while other things happen."""
        return self._pool.submit(act, *args, **more)

    def wait_for_verbs(self) -> None:
        """All have been answered, or hung up on."""
        for _, _, done in self.verbs:
            done.exception()

    def ends(self, number: int) -> None:
        """Witnesses end by themselves or are killed."""
        running = self.books.running()
        victims = sorted(name for name, pids in running.items() if pids)
        for name in self.dice.sample(victims, min(number, len(victims))):
            signo = self.dice.choice([signal.SIGUSR1, signal.SIGKILL, signal.SIGABRT])
            self.allowed[name] += 1
            try:
                os.kill(running[name][0], signo)
            except ProcessLookupError:
                continue
            self.slain[name].append(signo)
            self.count("exits")

    # -- guests ----------------------------------------------------------------------------------

    def guest(self, kind: type[G]) -> G:
        """The guest of this kind."""
        return next(x for x in self.guests if isinstance(x, kind))

    def guests_own(self, unit: str) -> bool:
        """Whether a unit is no witness but a guest's."""
        return any(guest.owns(unit) for guest in self.guests)

    def news(self, reader: str = "") -> list[dict[str, Any]]:
        """New entries of the event log, for each who reads it."""
        new = self.books.events()
        for unread in self._unread.values():
            unread += new
        found, self._unread[reader] = self._unread[reader], []
        return found

    # -- rounds ----------------------------------------------------------------------------------

    def round(self, blow: Any = None) -> None:
        """One blow amid ordinary life (drawn if not given), peace, and the questions."""
        self._clear()
        before = oracle.remember(self)
        if blow is None:
            blow = self.dice.choices([*LONG], [*LONG.values()])[0]
        self.figures["rounds"] += 1
        try:
            self.meanwhile(self.dice.randrange(4))
            blow(self)
            self.meanwhile(self.dice.randrange(4))
            self.mend()
            self.wait_for_verbs()
            oracle.check(self, before)
        except Exception as error:
            said = self.machine.said()
            text = f"seed {self.seed}, round {self.figures['rounds']}, {blow.__name__}: {error}"
            raise AssertionError(f"{said}\n{text}") from error

    def report(self) -> str:
        """The figures, in lines."""
        books = self.books
        figures = {"lines": books.lines, "lost": len(books.lost), "doubled": len(books.doubled)}
        figures = {**dict(sorted(self.figures.items())), **figures}
        lines = [f"{number:8d}  {what}" for what, number in figures.items()]
        if self.adoptions:
            middle, worst = statistics.median(self.adoptions), max(self.adoptions)
            lines.append(f"adoption: median {middle:.2f} s, longest {worst:.2f} s")
        return "\n".join(lines)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--only", metavar="BLOW", help="this blow, every round")
    options = parser.parse_args()
    only = next((x for x in LONG if x.__name__ == options.only), None)
    print(f"seed {options.seed}", flush=True)
    soak = Soak(options.seed, guests=GUESTS)
    try:
        soak.start()
        for number in range(options.rounds):
            soak.round(only)
            if sys.stdout.isatty() or number % 25 == 24:
                print(f"round {number + 1}", flush=True)
    finally:
        print(soak.report(), flush=True)
        soak.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
