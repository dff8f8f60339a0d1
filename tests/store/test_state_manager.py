"""The state survives a crash at any byte, a full disk, and a checkpoint that turns out damaged."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitproc.errors import StateError
from gitproc.store import files, state_manager
from gitproc.store.journal import Journal
from gitproc.store.state_manager import (
    TIDY_BYTES,
    StateManager,
    decode_checkpoint,
    encode_checkpoint,
    encode_value,
)


@pytest.fixture
def manager(tmp_path):
    made = StateManager(tmp_path / "state")
    made.load()
    yield made
    made.close()


def reload(directory: Path) -> dict:
    again = StateManager(directory)
    try:
        return again.load()
    finally:
        again.close()


def crash(manager: StateManager) -> None:
    """End without writing anything more."""
    manager._pending.clear()
    manager.close()


@contextmanager
def disk_full_at(size: int):
    """No file of this process grows beyond `size` bytes: write(2) stops short, then fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_an_empty_directory_is_an_empty_map(tmp_path):
    assert reload(tmp_path / "deep" / "state") == {}
    assert (tmp_path / "deep" / "state").stat().st_mode & 0o077 == 0


def test_what_was_flushed_is_there_again(manager):
    value = {"text": "naïve \udcff \n", "number": 1.5, "none": None, "list": [1, True]}
    manager.put("unit/a", value)
    manager.put("unit/b", 2)
    manager.flush()
    manager.put("unit/b", None)
    manager.flush()
    crash(manager)
    assert reload(manager.directory) == {"unit/a": value}


def test_what_was_not_flushed_is_not(manager):
    manager.put("a", 1)
    assert manager.dirty
    crash(manager)
    assert reload(manager.directory) == {}


def test_later_changes_to_a_value_that_was_put_are_the_callers_own(manager):
    value = {"count": 1}
    manager.put("a", value)
    value["count"] = 2
    manager.checkpoint()
    crash(manager)
    assert reload(manager.directory) == {"a": {"count": 1}}


def test_putting_what_is_there_writes_nothing(manager):
    manager.put("a", {"n": 1})
    manager.flush()
    manager.put("a", {"n": 1})
    manager.put("never", None)
    assert not manager.dirty


def test_a_value_that_json_cannot_hold_is_refused_and_changes_nothing(manager):
    with pytest.raises(TypeError):
        manager.put("a", object())
    assert not manager.dirty


def test_a_turn_is_one_line(manager):
    manager.put("a", 1)
    manager.put("b", 2)
    manager.flush()
    manager.put("a", 3)
    manager.flush()
    assert len((manager.directory / "journal.0").read_bytes().splitlines()) == 2


def test_a_checkpoint_is_readable_by_people_and_begins_a_fresh_journal(manager):
    manager.put("unit/a", {"n": 1})
    manager.checkpoint()
    text = (manager.directory / "state.json").read_text()
    assert json.loads(text)["entries"] == {"unit/a": {"n": 1}}
    assert '\n  "unit/a": {"n":1}' in text
    assert (manager.directory / "journal.1").stat().st_size == 0
    manager.put("unit/b", 2)
    manager.flush()
    crash(manager)
    assert reload(manager.directory) == {"unit/a": {"n": 1}, "unit/b": 2}


def test_old_journals_and_checkpoints_do_not_pile_up(manager):
    for number in range(10):
        manager.put("a", number)
        manager.checkpoint()
    names = sorted(path.name for path in manager.directory.iterdir())
    assert names == ["journal.10", "journal.9", "lock", "state.json", "state.json.old"]


def history(manager: StateManager) -> list[dict]:
    """A life with two checkpoints; returns the map after each turn, the last two after the second."""
    maps: list[dict] = [{}]
    current: dict = {}

    def turn(**changes) -> None:
        for key, value in changes.items():
            manager.put(key, value)
            if value is None:
                current.pop(key)
            else:
                current[key] = value
        manager.flush()
        maps.append(dict(current))

    turn(a=1)
    turn(b={"x": [1, 2]}, c="text")
    manager.checkpoint()
    turn(a=2, c=None)
    manager.checkpoint()
    turn(d="après")
    turn(a=None, e=5)
    return maps


