"""Options of journalctl that `gitproc logs` does not have: what to do instead, for fingers that know them."""

from __future__ import annotations

from collections.abc import Sequence

_FILES = "logs are plain files: /var/log/gitproc/NAME.log, NAME.log.1 ..."
_ROTATED = "a log is rotated by its size: max_bytes and files of config.toml's [logs]"
_BOOTS = "no boots are told apart but this one: -b, or --since and --until"
_ONE = "say --since with the time of the last line you saw (-o short-unix, `@SECONDS`)"

_INSTEAD = {
    "-k": "dmesg shows the kernel's messages",
    "--dmesg": "dmesg shows the kernel's messages",
    "-t": "each unit has a log of its own: name the unit, and -g for what is in its lines",
    "--identifier": "each unit has a log of its own: name the unit, and -g for what is in its lines",
    "--facility": "lines have a level (-p), and no facility",
    "--list-boots": _BOOTS,
    "--cursor": _ONE,
    "--after-cursor": _ONE,
    "--cursor-file": _ONE,
    "--show-cursor": _ONE,
    "-D": _FILES,
    "--directory": _FILES,
    "--file": _FILES,
    "--header": _FILES,
    "--disk-usage": "`du -ch /var/log/gitproc`",
    "--rotate": _ROTATED,
    "--vacuum-size": _ROTATED,
    "--vacuum-files": _ROTATED,
    "--vacuum-time": _ROTATED,
    "--flush": "logs are files, on disk as soon as they are written",
    "--sync": "all that was written by now is shown, without being asked",
    "--verify": "logs are plain text: there is nothing to verify",
    "-F": "a line has no fields but its time, unit and level",
    "--field": "a line has no fields but its time, unit and level",
    "-N": "a line has no fields but its time, unit and level",
    "--fields": "a line has no fields but its time, unit and level",
    "--output-fields": "`-o json`, and jq for the fields you want",
    "--user-unit": "`gitproc --user logs UNIT`",
    "-M": "`gitproc -H USER@HOST logs UNIT`",
    "--machine": "`gitproc -H USER@HOST logs UNIT`",
    "-m": "`gitproc -H USER@HOST logs UNIT` for another host's",
    "--merge": "`gitproc -H USER@HOST logs UNIT` for another host's",
    "--no-tail": "-n all",
    "--no-full": "nothing is cut: pipe it into `cut -c 1-80`",
}


def instead_of(words: Sequence[str]) -> str:
    """What does the work of the first of these words that journalctl knows; empty if there is none."""
    for word in words:
        name = word.partition("=")[0]
        found = _INSTEAD.get(name) or (_INSTEAD.get(name[:2], "") if name[:2] != "--" else "")
        if found:
            return found
        if name[:1] == "-" and name[1:].isdigit():
            return _BOOTS
    return ""
