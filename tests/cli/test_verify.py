"""`verify` without a manager: files on disk and revisions, with every finding at its file and line."""

import json
import os
import subprocess

import pytest

from tests.cli.command import Command

GOOD = "[Service]\nExecStart=/bin/sleep 1\n"
BAD = "[Service]\nExecStrat=/bin/sleep 1\n"
ODD = "[Service]\nExecStart=/bin/sleep 1\nRestrat=no\n"


@pytest.fixture
def gitproc(tmp_path):
    (tmp_path / "bin").mkdir()
    return Command(tmp_path / "bin")


def git(folder, *words):
    subprocess.run(
        ["git", "-C", folder, "-c", "user.name=t", "-c", "user.email=t@t", *words],
        check=True, capture_output=True, timeout=50,
    )  # fmt: skip


def test_a_directory_that_is_fine(tmp_path, gitproc):
    units = tmp_path / "units"
    (units / ".git").mkdir(parents=True)
    (units / ".git/broken.service").write_text(BAD)
    (units / "web.service").write_text(GOOD)
    found = gitproc("--root", tmp_path, "verify", units)
    assert (found.returncode, found.stdout) == (0, b"1 unit, no errors\n")


def test_every_mistake_has_its_line(tmp_path, gitproc):
    (tmp_path / "web.service").write_text(BAD)
    (tmp_path / "two.service").write_text("[Service]\nExecStart=/bin/true\nRestart=perhaps\n")
    found = gitproc(
        "--root", tmp_path, "verify", tmp_path / "web.service", tmp_path / "two.service"
    )
    assert found.returncode == 1
    assert b"web.service:2: error: " in found.stdout
    assert b"two.service:3: error: " in found.stdout
    assert b"this would be refused" in found.stdout
    body = json.loads(
        gitproc("verify", "--root", tmp_path, "--json", tmp_path / "web.service").stdout
    )
    assert body["version"] == 1
    assert ("web.service", 2) in {(one["file"], one["line"]) for one in body["diagnostics"]}


def test_the_graph_of_a_work_tree_is_checked(tmp_path, gitproc):
    units = tmp_path / "units"
    (units / ".git").mkdir(parents=True)
    (units / "a.service").write_text("[Unit]\nRequires=nope.service\n" + GOOD)
    found = gitproc("--root", tmp_path, "verify", units)
    assert found.returncode == 1
    assert b"a.service:2: error: " in found.stdout
    assert b"nope.service" in found.stdout


def test_revisions_of_the_repository(tmp_path, gitproc):
    services = tmp_path / "etc/gitproc/services"
    assert gitproc("--root", tmp_path, "init").returncode == 0
    found = gitproc("--root", tmp_path, "verify")
    assert (found.returncode, b"no commit yet" in found.stderr) == (1, True)
    (services / "web.service").write_text(BAD)
    git(services, "add", ".")
    git(services, "commit", "-m", "bad")
    assert b"web.service:2: error" in gitproc("--root", tmp_path, "verify").stdout
    (services / "web.service").write_text(GOOD)
    git(services, "commit", "-am", "good")
    assert gitproc("--root", tmp_path, "verify").returncode == 0
    assert gitproc("--root", tmp_path, "verify", "HEAD~1").returncode == 1
    found = gitproc("--root", tmp_path, "verify", "nothing")
    assert (found.returncode, b"nothing" in found.stderr) == (1, True)


def test_what_is_not_there(tmp_path, gitproc):
    found = gitproc("--root", tmp_path, "verify", "no/such", "neither")
    assert (found.returncode, b"no/such" in found.stderr) == (1, True)


def test_a_requirement_outside_of_a_few_files_is_a_warning(tmp_path, gitproc):
    (tmp_path / "a.service").write_text("[Unit]\nRequires=nope.service\n" + GOOD)
    for target in (tmp_path / "a.service", tmp_path):
        found = gitproc("--root", tmp_path, "verify", target)
        assert found.returncode == 0
        assert (
            b"a.service:2: warning: Requires: a.service needs nope.service, which" in found.stdout
        )


def test_what_the_host_has_not_is_a_warning(tmp_path, gitproc):
    unit = tmp_path / "a@.service"
    unit.write_text(
        "[Service]\nExecStart=/no/such/program\nExecStop=no-such-program\nExecReload=-/no/reload\n"
        "User=nobody-at-all\nGroup=%i\nEnvironmentFile=/no/file\nEnvironmentFile=-/no/other\n"
        "WorkingDirectory=/no/folder\n"
    )
    found = gitproc("--root", tmp_path, "verify", "--json", unit)
    assert found.returncode == 0
    diagnostics = json.loads(found.stdout)["diagnostics"]
    assert {one["severity"] for one in diagnostics} == {"warning"}
    assert [(one["line"], one["directive"]) for one in diagnostics] == [
        (2, "ExecStart"), (3, "ExecStop"), (5, "User"), (7, "EnvironmentFile"),
        (9, "WorkingDirectory"),
    ]  # fmt: skip
    quiet = gitproc("--root", tmp_path, "verify", "--no-host", unit)
    assert (quiet.returncode, quiet.stdout) == (0, b"1 unit, no errors\n")


def test_directives_are_let_go_unenforced_on_request(tmp_path, gitproc):
    unit = tmp_path / "a.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nAppArmorProfile=a\nSELinuxContext=b\n")
    assert gitproc("--root", tmp_path, "verify", unit).returncode == 1
    some = gitproc("--root", tmp_path, "verify", "--allow-unenforced", "AppArmorProfile", unit)
    assert some.stdout.count(b": error: ") == 1
    for words in (["*"], ["AppArmorProfile,SELinuxContext"]):
        found = gitproc("--root", tmp_path, "verify", "--allow-unenforced", *words, unit)
        assert found.returncode == 0
        assert found.stdout.count(b": warning: ") == 2


