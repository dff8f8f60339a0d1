"""What the settings of the sandbox mean together: what one of them brings along (systemd.exec(5))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.units import directives_resources as resources
from gitproc.units import directives_sandbox as sandbox
from gitproc.units.capabilities import bounding_set
from gitproc.units.device_access import DeviceRule
from gitproc.units.directives_exec import REMOVE_IPC
from gitproc.units.exec_rules import Warn

_TAKEN = {
    sandbox.PRIVATE_DEVICES.key: ("CAP_MKNOD", "CAP_SYS_RAWIO"),
    sandbox.PROTECT_KERNEL_MODULES.key: ("CAP_SYS_MODULE",),
    sandbox.PROTECT_KERNEL_LOGS.key: ("CAP_SYSLOG",),
    sandbox.PROTECT_CLOCK.key: ("CAP_SYS_TIME", "CAP_WAKE_ALARM"),
}
_OTHER_MOUNTS = (
    sandbox.BIND_PATHS,
    sandbox.BIND_READ_ONLY_PATHS,
    sandbox.TEMPORARY_FILE_SYSTEM,
    sandbox.ROOT_DIRECTORY,
)
OWN_MOUNTS = (
    *_OTHER_MOUNTS,
    sandbox.PRIVATE_MOUNTS,
    sandbox.PRIVATE_TMP,
    sandbox.PRIVATE_DEVICES,
    sandbox.PROTECT_SYSTEM,
    sandbox.PROTECT_HOME,
    sandbox.PROTECT_CONTROL_GROUPS,
    sandbox.PROTECT_KERNEL_TUNABLES,
    sandbox.PROTECT_KERNEL_MODULES,
    sandbox.PROTECT_KERNEL_LOGS,
    sandbox.PROTECT_PROC,
    sandbox.PROC_SUBSET,
    sandbox.READ_WRITE_PATHS,
    sandbox.READ_ONLY_PATHS,
    sandbox.INACCESSIBLE_PATHS,
    sandbox.EXEC_PATHS,
    sandbox.NO_EXEC_PATHS,
    sandbox.MOUNT_FLAGS,
    sandbox.PRIVATE_IPC,
    sandbox.IPC_NAMESPACE_PATH,
)
"""Settings each of which gives a service a mount namespace."""

OWN_NETWORK = (sandbox.PRIVATE_NETWORK, sandbox.NETWORK_NAMESPACE_PATH)
"""Settings each of which puts a service into another network."""
SETTLED_BY = frozenset(
    x.key for x in (sandbox.DYNAMIC_USER, sandbox.PRIVATE_DEVICES, sandbox.PROTECT_CLOCK)
)
"""Without any of these nothing follows."""
_FILTERS = (sandbox.SYSTEM_CALL_FILTER, sandbox.SYSTEM_CALL_LOG)
SAYS_OF = frozenset(x.key for x in _FILTERS)
"""What `verify` is about."""


def settle(values: dict[str, Any]) -> None:
    """Put in what follows: a made up user is confined, and without devices only pseudo devices are left."""
    if values.get(sandbox.DYNAMIC_USER.key):
        values[sandbox.NO_NEW_PRIVILEGES.key] = True
        values[sandbox.RESTRICT_SUID_SGID.key] = True
        values[REMOVE_IPC.key] = True
        values[sandbox.PROTECT_SYSTEM.key] = "strict"
        for directive, least in ((sandbox.PRIVATE_TMP, "yes"), (sandbox.PROTECT_HOME, "read-only")):
            if directive.of(values) == directive.default:
                values[directive.key] = least
    policy, rules = resources.DEVICE_POLICY.key, resources.DEVICE_ALLOW.key
    if values.get(sandbox.PRIVATE_DEVICES.key) and values.get(policy, "auto") == "auto":
        values[policy] = "closed"
    limited = values.get(policy, "auto") != "auto" or rules in values
    if values.get(sandbox.PROTECT_CLOCK.key) and limited:
        values[rules] = (
            *values.get(rules, ()),
            DeviceRule("char-rtc", "r"),
        )  # to read it is harmless


def verify(values: Mapping[str, Any], warn: Warn) -> None:
    """Warn of system calls that nobody has heard of: a filter without them may be another than was meant."""
    for directive in _FILTERS:
        rules = values.get(directive.key)
        if not rules:
            continue
        from gitproc.units.syscall_groups import members

        known = frozenset(members("@known"))
        for rule in rules:
            for item in rule.items:
                name = item.partition(":")[0]
                if not name.startswith("@") and name not in known:
                    warn(directive, f"'{name}' is no system call that is known: not filtered")


def capabilities_left(values: Mapping[str, Any]) -> frozenset[str]:
    """The bounding set of a service, less what its other settings take away."""
    left = bounding_set(values.get(sandbox.CAPABILITY_BOUNDING_SET.key, ()))
    return left.difference(*(taken for key, taken in _TAKEN.items() if values.get(key)))


def has_own_network(values: Mapping[str, Any]) -> bool:
    """Whether a service is in another network than the host's."""
    return any(directive.of(values) for directive in OWN_NETWORK)


def has_own_mounts(values: Mapping[str, Any]) -> bool:
    """Whether a service gets a mount namespace: asked for, or needed by what is.

    A network of its own needs a /sys that shows it, unless PrivateMounts= is said to be off.
    """
    if any(directive.of(values) != directive.default for directive in OWN_MOUNTS):
        return True
    return sandbox.PRIVATE_MOUNTS.key not in values and has_own_network(values)


def shows_other_mounts(values: Mapping[str, Any]) -> bool:
    """Whether even a command with all privileges is shown something else than the host's files."""
    return any(directive.of(values) != directive.default for directive in _OTHER_MOUNTS)
