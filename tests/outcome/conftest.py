"""Machines for the tests of what becomes of commits, closed after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness import CONFIG, Machine, made


@pytest.fixture
def machines() -> Iterator[Callable[..., Machine]]:
    """Makes machines as told; starts them unless told otherwise."""
    yield from made()


@pytest.fixture
def machine(machines) -> Machine:
    """A machine that holds failed commits back, with a work tree and without a commit."""
    return machines(config=CONFIG)
