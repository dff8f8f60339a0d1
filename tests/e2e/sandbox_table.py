"""What the sandbox's settings deny, what they grant, and how it ends where they cannot be had.

Only the standard library: the same tables are held against systemd, in the virtual machine.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_TRY = "{root}/{unique}"
_SAME = 'test "$(readlink /proc/self/ns/{kind})" = "{ns-{kind}}"'
_SPREADS = "mount -t tmpfs x {root}/m && { grep -q {root}/m /proc/{pid}/mountinfo; s=$?; umount {root}/m; exit $s; }"
_GROUPS = (
    "t=/sys/fs/cgroup; test -d $t/unified && t=$t/unified; mkdir $t/{unique} && rmdir $t/{unique}"
)
_OF_UNIT = "JoinsNamespaceOf="
API = "test -e /proc/self/stat && test -c /dev/null && test -d /sys/kernel"
HOST_NAME = "hostname {unique} && echo {unique}-too >/proc/sys/kernel/hostname"
_PUT_TOGETHER = "TemporaryFileSystem=/\nBindReadOnlyPaths=/usr /bin /lib -/lib64 /proc /dev"
TREE = "RootDirectory={root}/tree\nBindReadOnlyPaths=/usr /bin /lib -/lib64"


def same(kind: str) -> str:
    """A script that finds itself in the host's namespace."""
    return _SAME.replace("{kind}", kind)


class Place(NamedTuple):
    """What stands for {root}, a folder of the test, and {unique} in the tables."""

    root: str
    unique: str

    def fill(self, text: str) -> str:
        """A text of a table as it is meant here."""
        for kind in ("net", "ipc", "uts", "user"):
            text = text.replace(f"{{ns-{kind}}}", str(Path(f"/proc/self/ns/{kind}").readlink()))
        text = text.replace("{pid}", str(os.getpid()))
        return text.replace("{root}", self.root).replace("{unique}", self.unique)

    def prepare(self) -> Iterator[None]:
        """What the scripts look for; removed in the end."""
        root = Path(self.root)
        for name in ("m", "w", "tree", "bare"):
            (root / name).mkdir(exist_ok=True)
        (root / "input").write_text("of a file\n")
        shutil.copy("/bin/true", root / "program")
        modules = Path("/usr/lib/modules", self.unique)
        modules.mkdir(parents=True)
        listener = socket.create_server(("127.0.0.1", 0))
        connect = f"import socket; socket.create_connection({listener.getsockname()}, 5)\n"
        (root / "connect.py").write_text(connect)
        home = Path("/root", self.unique)
        home.write_text("at home\n")
        try:
            yield
        finally:
            listener.close()
            home.unlink()
            modules.rmdir()
            for folder in ("/var/lib", "/run", "/usr", "/etc", "/var", "/var/tmp"):
                _remove(Path(folder, self.unique))
            for name in ("-link", "-of"):
                _remove(Path("/var/lib", self.unique + name))
            _remove(Path("/var/lib/private", self.unique + "-of"))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