def test_a_timer_alone_wants_for_its_service_only(tmp_path, gitproc):
    (tmp_path / "a.timer").write_text("[Timer]\nOnCalendar=daily\n")
    found = gitproc("--root", tmp_path, "verify", tmp_path / "a.timer")
    assert found.returncode == 0
    assert (
        b"warning: Unit: a.timer starts a.service, which is not among these files" in found.stdout
    )


def test_a_time_zone_that_this_host_does_not_know_is_a_warning(tmp_path, gitproc):
    (tmp_path / "a.service").write_text(GOOD)
    lines = "[Timer]\nOnCalendar=12:00 Europe/Berlin\nOnCalendar=12:00 Europe/Nowhere\n"
    (tmp_path / "a.timer").write_text(lines)
    found = gitproc("--root", tmp_path, "verify", tmp_path)
    assert found.returncode == 0
    assert b"a.timer:3: warning: OnCalendar: this host does not know the time zone" in found.stdout
    assert found.stdout.count(b": warning: ") == 1


def test_what_an_end_would_do_to_the_machine_is_warned_of_unless_it_is_nothing(tmp_path, gitproc):
    unit = tmp_path / "a.service"
    actions = ("JobTimeoutAction", "StartLimitAction", "FailureAction", "SuccessAction")
    for word, severity in (("none", ""), ("reboot-force", "warning"), ("rebot", "error")):
        unit.write_text("[Unit]\n" + "".join(f"{x}={word}\n" for x in actions) + GOOD)
        found = gitproc("--root", tmp_path, "verify", unit).stdout.decode()
        for line, action in enumerate(actions, 2):
            assert (f"a.service:{line}: {severity}: {action}: " in found) is bool(severity)
    unit.write_text("[Unit]\nSuccessAction=none\n[Service]\nType=oneshot\n")
    assert (
        b"missing: a service needs ExecStart=" in gitproc("--root", tmp_path, "verify", unit).stdout
    )


def test_a_file_too_large_is_no_mask(tmp_path, gitproc):
    (tmp_path / "a.service").write_text(GOOD + "#" * (1 << 20))
    found = gitproc("--root", tmp_path, "verify", tmp_path / "a.service")
    assert (found.returncode, b"too many for a unit file" in found.stdout) == (1, True)


def test_files_by_whatever_way_they_are_reached(tmp_path, gitproc):
    for way in ("a", "b", ".hidden"):
        (tmp_path / way).mkdir()
        (tmp_path / way / f"{way.strip('.')}.service").write_text(ODD)
    (tmp_path / "linked.service").symlink_to("a/a.service")
    (tmp_path / "mask.service").symlink_to("/dev/null")

    def found(*targets):
        told = gitproc("verify", "--root", tmp_path, *targets, cwd=tmp_path / "b")
        return told.stdout.decode().splitlines()

    assert found("../a/a.service", "../b/b.service")[0].startswith("a.service:3: error: ")
    assert len(found("../a/a.service", "../b/b.service")) == 3
    assert len(found("../a/a.service", "../a/a.service")) == 2
    assert len(found("../a", "../a/a.service")) == 2
    assert found("../.hidden/hidden.service")[0].startswith("hidden.service:3: error: ")
    both = found(tmp_path / ".hidden/hidden.service", "b.service")
    assert [line.partition(":")[0] for line in both[:2]] == ["b.service", "hidden.service"]
    assert found("../linked.service")[0].startswith("linked.service:3: error: ")
    assert found("../mask.service") == ["0 units, no errors"]


def test_one_unit_in_two_folders_is_not_lost(tmp_path, gitproc):
    for way in ("a", "b"):
        (tmp_path / way).mkdir()
        (tmp_path / way / "x.service").write_text(GOOD)
    for targets in (("a", "b"), ("a/x.service", "b/x.service")):
        told = gitproc("verify", "--root", tmp_path, *(tmp_path / x for x in targets))
        assert told.returncode == 1
        assert b"x.service is defined by" in told.stdout


def test_a_drop_in_by_itself_is_checked(tmp_path, gitproc):
    owners = ("x.service", "a-.service", "t@.service", "t@i.service", "service")
    for owner in owners:
        folder = tmp_path / f"{owner}.d"
        folder.mkdir()
        (folder / "a.conf").write_text("[Service]\nRestart=perhaps\nStrat=1\nNice=1\n")
    for targets in ([tmp_path], [tmp_path / f"{owner}.d/a.conf" for owner in owners]):
        found = gitproc("verify", "--root", tmp_path, *targets).stdout.decode()
        for owner in owners:
            assert f"{owner}.d/a.conf:2: error: Restart: 'perhaps'" in found
            assert f"{owner}.d/a.conf:3: error: Strat: unknown directive" in found
        assert "Nice" not in found
    for target in (tmp_path / "x.service.d/a.conf", "a.conf", "./a.conf"):
        found = gitproc("verify", "--root", tmp_path, target, cwd=tmp_path / "x.service.d")
        assert b"x.service.d/a.conf:2: error: Restart: 'perhaps'" in found.stdout


def test_what_is_asked_about_and_is_no_unit_file_is_told(tmp_path, gitproc):
    for name in ("README.md", "web"):
        (tmp_path / name).write_text(BAD)
        found = gitproc("verify", "--root", tmp_path, tmp_path / name)
        assert found.returncode == 0
        assert b"nothing was checked" in found.stdout
    os.mkfifo(tmp_path / "pipe.service")
    for target, why in (("pipe.service", b"not a regular file"), ("gone", b"no such file")):
        found = gitproc("verify", "--root", tmp_path, tmp_path / target)
        assert found.returncode == 1
        assert why in found.stderr