def copies(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def test_a_journal_cut_at_any_byte_gives_a_whole_turn(manager, tmp_path):
    maps = history(manager)
    crash(manager)
    whole = (manager.directory / "journal.2").read_bytes()
    ends = [0, whole.index(b"\n") + 1, len(whole)]
    for length in range(len(whole) + 1):
        directory = copies(manager.directory, tmp_path / "copy")
        os.truncate(directory / "journal.2", length)
        turns = sum(1 for end in ends if 0 < end <= length)
        again = StateManager(directory)
        assert again.load() == maps[3 + turns], length
        assert bool(again.warnings) == (length not in ends)
        again.put("after", length)  # the torn end does not spoil what comes next
        again.flush()
        again.close()
        assert reload(directory) == {**maps[3 + turns], "after": length}


def test_a_state_json_cut_at_any_byte_costs_nothing(manager, tmp_path):
    maps = history(manager)
    crash(manager)
    whole = (manager.directory / "state.json").read_bytes()
    for length in range(len(whole)):
        directory = copies(manager.directory, tmp_path / "copy")
        os.truncate(directory / "state.json", length)
        again = StateManager(directory)
        assert again.load() == maps[-1], length
        if length < len(whole) - 1:  # but for the last newline
            assert any("state.json" in warning for warning in again.warnings)
        again.put("after", length)
        again.checkpoint()  # must not take the damaged one as the next fallback
        again.close()
        (directory / "state.json").write_bytes(b"garbage")
        assert reload(directory) == {**maps[-1], "after": length}


def test_a_flipped_bit_in_state_json_is_found(manager, tmp_path):
    maps = history(manager)
    crash(manager)
    whole = (manager.directory / "state.json").read_bytes()
    for position in range(len(whole) - 1):
        directory = copies(manager.directory, tmp_path / "copy")
        damaged = bytearray(whole)
        damaged[position] ^= 0x02
        (directory / "state.json").write_bytes(damaged)
        assert reload(directory) == maps[-1], position


def test_a_flipped_bit_in_the_journal_costs_that_turn_only_and_is_told(manager, tmp_path):
    manager.put("a", 1)
    manager.flush()
    manager.put("b", 2)
    manager.flush()
    manager.put("c", 3)
    manager.flush()
    crash(manager)
    whole = (manager.directory / "journal.0").read_bytes()
    start, end = whole.index(b"\n") + 1, whole.index(b"\n", whole.index(b"\n") + 1)
    for position in range(start, end):
        directory = copies(manager.directory, tmp_path / "copy")
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        (directory / "journal.0").write_bytes(damaged)
        again = StateManager(directory)
        values = again.load()
        again.close()
        assert values in ({"a": 1, "c": 3}, {"a": 1, "b": 2, "c": 3}), position
        if "b" not in values:
            assert any("journal.0:2" in warning for warning in again.warnings)


def test_state_of_a_later_version_is_not_touched(manager):
    manager.put("a", 1)
    manager.checkpoint()
    crash(manager)
    state = manager.directory / "state.json"
    data = state.read_bytes().replace(b'"version": 1', b'"version": 9').splitlines(keepends=True)
    body = b"".join(data[:-1]).removesuffix(b"\n")
    state.write_bytes(body + b'\n"crc32": "%08x"}\n' % zlib.crc32(body))
    with pytest.raises(StateError, match="version 9"):
        reload(manager.directory)
    assert state.exists()


@pytest.mark.parametrize("crash_after", range(5))
def test_a_checkpoint_interrupted_between_any_two_steps_loses_nothing(
    manager, tmp_path, monkeypatch, crash_after
):
    manager.put("a", 1)
    manager.checkpoint()
    manager.put("b", 2)
    manager.flush()
    steps = 0

    def counting(original):
        def step(*args, **kwargs):
            nonlocal steps
            if steps == crash_after:
                raise KeyboardInterrupt
            steps += 1
            return original(*args, **kwargs)

        return step

    monkeypatch.setattr(files, "write", counting(files.write))
    monkeypatch.setattr(state_manager, "Journal", counting(Journal))
    monkeypatch.setattr(Path, "replace", counting(Path.replace))
    monkeypatch.setattr(files, "sync_directory", counting(files.sync_directory))
    with pytest.raises(KeyboardInterrupt):
        manager.checkpoint()
    monkeypatch.undo()
    assert steps == crash_after
    crash(manager)
    assert reload(manager.directory) == {"a": 1, "b": 2}
    assert reload(manager.directory) == {"a": 1, "b": 2}


def test_a_full_disk_loses_and_doubles_nothing(manager):
    manager.put("before", "x" * 100)
    manager.flush()
    size = (manager.directory / "journal.0").stat().st_size
    for room in (0, 1, 5, 40):
        manager.put("during", room)
        with disk_full_at(size + room), pytest.raises(StateError, match="cannot write"):
            manager.put("long", "y" * 200)
            manager.flush()
        assert manager.dirty
        assert (manager.directory / "journal.0").stat().st_size == size
    manager.flush()
    crash(manager)
    assert len((manager.directory / "journal.0").read_bytes().splitlines()) == 2
    expected = {"before": "x" * 100, "during": 40, "long": "y" * 200}
    assert reload(manager.directory) == expected


def test_a_manager_comes_back_though_the_disk_is_full(manager):
    manager.put("unit/a", 1)
    manager.close()
    with disk_full_at(0):
        assert manager.load() == {"unit/a": 1}
        with pytest.raises(StateError, match="in use by"):
            reload(manager.directory)


def test_a_checkpoint_on_a_full_disk_leaves_everything_as_it_was(manager):
    manager.put("a", "x" * 5000)
    manager.sync()
    with disk_full_at(1000), pytest.raises(StateError):
        manager.checkpoint()
    assert not (manager.directory / "state.json.new").exists()
    manager.put("b", 1)
    manager.sync()
    manager.checkpoint()
    crash(manager)
    assert reload(manager.directory) == {"a": "x" * 5000, "b": 1}


def test_the_journal_asks_for_compaction_when_it_has_outgrown_the_state(manager, monkeypatch):
    monkeypatch.setattr(state_manager, "COMPACT_BYTES", 1000)
    for number in range(100):
        manager.put("a", number)
        manager.flush()
    assert manager.wants_checkpoint
    manager.checkpoint()
    assert not manager.wants_checkpoint
    manager.put("big", "x" * 3000)
    manager.checkpoint()
    manager.put("b", "y" * 4000)
    manager.flush()
    assert not manager.wants_checkpoint  # less than twice the checkpoint


def test_two_managers_do_not_share_a_directory(manager):
    code = (
        "import sys; from pathlib import Path; from gitproc.store.state_manager import StateManager\n"
        "StateManager(Path(sys.argv[1])).load()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(manager.directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"in use by process {os.getpid()} (" in done.stderr
    manager.close()
    subprocess.run([sys.executable, "-c", code, str(manager.directory)], check=True)


@pytest.mark.parametrize("gone", ["", "lock", "journal.*", "state.json"])
def test_what_was_taken_away_is_written_anew(manager, gone):
    manager.put("a", {"x": 1})
    manager.checkpoint()
    manager.put("b", 2)
    manager.flush()
    assert not manager.lost
    directory = manager.directory
    for path in directory.glob(gone) if gone else ():
        path.unlink()
    if not gone:
        shutil.rmtree(directory)
    assert manager.lost
    manager.put("c", 3)  # as long as nobody has noticed
    manager.flush()
    manager.put("d", 4)
    directory.mkdir(exist_ok=True)
    manager.renew()
    assert not manager.lost
    with pytest.raises(StateError, match="in use by"):
        StateManager(directory).load()
    manager.put("e", 5)
    manager.flush()
    crash(manager)
    assert reload(directory) == {"a": {"x": 1}, "b": 2, "c": 3, "d": 4, "e": 5}


def test_a_place_that_another_has_taken_is_not_taken_back(manager):
    manager.put("a", 1)
    shutil.rmtree(manager.directory)
    other = StateManager(manager.directory)
    other.load()
    try:
        assert manager.lost
        with pytest.raises(StateError, match="in use by"):
            manager.renew()
        assert manager.lost
    finally:
        other.close()
    manager.renew()
    crash(manager)
    assert reload(manager.directory) == {"a": 1}


def test_a_failed_load_releases_the_directory(tmp_path):
    directory = tmp_path / "state"
    directory.mkdir()
    (directory / "journal.0").mkdir()
    for _ in range(2):
        with pytest.raises(StateError, match=r"journal\.0"):
            reload(directory)


def test_after_a_failed_fsync_only_a_checkpoint_counts(manager, monkeypatch):
    def failing(fd):
        raise OSError(5, "Input/output error")

    manager.put("a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(StateError, match="cannot sync"):
            manager.sync()
    manager.sync()
    assert decode_checkpoint((manager.directory / "state.json").read_bytes()).entries == {"a": 1}


def test_killed_at_random_it_keeps_every_synced_turn(tmp_path):
    code = """
import sys
from pathlib import Path
from gitproc.store import files, state_manager
from gitproc.store.journal import Journal
state_manager.COMPACT_BYTES = 2000
manager = state_manager.StateManager(Path(sys.argv[1]))
number = manager.load().get("n", 0)
while True:
    number += 1
    manager.put("n", number)
    manager.put(f"k{number % 7}", number)
    manager.sync()
    print(number, flush=True)
    if manager.wants_checkpoint:
        manager.checkpoint()
"""
    last = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout
            for line in child.stdout:
                if int(line) >= last + 150:
                    break
            child.kill()
            rest = child.stdout.read().splitlines(keepends=True)
            told = [text for text in rest if text.endswith("\n")]
            last = int(told[-1]) if told else int(line)
        values = reload(tmp_path)
        assert values["n"] in (last, last + 1)
        assert values[f"k{values['n'] % 7}"] == values["n"]
        last = values["n"]


def test_syncing_in_a_thread_loses_nothing_that_is_put_meanwhile(manager):
    """The manager's loop puts and flushes while a thread waits for the disk."""
    done = threading.Event()
    failures: list[BaseException] = []

    def keep_syncing():
        try:
            while not done.is_set():
                manager.sync()
        except BaseException as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=keep_syncing)
    thread.start()
    expected = {}
    try:
        for number in range(6000):
            key = f"k{number % 3000}"
            expected[key] = number
            manager.put(key, number)
            if number % 7 == 0:
                manager.flush()
            if number % 1500 == 0:
                manager.checkpoint()
    finally:
        done.set()
        thread.join(30)
        sys.setswitchinterval(interval)
    assert failures == []
    manager.sync()
    crash(manager)
    assert reload(manager.directory) == expected


def test_sync_does_not_say_that_is_safe_what_a_full_disk_refused(manager):
    size = (manager.directory / "journal.0").stat().st_size
    with disk_full_at(size):
        manager.put("a", 1)
        for _ in range(2):
            with pytest.raises(StateError, match="cannot write"):
                manager.sync()
    manager.sync()
    crash(manager)
    assert reload(manager.directory) == {"a": 1}


def test_a_second_sync_waits_for_the_one_that_is_running(manager, monkeypatch):
    entered, release = threading.Event(), threading.Event()
    original = os.fdatasync

    def slow(fd):
        entered.set()
        assert release.wait(10)
        original(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    manager.put("a", 1)
    first = threading.Thread(target=manager.sync)
    second = threading.Thread(target=manager.sync)
    first.start()
    assert entered.wait(10)
    manager.put("b", 2)  # the loop goes on meanwhile
    manager.flush()
    second.start()
    second.join(0.1)
    assert second.is_alive()
    release.set()
    first.join(10)
    second.join(10)
    assert not second.is_alive()


def test_a_checkpoint_that_is_read_gives_back_each_text_as_it_was_written(tmp_path):
    entries = {
        'quoted ": key': '"\\": "',
        "plain": '{"a":[1,2.5,": "]}',
        "back\\slash": "[]",
        "é": '"\\u00e9,"',
        "last": '",\\n"',
    }
    data = encode_checkpoint(7, entries)
    read = decode_checkpoint(data)
    assert read.generation == 7
    assert read.texts == {key: encode_value(json.loads(text)) for key, text in entries.items()}
    assert decode_checkpoint(encode_checkpoint(1, {})).texts == {}


def test_what_a_journal_changes_after_a_checkpoint_counts(tmp_path):
    first = StateManager(tmp_path)
    first.load()
    for key in ("kept", "changed", "gone"):
        first.put(key, [key, 1])
    first.checkpoint()
    first.put("changed", ["now"])
    first.put("gone", None)
    first.put("new", {"a": 1})
    first.close()
    second = StateManager(tmp_path)
    expected = {"kept": ["kept", 1], "changed": ["now"], "new": {"a": 1}}
    assert second.load() == expected
    second.checkpoint()
    second.close()
    third = StateManager(tmp_path)
    assert third.load() == expected
    third.close()


def test_a_journal_with_much_in_it_is_untidy_until_the_next_checkpoint(tmp_path):
    state = StateManager(tmp_path)
    state.load()
    state.put("a", "x")
    state.flush()
    assert not state.untidy
    state.put("a", "x" * TIDY_BYTES)
    state.flush()
    assert state.untidy
    state.checkpoint()
    assert not state.untidy
    state.close()
