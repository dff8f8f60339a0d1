"""What the host's systemd says of its own units: asked for by name, many at once, with `systemctl show`.

It blocks for as long as systemctl takes (milliseconds, unless systemd is stuck): call it in a thread.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from gitproc.core.host_unit import HostUnit
from gitproc.errors import HostError

_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
_TIMEOUT = 10.0  # seconds
_MOST = 300  # names in one call: of 255 bytes each


def booted() -> bool:
    """Whether the host runs systemd (sd_booted(3))."""
    return _BOOTED.is_dir()


def ask(names: Collection[str], *, user_mode: bool = False) -> dict[str, HostUnit]:
    """State by name; in `user_mode` of the user's systemd. HostError if it does not answer."""
    found: dict[str, HostUnit] = {}
    ordered = sorted(names)
    for start in range(0, len(ordered), _MOST):
        some = ordered[start : start + _MOST]
        blocks = list(_shown(some, user_mode=user_mode))
        if len(blocks) != len(some):
            raise HostError(f"systemctl told of {len(blocks)} units instead of {len(some)}")
        found.update(zip(some, blocks, strict=True))
    return found


def ask_if_booted(names: Collection[str], *, user_mode: bool = False) -> dict[str, HostUnit] | None:
    """`ask`, or None where there is no systemd; if it does not answer, all that is asked for is unknown."""
    if not booted():
        return None
    try:
        return ask(names, user_mode=user_mode)
    except HostError:
        return {name: HostUnit() for name in names}


def _shown(names: Collection[str], *, user_mode: bool) -> Iterator[HostUnit]:
    command = ["systemctl", *(["--user"] if user_mode else [])]
    command += ["show", "--no-pager", "--property=LoadState,ActiveState", "--", *names]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"systemctl: {error}") from error
    if done.returncode:
        raise HostError(f"systemctl: {done.stderr.strip() or done.returncode}")
    for block in done.stdout.strip().split("\n\n"):
        lines = dict(line.partition("=")[::2] for line in block.splitlines())
        yield HostUnit(lines.get("LoadState", ""), lines.get("ActiveState", ""))
