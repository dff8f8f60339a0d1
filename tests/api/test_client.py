"""A manager that hangs up: what can be asked twice is asked of the next one, by both ways of the command."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitproc.api.client import Client
from gitproc.api.dial import AT_MOST_ONCE, TRIES
from gitproc.api.methods import METHODS
from gitproc.errors import DaemonError
from tests.cli.command import Command

HANG_UP = ""
ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"version":1,"units":{}}}\n'
TEXT = "gitproc-text 1 3 5 0\nfine\n"


class Managers:
    """One after the other, each with one answer, each on a socket of its own at the same place."""

    def __init__(self, path: str, answers: list[str]) -> None:
        self.heard: list[dict] = []
        self._path, self._answers = path, answers
        self._listener = self._listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._path)
        listener.listen()
        listener.settimeout(30)
        return listener

    def _serve(self) -> None:
        for number, answer in enumerate(self._answers):
            if number:
                time.sleep(0.1)  # nobody is there for a while: refused first, then no socket
                Path(self._path).unlink()
                time.sleep(0.1)
                self._listener = self._listen()
            peer, _ = self._listener.accept()
            self._listener.close()
            with peer, peer.makefile("rb") as lines:
                self.heard.append(json.loads(lines.readline()))
                peer.sendall(answer.encode())


@pytest.fixture
def managers(tmp_path) -> Iterator[Callable[..., Managers]]:
    made: list[Managers] = []

    def make(*answers: str) -> Managers:
        made.append(Managers(str(tmp_path / "s"), list(answers)))
        return made[-1]

    yield make
    for one in made:
        one.thread.join(30)
        assert not one.thread.is_alive()


@contextmanager
def client(tmp_path, patience: float = 30.0):
    with Client(str(tmp_path / "s"), patience=patience) as found:
        yield found


def test_what_is_asked_twice_safely_is_asked_of_the_next_one(managers, tmp_path):
    them = managers(HANG_UP, ANSWER.replace('"id":1', '"id":2'))
    with client(tmp_path) as it:
        assert it.call("stop", {"units": ["a.service"]}) == {"version": 1, "units": {}}
    assert [x["method"] for x in them.heard] == ["stop", "stop"]
    assert them.heard[0]["params"] == them.heard[1]["params"]


@pytest.mark.parametrize("answer", [HANG_UP, "{"])
def test_what_may_have_been_done_is_not_asked_again(managers, tmp_path, answer):
    them = managers(answer)
    with client(tmp_path) as it, pytest.raises(DaemonError, match="done or not"):
        it.call("restart", {"units": ["a.service"]})
    assert len(them.heard) == 1


def test_nobody_is_waited_for_for_ever(managers, tmp_path):
    managers(HANG_UP)
    with client(tmp_path, 0.1) as it, pytest.raises(DaemonError, match="none has come"):
        it.call("status")


def test_one_manager_after_the_other_that_hangs_up_is_the_request_s_fault(managers, tmp_path):
    them = managers(*[HANG_UP] * (TRIES + 1))
    with client(tmp_path) as it, pytest.raises(DaemonError, match="hung up before it answered"):
        it.call("status")
    assert len(them.heard) == TRIES + 1


@pytest.mark.parametrize("verb", ["stop", "status", "restart"])
def test_the_fast_path_does_the_same(managers, tmp_path, verb):
    again = verb != "restart"
    them = managers(*([HANG_UP, TEXT] if again else [HANG_UP]))
    done = Command(tmp_path)(verb, "--socket", tmp_path / "s", "a")
    if again:
        assert (done.returncode, done.stdout) == (3, b"fine\n"), done.stderr
    else:
        assert done.returncode == 1
        assert b"done or not" in done.stderr
    assert [x["method"] for x in them.heard] == [verb] * (1 + again)


def test_the_table_of_what_is_done_at_most_once_is_of_methods_that_change_something():
    changing = {name for name, method in METHODS.items() if method.operates}
    assert changing >= AT_MOST_ONCE
    assert changing - AT_MOST_ONCE == {"start", "stop", "reset-failed", "sync", "apply"}
