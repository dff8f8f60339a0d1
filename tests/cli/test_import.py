"""`import`: units of a system's folders into a repository, and from there into a commit that is accepted."""

import json
import os
import subprocess

import pytest

from tests.cli.command import Command

UNIT = "[Unit]\nRequires=b.service\n[Service]\nExecStart=/bin/sleep 1\n[Install]\nWantedBy=multi-user.target\n"
OTHER = "[Service]\nExecStart=/bin/sleep 2\n"


@pytest.fixture
def gitproc(tmp_path):
    (tmp_path / "bin").mkdir()
    command = Command(tmp_path / "bin")
    run = lambda *words, **options: command("--root", tmp_path / "root", *words, **options)  # noqa: E731
    assert run("init").returncode == 0
    return run


@pytest.fixture
def services(tmp_path):
    return tmp_path / "root/etc/gitproc/services"


@pytest.fixture
def system(tmp_path):
    folder = tmp_path / "system/lib/systemd/system"
    folder.mkdir(parents=True)
    (folder / "a.service").write_text(UNIT)
    (folder / "b.service").write_text(OTHER)
    return tmp_path / "system"


def test_nothing_is_written_that_would_be_refused(gitproc, services, system):
    found = gitproc("import", "--from", system, "a")
    assert found.returncode == 1
    assert b"a.service:2: error: Requires: a.service needs b.service" in found.stdout
    assert b"--with-requirements" in found.stdout
    assert [path.name for path in services.iterdir()] == [".git"]


def test_units_with_what_they_require_make_a_commit(gitproc, services, system):
    found = gitproc("import", "--from", system, "a", "--with-requirements")
    assert found.returncode == 0, found.stdout + found.stderr
    assert (services / "a.service").read_text() == UNIT
    assert "Enabled=no" in (services / "a.service.d/90-not-enabled.conf").read_text()
    assert (services / "b.service").read_text() == OTHER
    commands = [line.strip() for line in found.stdout.decode().splitlines() if " git -C " in line]
    assert len(commands) == 2
    identity = {
        f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(
        ["sh", "-ec", "\n".join(commands)], check=True, timeout=50, env={**os.environ, **identity}
    )
    assert gitproc("verify").returncode == 0
    again = gitproc("import", "--from", system, "a", "--with-requirements")
    assert (again.returncode, b"all of it is there already" in again.stdout) == (0, True)


def test_a_timer_brings_what_it_starts(gitproc, services, system):
    (system / "lib/systemd/system/b.timer").write_text("[Timer]\nOnCalendar=daily\n")
    assert gitproc("import", "--from", system, "b.timer", "--with-requirements").returncode == 0
    assert (services / "b.service").read_text() == OTHER


def test_a_unit_brings_the_slices_that_it_lies_in(gitproc, services, system):
    """Those of which something is said: in a file, in drop-ins, or for what is below it."""
    folder = system / "lib/systemd/system"
    (folder / "c.service").write_text(f"{OTHER}Slice=web-shop.slice\n")
    (folder / "web.slice").write_text("[Slice]\nTasksMax=50\n")
    (folder / "web-.slice.d").mkdir()
    (folder / "web-.slice.d/50.conf").write_text("[Slice]\nTasksMax=40\n")
    assert gitproc("import", "--from", system, "c", "--with-requirements").returncode == 0
    assert (services / "web.slice").read_text() == "[Slice]\nTasksMax=50\n"
    assert (services / "web-shop.slice.d/50.conf").read_text() == "[Slice]\nTasksMax=40\n"
    assert not (services / "web-shop.slice").exists()


def test_what_is_there_is_not_overwritten_unless_forced(gitproc, services, system):
    mine = OTHER.replace("2", "3")
    (services / "web").mkdir()
    (services / "web/b.service").write_text(mine)
    found = gitproc("import", "--from", system, "b")
    assert (found.returncode, b"web/b.service: is there already" in found.stdout) == (1, True)
    assert (services / "web/b.service").read_text() == mine
    assert gitproc("import", "--from", system, "b", "--force").returncode == 0
    assert (services / "web/b.service").read_text() == OTHER
    assert not (services / "b.service").exists()


def test_a_folder_another_place_and_a_dry_run(gitproc, services, system, tmp_path):
    folder = system / "lib/systemd/system"
    found = gitproc("import", folder, "--to", services / "debian", "--dry-run")
    assert (found.returncode, b"would write debian/a.service" in found.stdout) == (0, True)
    assert not (services / "debian").exists()
    body = json.loads(gitproc("--json", "import", folder, "--to", services / "debian").stdout)
    assert (body["version"], body["clashing"]) == (1, [])
    assert [(one["unit"], one["enabled"]) for one in body["units"]] == [
        ("a.service", False), ("b.service", None),
    ]  # fmt: skip
    assert body["written"] == [
        "debian/a.service", "debian/a.service.d/90-not-enabled.conf", "debian/b.service",
    ]  # fmt: skip
    outside = gitproc("import", folder / "b.service", "--to", tmp_path / "elsewhere")
    assert outside.returncode == 0
    assert (tmp_path / "elsewhere/b.service").read_text() == OTHER


def test_no_link_in_the_repository_leads_the_writing_out_of_it(gitproc, services, system, tmp_path):
    (tmp_path / "victim").mkdir()
    (services / "a.service.d").symlink_to(tmp_path / "victim")
    found = gitproc("import", "--from", system, "a", "--with-requirements", "--force")
    assert found.returncode == 1
    assert not list((tmp_path / "victim").iterdir())


def test_unknown_units_and_bare_repositories(gitproc, system, tmp_path):
    found = gitproc("import", "--from", system, "nope")
    assert (found.returncode, b"no unit nope.service" in found.stderr) == (4, True)
    command = Command(tmp_path / "bin")
    bare = tmp_path / "bare"
    assert command("--root", bare, "init", "--bare").returncode == 0
    found = command("--root", bare, "import", "--from", system, "b")
    assert (found.returncode, b"bare" in found.stderr) == (1, True)


@pytest.mark.parametrize(
    ("word", "status", "why"),
    [
        ("", 2, b"the name of a unit is missing"),
        ("@.service", 2, b"'@.service' cannot name a unit"),
        ("a" * 400, 2, b"cannot name a unit"),
        ("/dev/null", 2, b"'null' is not a valid unit name"),
        ("/" + "a" * 400, 1, b"File name too long"),
    ],
)
def test_what_names_no_unit_is_a_mistake_in_words(gitproc, system, word, status, why):
    found = gitproc("import", "--from", system, word)
    assert found.returncode == status
    assert why in found.stderr
    assert b"Traceback" not in found.stderr


def test_a_place_that_cannot_be_made_is_named(gitproc, system, tmp_path):
    found = gitproc("import", "--from", system, "b", "--to", tmp_path / "none/below")
    assert found.returncode == 1
    assert b"none/below" in found.stderr
    assert b"Traceback" not in found.stderr
    assert b"File name too long" in gitproc("verify", "a" * 400).stderr
