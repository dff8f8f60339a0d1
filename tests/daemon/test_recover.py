"""Coming back after records were lost: names that were given are not given again."""

import pytest

from gitproc.core.events import Slot
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.daemon.recover import load_world
from gitproc.kernel.host import read_host
from gitproc.store.definitions import Definitions
from gitproc.store.event_log import EventLog
from gitproc.store.state_manager import StateManager


@pytest.fixture
def come_back(tmp_path):
    def load(records):
        state = StateManager(tmp_path / "state")
        state.load()
        for key, value in records.items():
            state.put(key, value)
        state.close()
        world = World()
        definitions = Definitions(tmp_path / "definitions")
        load_world(world, state, definitions, EventLog(tmp_path), read_host(), "epoch")
        state.close()
        return world

    return load


def test_two_managers_with_the_same_records_give_no_name_twice(come_back):
    records = {"serial": 24, "deploy": {"seed": "5eed"}}
    names = set()
    for _ in range(2):  # what the first one gives is never recorded, as on a full disk
        world = come_back(records)
        names.add(world.new_invocation())
        names.add(world.new_process(UnitState("a.service"), Slot.MAIN).serial)
    assert len(names) == 4
