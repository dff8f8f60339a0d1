"""The targets that exist without a file, so that unit files from elsewhere find what they name.

They do nothing; they are points to order against and to hang units on. The chain from `default.target`
down to `sysinit.target` is systemd's, so what is wanted by any link of it runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitproc.units.assignments import Assignments

_CHAIN: dict[str, dict[str, str]] = {
    "graphical.target": {
        "Description": "Graphical Interface",
        "Requires": "multi-user.target",
        "After": "multi-user.target",
    },
    "multi-user.target": {
        "Description": "Multi-User System",
        "Requires": "basic.target",
        "Wants": "getty.target remote-fs.target",
        "After": "basic.target",
    },
    "basic.target": {
        "Description": "Basic System",
        "Requires": "sysinit.target",
        "Wants": "sockets.target timers.target paths.target slices.target",
        "After": "sysinit.target sockets.target paths.target slices.target",
    },
    "sysinit.target": {
        "Description": "System Initialization",
        "Wants": "local-fs.target swap.target",
        "After": "local-fs.target swap.target",
    },
    "network-online.target": {"Description": "Network is Online", "After": "network.target"},
    "network.target": {"Description": "Network", "After": "network-pre.target"},
    "remote-fs.target": {"Description": "Remote File Systems", "After": "remote-fs-pre.target"},
    "local-fs.target": {"Description": "Local File Systems", "After": "local-fs-pre.target"},
}
_PLAIN = {
    "bluetooth.target": "Bluetooth Support",
    "cryptsetup.target": "Local Encrypted Volumes",
    "cryptsetup-pre.target": "Local Encrypted Volumes (Pre)",
    "emergency.target": "Emergency Mode",
    "exit.target": "Exit",
    "final.target": "Late Shutdown Services",
    "first-boot-complete.target": "First Boot Complete",
    "getty.target": "Login Prompts",
    "getty-pre.target": "Preparation for Logins",
    "halt.target": "System Halt",
    "hibernate.target": "System Hibernation",
    "initrd-switch-root.target": "Switch Root",
    "integritysetup.target": "Local Integrity Protected Volumes",
    "local-fs-pre.target": "Preparation for Local File Systems",
    "network-pre.target": "Preparation for Network",
    "nss-lookup.target": "Host and Network Name Lookups",
    "nss-user-lookup.target": "User and Group Name Lookups",
    "paths.target": "Path Units",
    "poweroff.target": "System Power Off",
    "printer.target": "Printer Support",
    "reboot.target": "System Reboot",
    "remote-cryptsetup.target": "Remote Encrypted Volumes",
    "remote-fs-pre.target": "Preparation for Remote File Systems",
    "rescue.target": "Rescue Mode",
    "rpcbind.target": "RPC Port Mapper",
    "shutdown.target": "System Shutdown",
    "sigpwr.target": "Power Failure",
    "sleep.target": "Sleep",
    "slices.target": "Slice Units",
    "smartcard.target": "Smart Card",
    "sockets.target": "Socket Units",
    "sound.target": "Sound Card",
    "suspend.target": "System Suspend",
    "swap.target": "Swaps",
    "system-update.target": "Offline System Update",
    "time-set.target": "System Time Set",
    "time-sync.target": "System Time Synchronized",
    "timers.target": "Timer Units",
    "umount.target": "Unmount All Filesystems",
    "usb-gadget.target": "Hardware Activated USB Gadget",
    "veritysetup.target": "Local Verity Protected Volumes",
}

DEFAULT_TARGET = "default.target"
DEFAULT_TARGET_IS = "multi-user.target"
"""What `default.target` is an alias of, unless the tree says otherwise."""


def _settings(name: str, rows: Mapping[str, str]) -> Assignments:
    assigned = tuple((f"Unit.{key}", text) for key, text in rows.items())
    return Assignments(assigned, (0,) * len(assigned), name)


BUILTIN: Mapping[str, Assignments] = {
    **{name: _settings(name, rows) for name, rows in _CHAIN.items()},
    **{name: _settings(name, {"Description": title}) for name, title in _PLAIN.items()},
}
"""Name of each built-in target -> its settings."""