#: Settings, and a script that succeeds without and fails with them.
DENIED = [
    ("PrivateTmp=yes", "test -e {root}/input"),
    ("PrivateTmp=yes", "touch /var/tmp/{unique} && test -e /proc/{pid}/root/var/tmp/{unique}"),
    ("PrivateDevices=yes", "test -e /dev/kmsg"),
    ("PrivateDevices=yes", "touch /dev/{unique} && rm /dev/{unique}"),
    ("PrivateMounts=yes", _SPREADS),
    ("MountFlags=slave", _SPREADS),
    ("MountFlags=private", _SPREADS),
    ("ProtectSystem=yes", "touch /usr/{unique}"),
    ("ProtectSystem=full", "touch /etc/{unique}"),
    ("ProtectSystem=strict", "touch /var/{unique}"),
    ("ProtectSystem=strict", "touch {root}/x"),
    ("ProtectHome=yes", "test -e /root/{unique}"),
    ("ProtectHome=read-only", "touch /root/{unique}"),
    ("ProtectHome=tmpfs", "test -e /root/{unique}"),
    ("ProtectHome=tmpfs", "touch /root/{unique}"),
    ("ProtectKernelTunables=yes", "s=$(cat /proc/sys/vm/swappiness); echo $s >/proc/sys/vm/swappiness"),
    ("ProtectKernelTunables=yes", "test -w /sys/kernel"),
    ("ProtectKernelModules=yes", "ls /usr/lib/modules/{unique}"),
    ("ProtectKernelLogs=yes", "dd if=/dev/kmsg count=0 status=none"),
    ("ProtectControlGroups=yes", _GROUPS),
    ("ProtectProc=invisible\nUser=nobody", "test -d /proc/1"),
    ("ProtectProc=noaccess\nUser=nobody", "cat /proc/1/stat"),
    ("ProcSubset=pid", "test -e /proc/cpuinfo"),
    ("ProtectHostname=yes\nPrivateMounts=yes", "test -w /proc/sys/kernel/hostname"),
    ("ProtectHostname=yes", same("uts")),
    ("ReadOnlyPaths={root}", "touch {root}/x"),
    ("ReadOnlyPaths={root}/input", "echo x >>{root}/input"),
    ("InaccessiblePaths={root}/input", "grep -q file {root}/input"),
    ("InaccessiblePaths={root}", "test -e {root}/input"),
    ("NoExecPaths={root}", "{root}/program"),
    ("TemporaryFileSystem={root}", "test -e {root}/input"),
    ("TemporaryFileSystem={root}:ro", "touch {root}/x"),
    ("BindReadOnlyPaths={root}/w:{root}/m", "touch {root}/m/x"),
    ("BindPaths={root}/w:{root}/bare", "rmdir {root}/bare && mkdir {root}/bare"),
    ("PrivateNetwork=yes", same("net")),
    ("PrivateNetwork=yes", "python3 -I -S {root}/connect.py"),
    ("PrivateIPC=yes", same("ipc")),
    ("PrivateUsers=yes", "touch {root}/o && chown 12345 {root}/o"),
    ("PrivateUsers=yes", same("user")),
    (TREE, "test -e /etc/passwd"),
    ("JoinsNamespaceOf=nobody.service\nPrivateNetwork=yes", same("net")),
]  # fmt: skip

#: The same, with words that systemd 252 does not know.
NEWER = [
    ("PrivateTmp=disconnected", "test -e {root}/input"),
    ("ProtectControlGroups=strict", _GROUPS),
    ("ProtectControlGroups=private", 'test "$(grep ^0:: /proc/self/cgroup)" != 0::/'),
    ("PrivateUsers=identity", same("user")),
    ("PrivateUsers=full", same("user")),
    ("ProtectHostname=private", same("uts")),
]

#: Settings, more settings, and a script that fails with the former alone and succeeds with both.
GRANTED = [
    ("ProtectSystem=strict", "ReadWritePaths={root}/w", "touch {root}/w/x"),
    ("ProtectSystem=strict", "StateDirectory={unique}", "touch /var/lib/{unique}/x"),
    ("ProtectSystem=strict", "RuntimeDirectory={unique}", "touch /run/{unique}/x"),
    ("ProtectSystem=strict", "PrivateTmp=yes", "touch /tmp/{unique}"),
    ("ReadOnlyPaths={root}", "ReadWritePaths={root}/w", "touch {root}/w/x"),
    ("NoExecPaths={root}", "ExecPaths={root}/program", "{root}/program"),
    ("", "BindPaths={root}/w:{root}/made/there", "test -d {root}/made/there"),
    ("", "BindPaths={root}/input:{root}/made/file", "test -f {root}/made/file"),
    ("ProtectHome=tmpfs", "BindReadOnlyPaths=/root/{unique}", "test -e /root/{unique}"),
    ("TemporaryFileSystem={root}:ro", "BindPaths={root}/w", "touch {root}/w/x"),
    ("TemporaryFileSystem=/var", "StateDirectory={unique}", "touch /var/lib/{unique}/x"),
    (f"{TREE}\nMountAPIVFS=no", "MountAPIVFS=yes", API),
    ("ProtectSystem=strict", "BindPaths={root}/w:{root}/m", "touch {root}/m/x"),
    ("PrivateDevices=yes", "BindPaths=/dev/kmsg", "test -c /dev/kmsg"),
    ("InaccessiblePaths=/var", "InaccessiblePaths=", "test -d /var/lib"),
    ("PrivateUsers=yes", "User=nobody", 'test "$(id -u)" = 65534'),
    ("PrivateTmp=yes", "BindPaths={root}/w:/tmp", "test ! -k /tmp"),
    ("PrivateTmp=yes", "BindPaths={root}/w:/tmp:norbind", "test ! -k /tmp"),
    ("", "BindPaths={root}/program:{root}/input {root}/connect.py:{root}/input", "test -x {root}/input"),
    ("TemporaryFileSystem=/dev", "PrivateDevices=yes", "test -c /dev/null"),
    (f"{TREE}\nMountAPIVFS=no\nTemporaryFileSystem=/dev /sys /proc", "MountAPIVFS=yes", API),
    (f"{TREE}\nMountAPIVFS=no", "ProtectKernelTunables=yes", f"{API} && ! test -w /sys/kernel"),
    (f"{TREE}\nMountAPIVFS=no", "ProtectControlGroups=yes", API),
    ("ProtectHostname=yes\nPrivateMounts=yes", "ProtectHostname=private", HOST_NAME),
    (TREE, "PrivateDevices=yes", "test -c /dev/null && ! test -e /dev/kmsg"),
    (TREE, "ProtectKernelModules=yes", "! ls /usr/lib/modules/{unique}"),
    (TREE, "ProtectKernelLogs=yes", "! dd if=/dev/kmsg count=0 status=none"),
    (TREE, "InaccessiblePaths=+/usr/share", "! test -e /usr/share/doc"),
    (TREE, "StateDirectory={unique}:{unique}-link", "touch /var/lib/{unique}-link/x"),
    (_PUT_TOGETHER, "ProtectKernelModules=yes", "! ls /usr/lib/modules/{unique}"),
    ("TemporaryFileSystem=/var", "StateDirectory={unique}:{unique}-link", "touch /var/lib/{unique}-link/x"),
    (
        "DynamicUser=yes\nTemporaryFileSystem=/var",
        "StateDirectory={unique}-of",
        "touch $STATE_DIRECTORY/x && test -L $STATE_DIRECTORY",
    ),
]  # fmt: skip

