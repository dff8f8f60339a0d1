"""The tests of the core notice faults (`make mutants` for all of them; here a few)."""

from __future__ import annotations

import pytest

from tests.core.mutants import MUTANTS, ROOT, sample, survivors


@pytest.mark.timeout(180)  # five runs of the core's tests, two at a time
def test_a_few_mutants_are_killed():
    assert survivors(sample(5)) == []


def test_every_mutant_still_fits_the_source():
    for mutant in MUTANTS:
        text = (ROOT / "gitproc" / "core" / f"{mutant.module}.py").read_text()
        assert text.count(mutant.old) == 1, mutant
