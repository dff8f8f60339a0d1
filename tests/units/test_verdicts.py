"""What systemd 252 refuses to load (`systemd-analyze verify`) is refused here, what it takes without a word is taken.

Found by mutants of the units of Debian; each was given to systemd-analyze. Where systemd skips a line with a
warning, it is mostly an error here, and other tests say so.
"""

from __future__ import annotations

import pytest

from tests.units.trees import texts, tree

START = "ExecStart=/bin/true\n"
REFUSED = {
    "no command": "[Service]\nRemainAfterExit=no\n",
    "oneshot without any": "[Service]\nType=oneshot\n",
    "its section's name is lost": f"[Unit]\nDescription=x\n{START}",
    "its section's name is another": f"[service]\n{START}",
    "two commands": f"[Service]\n{START}{START}",
    "two commands, forking": f"[Service]\nType=forking\n{START}{START}",
    "forking, where processes are its own": f"[Service]\nType=forking\nPrivatePIDs=yes\n{START}",
    "two commands, notify": f"[Service]\nType=notify\n{START}{START}",
    "two commands, idle": f"[Service]\nType=idle\n{START}ExecStart=/bin/false\n",
    "a stop alone, simple": "[Service]\nType=simple\nExecStop=/bin/true\n",
    "oneshot always": f"[Service]\nType=oneshot\nRestart=always\n{START}",
    "oneshot on success": f"[Service]\nType=oneshot\nRestart=on-success\n{START}",
    "dbus without a name": f"[Service]\nType=dbus\n{START}",
    "dbus with no name": f"[Service]\nType=dbus\nBusName=/a/../b\n{START}",
    "relative command": "[Service]\nExecStart=bin/true\n",
    "only a prefix": "[Service]\nExecStart=-\n",
    "open quote": "[Service]\nExecStart=/bin/sh -c 'a\n",
    "odd user": f"[Service]\nUser=a:b\n{START}",
    "odd group": f"[Service]\nGroup=-\n{START}",
    "relative folder": f"[Service]\nWorkingDirectory=relative\n{START}",
    "folder that climbs": f"[Service]\nWorkingDirectory=/a/../b\n{START}",
    "specifier": "[Service]\nExecStart=/bin/true %Q\n",
}
REFUSED_SOCKETS = {
    "nothing to listen on": "[Socket]\nBacklog=1\n",
    "no address": "[Socket]\nListenStream=1.2.3:80\n",
    "root": "[Socket]\nListenStream=/\n",
    "accepts, and names its service": "[Socket]\nListenStream=80\nAccept=yes\nService=b.service\n",
    "accepts datagrams alone": "[Socket]\nListenFIFO=/run/x\nAccept=yes\n",
}
REFUSED_TIMERS = {"no time": "[Timer]\nPersistent=yes\n", "odd time": "[Timer]\nOnCalendar=x\n"}
TAKEN = {
    "several, oneshot": f"[Service]\nType=oneshot\n{START}{START}",
    "a stop alone": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStop=/bin/true\n",
    "reset and again": f"[Service]\nExecStart=/bin/false\nExecStart=\n{START}",
    "lines of Windows": f"[Service]\n{START}".replace("\n", "\r\n"),
    "blanks": "[Service]\n  ExecStart \t= /bin/true  \n",
    "sections twice": f"[Service]\n[Unit]\nDescription=a\n[Service]\n{START}[Unit]\nDescription=b\n",
    "own names": f"[Service]\nX-Own=1\n{START}[X-Mine]\nA=b\n",
    "a comment in a line": "[Service]\nExecStart=/bin/true \\\n# no\n; no\n  b\n",
    "commands in one line": "[Service]\nType=oneshot\nExecStart=/bin/true ; /bin/true \\; b\n",
    "prefixes": "[Service]\nExecStart=@-/bin/true name\nExecStartPre=+-/bin/true\n",
    "a kind of device": f"[Service]\nDeviceAllow=char-/dev/console rw\n{START}",
    "modes of jobs": f"[Unit]\nOnFailureJobMode=replace-irreversibly\n[Service]\n{START}",
    "a terminal": f"[Service]\nStandardInput=tty\nTTYPath=/dev/tty9\nTTYReset=yes\nTTYVHangup=yes\n{START}",
    "nodes": f"[Service]\nNUMAPolicy=bind\nNUMAMask=0-1\nCPUAffinity=numa\n{START}",
    "a dump": f"[Service]\nCoredumpFilter=all 0x1\n{START}",
    "latin": f"# J\xf6rg\n[Service]\n{START}",
}


def found_in(name, text):
    files = {name: text.encode("latin-1")}
    if not name.endswith(".service"):
        files["a.service"] = b"[Service]\nExecStart=/bin/true\n"
    return texts(tree(files, "*"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(f"a.{kind}", text, id=f"{kind}-{what}")
        for kind, table in (
            ("service", REFUSED), ("socket", REFUSED_SOCKETS), ("timer", REFUSED_TIMERS),
        )
        for what, text in table.items()
    ],
)  # fmt: skip
def test_what_systemd_refuses_is_refused(name, text):
    assert [x for x in found_in(name, text) if ": error: " in x]


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_what_systemd_takes_without_a_word_is_taken(text):
    assert found_in("a.service", text) == []
