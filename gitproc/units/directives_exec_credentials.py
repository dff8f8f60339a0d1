"""Rows of the directive table for credentials: secrets handed to a service in files that it alone can read."""

from __future__ import annotations

from typing import Any

from gitproc.units.credentials import parse_given, parse_imported, parse_loaded
from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.rows import known, several

SET_CREDENTIAL = several(
    "Service",
    "SetCredential",
    parse_given,
    "NAME:TEXT, given in the unit itself, which is no secret; for what cannot be loaded.",
    Change.RESTART,
    Specifiers.NONE,
)
LOAD_CREDENTIAL = several(
    "Service",
    "LoadCredential",
    parse_loaded,
    "NAME:PATH of a file, folder or socket, read anew at each start; or a name in /etc/credstore.",
    Change.RESTART,
    Specifiers.TEXT,
)
IMPORT_CREDENTIAL = several(
    "Service",
    "ImportCredential",
    parse_imported,
    "Credentials of /etc/credstore and its kin by name or pattern*; `pattern*:x.` renames them.",
    Change.RESTART,
    Specifiers.TEXT,
)
_ENCRYPTED = {
    "SetCredentialEncrypted": "Credential encrypted to this machine, given in the unit.",
    "LoadCredentialEncrypted": "Credential encrypted to this machine, in a file.",
}

ROWS: tuple[Directive[Any], ...] = (
    SET_CREDENTIAL,
    LOAD_CREDENTIAL,
    IMPORT_CREDENTIAL,
    *(known("Service", name, Support.REFUSED, doc) for name, doc in _ENCRYPTED.items()),
)
