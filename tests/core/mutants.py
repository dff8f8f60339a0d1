"""Faults made on purpose, one line each, to prove that the tests of the core bite.

`python -m tests.core.mutants [COUNT]` copies the project for each, puts the fault in and runs the transcripts
and some histories: the mutant is killed if they fail. All of them, or COUNT spread over the list.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PARALLEL = 2
DEADLINE = 120.0  # seconds; a mutant that never comes to rest is killed as well


class Mutant(NamedTuple):
    """In `module`, `old` becomes `new`."""

    module: str
    old: str
    new: str


MUTANTS = (
    # Work that is done.
    Mutant("deploy", "        elif unit is not None and plan.still_done(state, unit):", "        elif False:"),
    Mutant("deploy", "state.unit, state.done = unit, unit.fingerprint\n            world.do(Keep(unit))",
           "state.done = unit.fingerprint"),
    Mutant("plan", "or state.done != old.fingerprint or state.result not in FINE:",
           "or state.done != old.fingerprint:"),
    Mutant("plan", "(Change.NONE, Change.LIVE)\n\n\ndef overlaps", "(Change.LIVE,)\n\n\ndef overlaps"),
    # Gates and wake-ups.
    Mutant("schedule", "if strict or not there(world, other):", "if False:"),
    Mutant("schedule", "if it is not None and not it.down:\n", "if False:\n"),
    Mutant("schedule", "if pending(world, other) or (it is not None and must_stop(world, it)):",
           "if pending(world, other):"),
    Mutant("schedule", "if pending(world, other) or (it is not None and must_stop(world, it)):",
           "if it is not None and must_stop(world, it):"),
    Mutant("schedule", "return other, \"has to stop first\"\n    return None", "pass\n    return None"),
    Mutant("schedule", "followers(world, name)):\n        state = world.units.get(other)",
           "followers(world, name)):\n        state = None"),
    Mutant("standing", "if state.stopping or state.restart_wanted:", "if state.stopping:"),
    Mutant("standing", "    return wanted(world, state.name) is None or unbound(world, state) is not None",
           "    return wanted(world, state.name) is None"),
    Mutant("schedule", "        _note_obstacles(world)\n        name = next", "        name = next"),
    Mutant("schedule", "look_at(world.graph.binds_to.to(name))\n            world.look_at(world.graph.req",
           "look_at(world.graph.req"),
    Mutant("schedule", "requisite.to(name))\n            _release_waiters(world, name)\n", "requisite.to(name))\n"),
    Mutant("standing", "if name in world.blocked or", "if False or"),
    Mutant("schedule", "elif state.done == unit.fingerprint and not _raised(world, state):", "elif state.done:"),
    Mutant("standing", "if state is not None and state.done == unit.fingerprint:\n        return False\n", ""),
    Mutant("standing", "unit is not None and unit.fingerprint != state.definition.fingerprint", "False"),
    Mutant("standing", "if state.sub is SubState.AUTO_RESTART and not direct and not restart_is_due(world, state):",
           "if state.sub is SubState.AUTO_RESTART:"),
    Mutant("schedule", "if follower is None or follower.down or", "if True or follower is None or follower.down or"),
    Mutant("schedule", "            relations.want_reload(world, state, \", \"", "            str(\", \""),
    Mutant("standing", "if name not in world.pulled and gives_way(world, name):", "if False:"),
    Mutant("schedule", "_adopt_definition(world, state, unit)\n    while", "pass\n    while"),
    Mutant("standing", "    return not bound and state.skipped\n", "    return state.skipped\n"),
    Mutant("standing", "if state is None or not graph.requisite.has(name, other):", "if True:"),
    Mutant("relations", "state.up and not state.restart_wanted:", "True:"),
    Mutant("relations", "            if other not in seen:\n", "            if False:\n"),
    Mutant("conditions", "        state.starts.pop()", "        pass"),
    Mutant("aftermath", "replaced(state.activation, variables=[])", "state.activation"),
    Mutant("past_order", "            yield other", "            pass"),
    Mutant("world", "        self.look_at(self.waiters.pop(name, ()))\n", ""),
    Mutant("world", "self.look_at((name, *self.graph.binds_to.to(name), ", "self.look_at((name, "),
    # The life of a service.
    Mutant("lifecycle", "if state.result is Result.SUCCESS:\n        state.result =",
           "if True:\n        state.result ="),
    Mutant("beginning", "    state.born = False\n", ""),
    Mutant("lifecycle", "replaced = state.ordered_stop or bool(state.restart_wanted)", "replaced = state.ordered_stop"),
    Mutant("lifecycle", "    state.restart_wanted = state.reload_wanted = \"\"\n    if again:", "    if again:"),
    Mutant("lifecycle", "        state.done = unit.fingerprint\n", "        pass\n"),
    Mutant("lifecycle", "            again = False\n", "            pass\n"),
    Mutant("lifecycle", "if strong and not unit[d.SEND_SIGKILL]:", "if False:"),
    Mutant("schedule", "bound is None and not state.taken_along", "bound is None"),
    Mutant("schedule", "and bound is None and not state", "and not state"),
    Mutant("killing", "and not (whole_tree and slot.pid):", "and not whole_tree:"),
    Mutant("killing", "if mode is KillMode.MIXED and final and not aborting:", "if False:"),
    Mutant("killing", "        return mode is KillMode.PROCESS\n", "        return True\n"),
    Mutant("exits", "state.tree_empty = empty and state.main is state.control is state.probe is None",
           "state.tree_empty = empty"),
    Mutant("exits", "    if pid is None and state.tree_empty:\n", "    if False:\n"),
    Mutant("transitions", "Cause.CRASHED: S.STOP_SIGTERM,\n    Cause.LEAVING",
           "Cause.CRASHED: S.STOP,\n    Cause.LEAVING"),
    Mutant("transitions", "Cause.DONE: S.FINAL_SIGTERM", "Cause.DONE: END"),
    Mutant("overlap", "if state is not None and state.invocation == invocation:\n        return state\n    if",
           "if state is not None:\n        return state\n    if"),
    Mutant("step", "return None if state is None or state.down else state", "return state"),
    # Policy.
    Mutant("restart", "    if _contains(unit[d.RESTART_PREVENT_EXIT_STATUS], last):\n        return False\n", ""),
    Mutant("restart", "return len(state.starts) >= burst", "return len(state.starts) > burst"),
    Mutant("restart", "daemon = main and unit[d.TYPE] is not ServiceType.ONESHOT", "daemon = main"),
    Mutant("health", "if health.failures >= retries:", "if health.failures > retries:"),
    Mutant("health", "    health.failures = 0\n", "    pass\n"),
    # Operators, commits, crashes.
    Mutant("choice", "        todo += ((other, True) for other in world.graph.requirements(current))\n", ""),
    Mutant("choice", "and state.hold is not None and not required and not held:", "and False:"),
    Mutant("answers", "if state.down or state.invocation != request.invocations.get(name, \"\"):", "if state.down:"),
    Mutant("operator", "underway = verb is Verb.START and state.starting", "underway = False"),
    Mutant("operator", "if not world.knowing:\n        world.postponed", "if False:\n        world.postponed"),
    Mutant("step", "judging = world.knowing and not world.stopping", "judging = True"),
    Mutant("schedule", "root = name if at_rest(world, name) else dead_end", "root = dead_end"),
    Mutant("deploy", "            return  # heard of it before: it is still to prove itself\n", "            pass\n"),
    Mutant("deploy", "        edges.undo(world.graph)\n", ""),
    Mutant("deploy", "changed |= guests.keys()", "pass"),
    Mutant("deploy", "unit.fingerprint != state.hold.fingerprint", "False"),
    Mutant("plan", "if state is not None and (state.done == new.fingerprint or", "if state is not None and (False or"),
    Mutant("plan", "_RANK[x.change] > reached", "True"),
    Mutant("plan", "_RANK[x.change] > reached", "False"),
    Mutant("plan", "if state is None or state.down or state.stopping:\n", "if state is None or state.stopping:\n"),
    Mutant("adoption", "    elif slot.pid:\n", "    elif False:\n"),
    Mutant("adoption", "        order_signals(world, state)\n", "        pass\n"),
    Mutant("adoption", "    if event.pid:\n", "    if True:\n"),
    Mutant("adoption", "        _repeat(world, state, slot.process)\n", "        pass\n"),
    Mutant("adoption", "    world.announced.add(event.process)\n", ""),
    Mutant("records", "    \"restart_wanted\",\n", ""),
    Mutant("records", "    \"deadline\",\n", ""),
    Mutant("records", "    \"done\",\n", ""),
    Mutant("dependency_resolver", "return name.endswith(\".target\") and not self",
           "return False and not self"),
    Mutant("graph_check", "sorted({*names, *(pulled - ran)})", "names"),
    # What the commit in force changes without changing a unit.
    Mutant("deploy", "            suspects.update(world.graph.missed_by(name))\n", "            pass\n"),
    Mutant("deploy", "| others\n", "\n"),
    Mutant("dependency_resolver", "self.requisite, self.triggers):", "self.triggers):"),
    Mutant("dependency_resolver", "self.requisite, self.triggers):", "self.requisite):"),
    Mutant("standing", "return state.up and not must_stop(world, state)", "return state.up"),
    Mutant("spawning", "    world.do(Keep(state.definition))", "    pass"),
    Mutant("conditions", "or state.control is not None:", "or False:"),
    Mutant("conditions", "in force.\n        lifecycle.enter(world, state, SubState.DEAD)", "in force."),
    Mutant("exits", "Cause.CRASHED if state.sub is", "Cause.FAILED if state.sub is"),
    Mutant("adoption", "        spawning.wait(world, state)\n        return\n", "        pass\n"),
    # Verdicts, and the way back from a failed commit.
    Mutant("verdicts", "reversed(world.goods) if x.sha != but", "reversed(world.goods)"),
    Mutant("verdicts", "in reversed(world.goods)", "in world.goods"),
    Mutant("verdicts", "held is not None and held.commit.sha == head else None", "held is not None else None"),
    Mutant("verdicts", "or applied.sha != held.commit.sha:\n        return None", "or True:\n        return None"),
    Mutant("verdicts", "    world.deploy = None\n", "    pass\n"),
    Mutant("verdicts", "sorted(deploy.touched - deploy.pending)", "sorted(deploy.touched)"),
    Mutant("verdicts", "    results.update(deploy.failed)\n", ""),
    Mutant("verdicts", "if verdict == \"failed\":", "if verdict == \"good\":"),
    Mutant("verdicts", "if world.verdicts.get(commit.sha) != verdict:", "if True:"),
    Mutant("verdicts", "    world.verdicts[commit.sha] = verdict\n", "    pass\n"),
    Mutant("verdicts", "        _record(world, outcome)\n    world.verdicts", "        pass\n    world.verdicts"),
    Mutant("verdicts", "records.order(world, f\"{records.OUTBOX}{event.delivery}\", None)", "pass"),
    Mutant("verdicts", "len(world.verdicts) - VERDICTS_KEPT", "0"),
    Mutant("verdicts", "if x is not None}\n    needed |=", "if False}\n    needed |="),
    Mutant("verdicts", "records.order(world, f\"verdict/{sha}\", None)", "pass"),
    Mutant("verdicts", "    if event.last:\n", "    if False:\n"),
    Mutant("verdicts", "elif event.channel not in outcome.told:", "elif True:"),
    Mutant("verdicts", "outcome.told.append(event.channel)\n        _record(world, outcome)",
           "outcome.told.append(event.channel)"),
    Mutant("verdicts", "== \"keep\" or to is None", "== \"keep\""),
    Mutant("verdicts", "world.settings.on_failure == \"keep\" or to", "to"),
    Mutant("verdicts", "revert=world.settings.on_failure == \"revert\"", "revert=False"),
    Mutant("verdicts", "    world.held_back = held\n", "    pass\n"),
    Mutant("verdicts", "not event.stand_in or event.commit.sha != held.to.sha", "event.commit.sha != held.to.sha"),
    Mutant("verdicts", "before is None or before.sha != held.commit.sha", "before is None"),
    Mutant("verdicts", "        _try_again(world, name)\n\n\ndef moved_on", "        pass\n\n\ndef moved_on"),
    Mutant("verdicts", "not event.stand_in and event.commit.sha != held.commit.sha", "not event.stand_in"),
    Mutant("verdicts", "held is not None and not event.stand_in and", "held is not None and"),
    Mutant("verdicts", "state.result not in FINE and state.hold is None", "state.hold is None"),
    Mutant("verdicts", "            state.restart_at = world.now\n", "            pass\n"),
    Mutant("verdicts", "        state.done = \"\"\n", "        pass\n"),
    Mutant("verdicts", "held.commit.sha == event.sha:\n        world.held_back = None",
           "held.commit.sha == event.sha:\n        pass"),
    Mutant("verdicts", "head not in (None, held.commit.sha)", "head is None"),
    Mutant("verdicts", "head not in (None, held.commit.sha)", "head != held.commit.sha"),
    # Which commit changed a unit.
    Mutant("attribution", "before is not None or world.applied is None", "True"),
    Mutant("attribution", "before is not None or world.applied is None", "before is not None"),
    Mutant("attribution", "last_good(world, commit.sha)", "last_good(world, \"\")"),
    Mutant("attribution", "            if texts:\n", "            if True:\n"),
    Mutant("attribution", "elif old is None and new.has_files and known:", "elif old is None and known:"),
    Mutant("attribution", "            gone.append(name)\n", "            pass\n"),
    Mutant("attribution", "        world.changes.pop(name, None)\n", "        pass\n"),
    Mutant("attribution", "sorted(replaced - left)", "sorted(replaced)"),
    Mutant("attribution", "sorted(replaced - left)", "()"),
    Mutant("attribution", "for n, x in world.changes.items() if x.commit.sha == commit.sha",
           "for n, x in found.items()"),
    Mutant("attribution", "        world.serial += 1\n", ""),
    Mutant("attribution", "    return state.unit if state is not None else None", "    return None"),
    Mutant("attribution", "\"rollback\": change.good or None", "\"rollback\": None"),
    Mutant("attribution", "or \"new\"", "or \"\""),
    Mutant("attribution", "change.differences[:_SHOWN]", "change.differences"),
    Mutant("attribution", "if len(change.differences) > _SHOWN:", "if False:"),
    # Why, and what differs.
    Mutant("why", "return \"stops\" if standing.must_stop(world, state) else \"runs\"", "return \"runs\""),
    Mutant("why", "    if state.starting:\n        return \"starts\"\n", ""),
    Mutant("why", "    if state.stopping:\n        return \"stops\"\n", ""),
    Mutant("why", "unit is None or state.done == unit.fingerprint", "unit is None"),
    Mutant("why", "unit is None or state.done == unit.fingerprint", "unit is not None and bool(state.done)"),
    Mutant("why", "    if name not in world.pulled:\n        return []\n", ""),
    Mutant("why", "todo.popleft()", "todo.pop()"),
    Mutant("why", "for relation, _ in _pulling(world)", "for relation in (world.graph.wants,)"),
    Mutant("why", "            if other in world.pulled\n", ""),
    Mutant("why", "    if unit.masked:\n", "    if False:\n"),
    Mutant("why", "        above = chain[-2]\n", "        above = chain[0]\n"),
    Mutant("why", "    elif state.demanded:\n", "    elif False:\n"),
    Mutant("why", "    if state.hold is not None:\n", "    if False:\n"),
    Mutant("why", "    if name in world.blocked:\n", "    if False:\n"),
    Mutant("why", "    if world.stopping:\n", "    if False:\n"),
    Mutant("why", "if state.restart_wanted and not state.down:", "if False:"),
    Mutant("why", "    if state.waits_for:\n", "    if False:\n"),
    Mutant("why", "obstacle is not None and obstacle != state.waits_for", "obstacle is not None"),
    Mutant("why", "standing.dead_end(world, state.name) if state.down else None", "None"),
    Mutant("why", "(state.restart_at or now) - now", "0.0"),
    Mutant("why", "elif state.down and state.finished:", "elif False:"),
    Mutant("why", "elif state.down and state.done:", "elif False:"),
    Mutant("why", "\"ended by itself\" if state.result is Result.SUCCESS else", "\"ended by itself\" if False else"),
    Mutant("why", "    if state.sub is SubState.START:\n", "    if False:\n"),
    Mutant("drift", "set(world.pulled) | {name for name in world.units if not is_second(name)}",
           "set(world.pulled)"),
    Mutant("drift", "    if state.hold is not None:\n", "    if False:\n"),
    Mutant("drift", "not (name in world.pulled or name in meant)", "name not in meant"),
    Mutant("drift", "not (name in world.pulled or name in meant)", "name not in world.pulled"),
    Mutant("drift", "state.demanded and state.up and", "state.up and"),
    Mutant("drift", "state.done == unit.fingerprint and not (state.finished or state.skipped)",
           "state.done == unit.fingerprint and not state.skipped"),
    Mutant("drift", "state.done == unit.fingerprint and not (state.finished or state.skipped)",
           "state.done == unit.fingerprint and not state.finished"),
    Mutant("drift", "state.down and state.done == unit.fingerprint and", "state.down and"),
    Mutant("drift", "and not state.restart_wanted:", "and True:"),
    Mutant("drift", "(Change.RESTART, Change.RELOAD)", "(Change.RESTART, Change.RELOAD, Change.LIVE)"),
    Mutant("drift", "(Change.RESTART, Change.RELOAD)", "(Change.RESTART,)"),
    Mutant("drift", "state.sub is SubState.FAILED or state.result is not Result.SUCCESS", "False"),
    # What holds where features meet.
    Mutant("past_order", "unit.settings != state.unit.settings", "False"),
    Mutant("past_order", " or state.invocation != invocation:", ":"),
    Mutant("sockets", "and not standing.must_stop(world, state)", ""),
    Mutant("sockets", "    if triggers.is_due(world, state):\n", "    if False:\n"),
    Mutant("sockets", "tuple(world.units.values()):", "world.units.values():"),
    Mutant("sockets", "if state.sub in OPEN and state.name not in event.owners:",
           "if state.name in event.owners:\n            continue\n        if state.sub in OPEN:"),
    Mutant("lifecycle", "        state.demanded = False  # whoever", "        pass  # whoever"),
    Mutant("lifecycle", "            state.demanded, state.activation = False, None", "            pass"),
    Mutant("beginning", "            if not state.demanded:", "            if True:"),
    Mutant("triggers", "and state.down and start", "and start"),
    Mutant("relations", "if state.sub in (SubState.START, SubState.START_POST):", "if False:"),
    Mutant("deploy", "    if reload.refused(state):\n", "    if False:\n"),
    Mutant("deploy", ", *before.templates}", "}"),
    Mutant("dependency_resolver", "            if \"@.\" in name:\n", "            if False:\n"),
    Mutant("schedule", "        concerned = name in world.blocked.values()", "        concerned = False"),
    Mutant("schedule", "world.look_at((name, *world.graph.unneeded_without(name)))", "world.look_at((name,))"),
    Mutant("records", "    \"unread\",\n", ""),
    # Who was taken along, what a start takes along, and who is late.
    Mutant("standing", "if leader is None or at_rest(world, leader.name):", "if leader is None:"),
    Mutant("standing", "\"\" if back or name", "\"\" if name"),
    Mutant("standing", "        leader = _taken_along_by(world, leader)\n    return",
           "        leader = \"\"\n    return"),
    Mutant("standing", "or state.result in FINE:", "or False:"),
    Mutant("choice", "                    todo.append(other)", "                    pass"),
    Mutant("choice", "if other in along and other", "if other"),
    Mutant("deploy", "(state.demanded or state.hold is not None)", "state.demanded"),
    Mutant("deploy", "            state.hold = None\n            world.touch(name)", "            state.hold = None"),
    Mutant("deploy", "    suspects &= units.units.keys()\n", ""),
    Mutant("deploy", "*before.units, ", ""),
    Mutant("deploy", "if len(errors) > len(shown):", "if True:"),
    Mutant("step", "world.spared.pop(name, world.grace)", "world.grace"),
    Mutant("step", "        if world.now < grace:", "        if False:"),
    Mutant("relations", "if other is None or (other.down and other.sub is not SubState.AUTO_RESTART):",
           "if other is None:"),
    Mutant("relations", "and not other.stopping and", "and"),
    Mutant("schedule", "Result.START_LIMIT_HIT, *UNBEGUN", "Result.START_LIMIT_HIT,"),
    Mutant("triggers", "if state.up or state.starting or", "if state.up or"),
    Mutant("triggers", "world.pulled and standing.wanted(world, other):", "world.pulled:"),
    Mutant("conditions", "        state.demanded, state.activation = False, None", "        pass"),
    Mutant("killing", " or state.last_exit.code:\n        return", ":\n        return"),
    Mutant("lifecycle", "    else:\n        watch_rest(world, state)", "    else:\n        pass"),
    Mutant("verdicts", ", *world.goods) if x", ") if x"),
    # Slices, and what a signal is for.
    Mutant("edges", "Edge(\"requires\", name, other, name, unit.where(SLICE))",
           "Edge(\"wants\", name, other, name, unit.where(SLICE))"),
    Mutant("dependency_resolver", "            yield from self.stop_closure([name])\n", "            pass\n"),
    Mutant("graph_check", "unit.masked and other not in around:", "unit.masked and not other.endswith(\"slice\"):"),
    Mutant("choice", "if other != name and unit is not None and unit.masked:", "if False:"),
    Mutant("triggers", "return name if state is not None and state.hold is not None else world", "return world"),
    Mutant("triggers", "state.hold is not None else world.blocked.get(name)", "state.hold is not None else None"),
    Mutant("operator", "if verb in STOPS and state.name == ROOT:", "if False:"),
    Mutant("operator", "        state.restarting = True  # what", "        pass  # what"),
    Mutant("operator", "state.demanded = state.restarting = False", "state.demanded = False"),
    Mutant("killing", "state.sub is SubState.STOP_SIGTERM and state.restarting", "not strong and state.restarting"),
    Mutant("listening", "    if state.unit is None:  # it has", "    if False:  # it has"),
    Mutant("sockets", "    if outcome is Outcome.STARTED:\n", "    if True:\n"),
    Mutant("records", "    \"restarting\",\n", ""),
    # What outlives its time, or its manager.
    Mutant("failing", "if sub in (SubState.STOP_SIGKILL, SubState.FINAL_SIGKILL):", "if False:"),
    Mutant("adoption", "        watch_rest(world, state)  # a second", "        pass  # a second"),
    Mutant("adoption", "if not is_valid_slice(state.name):", "if False:"),
    Mutant("beginning", "            if not state.demanded:", "            if False:"),
    Mutant("beginning", "state.reload_wanted = state.reload_failed = state.unread", "state.reload_wanted"),
    Mutant("dependency_resolver", "                    todo.append(each)", "                    pass"),
)  # fmt: skip


NONE = Mutant("step", "import heapq", "import heapq")


def is_killed(mutant: Mutant) -> bool:
    """Whether the tests fail with this fault."""
    with tempfile.TemporaryDirectory(prefix="gitproc-mutant-") as place:
        copy = Path(place)
        shutil.copytree(
            ROOT / "gitproc", copy / "gitproc", ignore=shutil.ignore_patterns("__pycache__")
        )
        for folder in ("core", "units"):
            shutil.copytree(ROOT / "tests" / folder, copy / "tests" / folder)
        path = copy / "gitproc" / "core" / f"{mutant.module}.py"
        text = path.read_text()
        if text.count(mutant.old) != 1:
            raise ValueError(f"{mutant.module}: {text.count(mutant.old)} times {mutant.old!r}")
        path.write_text(text.replace(mutant.old, mutant.new))
        transcripts = sorted(
            str(x.relative_to(copy))
            for x in (copy / "tests" / "core").glob("test_*.py")
            if x.name not in ("test_mutants.py", "test_histories.py", "test_state_machine.py")
        )
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-k", "not grows"]
        return not (
            _passes(copy, "pytest", *options, *transcripts)
            and _passes(copy, "tests.core.histories", "0:40")
            and _passes(copy, "tests.core.histories", "0:60", "crash")
            and _passes(copy, "tests.core.histories", "0:40", "plan")
            and _passes(copy, "tests.core.histories", "0:60", "rich")
            and _passes(copy, "tests.core.histories", "0:40", "rich-crash")
        )


def _passes(place: Path, module: str, *arguments: str) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-m", module, *arguments],
            cwd=place,
            env={"PYTHONPATH": str(place), "PATH": "/usr/bin:/bin", "HOME": str(place)},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def survivors(mutants: tuple[Mutant, ...]) -> list[Mutant]:
    """Those that no test notices."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        killed = list(pool.map(is_killed, mutants))
    return [mutant for mutant, dead in zip(mutants, killed, strict=True) if not dead]


def sample(count: int) -> tuple[Mutant, ...]:
    """`count` of them, spread over the list."""
    return MUTANTS[:: max(1, len(MUTANTS) // count)][:count]


def main() -> None:
    """Run all of them, or as many as the command line says."""
    chosen = sample(int(sys.argv[1])) if len(sys.argv) > 1 else MUTANTS
    if is_killed(NONE):
        sys.exit("the tests fail without any fault")
    alive = survivors(chosen)
    for mutant in alive:
        print(f"survived: {mutant.module}: {mutant.old.strip()!r} -> {mutant.new.strip()!r}")
    print(f"{len(chosen) - len(alive)} of {len(chosen)} mutants killed")
    sys.exit(bool(alive))


if __name__ == "__main__":
    main()
