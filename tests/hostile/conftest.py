"""Machines whose services and callers mean harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness import Machine, made


@pytest.fixture
def machines() -> Iterator[Callable[..., Machine]]:
    """Makes machines as told; starts them unless told otherwise."""
    yield from made()


@pytest.fixture
def machine(machines) -> Machine:
    """A machine whose daemon runs, with a work tree and without a commit."""
    return machines()
