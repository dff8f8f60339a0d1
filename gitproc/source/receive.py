"""The real `git receive-pack`, run as the repository's owner for somebody else.

Who pushes has no right on the repository at all: what git does there is fixed here. The environment is the
one of every git process of ours (see `trust`), plus our hooks, which no setting of the repository replaces.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from gitproc.errors import SourceError
from gitproc.pattern import pattern
from gitproc.source.trust import Trust

MAX_INPUT = 1 << 30  # bytes of one push

_PROTOCOL = pattern(r"version=[012]")


def start(
    trust: Trust,
    hooks: Path,
    fds: tuple[int, int, int],
    variables: dict[str, str],
    *,
    group: int | None = None,
    protocol: str = "",
) -> subprocess.Popen[bytes]:
    """Start it with these fds as standard input, output and error, in a session of its own.

    `group`: the one further group it has, so that its hooks reach the daemon. `protocol`: the client's
    GIT_PROTOCOL. SourceError if the repository is not to be trusted or git does not start.
    """
    trust.check()
    environment = trust.environment(variables)
    del environment["GIT_DIR"]  # receive-pack finds out by itself, and whether there is a work tree
    settings = {
        "core.hooksPath": str(hooks),
        "receive.advertisePushOptions": "true",
        "receive.denyDeleteCurrent": "ignore",
        "receive.maxInputSize": str(MAX_INPUT),
    }
    count = int(environment["GIT_CONFIG_COUNT"])
    for number, (key, value) in enumerate(settings.items(), count):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    environment["GIT_CONFIG_COUNT"] = str(count + len(settings))
    if _PROTOCOL.fullmatch(protocol):
        environment["GIT_PROTOCOL"] = protocol
    identity = trust.identity()
    if identity and group is not None:
        identity["extra_groups"] = (group,)
    try:
        return subprocess.Popen(
            ("git", "receive-pack", str(trust.place.git_dir)),
            stdin=fds[0],
            stdout=fds[1],
            stderr=fds[2],
            cwd="/",
            env=environment,
            umask=0o022,
            start_new_session=True,
            **identity,
        )
    except FileNotFoundError as error:
        raise SourceError("cannot run git: it is not installed") from error
    except OSError as error:
        raise SourceError(f"cannot run git: {error.strerror}") from error
