"""A machine for the core alone: clock, processes, shim, cgroups and disk, all pretended and deterministic.

`Machine` carries out the manager's orders, as the daemon, the shim and the kernel would, and is what tests
ask: `fake_programs` says what commands do, `fake_processes` how they live, `fake_manager` who orders them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.core.actions import (
    Acknowledge,
    Action,
    Adopt,
    Announce,
    AskHostUnits,
    CheckConditions,
    Exit,
    FindMain,
    GoBack,
    Keep,
    Probe,
    Publish,
    Release,
    Reply,
    Signal,
    SignalTree,
    Spawn,
    UnwatchPaths,
    WatchPaths,
    WatchTree,
)
from gitproc.core.events import (
    CommitLoaded,
    OperatorAsked,
    Verb,
)
from gitproc.core.socket_orders import SocketOrder
from gitproc.core.unit_state import UnitState
from gitproc.core.world import Settings
from gitproc.units.specifiers import Host
from tests.core.fake_manager import Manager
from tests.core.fake_processes import Proc, as_line
from tests.core.fake_programs import INSTANT, KILL, PROGRAMS, RUN, TERM, Program
from tests.units.trees import HOST

__all__ = ["INSTANT", "KILL", "PROGRAMS", "RUN", "TERM", "Machine", "Proc", "Program", "service"]


class Machine(Manager):
    """The pretended machine, and everything that was seen to happen."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        programs: Mapping[str, Program] | None = None,
        settings: Settings | None = None,
        host: Host = HOST,
    ) -> None:
        self.replies: dict[int, dict[str, dict[str, Any]]] = {}
        self.published = ""
        self._request = 0
        super().__init__(files, programs, settings, host)

    def perform(self, action: Action) -> None:
        """Carry out one order."""
        if isinstance(action, SocketOrder):
            self.sockets.perform(action)
            return
        match action:
            case Keep(unit):
                self.definitions[unit.fingerprint] = unit
            case Spawn(process, unit, command, _, first):
                self.definitions[unit.fingerprint] = unit
                if first:
                    self._end_strangers(unit)
                self._spawn(process, unit.name, command.path, command.argv)
            case Signal(process, signal):
                if process in self.shim.born:
                    self.kill(self.shim.born[process], signal)
                elif process in self.shim.pending:
                    self.shim.pending[process].append(signal)
            case SignalTree(unit_name, _, signal, spare):
                for proc in self.alive(unit_name):
                    if proc.pid not in spare:
                        self.kill(proc, signal)
            case WatchTree(unit_name, invocation):
                self._watches[unit_name] = invocation
                self._look_empty(unit_name)
            case FindMain(unit, invocation):
                self.mail.append(self._find_main(unit, invocation))
            case Adopt(process, pid, start):
                self._adopt(process, self.procs.get(pid), start)
            case Release(unit):
                self.sockets.close(unit.name)
                self._watches.pop(unit.name, None)
                self._probing.pop(unit.name, None)
            case Probe(unit, invocation):
                self._begin_probe(unit.name, invocation)
            case CheckConditions(unit, invocation):
                self.answer_after(INSTANT, lambda: self._check(unit, invocation))
            case WatchPaths(unit, invocation):
                self._path_units[unit.name] = (unit, invocation)
                self._look_at_paths(unit.name, begun=True)
            case UnwatchPaths(unit_name):
                self._path_units.pop(unit_name, None)
            case Publish(sha):
                self.published = sha
            case Reply(request, outcomes):
                assert request not in self.replies, "answered twice"
                self.replies[request] = dict(outcomes)
            case Acknowledge(sequence):
                exited = self.shim.exits.pop(sequence, None)
                if exited is not None:
                    del self.shim.born[exited.process]
            case Exit():
                self.exited = True
            case AskHostUnits(names):
                self.answer_after(INSTANT, lambda: self._answer_host(names))
            case GoBack(to):
                meta, units = self._commits[to.sha]
                self.mail.append(CommitLoaded(meta, units, again=True, stand_in=True))
            case _:  # told to people, or kept by the turn
                pass

    def ask(self, verb: Verb, *names: str, signal: int = TERM, whom: str = "all") -> int:
        """An operator asks; returns the number of the request."""
        self._request += 1
        self.post(OperatorAsked(verb, names, self._request, "op", signal, whom, 0.0))
        return self._request

    # -- what tests ask --------------------------------------------------------------------------

    def state(self, name: str) -> UnitState:
        """The state of a unit; a fresh one if the world has none."""
        return self.world.units.get(name) or UnitState(name)

    def sub(self, name: str) -> str:
        """The sub-state of a unit."""
        return self.state(name).sub.value

    def subs(self, *names: str) -> dict[str, str]:
        """The sub-states of units, or of all services."""
        chosen = names or sorted(n for n in self.world.units if n.endswith(".service"))
        return {name: self.sub(name) for name in chosen}

    def told(self, kind: str = "", unit: str | None = None) -> list[str]:
        """What was announced, as `kind unit: message`."""
        return [
            f"{a.kind} {a.unit}: {a.message}"
            for _, a in self.actions
            if isinstance(a, Announce) and a.kind.startswith(kind) and unit in (None, a.unit)
        ]

    def spawns(self, unit: str | None = None) -> list[str]:
        """The commands ordered, by base name and arguments."""
        return [
            as_line(a.command.argv)
            for _, a in self.actions
            if isinstance(a, Spawn) and unit in (None, a.unit.name)
        ]

    def orders(self, kind: type[Action], unit: str | None = None) -> list[Any]:
        """All orders of one class (about one unit)."""
        found = []
        for _, action in self.actions:
            if not isinstance(action, kind):
                continue
            owner = getattr(action, "process", None) or getattr(action, "unit", None)
            name = (
                owner
                if isinstance(owner, str)
                else getattr(owner, "unit", None) or getattr(owner, "name", None)
            )
            if unit in (None, name):
                found.append(action)
        return found

    def main(self, unit: str) -> Proc:
        """The main process of a unit."""
        running = self.state(unit).main
        assert running is not None, f"{unit} has no main process"
        return self.procs[running.pid]

    def verdict(self, sha: str) -> str | None:
        """What became of a commit."""
        return self.world.verdicts.get(sha)

    def answer(self, request: int, name: str) -> str:
        """The result that a request got for a unit; empty while there is none."""
        outcome = self.replies.get(request, {}).get(name)
        return str(outcome["result"]) if outcome else ""


def service(*lines: str, unit: str = "", install: bool = True, own: str = "") -> str:
    """The text of a service: [Service] lines; `ExecStart=/bin/run` unless they say otherwise."""
    body = list(lines)
    if not any(line.startswith("ExecStart=") for line in body):
        body.insert(0, "ExecStart=/bin/run")
    text = f"[Unit]\n{unit}\n[Service]\n" + "\n".join(body) + "\n"
    if own:
        text += f"[X-GitProc]\n{own}\n"
    if install:
        text += "[Install]\nWantedBy=multi-user.target\n"
    return text
