"""A push is judged before the branch moves, and its deploy is told to whoever pushed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE, FAILING, alive, service, shell, until

pytestmark = pytest.mark.root

BAD = {
    "a.service": "[Service]\nExecStrat=/bin/true\nExecStart=/bin/sleep 1000\n",
    "b.service": "[Unit]\nRequires=nowhere.service\n[Service]\nExecStart=/bin/sleep 1\n",
    "x/c.service": "[Unit]\nAfter=d.service\n[Service]\nExecStart=/bin/sleep 1\n",
    "d.service": "[Unit]\nAfter=c.service\n[Service]\nExecStart=/bin/sleep 1\nRestart=perhaps\n",
}


def pushed(clone, files, *args, message="change"):
    sha = clone.commit(files, message)
    outcome = clone.push(*args)
    assert outcome.status == 0, outcome.err
    return sha, outcome.err


@pytest.mark.parametrize("bare", [True, False], ids=["bare", "work-tree"])
def test_a_push_is_deployed_and_told_live(servers, bare):
    server = servers(bare=bare)
    clone = server.clone()
    first, said = pushed(clone, {"a.service": service(), "b.service": service()}, message="One")
    assert "remote:   a.service: start: new" in said
    assert "remote:     a.service: Started a.service" in said
    assert f"{first[:12]} One" in said
    assert "is good" in said
    assert "to undo it" not in said  # there is nothing before it
    before = server.pids()
    second, said = pushed(clone, {"a.service": service("/bin/sleep 2000")}, message="Two")
    assert f"to undo it: gitproc --root {server.root} rollback {first[:12]}" in said
    assert server.head() == second
    after = server.pids()
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]
    [accepted] = [x for x in server.events("push.accepted") if x["data"]["commit"] == second]
    assert accepted["who"] == "root (uid 0)"
    assert accepted["data"]["refs"] == [{"ref": "refs/heads/main", "old": first, "new": second}]
    assert "1 restart" in accepted["message"]
    if not bare:
        assert (server.repository.path / "a.service").read_text() == service("/bin/sleep 2000")


def test_everything_that_is_wrong_is_said_at_once(server, clone):
    good, _ = pushed(clone, {"a.service": service()})
    pids = server.pids()
    bad = clone.commit(BAD)
    blob = clone.git("rev-parse", "HEAD:a.service")
    status, _, said = clone.push()
    assert status != 0
    assert "remote: a.service:2: error: ExecStrat: unknown directive" in said
    assert "remote: b.service:2: error: Requires: b.service needs nowhere.service" in said
    assert "remote: d.service:5: error: Restart: 'perhaps'" in said
    assert "ordering cycle" in said
    assert "nothing was changed" in said
    assert (server.head(), server.pids()) == (good, pids)
    assert server.status()["commit"]["refused"] is None  # the branch never named it
    [refused] = server.events("push.refused")
    assert refused["data"]["commit"] == bad
    assert len(refused["data"]["diagnostics"]) == 4
    # What was refused does not stay: git's quarantine was used.
    assert not server.has(bad)
    assert not server.has(blob)
    assert list((server.repository.path / "objects").glob("tmp_objdir*")) == []


def test_the_last_commit_counts(server, clone):
    clone.commit(BAD, "wrong")
    sha, said = pushed(clone, {**dict.fromkeys(BAD), "a.service": service()}, message="right")
    assert "2 commits; what counts is the last one" in said
    assert server.head() == sha


def test_files_beside_units_are_there_when_they_start(server, clone):
    text = service(shell("cat $GITPROC_TREE/etc/motd; sleep 1000"))
    _, said = pushed(clone, {"a.service": text, "etc/motd": "hello"})
    assert "is good" in said
    until(lambda: server.log("a") == "hello", "it has read the file")


def test_the_plan_is_shown_and_nothing_else_happens(server, clone):
    first, _ = pushed(clone, {"a.service": service(), "b.service": service()})
    pids = server.pids()
    clone.commit({"a.service": service("/bin/sleep 5"), "c.service": service()})
    status, _, said = clone.push("-oplan")
    assert status != 0
    assert "  + start c.service: new" in said
    assert "  ~ restart a.service: ExecStart" in said
    assert "ExecStart: /bin/sleep 1000 -> /bin/sleep 5" in said
    assert "`-o plan` only shows; nothing was changed" in said
    assert (server.head(), server.pids()) == (first, pids)
    assert len(server.events("push.planned")) == 1


def test_async_does_not_wait(server, clone):
    slow = service(shell("sleep 1000"), "Type=oneshot")
    _, said = pushed(clone, {"a.service": slow}, "-oasync")
    assert "is being deployed; see `gitproc" in said
    server.wait("a", "activating")
    pushed(clone, {"a.service": service()}, "-oasync")
    server.wait("a")


def test_an_unknown_option_is_named(server, clone):
    clone.commit({"a.service": service()})
    status, _, said = clone.push("-oplam")
    assert status != 0
    assert "unknown push option 'plam': did you mean plan?" in said
    assert server.head() is None


@pytest.mark.parametrize("policy", ["hold", "keep", "revert"])
def test_a_failed_deploy_is_told_and_what_follows(servers, policy):
    server = servers(bare=True, config=f'[deploy]\non_failure = "{policy}"\n')
    clone = server.clone()
    good, _ = pushed(clone, {"a.service": service()})
    _, said = pushed(clone, {"b.service": FAILING})
    assert "is failed: b.service" in said
    way_back = f"to undo it: gitproc --root {server.root} rollback {good[:12]}"
    assert (way_back in said) is (policy == "keep")
    assert (f"is held back for {good[:12]}" in said) is (policy != "keep")
    assert ("`git pull --rebase` before you push" in said) is (policy == "revert")
    if policy == "revert":
        until(lambda: server.git("log", "-1", "--format=%s", "main", cwd=server.repository.path)
              != "change", "the branch goes back")  # fmt: skip
        assert clone.push("--force").status != 0
        clone.git("pull", "-q", "--rebase", "origin", "main")
        clone.commit({"b.service": service()})
        assert clone.push().status == 0


def test_other_branches_and_tags_are_nobodys_business(server, clone):
    sha, _ = pushed(clone, {"a.service": service()})
    clone.git("tag", "v1")
    clone.commit(BAD)
    status, _, said = clone.push("HEAD:other", "v1")
    assert status == 0, said
    assert "remote:" not in said
    assert server.head() == sha
    assert clone.push(":other").status == 0
    assert clone.push("-ojust-for-ci", "HEAD:other").status == 0


def test_notes_of_verdicts_are_the_daemons(server, clone):
    clone.commit({"a.service": service()})
    status, _, said = clone.push("HEAD:refs/notes/gitproc", "main")
    assert status != 0
    assert "refs/notes/gitproc is written by the daemon alone" in said
    assert server.head() is None  # a push is taken whole or not at all


def test_a_rewind_has_to_be_meant(server, clone):
    first, _ = pushed(clone, {"a.service": service()})
    second, _ = pushed(clone, {"b.service": service()})
    status, _, said = clone.push("--force", f"{first}:main")
    assert status != 0
    assert f"{first[:12]} does not build on {second[:12]}" in said
    assert "git pull --rebase" in said
    status, _, said = clone.push("--force", "-oforce", f"{first}:main")
    assert status == 0, said
    assert "is in force again; it was good before" in said
    assert server.head() == first


def test_deletion_has_to_be_meant(server, clone):
    sha, _ = pushed(clone, {"a.service": service()})
    pids = server.pids()
    status, _, said = clone.push(":main")
    assert status != 0
    assert "main says what runs here and is not deleted" in said
    status, _, said = clone.push("-oforce", ":main")
    assert status == 0, said
    until(lambda: "gone" in server.status()["commit"]["error"], "status says so")
    assert (server.head(), server.pids()) == (sha, pids)
    assert clone.push("main").status == 0


def test_a_mass_removal_has_to_be_meant(servers):
    server = servers(bare=True, config="[policy]\nmax_removals = 2\n")
    clone = server.clone()
    names = [f"{x}.service" for x in "abcdef"]
    pushed(clone, dict.fromkeys(names, service()))
    clone.commit(dict.fromkeys(names[:3]))
    status, _, said = clone.push()
    assert status != 0
    assert "this would end 3 of the 6 units that run (a.service, b.service, c.service)" in said
    assert len(server.pids()) == 6
    status, _, said = clone.push("-oconfirm-prune")
    assert status == 0, said
    until(lambda: server.pids().keys() == {"d", "e", "f"}, "three are left")
    _, said = pushed(clone, {"d.service": None, "e.service": None})
    assert "is good" in said
    pushed(clone, {"f.service": None})  # the only one that is left is one


def test_all_that_runs_is_not_removed_by_accident(server, clone):
    pushed(clone, {"a.service": service(), "b.service": service()})
    clone.commit({"a.service": None, "b.service": None})
    status, _, said = clone.push()
    assert status != 0
    assert "this would end 2 of the 2 units that run" in said


def test_a_stopped_unit_is_no_removal(server, clone):
    pushed(clone, {"a.service": service(), "b.service": service()})
    assert server.gitproc("stop", "a", "b").status == 0
    pushed(clone, {"a.service": None, "b.service": None})


@pytest.mark.parametrize("victim", ["pusher", "hook"])
def test_a_closed_laptop_changes_nothing(server, clone, victim):
    gate = server.root / "gate"
    wait = shell(f"while ! test -e {gate}; do sleep 0.05; done")
    sha = clone.commit({"a.service": service("/bin/true", f"Type=oneshot\nExecStartPre={wait}")})
    push = clone.popen()
    assert push.stderr is not None
    for line in push.stderr:
        if "Starting a.service" in line:
            break
    if victim == "pusher":
        os.killpg(push.pid, signal.SIGKILL)
    else:
        os.kill(hook_of(server), signal.SIGKILL)
    push.stderr.close()
    push.wait(DEADLINE)
    assert server.unit("a")["active_state"] == "activating"
    gate.touch()
    server.verdict(sha)
    until(lambda: hook_of(server) == 0, "no hook is left")


def hook_of(server) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"post-receive" in words and str(server.root).encode() in words:
            return int(entry.name) if alive(int(entry.name)) else 0
    return 0


def test_of_two_that_race_one_wins(server, clone):
    pushed(clone, {"a.service": service()})
    clones = [clone]
    for _ in range(2):
        clones.append(server.clone())
        clones[-1].git("pull", "-q", "origin", "main")
    for n, one in enumerate(clones):
        one.commit({f"x{n}.service": service()})
    pushes = [one.popen() for one in clones]
    said = [push.communicate(timeout=DEADLINE)[1] for push in pushes]
    codes = [push.returncode for push in pushes]
    assert codes.count(0) == 1, said
    winner = codes.index(0)
    assert server.pids().keys() == {"a", f"x{winner}"}
    until(lambda: server.head() == clones[winner].git("rev-parse", "HEAD"), "the winner's")


def test_a_large_file_beside_units_is_no_business_of_the_daemon(server, clone):
    memory = peak(server.manager)
    data = os.urandom(50 << 20)
    clone.commit({"a.service": service(), "image.bin": data})
    status, _, said = clone.push("-oasync")
    assert status == 0, said
    # It is laid out for units, through a pipe; the push itself brings nothing of it into memory.
    until((server.state / "trees/current/image.bin").exists, "it is laid out")
    assert peak(server.manager) - memory < 120 << 20


def test_a_large_unit_file_is_refused_and_not_kept(server, clone):
    memory = peak(server.manager)
    clone.commit({"a.service": b"# " + os.urandom(50 << 20).hex().encode()[: 50 << 20]})
    blob = clone.git("rev-parse", "HEAD:a.service")
    status, _, said = clone.push()
    assert status != 0
    assert "a.service: error: 52428802 bytes, more than 1048576 are not read" in said
    assert not server.has(blob)
    assert peak(server.manager) - memory < 16 << 20


def peak(pid: int) -> int:
    """The most memory a process ever had, in bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(x for x in text.splitlines() if x.startswith("VmHWM")).split()[1]) << 10