#: Settings, and a script that succeeds in spite of them behind a `+`.
PRIVILEGED = [
    ("PrivateTmp=yes", "test -e {root}/input"),
    ("ProtectSystem=strict", "touch {root}/x"),
    ("InaccessiblePaths={root}/input", "grep -q file {root}/input"),
    ("ProtectHostname=yes", same("uts")),
    ("PrivateUsers=yes", same("user")),
    ("PrivateDevices=yes", "test -e /dev/kmsg"),
    ("BindPaths={root}/w:{root}/made/there", "test -d {root}/made/there"),
    ("TemporaryFileSystem={root}/w", "touch {root}/w/{unique}-hidden"),
    ("PrivateNetwork=yes", "! " + same("net")),
    (TREE, API),
]

#: Settings that cannot be had, and the exit status of their step.
FAILURES = [
    ("ReadOnlyPaths=/no/such", 226),
    ("ReadWritePaths=/no/such\nProtectSystem=strict", 226),
    ("InaccessiblePaths=/no/such", 226),
    ("BindPaths=/no/such:/tmp/x", 226),
    ("RootDirectory=/no/such", 226),
    ("NetworkNamespacePath=/no/such", 225),
    ("IPCNamespacePath=/no/such", 226),
    ("PrivateTmp=yes\nReadWritePaths=/tmp/none", 226),
    ("SetCredential=a:b\nInaccessiblePaths=/run", 226),
    ("Type=notify\nInaccessiblePaths=/run -{root}/run", 226),
    ("ReadOnlyPaths=-/no/such -/nor/such\nBindPaths=-/no/such:/x\nInaccessiblePaths=-/no/such", 0),
]


class Case(NamedTuple):
    """One service: its settings, its script (behind `mark`), and whether that is to succeed."""

    settings: str
    script: str
    mark: str
    succeeds: bool

    def unit(self) -> list[str]:
        """Its lines of [Unit]."""
        return [x for x in self.settings.splitlines() if x.startswith(_OF_UNIT)]

    def service(self, place: Place) -> list[str]:
        """Its lines of [Service]."""
        script = place.fill(self.script).replace("$", "$$").replace("%", "%%")
        lines = [x for x in self.settings.splitlines() if not x.startswith(_OF_UNIT)]
        return [f"ExecStart={self.mark}/bin/sh -c '{script}'", *map(place.fill, lines)]


def cases(*, newer: bool = True) -> dict[str, Case]:
    """All services of the tables, by name; `newer`: with what systemd 252 does not know."""
    found = {}
    for number, (settings, script) in enumerate(DENIED + (NEWER if newer else [])):
        found[f"d{number}"] = Case(settings, script, "", succeeds=False)
        found[f"p{number}"] = Case("", script, "", succeeds=True)
    for number, (settings, more, script) in enumerate(GRANTED):
        found[f"r{number}"] = Case(settings, script, "", succeeds=False)
        found[f"g{number}"] = Case(f"{settings}\n{more}", script, "", succeeds=True)
    for number, (settings, script) in enumerate(PRIVILEGED):
        found[f"f{number}"] = Case(settings, script, "+", succeeds=True)
    return found
