"""The units of witnesses: each kind lives another life, and all keep the same books.

`plain`, `ready` (it says when), `hidden` (in a PID namespace), `forks` (what is started is not what stays),
`steps` (a command is noted for every step of a life), and `called`, who answers at a socket with its token.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.harness import service, shell

KINDS = ("plain", "plain", "plain", "ready", "hidden", "forks", "steps", "steps", "called")
"""As often as they are made."""
PAUSE = 0.03  # seconds between a witness's lines
STEPS = ("pre", "pre-done", "post", "stop", "stopped", "stopped-done")
"""What is noted of one life of `steps`, in the order in which it may be."""
_SETTINGS = "Restart=always\nRestartSec=0.05\nLimitCORE=0\nTimeoutStopSec=10\nTimeoutStartSec=20\n"


def kind_of(name: str) -> str:
    """The kind of witness that has such a name."""
    return name.rstrip("0123456789")


def called_at(root: Path, name: str) -> Path:
    """Where a witness is called."""
    return root / "calls" / name


def files(root: Path, name: str, more: str) -> dict[str, str]:
    """A witness's unit files, with more settings of [Service]."""
    found = {f"{name}.service": _service(root, name, more)}
    if kind_of(name) == "called":
        found[f"{name}.socket"] = (
            f"[Socket]\nListenStream={called_at(root, name)}\nTriggerLimitBurst=0\n"
            "[Install]\nWantedBy=sockets.target\n"
        )
    return found


def _service(root: Path, name: str, more: str) -> str:
    notes, kind = root / "notes", kind_of(name)
    command = f"/usr/bin/python3 -I -S {root}/witness.py {notes} {name} {PAUSE}"
    settings = _SETTINGS + more
    if kind == "ready":
        settings += "Type=notify\n"
    elif kind == "hidden":
        settings += "PrivatePIDs=yes\n"
    elif kind == "forks":
        settings += "Type=forking\n"
        command += " fork"
    elif kind == "steps":
        book = notes / f"{name}.life"

        def noted(*words: str) -> str:
            lines = [f"echo $INVOCATION_ID step {word} >>{book}" for word in words]
            return shell("; sleep 0.03; ".join(lines))

        settings += f"ExecStartPre={noted('pre', 'pre-done')}\nExecStartPost={noted('post')}\n"
        settings += f"ExecStop={noted('stop')}\nExecStopPost={noted('stopped', 'stopped-done')}\n"
    return service(command, settings, "StartLimitIntervalSec=0")
