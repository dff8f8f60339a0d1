"""The errors of GitProc, one small tree. Each leaf owns its JSON-RPC code and its exit status.

GitProcError            1       something an operator can act on; the message says what
├── UsageError          2       the command line or request does not make sense
├── ConfigError         78      config.toml is wrong: file, key and cause
├── DaemonError         1       the manager cannot be reached, or refused the caller
├── NoSuchUnit          4       no unit of that name is loaded
├── RefusedError        1       a commit, plan or operation is refused; carries diagnostics
├── SourceError         1       the git repository cannot be read or written
├── HostError           1       the kernel or the machine refuses: cgroup, namespace, user, path
└── StateError          1       the state directory cannot be read or written

Texts start with "cannot ..." or name the thing that is wrong, and say what to do next where that helps.
"""

from __future__ import annotations

from typing import Any, ClassVar


class GitProcError(Exception):
    """Base of all errors an operator sees. `data` goes into the RPC error object as it is."""

    rpc_code: ClassVar[int] = -32000
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data: dict[str, Any] = data


class UsageError(GitProcError):
    """The request itself is wrong (unknown verb, bad argument)."""

    rpc_code = -32602
    exit_status = 2


class ConfigError(GitProcError):
    """The configuration file is wrong."""

    rpc_code = -32001
    exit_status = 78


class DaemonError(GitProcError):
    """The manager cannot be reached or does not let the caller do this."""

    rpc_code = -32002


class NoSuchUnit(GitProcError):
    """The named unit is not loaded (`LoadState=not-found`)."""

    rpc_code = -32003
    exit_status = 4


class RefusedError(GitProcError):
    """Refused as a whole; `data["diagnostics"]` lists every reason."""

    rpc_code = -32004


class SourceError(GitProcError):
    """The repository of desired state cannot be read or written."""

    rpc_code = -32005


class HostError(GitProcError):
    """The host refused: a cgroup, a namespace, a user that does not exist."""

    rpc_code = -32006


class StateError(GitProcError):
    """State on disk cannot be read or written."""

    rpc_code = -32007
