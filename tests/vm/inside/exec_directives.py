"""Inside the machine: systemd itself, held against the tables that GitProc's processes are held against."""

import json
import subprocess
from pathlib import Path

from tests.e2e.exec_table import FAILURES, PROBE, WISHES, Place
from tests.vm.inside.machine import wait_for

UNITS = Path("/run/systemd/system")
ROOT = Path("/var/tmp/exec")
HERE = Place(str(ROOT), "gitproc-exec")
#: Newer than systemd 252; and what only GitProc's side of the test prepares.
LEFT_OUT = ("SetLoginEnvironment=yes", "PassEnvironment=")
OURS_ALONE = "env.JOURNAL_STREAM"  # there is no journal


def systemctl(*words):
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    return done.stdout


def said_by(name):
    """What the probe has said as this unit."""
    journal = ["journalctl", "-q", "-u", name, "-o", "cat", "--no-pager"]
    said = subprocess.run(journal, capture_output=True, text=True, check=True).stdout
    return next((x for x in said.splitlines() if x.startswith("{") and x.endswith("}")), "")


def test_each_process_finds_what_its_unit_says():
    ROOT.mkdir(mode=0o755)
    (ROOT / "input").write_text("of a file")
    (ROOT / "probe.py").write_text(PROBE)
    run = f"ExecStart=/usr/bin/python3 -I -S {ROOT}/probe.py"
    for number, (settings, _) in enumerate(WISHES):
        text = f"[Service]\nType=oneshot\n{run}\n{HERE.fill(settings)}\n"
        (UNITS / f"c{number}.service").write_text(text)
    systemctl("daemon-reload")
    problems = []
    for number, (settings, wanted) in enumerate(WISHES):
        name = f"c{number}"
        if settings.startswith(LEFT_OUT):
            continue
        systemctl("start", name)
        answer = wait_for(lambda name=name: said_by(name))  # the journal may lag behind
        wishes = {path: value for path, value in wanted.items() if path != OURS_ALONE}
        found = HERE.differences(json.loads(answer), wishes, name)
        problems += [(settings, difference) for difference in found]
    assert problems == []


def test_what_cannot_be_had_ends_with_the_number_of_its_step():
    state = Path("/var/lib", HERE.unique)
    state.mkdir(exist_ok=True)
    (state / "file").touch()
    for number, (settings, _) in enumerate(FAILURES):
        text = f"[Service]\nType=exec\nExecStart=/bin/sleep 1000\n{HERE.fill(settings)}\n"
        (UNITS / f"f{number}.service").write_text(text)
    systemctl("daemon-reload")
    for number, (settings, status) in enumerate(FAILURES):
        systemctl("start", f"f{number}")
        shown = systemctl("show", f"f{number}", "-p", "ExecMainStatus")
        assert shown.strip() == f"ExecMainStatus={status}", settings
