"""Inside the machine: systemd itself, held against the sandbox that GitProc's services are held against."""

from pathlib import Path

import pytest

from tests.e2e.sandbox_table import API, FAILURES, HOST_NAME, TREE, Place, cases
from tests.vm.inside.exec_directives import UNITS, systemctl

ROOT = Path("/var/tmp/sandbox")
#: By systemd.exec(5), but not by systemd 252: homes that are read-only; another root's /proc for `+` too; a word.
DIFFERENT = (
    ("ProtectHome=tmpfs", "touch /root/{unique}", ""),
    (TREE, API, "+"),
    ("ProtectHostname=yes\nPrivateMounts=yes\nProtectHostname=private", HOST_NAME, ""),
)
PASSED_OVER = ("IPCNamespacePath=/no/such",)  # by systemd 252, in silence


@pytest.fixture
def place():
    ROOT.mkdir(mode=0o755, exist_ok=True)
    found = Place(str(ROOT), "gitproc-sandbox")
    yield from (found for _ in found.prepare())


def statuses(units):
    """What the main processes of these units end with, started one after the other."""
    before = ""
    for name, (unit, lines) in units.items():
        order = [f"After={before}.service"] if before else []
        text = "\n".join(["[Unit]", *unit, *order, "[Service]", "Type=oneshot", *lines])
        (UNITS / f"{name}.service").write_text(f"{text}\nRemainAfterExit=yes\n")
        before = name
    systemctl("daemon-reload")
    systemctl("start", *units)
    shown = systemctl("show", *units, "-p", "ExecMainStatus", "--value").split()
    return dict(zip(units, map(int, shown), strict=True))


@pytest.mark.timeout(400)
def test_what_is_denied_and_what_is_granted(place):
    found = statuses({name: (x.unit(), x.service(place)) for name, x in cases(newer=False).items()})
    wrong = [
        (case, found[name])
        for name, case in cases(newer=False).items()
        if ((found[name] == 0) is not case.succeeds or found[name] > 200)
        and (case.settings, case.script, case.mark) not in DIFFERENT
    ]
    assert wrong == [], "\n".join(map(str, wrong))


def test_what_cannot_be_had_ends_with_the_number_of_its_step(place):
    table = {f"e{number}": x for number, x in enumerate(FAILURES) if x[0] not in PASSED_OVER}
    units: dict[str, tuple[list[str], list[str]]] = {
        name: ([], ["ExecStart=/bin/true", place.fill(settings)])
        for name, (settings, _) in table.items()
    }
    assert statuses(units) == {name: status for name, (_, status) in table.items()}
