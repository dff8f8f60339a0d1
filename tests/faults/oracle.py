"""In peace after a round: does the machine run what the branch says, once, and did it tell the truth?

The witnesses' own books are believed; everything that GitProc says is held against them.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.harness import PAUSE
from tests.faults.books import Life, token_of
from tests.faults.witnesses import STEPS, kind_of

if TYPE_CHECKING:
    from tests.faults.soak import Soak

OWN_STATUS = 7  # of a witness that was asked to end by SIGUSR1
PEACE = 60.0  # seconds until everything must be as the branch says
_BESIDE = frozenset({"multi-user.target", "basic.target", "sysinit.target", "default.target"})
PLACES = {
    "-.slice": "",
    "s.slice": "s.slice/",
    "s-t.slice": "s.slice/s-t.slice/",
    "u.slice": "u.slice/",
}
_EXIT = re.compile(r"main process (\d+) ")


def remember(soak: Soak) -> dict[str, int]:
    """How many lives every witness has had before a round."""
    soak.books.read()
    return {name: len(found) for name, found in soak.books.lives.items()}


def check(soak: Soak, before: dict[str, int]) -> None:
    """AssertionError says what is not true."""
    held = _held(soak)
    _until_peace(soak, held)
    if soak.forgotten:  # that an earlier hold had ended
        soak.maybe_held |= {x["name"].removesuffix(".service") for x in _units(soak) if x["hold"]}
    for name in sorted(soak.maybe_held & soak.wanted.keys()):
        answer = soak.machine.rpc("start", units=[name])
        outcome = answer["units"][f"{name}.service"]
        assert outcome["result"] == "done", f"start {name}: {outcome}"
        soak.allowed[name] += 1
    soak.maybe_held.clear()
    _until_peace(soak, set())
    _calls(soak)
    books = soak.books
    assert not books.twice, books.twice
    for name, lives in books.lives.items():
        new = lives[before.get(name, 0) :]
        if soak.forgotten and name not in soak.wanted:
            continue  # beside a HEAD that is refused, an old commit is the last that is remembered
        text = f"{name} was started {len(new)} times, for {soak.allowed[name]} reasons"
        assert len(new) <= soak.allowed[name], text
    ended = _ended(soak)
    _events(soak, before, ended)
    _steps(soak)
    _lines(soak, ended)
    for guest in soak.guests:
        guest.check()
    _log(soak)


def eventually(wrong: Callable[[], str]) -> None:
    """Wait until nothing is wrong; AssertionError says what is."""
    deadline = time.monotonic() + PEACE
    while text := wrong():
        assert time.monotonic() < deadline, text
        time.sleep(5 * PAUSE)


def _held(soak: Soak) -> set[str]:
    """Witnesses that an operator was told are stopped, and that nothing has started since."""
    found = set()
    for verb, name, done in soak.verbs:
        if done.exception() is not None or verb != "stop" or soak.forgotten:
            continue
        answer = done.result()
        units = answer.get("result", {}).get("units", {})
        stopped = units.get(f"{name}.service", {}).get("result") == "done"
        called = any(name == other for other, _ in soak.calls)
        if stopped and name not in soak.changed and name in soak.wanted and not called:
            found.add(name)
    return found


def _until_peace(soak: Soak, held: set[str]) -> None:
    def wrong() -> str:
        problems = _problems(soak, held)
        return "no peace: " + "; ".join(problems) if problems else ""

    eventually(wrong)


def _units(soak: Soak) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = soak.machine.rpc("status")["units"]
    return found


def _problems(soak: Soak, held: set[str]) -> list[str]:
    head = soak.machine.git("rev-parse", "HEAD")
    try:
        status = soak.machine.rpc("status")
    except OSError as error:
        return [f"no answer: {error}"]
    commit = status["commit"]
    if not commit["applied"] or commit["applied"]["sha"] != head or commit["error"]:
        return [f"HEAD is {head}, the manager says {commit}"]
    units = {u["name"].removesuffix(".service"): u for u in status["units"]}
    soak.books.read()
    running = soak.books.running()
    found = [
        f"{name} runs ({pids}) and is not wanted"
        for name, pids in running.items()
        if pids and (name not in soak.wanted or name in held)
    ]
    found += [
        f"{name} is {unit['sub_state']} still"
        for name, unit in units.items()
        if (name not in soak.wanted or name in held)
        and unit["active_state"] not in ("inactive", "failed")
        and name.removesuffix(".socket") not in {*_BESIDE, *PLACES, *soak.wanted}
        and not soak.guests_own(name)
    ]
    found += [
        f"{name}.socket is {units.get(f'{name}.socket')}"
        for name in soak.wanted
        if kind_of(name) == "called"
        and units.get(f"{name}.socket", {}).get("sub_state") != "running"
        and not (name in held or (name in soak.maybe_held and units.get(name, {}).get("hold")))
    ]
    for name, value in soak.wanted.items():
        unit, pids, lives = units.get(name, {}), running.get(name, []), soak.books.lives[name]
        perhaps = soak.forgotten or name in soak.maybe_held
        if name in held or (perhaps and not pids and unit.get("hold")):
            continue
        if len(pids) != 1 or unit.get("sub_state") != "running" or unit.get("main_pid") != pids[0]:
            shown = {key: unit.get(key) for key in ("sub_state", "main_pid", "hold", "reason")}
            found.append(f"{name}: {pids}, {shown}")
        elif wrong := _misplaced(soak, name, pids[0]):
            found.append(f"{name}: {wrong}")
        elif not lives or lives[-1].value != value or lives[-1].token != token_of(pids[0]):
            found.append(f"{name}: {lives[-1:]} instead of {value}")
    return found


def _misplaced(soak: Soak, name: str, pid: int) -> str:
    """What is not so of its slice, of its limit, or of its going on."""
    lies_in, tasks = soak.limits[name]
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")
    except OSError as error:
        return str(error)
    ours = {
        x.partition(f"/{soak.machine.group}/")[2] for x in text.split() if soak.machine.group in x
    }
    if ours != {PLACES[lies_in] + name}:
        return f"is in {ours} and belongs in {lies_in}"
    groups = [x for x in soak.machine.groups() if x.name == name]
    if len({str(x).partition(soak.machine.group)[2] for x in groups}) != 1:
        return f"has groups at {[*map(str, groups)]}"
    for group in groups:
        frozen = group / "cgroup.events"
        if frozen.exists() and "frozen 1" in frozen.read_text(encoding="ascii"):
            return "is frozen"
        limit = group / "pids.max"
        if limit.exists() and limit.read_text(encoding="ascii") != f"{tasks}\n":
            return f"may have {limit.read_text(encoding='ascii')} tasks and not {tasks}"
    return ""


def _calls(soak: Soak) -> None:
    """Who called is answered, if perhaps by a successor, or knows that nobody will; who calls now is at once."""
    for name in sorted(soak.wanted):
        if kind_of(name) == "called":
            soak.call_of(name)
            token = soak.calls[-1][1].recv(100).decode()
            assert token == soak.books.lives[name][-1].token, f"{name} answers {token!r}"
    for name, caller in soak.calls:
        with caller, suppress(ConnectionResetError):
            if caller.fileno() < 0:
                continue
            try:
                token = caller.recv(100).decode()
            except TimeoutError:
                raise AssertionError(f"{name} does not answer") from None
            known = {life.token for life in soak.books.lives[name]}
            assert not token or token in known, f"{name} answers {token!r}"


def _ended(soak: Soak) -> dict[str, list[Life]]:
    """Lives that have ended and were not asked about before, in order."""
    found: dict[str, list[Life]] = {}
    for name, lives in soak.books.lives.items():
        first, last = soak.settled[name], len(lives) - (name in soak.wanted)
        soak.settled[name] = last
        if last > first:
            found[name] = lives[first:last]
    return found


def _events(soak: Soak, before: dict[str, int], ended: dict[str, list[Life]]) -> None:
    """Every end is told once, in order, with its status; every life was announced."""
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    starts: dict[str, int] = defaultdict(int)
    for event in soak.news():
        name = event["unit"].removesuffix(".service")
        if event["time"] < soak.told_until or soak.guests_own(name):
            continue  # a full disk did not take it; the next manager told it
        if event["kind"] == "unit.main-exited":
            told[name].append(event)
        elif event["kind"] == "unit.starting":
            starts[name] += 1
    if soak.events_lost:
        soak.told_until = time.time()
        return
    for name in {*told, *ended}:
        left = list(told[name])
        for life in ended.get(name, []):
            while left and not _tells(soak, name, life, left[0]):
                stray = left.pop(0)  # it ended before it could open its book
                how = (stray["data"]["code"], stray["data"]["status"])
                early = how in {("killed", 9), ("killed", 15), ("killed", 6), ("killed", 10)}
                assert early or soak.exits_unseen, f"{name}: {stray} is told of no life"
            if not left and kind_of(name) == "forks":
                break  # it ended before it was found to be the main process
            assert left, f"{name}: the end of {life} is not told in {told[name]}"
            left.pop(0)
        for stray in left:
            how = stray["data"]["code"]
            assert how in ("killed", "lost"), f"{name}: {stray} is told of no life"
    for name, lives in soak.books.lives.items():
        new = len(lives) - before.get(name, 0)
        assert starts[name] >= new, f"{name}: {starts[name]} starts told, {new} seen"
    soak.count("exits told", sum(map(len, ended.values())))


def _log(soak: Soak) -> None:
    """The manager has met nothing that it did not think of."""
    wrong = soak.books.traces()
    assert not wrong, wrong


def _steps(soak: Soak) -> None:
    """Every command of a life was run at most once, in order; what tidies up after it was."""
    killed = {name for verb, name, _ in soak.verbs if verb == "kill"}
    books = soak.books
    for (name, token), steps in [*books.steps.items()]:
        lives = books.lives[name]
        if name in soak.wanted and lives[-1].token == token:
            if soak.forgotten:  # that its stop had begun, too: it comes again
                steps[:] = [step for step in steps if step != "stop"]
            continue
        del books.steps[name, token]
        if soak.forgotten:
            continue
        places = [STEPS.index(step) for step in steps]
        assert places == sorted(set(places)), f"{name}: {token} went through {steps}"
        begun = any(life.token == token for life in lives)
        assert not begun or "pre-done" in steps, f"{name}: {token} began after {steps}"
        tidied = steps[-1] == STEPS[-1] or name in killed or soak.exits_unseen
        assert tidied, f"{name}: {token} ended with {steps}"
        soak.count("steps", len(steps))


def _tells(soak: Soak, name: str, life: Life, event: dict[str, Any]) -> bool:
    said = _EXIT.match(event["message"])
    pids = (life.pid, 0) if soak.exits_unseen else (life.pid,)  # 0: its birth was in no record yet
    if said and kind_of(name) != "hidden" and int(said[1]) not in pids:
        return False
    how = (event["data"]["code"], event["data"]["status"])
    right = {("killed", 9), ("killed", 6), ("killed", 15), ("killed", 10)}
    if life.end:
        right = {("exited", 0 if life.end == "term" else OWN_STATUS), ("killed", 9), ("killed", 6)}
    unseen = (
        soak.exits_unseen or kind_of(name) == "forks"
    )  # before it was found to be the main process
    return how in right or (unseen and how[0] == "lost")


def _lines(soak: Soak, ended: dict[str, list[Life]]) -> None:
    """Every line that a witness has written is in its log, once."""
    books = soak.books
    noted = books.noted()
    deadline = time.monotonic() + PEACE
    while True:
        books.read_logs()
        short = [key for key, number in noted.items() if books.written.get(key, -1) < number]
        if soak.lines_lost:  # but who runs goes on writing: a gap shows by the line after it
            running = {(name, books.lives[name][-1].token) for name in soak.wanted}
            short = [key for key in short if key in running]
        if not short:
            break
        assert time.monotonic() < deadline, [(k, noted[k], books.written.get(k)) for k in short]
        time.sleep(5 * PAUSE)
    if soak.forgotten:
        books.allow_repeated()
    assert not books.doubled, books.doubled
    if soak.lines_lost:
        books.lost.clear()
        books.forgive()
    assert not books.lost, books.lost
    assert not books.torn, books.torn
    for name, lives in ended.items():
        for life in lives:
            if life.token != books.lives[name][-1].token or name not in soak.wanted:
                books.forget(name, life.token)
