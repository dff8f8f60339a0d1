"""Which blows there are, and how often each comes up."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.faults import blows, branch_blows, flood_blows, verb_blows

if TYPE_CHECKING:
    from tests.faults.soak import Soak

BLOWS: dict[Callable[[Soak], None], int] = {
    blows.manager_killed: 4,
    blows.manager_steps_aside: 1,
    blows.manager_stands_still: 2,
    blows.logger_killed: 2,
    blows.both_killed: 2,
    blows.shim_killed: 3,
    blows.shim_replaced: 2,
    blows.daemon_restarted: 1,
    blows.state_disk_full: 1,
    blows.log_disk_full: 1,
    branch_blows.repository_away: 1,
    branch_blows.objects_away: 1,
    branch_blows.commit_damaged: 1,
    blows.state_cut: 1,
    blows.state_taken: 1,
    branch_blows.burst: 1,
    blows.noise: 1,
    branch_blows.rollback_cut_off: 1,
    branch_blows.push_cut_off: 1,
}
"""Of witnesses alone: each of them comes up in every run of the tests."""
if os.environ.get("GITPROC_FAULTS_CLOCK"):
    BLOWS[blows.clock_moved] = 2
LONG: dict[Callable[[Soak], None], int] = {
    **BLOWS,
    verb_blows.apply_cut_off: 1,
    verb_blows.sync_cut_off: 1,
    verb_blows.rollback_among_pushes: 2,
    flood_blows.flood_and_kills: 2,
    flood_blows.flood_within_limits: 1,
    flood_blows.flood_on_full_disk: 1,
}
"""And of guests."""
