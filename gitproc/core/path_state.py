"""What a path unit keeps of what it watches."""

from __future__ import annotations

from gitproc.immutable import field, mutable


@mutable
class PathState:
    """Where a path unit stands, in its present instance (`invocation`).

    `marks`: what was last seen of each path, empty where nothing was. `fresh`: what is there counts even
    if it was there before. `hits`: the instants of the latest starts. `watching`: of this manager alone.
    """

    invocation: str
    marks: list[str] = field(default_factory=list)
    fresh: bool = True
    hits: list[float] = field(default_factory=list)
    watching: bool = False
