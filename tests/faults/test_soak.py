"""A few rounds of every blow, always the same; `make soak ROUNDS=1000` draws others, and says of which seed."""

from __future__ import annotations

import os

import pytest

from tests.faults.soak import Soak
from tests.faults.weights import BLOWS

pytestmark = pytest.mark.root

HALVES = [list(BLOWS)[::2], list(BLOWS)[1::2]]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("blows", HALVES, ids=["even", "odd"])
def test_every_blow_is_survived(blows):
    seed = int(os.environ.get("GITPROC_FAULTS_SEED", "1"))
    soak = Soak(seed)
    try:
        soak.start()
        for blow in soak.dice.sample(blows, len(blows)):
            soak.round(blow)
    finally:
        print(soak.report())
        soak.close()
