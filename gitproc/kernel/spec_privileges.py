"""What a command may do, as the shim's spec says it: capabilities, and system call filters (systemd.exec(5)).

Units that restrict nothing pay one look into a set; libseccomp is loaded for the first that does.
"""

from __future__ import annotations

from typing import Any

from gitproc.errors import HostError
from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.units import directives_sandbox as s
from gitproc.units.capabilities import ALL, ambient_set, mask
from gitproc.units.directive import Directive
from gitproc.units.directives_exec_limits import LIMIT_RTPRIO
from gitproc.units.sandbox_rules import capabilities_left
from gitproc.units.unit import Unit

_RLIMIT_RTPRIO = 14
_ROWS: tuple[Directive[Any], ...] = (
    s.NO_NEW_PRIVILEGES, s.CAPABILITY_BOUNDING_SET, s.AMBIENT_CAPABILITIES, s.SECURE_BITS,
    s.PERSONALITY, *s.FILTERING,
)  # fmt: skip
_KEYS = frozenset(row.key for row in _ROWS)


def privileges_of(unit: Unit, context: LaunchContext, warnings: list[str]) -> dict[str, Any]:
    """The keys of the spec for what the unit takes away or gives; LaunchError if this host cannot."""
    if _KEYS.isdisjoint(unit.values):
        return {}
    spec: dict[str, Any] = {}
    given = unit[s.AMBIENT_CAPABILITIES]
    left, ambient = capabilities_left(unit.values), ambient_set(given)
    if left != ALL:
        spec["bounding"] = mask(left)
    if ambient:
        spec["ambient"] = mask(ambient)
    bits = 0
    for bit in unit[s.SECURE_BITS]:
        bits |= bit
    if bits:
        spec["secure_bits"] = bits
    if spec and not context.privileged and context.warn_isolation:
        spec.clear()
        warnings.append("capabilities are as they are: the manager is not root")
    if unit[s.RESTRICT_REALTIME] and unit[LIMIT_RTPRIO] is None:
        spec["rlimits"] = [[_RLIMIT_RTPRIO, 0, 0]]
    filtered = any(unit[row] != row.default for row in s.FILTERING)
    if unit[s.NO_NEW_PRIVILEGES]:
        spec["no_new_privs"] = True
    elif filtered:
        spec["no_new_privs"] = "unprivileged"
    if unit[s.MEMORY_DENY_WRITE_EXECUTE]:
        spec["no_new_code"] = True
    if filtered:
        _filters(spec, unit, context, warnings)
    if unit[s.PERSONALITY]:
        from gitproc.kernel.filters import personality_number

        number = personality_number(unit[s.PERSONALITY])
        if number is None:
            raise LaunchError("PERSONALITY", f"this machine is never {unit[s.PERSONALITY]}")
        spec["personality"] = number
    return spec


def _filters(spec: dict[str, Any], unit: Unit, context: LaunchContext, warnings: list[str]) -> None:
    from gitproc.kernel import seccomp
    from gitproc.kernel.filters import programs_of

    missing = seccomp.problem()
    if missing and context.warn_isolation:
        warnings.append(f"system calls are not restricted: {missing}")
        return
    if missing:
        raise LaunchError("SECCOMP", f"cannot restrict system calls: {missing}")
    try:
        spec["seccomp"] = [list(program) for program in programs_of(unit)]
    except HostError as error:
        raise LaunchError("SECCOMP", error.message) from error
    for name in unit[s.SYSTEM_CALL_ARCHITECTURES]:
        if not seccomp.knows_architecture(name):
            warnings.append(f"SystemCallArchitectures=: nothing is known of {name} here")
