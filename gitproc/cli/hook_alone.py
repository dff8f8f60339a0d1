"""A push judged by the hook itself, where the host's configuration wants that while no daemon runs.

The same rules and the same compiler; only what is known about running units is missing, so units count as
running that the branch asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitproc.core.records import commit_record
from gitproc.daemon import push_rules as rules
from gitproc.daemon.compiling import Compiled, compile_commit
from gitproc.daemon.config import Config
from gitproc.errors import RefusedError
from gitproc.kernel.host import read_host
from gitproc.source.quarantine import Quarantine
from gitproc.units.loader import LoadOptions


def judge_alone(
    config: Config, quarantine: Quarantine, updates: Sequence[rules.Update], asked: Sequence[str]
) -> Mapping[str, Any]:
    """What the daemon would answer to the push, as far as it can be known. RefusedError."""
    found = rules.judge(updates, asked, config.branch, quarantine.head(config.branch))
    update = rules.deployed(updates, config.branch)
    verdict: dict[str, Any] = {"accepted": True, "deploys": False}
    if update is not None and update.new:
        found += rules.too_large(update.size, config.policy.max_tree)
        host = read_host(user_mode=config.user_mode)
        allowed = LoadOptions(frozenset(config.allow_unenforced), config.default_private_pids)
        commit, change = quarantine.read(update.new)
        user = config.user_mode
        compiled = compile_commit(change, None, host, allowed, user_mode=user)
        found += compiled.errors
        if update.old and not found:
            old = quarantine.read(update.old)[1]
            before = compile_commit(old, None, host, allowed, user_mode=user)
            had, has = _wanted(before), _wanted(compiled)
            ended = sorted(had - has)
            found += rules.mass_removal(ended, len(had), asked, config.policy.max_removals)
            found += rules.exposure(before.units, compiled.units, config.policy.max_exposure)
        elif not found:
            found += rules.exposure(None, compiled.units, config.policy.max_exposure)
        verdict = {
            "accepted": rules.PLAN not in asked,
            "deploys": True,
            "commit": commit_record(commit),
            "commits": update.commits,
            "units": compiled.count,
            "diagnostics": [x.as_dict() for x in compiled.warnings],
        }
    if found:
        count = f"{len(found)} error{'s' if len(found) != 1 else ''}"
        text = f"the push is refused: {count}"
        raise RefusedError(text, diagnostics=[x.as_dict() for x in found])
    return verdict


def _wanted(compiled: Compiled) -> set[str]:
    units = compiled.units.units
    return {name for name in compiled.pulled if name in units and units[name].has_files}
