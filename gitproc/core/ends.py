"""An end that others are started for: kept until it has been acted on."""

from __future__ import annotations

from gitproc.immutable import immutable


@immutable
class End:
    """A unit ended in a way that starts others. `variables`: what their processes are told of it."""

    unit: str
    relation: str
    variables: tuple[str, ...]
