"""Inside the machine: systemd's privileges, held against the table that GitProc's processes are held against."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.privileges_table import ATTEMPTS, PREFIXES, WISHES, differences

UNITS = Path("/run/systemd/system")
ROOT = Path("/var/tmp/privileges")
#: What GitProc forbids and systemd 252 does not; and what this kernel has not.
LEFT_OUT = (
    "sched_setattr", "disguised", "nameless", "read implies execute", "machine", "open_tree_attr",
)  # fmt: skip


def journal(name: str) -> str:
    command = ["journalctl", "-q", "-u", name, "-o", "cat", "--no-pager"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.timeout(300)
def test_what_is_forbidden_is_tried_in_vain():
    ROOT.mkdir(mode=0o755)
    (ROOT / "attempts.py").write_text(ATTEMPTS)
    run = f"/usr/bin/python3 -I -S {ROOT}/attempts.py"
    cases = [("", *case) for case in WISHES] + PREFIXES
    for number, (prefix, settings, wanted) in enumerate(cases):
        tried = "" if number == 0 else " ".join(name.replace(" ", "_") for name in wanted)
        text = f"[Service]\nType=oneshot\nExecStart={prefix}{run} {tried}\n{settings}\n"
        # Not to the journal, which may lag behind.
        text += f"StandardOutput=truncate:{ROOT}/privileges-{number}.out\n"
        (UNITS / f"privileges-{number}.service").write_text(text)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    names = [f"privileges-{number}" for number in range(len(cases))]
    subprocess.run(["systemctl", "start", *names], check=False)
    problems = []
    plain: dict[str, object] = {}
    for number, (_, settings, wanted) in enumerate(cases):
        answer = (ROOT / f"privileges-{number}.out").read_text()
        assert answer, (settings, journal(f"privileges-{number}"))
        found = json.loads(answer)
        plain = plain or found
        wanted = {name: wish for name, wish in wanted.items() if name not in LEFT_OUT}
        problems += [(settings, told) for told in differences(found, wanted, plain)]
    assert problems == []
