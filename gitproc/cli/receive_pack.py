"""`receive-pack PATH`: the server's side of `git push` for people who cannot write the repository.

Git runs this over ssh in the place of git-receive-pack(1) (`git config remote.NAME.receivepack`). It does
nothing with the push: it hands its standard input, output and error to the daemon and waits for the exit
status.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

from gitproc.api.dial import short_address
from gitproc.daemon.config import load
from gitproc.daemon.paths import RECEIVE_PACK_SOCKET
from gitproc.errors import DaemonError, GitProcError

_CONNECT = 10.0  # seconds


def receive_pack(args: argparse.Namespace) -> int:
    """Have the daemon run git-receive-pack for this push; its exit status."""
    root = Path(args.root) if args.root else None
    config = load(Path(args.config) if args.config else None, root, args.user)
    request = {"path": args.path, "protocol": os.environ.get("GIT_PROTOCOL", "")[:100]}
    with _door(str(config.run_dir / RECEIVE_PACK_SOCKET), config.group) as door:
        try:
            socket.send_fds(door, [json.dumps(request).encode()], [0, 1, 2])
            answer = door.recv(1 << 16)
        except OSError:
            answer = b""
    if not answer:
        raise DaemonError(
            "the daemon went away during the push: `git push` again to see how it stands"
        )
    verdict: dict[str, Any] = json.loads(answer)
    if "error" in verdict:
        raise GitProcError(str(verdict["error"]))
    return int(verdict["status"])


def _door(path: str, group: str) -> socket.socket:
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        door.settimeout(_CONNECT)
        with short_address(path) as address:
            door.connect(address)
        door.settimeout(None)
    except OSError as error:
        door.close()
        if error.errno in {errno.EACCES, errno.EPERM}:
            remedy = f"become root or join the group {group}" if group else "become root"
            raise DaemonError(f"you may not push here: {remedy}") from error
        raise DaemonError(
            f"cannot reach the daemon at {path}: it takes pushes while it runs: "
            "`systemctl start gitproc` or `gitproc daemon`"
        ) from error
    return door
