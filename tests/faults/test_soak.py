"""A few rounds of every blow; `make soak ROUNDS=1000` for more. The seed of a failure is in its message."""

from __future__ import annotations

import os
import random

import pytest

from tests.faults.soak import Soak
from tests.faults.weights import BLOWS

pytestmark = pytest.mark.root

HALVES = [list(BLOWS)[::2], list(BLOWS)[1::2]]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("blows", HALVES, ids=["even", "odd"])
def test_every_blow_is_survived(blows):
    seed = int(os.environ.get("GITPROC_FAULTS_SEED", random.SystemRandom().randrange(1 << 32)))
    soak = Soak(seed)
    try:
        soak.start()
        for blow in soak.dice.sample(blows, len(blows)):
            soak.round(blow)
    finally:
        print(soak.report())
        soak.close()
