"""`why`, `diff` and `history UNIT` in plain text: reasons, differences, and what happened."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from gitproc.api.text_status import commit_line, dot
from gitproc.api.text_style import Style, moment, number, safe


def why(data: Mapping[str, Any], style: Style) -> list[str]:
    """The unit's state, one reason a line, and the chain that pulls it in."""
    state = f"{safe(data.get('active_state'))} ({safe(data.get('sub_state'))})"
    lines = [f"{dot(data, style)} {safe(data.get('unit'))} {safe(data.get('verdict'))}: {state}"]
    lines += [f"  - {safe(reason)}" for reason in data.get("reasons") or ()]
    chain = [safe(name) for name in data.get("chain") or ()]
    if len(chain) > 1:
        lines.append(f"  pulled in by: {' -> '.join(chain)}")
    return lines


def diff(data: Mapping[str, Any], style: Style) -> list[str]:
    """One line a difference, and what would end it."""
    found = list(data.get("drifts") or ())
    if not found:
        return ["everything is as the commit says"]
    return [
        f"{style.paint(safe(one.get('kind')), 'yellow')} {safe(one.get('unit'))}: "
        f"{safe(one.get('detail'))}  (`{safe(one.get('heal'))}` ends it)"
        for one in found
    ]


def timeline(data: Mapping[str, Any], style: Style) -> list[str]:
    """What changed a unit and what happened to it, newest first."""
    lines = []
    for one in data.get("timeline") or ():
        when = number(one.get("time"))
        stamp = style.paint(moment(when), "dim") if when is not None else "?"
        if commit := one.get("commit"):
            lines.append(f"{stamp} commit {commit_line(commit, style, time.time())}")
            if commit.get("change"):
                lines.append(f"    {safe(commit['change'])}")
        else:
            kind = str(one.get("kind")).removeprefix("unit.").removeprefix("operator.")
            lines.append(f"{stamp} {safe(kind)}: {safe(one.get('message'))}")
    return lines
