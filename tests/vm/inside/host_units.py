"""Inside the machine: units of GitProc's that require, or are bound to, units that only systemd has."""

from pathlib import Path

import pytest

from tests.vm.inside.machine import REPOSITORY, asked, commit, git, pid, run, running, wait_for
from tests.vm.inside.machine import up as all_up

SLEEP = "[Service]\nExecStart=/usr/bin/sleep infinity\n"
HOST = "beside.service"


@pytest.fixture(autouse=True)
def beside():
    """A service of systemd's, inactive at first."""
    all_up()
    unit = Path("/run/systemd/system", HOST)
    unit.write_text(SLEEP)
    run("systemctl", "daemon-reload")
    yield
    run("systemctl", "stop", HOST)
    unit.unlink()
    run("systemctl", "daemon-reload")


def state():
    return run("gitproc", "--json", "status", check=False)


def waits(name):
    said = run("gitproc", "why", f"{name}.service", check=False)
    return f"waits for {HOST}" in said and "(the host's systemd)" in said and said


def settled():
    return '"deploying": null' in state().replace(":null", ": null")


def test_a_requirement_that_not_even_systemd_has_is_refused():
    head = git("rev-parse", "HEAD")
    commit({"needy.service": f"[Unit]\nRequires=nobody-has.service\n{SLEEP}"})
    said = wait_for(
        lambda: "nobody-has.service" in (text := run("gitproc", "status", check=False)) and text
    )
    assert "needy.service:2" in said
    git("reset", "-q", "--hard", head)
    wait_for(lambda: "nobody-has.service" not in run("gitproc", "status", check=False))


def test_what_requires_or_is_bound_to_a_unit_of_systemds_follows_it():
    commit(
        {
            "wanting.service": f"[Unit]\nRequires={HOST}\n{SLEEP}",
            "bound.service": f"[Unit]\nBindsTo={HOST}\nAfter={HOST}\n{SLEEP}",
            "mounted.service": f"[Unit]\nRequires=-.mount\nAfter=-.mount\n{SLEEP}",
        }
    )
    wait_for(lambda: pid("mounted"))
    print(wait_for(lambda: waits("wanting")), wait_for(lambda: waits("bound")))
    assert not pid("wanting")
    assert f"waits for {HOST}" in run("gitproc", "status", "wanting.service", check=False)
    run("systemctl", "start", HOST)
    wait_for(lambda: pid("wanting") and pid("bound"), 90)
    wanting, bound = pid("wanting"), pid("bound")
    run("systemctl", "restart", "gitproc")
    wait_for(lambda: (pid("wanting"), pid("bound")) == (wanting, bound))
    run("systemctl", "stop", HOST)
    wait_for(lambda: not running(bound))
    wait_for(lambda: waits("bound"))
    assert pid("wanting") == wanting
    run("systemctl", "start", HOST)
    wait_for(lambda: pid("bound"), 60)


def test_they_go():
    commit(dict.fromkeys(("wanting.service", "bound.service", "mounted.service")))
    wait_for(lambda: asked("bound", "LoadState") != "loaded")
    assert not (REPOSITORY / "bound.service").exists()