def test_many_units_at_once(server, clone):
    files = {f"f{n % 7}/u{n}.service": service("/bin/true", "Type=oneshot") for n in range(300)}
    sha, said = pushed(clone, files)
    assert "300 units, no errors" in said
    assert server.head() == sha


@pytest.mark.parametrize("policy", ["refuse", "accept"])
def test_while_the_daemon_is_down(servers, policy):
    server = servers(bare=True, start=False, config=f'[policy]\nwhen_down = "{policy}"\n')
    clone = server.clone()
    sha = clone.commit({"a.service": service(), "b.service": service()})
    status, _, said = clone.push()
    assert "cannot reach the daemon" in said
    assert "gitproc daemon" in said
    if policy == "refuse":
        assert status != 0
        assert 'when_down = "accept"' in said
        assert not server.has(sha)
        return
    assert status == 0, said
    clone.commit(BAD)
    status, _, said = clone.push()
    assert status != 0
    assert "ordering cycle" in said
    assert "a.service:2: error: ExecStrat: unknown directive" in said
    clone.git("reset", "-q", "--hard", sha)
    clone.commit({"a.service": None, "b.service": None})
    assert "this would end 2 of the 2" in clone.push().err
    assert clone.push("--force", "-oplan").status != 0
    server.start()
    server.verdict(sha)


