"""The host's own settings, `config.toml`: read once, judged whole, every mistake with its file and line.

What units are wanted is the repository's business; here stands what a host may decide about itself: places,
who may ask, what to do where the host cannot give what a unit asks for, and defaults.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from gitproc.daemon import config_values as kinds
from gitproc.daemon.config_values import Converter
from gitproc.daemon.paths import default_paths
from gitproc.errors import ConfigError
from gitproc.immutable import field, immutable

_OUTSIDE = 65534  # the owner of what a container was given from outside, where it has no number


@immutable
class Logs:
    """Rotation of the services' logs: a file of `max_bytes` is rotated, `files` rotated ones are kept."""

    max_bytes: int = 10 << 20
    files: int = 5


@immutable
class Defaults:
    """What holds for units that say nothing (systemd-system.conf(5)'s Default*=). Spans in seconds."""

    timeout_start: float = 90.0
    timeout_stop: float = 90.0
    restart_sec: float = 0.1
    start_limit_interval: float = 10.0
    start_limit_burst: int = 5


@immutable
class Policy:
    """What holds for pushes.

    `max_removals`: a push that ends more running units than this, or all of several, needs
    `-o confirm-prune`. `max_exposure`: a service may not become more exposed than this score (0 to 10;
    10 allows all). `when_down`: what becomes of a push that the daemon cannot check because it does not
    run; `accept` has the hook check it alone. `follow`: seconds a push waits for the commit to settle.
    `max_tree`: bytes that the files of a commit may have together, pushed or not.
    """

    max_removals: int = 5
    max_exposure: float = 10.0
    when_down: Literal["refuse", "accept"] = "refuse"
    follow: float = 300.0
    max_tree: int = 1 << 30


@immutable
class Deploy:
    """What a commit that settles as failed leads to.

    `hold`: the last good one is put in force again. `revert`: that is also committed to the branch.
    `keep`: nothing.
    """

    on_failure: Literal["hold", "revert", "keep"] = "hold"


@immutable
class Notify:
    """Who hears how each commit ended: a program (JSON on its standard input) and a URL (JSON by POST).

    `timeout`: seconds that each may take.
    """

    command: tuple[str, ...] = ()
    webhook: str = ""
    timeout: float = 10.0


@immutable
class Config:
    """The settings in force. `settle_seconds` and `poll_interval` are seconds; all paths are absolute."""

    repository: Path
    socket: Path
    run_dir: Path
    state_dir: Path
    log_dir: Path
    cgroup_root: str = "gitproc"
    branch: str = "main"
    group: str = "gitproc"
    readers: bool = False
    allow_unenforced: tuple[str, ...] = ()
    default_private_pids: bool = False
    on_missing_isolation: Literal["fail", "warn"] | None = None
    settle_seconds: float = 5.0
    poll_interval: float = 30.0
    resync: Literal["off", "heal"] = "off"
    logs: Logs = field(default_factory=Logs)
    defaults: Defaults = field(default_factory=Defaults)
    policy: Policy = field(default_factory=Policy)
    deploy: Deploy = field(default_factory=Deploy)
    notify: Notify = field(default_factory=Notify)
    file: Path | None = None
    """The file that was read; None if there is none."""
    root: Path | None = None
    user_mode: bool = False

    @property
    def user_records(self) -> Path:
        """Where the host's name service finds the names of made up users (nss-systemd(8)); below `root` it does not."""
        return (self.root or Path("/")) / "run/userdb"


