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
    Mutant("standing", "return state is None or state.up or not graph.requisite.has(name, other)", "return True"),
    Mutant("relations", "state.up and not state.restart_wanted:", "True:"),
    Mutant("relations", "            if other not in seen:\n", "            if False:\n"),
    Mutant("conditions", "        state.starts.pop()", "        pass"),
    Mutant("aftermath", "replace(state.activation, variables=())", "state.activation"),
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
    Mutant("killing", "and not (whole_tree and slot.pid):", "and not whole_tree:"),
    Mutant("killing", "if mode is KillMode.MIXED and final and not aborting:", "if False:"),
    Mutant("killing", "        return mode is KillMode.PROCESS\n", "        return True\n"),
    Mutant("exits", "state.tree_empty = empty and state.main is state.control is state.probe is None",
           "state.tree_empty = empty"),
    Mutant("exits", "    if pid is None and state.tree_empty:\n", "    if False:\n"),
    Mutant("transitions", "(S.RUNNING, Cause.CRASHED): S.STOP_SIGTERM", "(S.RUNNING, Cause.CRASHED): S.STOP"),
    Mutant("transitions", "(S.STOP_POST, Cause.DONE): S.FINAL_SIGTERM", "(S.STOP_POST, Cause.DONE): END"),
    Mutant("step", "or state.invocation != invocation or state.down:", "or state.down:"),
    Mutant("step", "or state.invocation != invocation or state.down:", "or state.invocation != invocation:"),
    # Policy.
    Mutant("restart", "    if _contains(unit[d.RESTART_PREVENT_EXIT_STATUS], last):\n        return False\n", ""),
    Mutant("restart", "return len(state.starts) >= burst", "return len(state.starts) > burst"),
    Mutant("restart", "daemon = main and unit[d.TYPE] is not ServiceType.ONESHOT", "daemon = main"),
    Mutant("health", "if health.failures >= retries:", "if health.failures > retries:"),
    Mutant("health", "    health.failures = 0\n", "    pass\n"),
    # Operators, commits, crashes.
    Mutant("operator", "        todo += ((other, True) for other in world.graph.requirements(current))\n", ""),
    Mutant("operator", "and state.hold is not None and not required:", "and False:"),
    Mutant("operator", "if state.down or state.invocation != request.invocations.get(name, \"\"):", "if state.down:"),
    Mutant("operator", "underway = event.verb is Verb.START and state.starting", "underway = False"),
    Mutant("operator", "if not world.knowing:\n        world.postponed", "if False:\n        world.postponed"),
    Mutant("step", "judging = world.knowing and not world.stopping", "judging = True"),
    Mutant("schedule", "root = name if at_rest(world, name) else dead_end", "root = dead_end"),
    Mutant("deploy", "            return  # heard of it before: it is still to prove itself\n", "            pass\n"),
    Mutant("deploy", "        edges.undo(world.graph)\n", ""),
    Mutant("deploy", "changed |= guests.keys()", "pass"),
    Mutant("deploy", "unit.fingerprint != state.hold.fingerprint", "False"),
    Mutant("plan", "if state is not None and state.done == new.fingerprint:\n", "if False:\n"),
    Mutant("plan", "if state is None or state.down or state.stopping:\n", "if state is None or state.stopping:\n"),
    Mutant("adoption", "    elif slot.pid:\n", "    elif False:\n"),
    Mutant("adoption", "        order_signals(world, state)\n", "        pass\n"),
    Mutant("adoption", "        _repeat(world, state, slot.process)\n", "        pass\n"),
    Mutant("adoption", "    world.announced.add(event.process)\n", ""),
    Mutant("records", "    \"restart_wanted\",\n", ""),
    Mutant("records", "    \"deadline\",\n", ""),
    Mutant("records", "    \"done\",\n", ""),
    Mutant("dependency_resolver", "return name.endswith(\".target\") and not self",
           "return False and not self"),
    Mutant("graph_check", "sorted({*names, *(pulled - ran)})", "names"),
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
