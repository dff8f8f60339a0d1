"""Exit statuses by name, and sets of them as SuccessExitStatus= and its kin hold.

Statuses from 200 on are those a manager gives a child that could not be set up; naming the step that
failed is their whole purpose, so `status` shows them by these names too (systemd.exec(5)).
"""

from __future__ import annotations

from gitproc.immutable import immutable
from gitproc.units.scalars import parse_unsigned
from gitproc.units.signals import parse_signal
from gitproc.units.words import split_words

EXIT_STATUS_NAMES: dict[int, str] = {
    0: "SUCCESS", 1: "FAILURE", 2: "INVALIDARGUMENT", 3: "NOTIMPLEMENTED", 4: "NOPERMISSION",
    5: "NOTINSTALLED", 6: "NOTCONFIGURED", 7: "NOTRUNNING", 64: "USAGE", 65: "DATAERR",
    66: "NOINPUT", 67: "NOUSER", 68: "NOHOST", 69: "UNAVAILABLE", 70: "SOFTWARE", 71: "OSERR",
    72: "OSFILE", 73: "CANTCREAT", 74: "IOERR", 75: "TEMPFAIL", 76: "PROTOCOL", 77: "NOPERM",
    78: "CONFIG", 200: "CHDIR", 201: "NICE", 202: "FDS", 203: "EXEC", 204: "MEMORY", 205: "LIMITS",
    206: "OOM_ADJUST", 207: "SIGNAL_MASK", 208: "STDIN", 209: "STDOUT", 210: "CHROOT",
    211: "IOPRIO", 212: "TIMERSLACK", 213: "SECUREBITS", 214: "SETSCHEDULER", 215: "CPUAFFINITY",
    216: "GROUP", 217: "USER", 218: "CAPABILITIES", 219: "CGROUP", 220: "SETSID", 221: "CONFIRM",
    222: "STDERR", 224: "PAM", 225: "NETWORK", 226: "NAMESPACE", 227: "NO_NEW_PRIVILEGES",
    228: "SECCOMP", 229: "SELINUX_CONTEXT", 230: "PERSONALITY", 231: "APPARMOR",
    232: "ADDRESS_FAMILIES", 233: "RUNTIME_DIRECTORY", 235: "CHOWN", 236: "SMACK_PROCESS_LABEL",
    237: "KEYRING", 238: "STATE_DIRECTORY", 239: "CACHE_DIRECTORY", 240: "LOGS_DIRECTORY",
    241: "CONFIGURATION_DIRECTORY", 242: "NUMA_POLICY", 243: "CREDENTIALS", 244: "BPF", 245: "KSM",
    246: "LANDLOCK_CONFIG", 255: "EXCEPTION",
}  # fmt: skip

#: Those that mean the same wherever they come from: C's own, and a manager's.
_PLAIN = frozenset(number for number in EXIT_STATUS_NAMES if number < 2 or number >= 200)
_BY_NAME = {name: status for status, name in EXIT_STATUS_NAMES.items()}


@immutable
class StatusSet:
    """Ways for a process to end: exit statuses, and signals it died of."""

    codes: frozenset[int] = frozenset()
    signals: frozenset[int] = frozenset()

    def __or__(self, other: StatusSet) -> StatusSet:
        return StatusSet(self.codes | other.codes, self.signals | other.signals)

    def __bool__(self) -> bool:
        return bool(self.codes or self.signals)


def parse_exit_status(text: str) -> int:
    """0 to 255, or a name with or without `EX_` or `EXIT_`."""
    status = _BY_NAME.get(text.removeprefix("EXIT_").removeprefix("EX_"))
    return status if status is not None else parse_unsigned(text, 0, 255)


def named_status(status: int) -> str:
    """`203/EXEC`: with its name, if every program means the same by it."""
    return f"{status}/{EXIT_STATUS_NAMES[status]}" if status in _PLAIN else str(status)


def parse_status_set(text: str) -> StatusSet:
    """Numbers, names of exit statuses and names of signals, separated by white space."""
    codes: set[int] = set()
    signals: set[int] = set()
    for word in split_words(text):
        if word[:1].isdigit() or word.removeprefix("EXIT_").removeprefix("EX_") in _BY_NAME:
            codes.add(parse_exit_status(word))
            continue
        try:
            signals.add(parse_signal(word))
        except ValueError:
            raise ValueError(f"'{word}' is neither an exit status nor a signal") from None
    return StatusSet(frozenset(codes), frozenset(signals))
