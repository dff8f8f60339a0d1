"""Dependencies in plain text: systemctl's tree, each unit with a dot in the colour of its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.api.text_style import Style, safe

_DOTS = {"active": "●", "reloading": "●", "failed": "×", "activating": "●", "deactivating": "●"}


def dependencies(tree: Mapping[str, Any], style: Style) -> list[str]:
    """The unit, and below it what it is about, one line each."""
    lines = []
    todo = [(tree, "", "")]
    while todo:
        node, here, below = todo.pop()
        state = str(node.get("active_state"))
        dot = style.state(state, _DOTS.get(state, "○"))
        lines.append(f"{dot} {here}{safe(node.get('unit'))}")
        children = list(node.get("depends") or ())
        for at, child in reversed([*enumerate(children, 1)]):
            last = at == len(children)
            todo.append((child, below + ("└─" if last else "├─"), below + ("  " if last else "│ ")))
    return lines
