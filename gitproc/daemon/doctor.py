"""`doctor`: what this host gives, what is missing, and what to do about it."""

from __future__ import annotations

import os
from typing import Any

from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.errors import GitProcError
from gitproc.kernel.dynamic_users import registry
from gitproc.kernel.host import features
from gitproc.kernel.name_service import knows_records
from gitproc.kernel.namespaces import missing_namespaces


def _check(name: str, state: str, detail: str = "", advice: str = "") -> dict[str, Any]:
    return {"name": name, "state": state, "detail": detail, "advice": advice}


def checks(effects: Effects, repository: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a thing looked at: `state` is ok, warn or fail. `repository`: those of the repository."""
    config, world = effects.config, effects.world
    found = [_check("daemon", "ok", f"PID {os.getpid()}, shim PID {effects.shim_pid}")]
    found.append(_privileges())
    found += repository
    where = f"{config.file}" if config.file else "defaults (no config.toml)"
    found.append(_check("configuration", "ok", where))
    missing = effects.controller.describe()
    for text in missing:
        found.append(_check("cgroups", "warn", text))
    if not missing:
        found.append(_check("cgroups", "ok", effects.controller.layout.kind.value))
    problem = missing_namespaces().get("pid", "")
    found.append(
        _check("PID namespaces", "warn", problem, "units with PrivatePIDs=yes fail to start here")
        if problem
        else _check("PID namespaces", "ok")
    )
    for name, there in features(effects.controller.tree).items():
        found.append(_check(f"kernel: {name}", "ok" if there else "warn"))
    names = registry().names()
    if names and config.root is None:
        found.append(_names(", ".join(names)))
    if world.source_problem:
        found.append(_check("source", "fail", world.source_problem))
    if world.refused is not None:
        sha = world.refused.commit.sha[:12]
        found.append(_check("commit", "fail", f"{sha} is refused", "see `gitproc status`"))
    held = sorted(n for n, s in world.units.items() if s.hold is not None)
    if held:
        advice = "`gitproc start UNIT` ends a hold"
        found.append(_check("holds", "warn", ", ".join(held), advice))
    return found


def _privileges() -> dict[str, Any]:
    if os.geteuid() == 0:
        return _check("privileges", "ok", "root")
    return _check("privileges", "warn", "not root", "User=, limits and namespaces need root")


def _names(users: str) -> dict[str, Any]:
    if knows_records():
        return _check("dynamic users", "ok", users)
    advice = "names need libnss-systemd, and `systemd` at passwd: and group: in /etc/nsswitch.conf"
    return _check("dynamic users", "warn", f"only numbers are known of {users}", advice)


def look_at_repository(desired: Desired) -> list[dict[str, Any]]:
    """The checks that ask git: for a thread."""
    try:
        git = desired.git()
        git.head()
    except GitProcError as error:
        return [_check("repository", "fail", error.message, "`gitproc init` makes or adopts one")]
    found = [_check("repository", "ok", f"{git.place.path}, branch {git.branch}")]
    monitor = desired.monitor
    if monitor is not None and not monitor.inotify_works:
        found.append(_check("watch", "warn", monitor.reason, "the repository is polled instead"))
    return found
