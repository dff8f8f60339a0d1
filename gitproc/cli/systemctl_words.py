"""Verbs of systemctl that a git commit takes the place of: what to do instead, for fingers that know them."""

from __future__ import annotations

_COMMIT = "what runs is what the commit says"

_INSTEAD = {
    "enable": f"{_COMMIT}: commit the unit with WantedBy= in its [Install]; `gitproc start` till then",
    "disable": f"{_COMMIT}: commit Enabled=no in its [X-GitProc], or its removal; `gitproc stop` till then",
    "reenable": f"{_COMMIT}: commit the [Install] section that you mean",
    "preset": f"{_COMMIT}: commit the [Install] section that you mean",
    "link": "`gitproc import FILE` copies a unit into the repository; commit it there",
    "mask": "commit an empty file, or a link to /dev/null, in the unit's name; `gitproc stop` holds it till then",
    "unmask": "commit the removal of the empty file or link in the unit's name",
    "edit": "edit the file in the repository (`gitproc cat UNIT` names it), `gitproc plan` it, commit",
    "revert": "`git revert`, or `gitproc rollback SHA UNIT` for the unit alone",
    "set-property": "commit the setting: limits change in what runs, with no restart (`gitproc plan` says so)",
    "set-environment": "commit Environment= in the unit, or in service.d/*.conf for all",
    "add-wants": "commit Wants= in the one unit, or WantedBy= in the other",
    "add-requires": "commit Requires= in the one unit, or RequiredBy= in the other",
    "set-default": "commit Alias=default.target in the [Install] of the target that you mean",
    "get-default": "`gitproc list-dependencies` begins with the target that all hangs on",
    "daemon-reload": "there is nothing to reload: commits are seen as they land; `gitproc sync` looks at once",
    "list-unit-files": "`gitproc list` shows all units, `gitproc is-enabled` which are to start",
    "list-jobs": "`gitproc list --state=activating,deactivating`, and `gitproc why UNIT` for what it waits for",
    "cancel": "`gitproc stop UNIT` or `gitproc start UNIT` replaces what is under way",
    "isolate": f"{_COMMIT}: commit the units that you mean, or `gitproc stop` the others",
    "clean": "remove its files by hand: `gitproc show UNIT -p StateDirectory,CacheDirectory` names them",
    "freeze": "`gitproc kill --signal=STOP UNIT` stops its processes",
    "thaw": "`gitproc kill --signal=CONT UNIT` lets its processes go on",
    "reset": "`gitproc reset-failed` forgets failures",
    "journal": "`gitproc logs UNIT`",
    "journalctl": "`gitproc logs UNIT`, with journalctl's options",
    "tail": "`gitproc logs -f UNIT`",
}  # fmt: skip


def instead_of(verb: str) -> str:
    """What does the work of a verb that is not ours; empty for what nobody says."""
    return _INSTEAD.get(verb, "")
