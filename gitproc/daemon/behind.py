"""That what runs is not what the branch says, for people who ask for something meanwhile."""

from __future__ import annotations

from gitproc.core import verdicts
from gitproc.core.world import World


def behind(world: World, head: str | None, *, but_refused: bool = False) -> list[str]:
    """Why the commit that the branch names is not in force; `head`: that commit, if it is known.

    `but_refused`: leave that out, for who shows the findings themselves.
    """
    found = [world.source_problem] if world.source_problem else []
    if world.refused is not None and not but_refused:
        found.append(f"{world.refused.commit.sha[:12]} is refused: see `gitproc status`")
    failed = verdicts.failed_record(world, head)
    if failed is not None:
        found.append(f"{failed['sha'][:12]} is held back: `gitproc apply` tries it again")
    return found