def test_hooks_are_out_of_reach_and_somebody_elses_are_kept(servers):
    server = servers(bare=True, start=False)
    repository = server.repository.path
    hooks = Path(server.git("config", "core.hooksPath", cwd=repository))
    assert hooks == server.state / "hooks"
    for path in (hooks, hooks / "pre-receive", hooks / "post-receive"):
        assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o755, 0)
    assert "nothing to do" in server.gitproc("init").out
    server.git("config", "core.hooksPath", "/somewhere", cwd=repository)
    outcome = server.gitproc("init")
    assert outcome.status != 0
    assert "/somewhere" in outcome.err
    assert "--force" in outcome.err
    assert server.gitproc("init", "--force").status == 0
    assert server.git("config", "core.hooksPath", cwd=repository) == str(hooks)
    server.git("config", "--unset", "core.hooksPath", cwd=repository)
    own = repository / "hooks/post-update"
    own.parent.mkdir(exist_ok=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert "run no more while that is set: post-update" in server.gitproc("init").out


def test_a_copy_of_the_repository_is_not_taken_for_it(server, clone):
    pushed(clone, {"a.service": service()})
    copy = server.root / "copy"
    server.git("clone", "-q", "--bare", str(server.repository.path), str(copy), cwd=server.root)
    server.git("config", "core.hooksPath", str(server.state / "hooks"), cwd=copy)
    clone.commit({"b.service": service()})
    status, _, said = clone.run("push", str(copy), "main")
    assert status != 0
    assert f"the daemon follows {server.repository.path}" in said


def test_hooks_that_were_lost_are_written_anew_and_that_is_said(servers):
    server = servers(config="poll_interval = 1\n")
    hooks = server.state / "hooks"
    before = {file.name: file.read_text() for file in hooks.iterdir()}
    shutil.rmtree(hooks)
    until(lambda: hooks.is_dir() and len(list(hooks.iterdir())) == len(before), "they come back")
    said = server.logs / "daemon.log"
    until(lambda: "were gone and are written anew" in said.read_text(), "it is said")
    assert {file.name: file.read_text() for file in hooks.iterdir()} == before


def test_a_commit_that_would_fill_the_disk_is_refused_pushed_or_not(servers):
    server = servers(config='[policy]\nmax_tree = "64K"\n', bare=False)
    clone = server.clone()
    good, _ = pushed(clone, {"a.service": service(), "conf": b"x" * 60_000})
    clone.commit({f"copy{n}": b"x" * 60_000 for n in range(3)})
    status, _, said = clone.push()
    assert status != 0
    assert "max_tree in section [policy]" in said
    assert server.head() == good
    [refused] = server.events("push.refused")
    assert "max_tree" in refused["data"]["diagnostics"][0]["message"]
    path = server.repository.path
    (path / "large").write_bytes(b"x" * 70_000)
    server.git("add", "-A")
    server.git("commit", "-q", "-m", "large")
    sha = server.git("rev-parse", "HEAD")
    server.verdict(sha, "refused")
    status = server.rpc("status")["commit"]
    assert status["applied"]["sha"] == good
    assert "max_tree" in status["diagnostics"][0]["message"]
    assert not (server.state / "trees" / sha).exists()
