"""What Condition*= and Assert*= ask, on a machine of which it is known: what holds on it and what does not.

`DRESS` makes the machine one, where the kernel and the host's files would say what nobody knows: on mounts that
only its daemon sees.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

MODULES = Path("/sys/module")
POWER = Path("/sys/class/power_supply")
PRESSURE = Path("/proc/pressure")

# Arguments: the machine's root, then the program to become.
DRESS = """
import os, subprocess, sys
from pathlib import Path

root = Path(sys.argv[1])

def tmpfs(at, options="mode=755"):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], check=True)

def put(path, text=""):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)

def over(path, text):
    put(root / "over" / path, text)
    subprocess.run(["mount", "--bind", root / "over" / path, f"/{path}"], check=True)

put(root / "full", "x")
put(root / "empty")
put(root / "program")
(root / "program").chmod(0o755)
(root / "bare").mkdir()
(root / "link").symlink_to("full")
put(root / "old/.updated")
put(root / "new/.updated")
os.utime(root / "old/.updated", (0, 0))
os.utime(root / "new/.updated", (1 << 33, 1 << 33))
(root / "crypt").mkdir()
tmpfs(root / "crypt", "ro")
tmpfs("/sys/dev/block")
device = os.stat(root / "crypt").st_dev
put(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/dm/uuid", "CRYPT-LUKS2-1")

put("/run/systemd/first-boot")
put("/run/credentials/@system/given", "x")
put("/run/host/container-manager", "podman")
put("/etc/os-release", "ID=census\\nVERSION_ID=12\\n")
put("/etc/fstab", f"x {root}/absent ext4 defaults 0 2\\n")
over("proc/cmdline", "quiet census.level=3")
tmpfs("/sys/firmware")
put("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "....\\1")
if os.path.isdir("/sys/class/power_supply"):
    tmpfs("/sys/class/power_supply")
    put("/sys/class/power_supply/BAT0/type", "Battery")
    put("/sys/class/power_supply/BAT0/status", "Discharging")
if os.path.isdir("/proc/pressure"):
    for number, name in enumerate(("memory", "cpu", "io")):
        over(f"proc/pressure/{name}", f"full avg10={10 + number}.00 avg60=0.00 avg300=1.00 total=9")
os.execv(sys.argv[2], sys.argv[2:])
"""
#: What the daemon has of its own: a variable, and a capability less.
MANAGER = ["/usr/bin/env", "GIVEN=this", "setpriv", "--bounding-set", "-wake_alarm"]


def _module() -> str:
    def live(folder: Path) -> bool:
        state = folder / "initstate"
        return not state.exists() or state.read_text() == "live\n"

    return next((x.name for x in sorted(MODULES.glob("*")) if live(x)), "")


def _flag() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    told = [x.split(":")[1].split()[0] for x in lines if x.startswith(("flags", "Features"))]
    return told[0] if told else ""


def _pressure(share: int) -> tuple[str, str]:
    """What is just met and what is not; of a kernel that does not tell, only that it asks for nothing."""
    if not PRESSURE.is_dir():
        return "1%", "!1%"
    return f"{share}%/10s", f"{share - 1}%/10s"


_GROUPS = ("v2", "v1") if Path("/sys/fs/cgroup/cgroup.controllers").exists() else ("v1", "v2")
_NODE = os.uname().nodename

#: What is asked -> what holds, what does not. Without any test it would hold, or not, both times.
HOLDS = {
    "PathExists": ("{root}/full", "{root}/nothing"),
    "PathExistsGlob": ("{root}/{nothing,fu}l?", "{root}/z*"),
    "PathIsDirectory": ("{root}/bare", "{root}/full"),
    "PathIsSymbolicLink": ("{root}/link", "{root}/full"),
    "PathIsMountPoint": ("{root}/crypt", "{root}/bare"),
    "PathIsReadWrite": ("{root}/bare", "{root}/crypt"),
    "PathIsEncrypted": ("{root}/crypt", "{root}/bare"),
    "DirectoryNotEmpty": ("{root}", "{root}/bare"),
    "FileNotEmpty": ("{root}/full", "{root}/empty"),
    "FileIsExecutable": ("{root}/program", "{root}/full"),
    "NeedsUpdate": ("{root}/old", "{root}/new"),
    "FirstBoot": ("yes", "no"),
    "Architecture": ("native", "vax" if platform.machine() != "vax" else "alpha"),
    "Firmware": ("uefi", "device-tree"),
    "Virtualization": ("podman", "vm"),
    "Host": (_NODE, f"not-{_NODE}"),
    "KernelCommandLine": ("census.level=3", "census.level=4"),
    "KernelVersion": (">=2.6", "<2.6"),
    "Version": ("glibc >2", "glibc <2"),
    "KernelModuleLoaded": (_module(), "no_such_module"),
    "Credential": ("given", "not-given"),
    "Security": ("uefi-secureboot", "measured-uki"),
    "Capability": ("CAP_KILL", "CAP_WAKE_ALARM"),
    "ACPower": ("no", "yes") if POWER.is_dir() else ("yes", "no"),
    "Memory": (">=1M", "<1M"),
    "CPUFeature": (_flag(), "no-such-feature"),
    "CPUs": (">=1", ">100000"),
    "Environment": ("GIVEN=this", "GIVEN=that"),
    "User": ("root", "nobody"),
    "Group": ("root", "nogroup"),
    "ControlGroupController": _GROUPS,
    "OSRelease": ("ID=census VERSION_ID>=9", "ID=census VERSION_ID<9"),
    "MemoryPressure": _pressure(10),
    "CPUPressure": _pressure(11),
    "IOPressure": _pressure(12),
}

_EXISTS, _FOLDER = "ConditionPathExists=", "ConditionPathIsDirectory="
#: Marks, and several at once: lines that hold, lines that do not.
TOGETHER = {
    "not": (f"{_EXISTS}!{{root}}/nothing", f"{_EXISTS}!{{root}}/full"),
    "both": (
        f"{_EXISTS}{{root}}/full\n{_FOLDER}{{root}}/bare",
        f"{_EXISTS}{{root}}/full\n{_FOLDER}{{root}}/full",
    ),
    "one-of": (
        f"{_EXISTS}|{{root}}/nothing\n{_FOLDER}|{{root}}/bare",
        f"{_EXISTS}|{{root}}/nothing\n{_FOLDER}|{{root}}/full",
    ),
    "all-and-one-of": (
        f"{_EXISTS}{{root}}/full\n{_EXISTS}|!{{root}}/nothing\n{_FOLDER}|{{root}}/full",
        f"{_EXISTS}{{root}}/nothing\n{_EXISTS}|!{{root}}/nothing\n{_FOLDER}|{{root}}/full",
    ),
    "anew": (
        f"{_EXISTS}{{root}}/nothing\n{_FOLDER}\n{_EXISTS}{{root}}/full",
        f"{_EXISTS}{{root}}/full\n{_FOLDER}\n{_EXISTS}{{root}}/nothing",
    ),
}
