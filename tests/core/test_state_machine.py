"""The histories of `histories.py` as hypothesis tells them: whatever fails is shrunk to the few things that do it.

More examples, and other ones: `make histories` (HYPOTHESIS_PROFILE=deep).
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.core.drawn import GUEST, NAMES, Draw
from tests.core.histories import (
    VERBS,
    WAITS,
    Happening,
    agree,
    begin,
    finish,
    play,
    prepare,
)
from tests.core.watcher import Watcher

UNITS = st.sampled_from((*NAMES, GUEST))
SECONDS = st.sampled_from(WAITS)
CHOICES = st.randoms(use_true_random=False)


class Told(RuleBasedStateMachine):
    """What may happen at any moment. `machines` must all bear it."""

    machines: tuple[Watcher, ...] = ()
    draw: Draw

    def let(self, kind: str, unit: str = NAMES[0], number: int = 0, seconds: float = 0.0) -> None:
        happening = Happening(kind, unit, number, seconds)
        prepare(self.draw, happening)
        for machine in self.machines:
            play(machine, self.draw.files(), happening)

    @rule(unit=UNITS, seconds=SECONDS)
    def somebody_commits(self, unit, seconds):
        self.let("commit", unit, 0, seconds)

    @rule(unit=UNITS, verb=st.integers(0, len(VERBS) - 1), seconds=SECONDS)
    def an_operator_asks(self, unit, verb, seconds):
        self.let("verb", unit, verb, seconds)

    @rule(unit=UNITS, status=st.integers(0, 2), seconds=SECONDS)
    def a_process_ends(self, unit, status, seconds):
        self.let("exit", unit, status, seconds)

    @rule(there=st.booleans())
    def what_conditions_ask_for_comes_or_goes(self, there):
        self.let("mark", number=there)

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        self.let("time", seconds=seconds)


class Histories(Told):
    """One machine, and whatever can befall it."""

    @initialize(choices=CHOICES, seed=st.integers(0, 1), rich=st.booleans())
    def set_up(self, choices, seed, rich):
        self.draw = Draw(choices, rich=rich)
        self.machines = (begin(self.draw, seed),)

    @rule(exits_first=st.booleans(), seconds=SECONDS)
    def the_manager_crashes(self, exits_first, seconds):
        self.let("crash", number=exits_first, seconds=seconds)

    @rule(orders=st.integers(0, 3))
    def the_manager_is_to_crash_between_two_orders(self, orders):
        self.let("mid-crash", number=orders)

    @rule(survivors=st.booleans(), seconds=SECONDS)
    def the_shim_is_lost(self, survivors, seconds):
        self.let("new-shim", number=survivors, seconds=seconds)

    @rule(unit=UNITS, seconds=SECONDS)
    def the_oom_killer_strikes(self, unit, seconds):
        self.let("oom", unit, 0, seconds)

    @rule(unit=UNITS, which=st.integers(0, 4))
    def stale_news_come(self, unit, which):
        self.let("stale", unit, which)

    @rule(ill=st.booleans(), seconds=SECONDS)
    def probes_come_to_another_verdict(self, ill, seconds):
        self.let("health", number=ill, seconds=seconds)

    @rule()
    def nothing_happens_for_long(self):
        self.let("rest")

    def teardown(self):
        for machine in self.machines:
            finish(machine)


class Crashes(Told):
    """Two machines, of which one loses its manager now and then: they do the same, step by step."""

    @initialize(choices=CHOICES, seed=st.integers(0, 1), rich=st.booleans())
    def set_up(self, choices, seed, rich):
        self.draw = Draw(choices, rough=False, rich=rich)
        calm = begin(self.draw, seed)
        crashed = Watcher(seed)
        crashed.edit(self.draw.files())
        self.machines = (calm, crashed)

    @rule(exits_first=st.booleans())
    def the_manager_crashes(self, exits_first):
        _, crashed = self.machines
        crashed.crash()
        crashed.restart(exits_first=exits_first)

    @invariant()
    def they_agree(self):
        if self.machines:
            agree(*self.machines)

    def teardown(self):
        if self.machines:
            self.let("time", seconds=60.0)
            agree(*self.machines)


EXAMPLES = 2 * settings().max_examples  # a step costs little


@pytest.mark.parametrize(("machine", "steps"), [(Histories, 30), (Crashes, 20)])
def test_what_must_hold_holds_whatever_happens(machine, steps):
    options = settings(stateful_step_count=steps, max_examples=EXAMPLES)
    run_state_machine_as_test(machine, settings=options)
