"""The mailbox between the journal and the orders: nothing that was decided is told twice, or never."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from gitproc.core import deploy
from gitproc.core.actions import Keep, SetLimits
from gitproc.core.events import CommitLoaded, CommitMeta, SyncAsked, Tick
from gitproc.core.world import World
from gitproc.daemon.loop import LIMITED, TOLD, Mailbox
from gitproc.errors import StateError
from gitproc.store.event_log import EventLog
from gitproc.store.state_manager import StateManager
from gitproc.units.loader import load
from gitproc.units.specifiers import Host
from gitproc.units.tree import SourceFile


class Performer:
    """Tells news to an event log; `mortal`: does not live to write it."""

    def __init__(self, log: EventLog, *, mortal: bool) -> None:
        self._log = log
        self._mortal = mortal

    def perform(self, action):
        pass

    def tell(self, news):
        told = [self._log.append(x.kind, x.unit, x.message, dict(x.data)) for x in news]
        return f"[{','.join(told)}]"

    def acknowledge(self, sequences):
        pass

    def turn_ends(self):
        if not self._mortal:
            self._log.flush()


def events(folder):
    return [event["kind"] for event in EventLog(folder).read()]


@pytest.mark.parametrize("mortal", [False, True])
def test_an_event_is_in_the_journal_before_it_is_in_its_log(tmp_path, mortal):
    async def live():
        state = StateManager(tmp_path / "state")
        state.load()
        mailbox = Mailbox(World(), state, Performer(EventLog(tmp_path), mortal=mortal))
        mailbox.post(SyncAsked(1, "Ada"))
        await mailbox.close()
        state.close()

    asyncio.run(live())
    assert events(tmp_path) == ([] if mortal else ["operator.asked"])
    state = StateManager(tmp_path / "state")
    EventLog(tmp_path).complete(state.load()[TOLD])
    state.close()
    assert events(tmp_path) == ["operator.asked"]


def test_what_comes_after_the_end_is_left_to_the_next_manager(tmp_path):
    async def live():
        state = StateManager(tmp_path / "state")
        state.load()
        mailbox = Mailbox(World(), state, Performer(EventLog(tmp_path), mortal=False))
        mailbox.post(SyncAsked(1, "Ada"))  # arrived: is taken in
        await mailbox.close()
        state.close()
        mailbox.post(SyncAsked(2, "Ada"))
        mailbox.post(Tick())
        await asyncio.sleep(0)
        return state.dirty

    assert asyncio.run(live()) is False
    assert events(tmp_path) == ["operator.asked"]


def test_who_waits_for_what_was_posted_is_called_after_it_and_not_after_more(tmp_path):
    async def live():
        state = StateManager(tmp_path / "state")
        state.load()
        mailbox = Mailbox(World(), state, Performer(EventLog(tmp_path), mortal=False))
        seen: list[object] = []
        mailbox.after(lambda: seen.append("nothing was posted"))
        assert seen == ["nothing was posted"]
        for number in range(300):  # more than one turn takes in
            mailbox.post(SyncAsked(number, "Ada"))
        mailbox.after(lambda: seen.append(len((tmp_path / "events.log").read_text().splitlines())))
        assert len(seen) == 1
        await mailbox.close()
        assert seen[1:] == [300]
        state.close()

    asyncio.run(live())


SERVICE = "[Service]\nExecStart=/bin/true\n"


def commit(sha, files):
    units = load([SourceFile(x, f"{sha}{x}", text.encode()) for x, text in files.items()], Host())
    return CommitLoaded(CommitMeta(sha, "Ada", 0.0, sha), units)


def applied(world: World) -> str:
    return world.applied.sha if world.applied is not None else ""


def raising(*_: object, **__: object) -> None:
    raise KeyError("fault")


def test_a_commit_that_a_fault_keeps_out_is_said_to_be_out_and_leaves_nothing(
    tmp_path, monkeypatch
):
    world = World()

    async def live():
        state = StateManager(tmp_path / "state")
        state.load()
        mailbox = Mailbox(world, state, Performer(EventLog(tmp_path), mortal=False))

        async def post(event):
            mailbox.post(event)
            taken = asyncio.Event()
            mailbox.after(taken.set)
            await taken.wait()

        await post(commit("a" * 40, {"x.service": SERVICE}))
        assert applied(world) == "a" * 40
        edges = dict(world.graph.declared)
        with monkeypatch.context() as faulty:
            faulty.setattr(deploy, "check_changed", raising)
            await post(commit("b" * 40, {"x.service": SERVICE + "[Unit]\nAfter=y.service\n"}))
            await asyncio.sleep(0)
            await post(Tick())
        assert applied(world) == "a" * 40
        assert "bbbbbbbbbbbb cannot be taken in" in world.source_problem
        assert dict(world.graph.declared) == edges
        await post(commit("c" * 40, {"x.service": SERVICE}))
        assert (applied(world), world.source_problem) == ("c" * 40, "")
        await mailbox.close()
        state.close()

    asyncio.run(live())
    assert "source.failed" in events(tmp_path)


class Frail(Performer):
    """Dies of the first order about limits; notes whether what it is to keep stands in the journal already."""

    def __init__(self, folder: Path) -> None:
        super().__init__(EventLog(folder), mortal=True)
        self._journals = folder / "state"
        self.kept: dict[str, bool] = {}

    def perform(self, action):
        if isinstance(action, Keep):
            written = b"".join(x.read_bytes() for x in self._journals.glob("journal*"))
            self.kept[action.unit.name] = action.unit.fingerprint.encode() in written
        if isinstance(action, SetLimits):
            raise KeyboardInterrupt


@pytest.mark.parametrize("dies", [True, False])
def test_units_whose_limits_are_being_set_are_kept_first_and_in_the_journal_until_they_are(
    tmp_path, dies
):
    performer = Frail(tmp_path) if dies else Performer(EventLog(tmp_path), mortal=False)

    async def live():
        state = StateManager(tmp_path / "state")
        state.load()
        mailbox = Mailbox(World(), state, performer)
        files = {
            "s.slice": "[Slice]\nTasksMax=5\n",
            "x.service": f"{SERVICE}Slice=s.slice\n[Install]\nWantedBy=multi-user.target\n",
        }
        mailbox.post(commit("a" * 40, files))
        with suppress(KeyboardInterrupt):
            await mailbox.close()
        state.close()

    asyncio.run(live())
    state = StateManager(tmp_path / "state")
    assert state.load().get(LIMITED) == (["s.slice"] if dies else None)
    state.close()
    if isinstance(performer, Frail):
        assert performer.kept["s.slice"] is False


def test_a_definition_that_a_full_disk_refuses_is_kept_with_a_later_turn(tmp_path):
    """Else the next manager would end what runs by it."""
    tried, full = [], [True]

    class Full(Performer):
        def perform(self, action):
            if isinstance(action, Keep):
                tried.append(action.unit.name)
                if full[0]:
                    raise StateError("No space left on device")

    async def live():
        state = StateManager(tmp_path / "state")
        state.load()
        mailbox = Mailbox(World(), state, Full(EventLog(tmp_path), mortal=False))
        wants = "[Install]\nWantedBy=multi-user.target\n"
        files = {"s.slice": "[Slice]\n", "x.service": f"{SERVICE}Slice=s.slice\n{wants}"}
        mailbox.post(commit("a" * 40, files))
        await asyncio.sleep(0)
        before, full[0] = len(tried), False
        mailbox.post(Tick())
        mailbox.post(Tick())
        await mailbox.close()
        state.close()
        return before

    before = asyncio.run(live())
    assert before == 1, "a disk that is full for one is full for all"
    assert "s.slice" in tried[1:]
    assert len(tried[1:]) == len({*tried[1:]}), "once it has been kept it is not kept again"