def load(
    path: Path | None = None,
    root: Path | None = None,
    user_mode: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read the configuration: `path`, or the place it has by default, where it may be missing.

    `root`: everything of GitProc lies below this directory (absolute paths in the file are meant within
    it). `user_mode`: the places of a user's own manager, by `environ` (None: os.environ).

    Raises ConfigError; its `data` holds `file`, and `line` and `key` where known.
    """
    places = default_paths(str(root) if root else None, user=user_mode, environ=environ)
    file = path or Path(places.config)
    text = _read(file, required=path is not None)
    settings = _parse(file, text) if text is not None else {}
    top = Path(places.config).parents[2] if root else None
    for key in _PATHS:
        value = settings.get(key)
        settings[key] = Path(getattr(places, key)) if value is None else _below(top, value)
    if top is not None:
        settings.setdefault("cgroup_root", _cgroup_name(top))
    if user_mode and root is None:
        settings.setdefault("group", "")  # whom a user lets operate is for that user to say
    return Config(
        **settings,
        file=file if text is not None else None,
        root=top,
        user_mode=user_mode and root is None,
    )


def _read(file: Path, *, required: bool) -> str | None:
    if file.suffix == ".json":
        raise ConfigError(
            f"{file}: the configuration is TOML, not JSON: write config.toml", file=str(file)
        )
    try:
        with file.open("rb") as opened:
            _check_writers(file, os.fstat(opened.fileno()))
            return opened.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 (byte {error.start})", file=str(file)) from error
    except FileNotFoundError as error:
        old = file.with_name("config.json")
        if old.exists():
            raise ConfigError(
                f"{old} is not read: move its settings to {file} (TOML) and remove it",
                file=str(old),
            ) from error
        if required:
            raise ConfigError(f"cannot read {file}: {error.strerror}", file=str(file)) from error
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", file=str(file)) from error


def _check_writers(file: Path, found: os.stat_result) -> None:
    """Who can write this file runs programs as us. ConfigError if that is somebody else."""
    if os.geteuid() == 0 and found.st_uid not in (0, _OUTSIDE):
        raise ConfigError(
            f"{file} belongs to uid {found.st_uid}, who could thus run anything here: "
            f"run `chown root {file}`",
            file=str(file),
        )
    group = os.geteuid() == 0 and found.st_gid != 0 and found.st_mode & stat.S_IWGRP
    if group or found.st_mode & stat.S_IWOTH:
        who = "everybody" if found.st_mode & stat.S_IWOTH else "its group"
        raise ConfigError(
            f"{file} can be written by {who}, who could thus run anything here: "
            f"run `chmod go-w {file}`",
            file=str(file),
        )


def _parse(file: Path, text: str) -> dict[str, Any]:
    import tomli

    try:
        table = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        found = re.search(
            r"^(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error)
        )
        message = found[1] if found else str(error)
        line = int(found[2]) if found and found[2] else text.count("\n") + 1
        column = f":{found[3]}" if found and found[3] else ""
        raise ConfigError(f"{file}:{line}{column}: {message}", file=str(file), line=line) from error
    return _Judge(file, text).settings(table)


class _Judge:
    """Checks a parsed file against the known keys, with an eye on the text for line numbers."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text

    def settings(self, table: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in table.items():
            if key in _SECTIONS:
                kind, known = _SECTIONS[key]
                if not isinstance(value, dict):
                    self._refuse(key, f"is a section: write [{key}] on a line of its own")
                result[key] = kind(**self._convert(value, known, key + "."))
            else:
                result.update(self._convert({key: value}, _KEYS, ""))
        return result

    def _convert(
        self, table: dict[str, Any], known: Mapping[str, Converter], prefix: str
    ) -> dict[str, Any]:
        result = {}
        for key, value in table.items():
            convert = known.get(key)
            if convert is None:
                self._refuse(
                    prefix + key, f"unknown {'section' if isinstance(value, dict) else 'key'}"
                )
            try:
                result[key] = convert(value)
            except ValueError as error:
                self._refuse(prefix + key, f"{error}")
        return result

    def _refuse(self, key: str, problem: str) -> NoReturn:
        hint = _suggestion(key) if problem.startswith("unknown") else ""
        line = _line_of(self._text, key)
        where = f"{self._file}:{line}" if line else str(self._file)
        data: dict[str, Any] = {"file": str(self._file), "key": key}
        if line:
            data["line"] = line
        raise ConfigError(f"{where}: {key}: {problem}{hint}", **data)


def _suggestion(key: str) -> str:
    from difflib import get_close_matches

    known = [*_KEYS, *_SECTIONS]
    for section, (_, keys) in _SECTIONS.items():
        known += [f"{section}.{name}" for name in keys]
    last = key.rpartition(".")[2]
    same = [name for name in known if name.rpartition(".")[2] == last]
    close = same or get_close_matches(key, known, 1, 0.6) or get_close_matches(last, known, 1, 0.6)
    if not close:
        return ""
    section, _, name = close[0].rpartition(".")
    return f"; did you mean {name}" + (f" in section [{section}]?" if section else "?")


def _line_of(text: str, key: str) -> int | None:
    """The line (from 1) that assigns `key`, or opens its section; None if it is written in another way."""
    section, _, name = key.rpartition(".")
    current = ""
    header = None
    for number, line in enumerate(text.splitlines(), 1):
        opened = re.match(r"\s*\[+\s*([^\]]*?)\s*\]+", line)
        if opened:
            current = opened[1].replace('"', "").replace("'", "")
            header = header or (number if current == key else None)
            continue
        assigned = re.match(r"""\s*["']?([\w.-]+)["']?[\w.\s"'-]*=""", line)
        if assigned and (
            (current == section and assigned[1] == name) or (not current and assigned[1] == key)
        ):
            return number
    return header


def _below(top: Path | None, path: Path) -> Path:
    return path if top is None or path.is_relative_to(top) else top / path.relative_to("/")


def _cgroup_name(root: Path) -> str:
    """A name that tells whose it is and that no other root has."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", root.name)[:32] or "root"
    return f"gitproc-{name}-{hashlib.sha256(bytes(root)).hexdigest()[:8]}"


_PATHS = ("repository", "socket", "run_dir", "state_dir", "log_dir")
_KEYS: dict[str, Converter] = {
    **dict.fromkeys(_PATHS, kinds.path),
    "branch": kinds.branch,
    "cgroup_root": kinds.cgroup,
    "group": kinds.line,
    "readers": kinds.flag,
    "allow_unenforced": kinds.texts,
    "default_private_pids": kinds.flag,
    "on_missing_isolation": kinds.missing,
    "settle_seconds": kinds.span(0, finite=True),
    "poll_interval": kinds.span(1, finite=False),
    "resync": kinds.one_of("off", "heal"),
}
_SECTIONS: dict[str, tuple[Callable[..., Any], dict[str, Converter]]] = {
    "logs": (Logs, {"max_bytes": kinds.size, "files": kinds.count(0)}),
    "defaults": (
        Defaults,
        {
            "timeout_start": kinds.timeout,
            "timeout_stop": kinds.timeout,
            "restart_sec": kinds.span(0, finite=True),
            "start_limit_interval": kinds.span(0, finite=False),
            "start_limit_burst": kinds.count(0),
        },
    ),
    "policy": (
        Policy,
        {
            "max_removals": kinds.count(0),
            "max_exposure": kinds.number(0, 10),
            "when_down": kinds.one_of("refuse", "accept"),
            "follow": kinds.span(0, finite=True),
            "max_tree": kinds.size,
        },
    ),
    "deploy": (Deploy, {"on_failure": kinds.one_of("hold", "revert", "keep")}),
    "notify": (
        Notify,
        {
            "command": kinds.command,
            "webhook": kinds.webhook,
            "timeout": kinds.span(0.1, finite=True),
        },
    ),
}
