"""Steps of a child's set-up: capabilities and the bits that bind them to the user (systemd.exec(5), capabilities(7)).

The order is systemd's: the bounding set while there is still the right to, what is to be handed on twice (the
kernel forgets the ambient set with the change of user, and only what is inheritable can come back), then the bits.
"""

from __future__ import annotations

import errno
import os

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup

_CAPBSET_READ, _CAPBSET_DROP, _GET_SECUREBITS, _SET_SECUREBITS, _CAP_AMBIENT = 23, 24, 27, 28, 47
_RAISE = 2
_KEEP_CAPS = 1 << 4
_SETPCAP, _SYS_ADMIN = 8, 21
_MOST = 63


def bound(setup: Setup) -> None:
    """CapabilityBoundingSet=: what is not in it can never be held again."""
    if "bounding" not in setup.spec:
        return
    keep = setup.spec["bounding"]
    effective, permitted, inheritable = process.capabilities()
    if permitted >> _SETPCAP & 1 and not effective >> _SETPCAP & 1:
        process.set_capabilities(effective | 1 << _SETPCAP, permitted, inheritable)
    for number in _known():
        if not keep >> number & 1:
            try:
                process.prctl(_CAPBSET_DROP, number)
            except OSError:
                if process.prctl(_CAPBSET_READ, number):
                    raise
    process.set_capabilities(effective, permitted, inheritable & keep)


def hand_on(setup: Setup) -> None:
    """AmbientCapabilities=, for the time before the change of user."""
    wanted = _to_hand_on(setup)
    if wanted:
        effective, permitted, _ = process.capabilities()
        process.set_capabilities(effective, permitted, wanted)
        _raise(wanted)


def keep_over_change(setup: Setup) -> None:
    """With another user, capabilities are to be kept that are handed on, or needed for the bits."""
    spec = setup.spec
    if spec.get("uid", -1) > 0 and (spec.get("ambient") or spec.get("secure_bits")):
        _set_bits(spec.get("secure_bits", 0) | _KEEP_CAPS)


def hand_on_again(setup: Setup) -> None:
    """AmbientCapabilities=, which the change of user cleared."""
    if setup.spec.get("uid", -1) > 0:
        _raise(_to_hand_on(setup))


def secure_bits(setup: Setup) -> None:
    """SecureBits=."""
    spec = setup.spec
    wanted = spec.get("secure_bits", 0)
    if spec.get("uid", -1) > 0 and spec.get("ambient"):
        wanted |= _KEEP_CAPS  # ends with exec
    if wanted or spec.get("ambient"):
        _set_bits(wanted)


def no_new_privileges(setup: Setup) -> None:
    """NoNewPrivileges=; `unprivileged`: only without CAP_SYS_ADMIN, with which filters go in without."""
    asked = setup.spec.get("no_new_privs")
    if asked == "unprivileged":
        asked = not process.capabilities()[0] >> _SYS_ADMIN & 1
    if asked:
        process.no_new_privileges()


def _set_bits(wanted: int) -> None:
    """The effective set after exec is another one: to have CAP_SETPCAP in it until then gives nothing away."""
    if process.prctl(_GET_SECUREBITS) == wanted:
        return
    effective, permitted, inheritable = process.capabilities()
    if permitted >> _SETPCAP & 1 and not effective >> _SETPCAP & 1:
        process.set_capabilities(effective | 1 << _SETPCAP, permitted, inheritable)
    process.prctl(_SET_SECUREBITS, wanted)


def _to_hand_on(setup: Setup) -> int:
    """What AmbientCapabilities= names, less what the bounding set of the machine has not."""
    wanted: int = setup.spec.get("ambient", 0)
    if wanted:
        for number in _known():
            if wanted >> number & 1 and not process.prctl(_CAPBSET_READ, number):
                wanted &= ~(1 << number)
        wanted &= (1 << len(_known())) - 1
    return wanted


def _raise(wanted: int) -> None:
    for number in _known() if wanted else ():
        if wanted >> number & 1:
            process.prctl(_CAP_AMBIENT, _RAISE, number)


def _known() -> range:
    """The numbers of all capabilities that the kernel has."""
    try:
        return range(int(process.read_small("/proc/sys/kernel/cap_last_cap")) + 1)
    except OSError:
        pass
    for number in range(_MOST):
        try:
            process.prctl(_CAPBSET_READ, number)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return range(number)
            raise
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
