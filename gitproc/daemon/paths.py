"""Where everything lies unless the configuration says otherwise: the system's places, a root, or a user's.

Only built-in and already loaded modules are imported here: the command line's fast path asks it for the
socket.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from gitproc.immutable import NamedTuple

RECEIVE_PACK_SOCKET = "receive-pack.sock"  # in run_dir
HOOKS = "hooks"  # in state_dir


class Paths(NamedTuple):
    """The default places, as absolute paths."""

    config: str
    repository: str
    socket: str
    run_dir: str
    state_dir: str
    log_dir: str


def default_paths(
    root: str | None = None, *, user: bool = False, environ: Mapping[str, str] | None = None
) -> Paths:
    """The places of the system (`/etc`, `/run`, `/var`), all of them below `root` if that is given.

    `user`: a user's own manager, by the XDG base directories in `environ` (os.environ if None), whose
    relative values are ignored as the specification asks; `root` wins over it.
    """
    if root is not None or not user:
        top = os.path.abspath(root or "/").rstrip("/")  # noqa: PTH100 -- no pathlib here
        return Paths(
            f"{top}/etc/gitproc/config.toml",
            f"{top}/etc/gitproc/services",
            f"{top}/run/gitproc.sock",
            f"{top}/run/gitproc",
            f"{top}/var/lib/gitproc",
            f"{top}/var/log/gitproc",
        )
    env = os.environ if environ is None else environ
    home = env.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 -- no pathlib here

    def base(variable: str, default: str) -> str:
        value = env.get(variable, "")
        return (value if value.startswith("/") else default).rstrip("/") + "/gitproc"

    config, state = (
        base("XDG_CONFIG_HOME", f"{home}/.config"),
        base("XDG_STATE_HOME", f"{home}/.local/state"),
    )
    # Without a session there is no runtime directory; one below the state is as private, only not cleaned.
    run = base("XDG_RUNTIME_DIR", f"{home}/.local/state/gitproc/run")
    return Paths(
        f"{config}/config.toml",
        f"{config}/services",
        f"{run}/gitproc.sock",
        run,
        state,
        f"{state}/log",
    )
