"""Every way a branch can move, stand still or vanish; what runs follows commits and nothing else."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.harness import CONFIG, FAILING, IDENTITY, service, until

pytestmark = pytest.mark.root

OTHER = service("/bin/sleep 2000")


def head(machine):
    return machine.status()["commit"]["applied"]["sha"]


def source_error(machine):
    return machine.status()["commit"]["error"]


@pytest.mark.parametrize("bare", [False, True], ids=["work-tree", "bare"])
def test_pushes_are_deployed(machines, bare, tmp_path):
    machine = machines(bare=bare)
    machine.deploy({"a.service": service()})
    clone = tmp_path / "clone"
    machine.git("clone", "-q", str(machine.repository.path), str(clone), cwd=tmp_path)
    before = machine.pids()
    (clone / "b.service").write_text(service())
    machine.git("add", "-A", cwd=clone)
    machine.git("commit", "-qm", "pushed", cwd=clone)
    machine.git("push", "-q", "origin", "HEAD:main", cwd=clone)
    sha = machine.git("rev-parse", "HEAD", cwd=clone)
    machine.verdict(sha)
    after = machine.pids()
    assert after.keys() == {"a", "b"}
    assert after["a"] == before["a"]
    # Another branch is nobody's business.
    machine.git("push", "-q", "origin", "HEAD:other", cwd=clone)
    assert machine.gitproc("sync").status == 0
    assert head(machine) == sha


def test_the_plumbing_is_followed_forth_and_back(machine):
    first = machine.deploy({"a.service": service()})
    before = machine.pids()
    second = machine.deploy({"b.service": service(), "a.service": OTHER})
    assert machine.pids()["a"] != before["a"]
    machine.git("update-ref", "refs/heads/main", first)  # a rewind; the work tree is as it was
    until(lambda: head(machine) == first, "the rewind is in force")
    until(lambda: machine.unit("b") == {}, "what it does not have is gone")
    until(lambda: machine.unit("a")["active_state"] == "active", "what it has is there")
    machine.git("pack-refs", "--all")
    machine.git("gc", "-q", "--prune=now")
    machine.git("update-ref", "refs/heads/main", second)
    until(lambda: head(machine) == second, "packed refs are read")
    machine.wait("b")


def test_half_written_files_are_never_seen(machine):
    sha = machine.deploy({"a.service": service()})
    pids = machine.pids()
    machine.repository.write({"a.service": "[Serv", "c.service": service()})
    machine.git("add", "-A")
    assert machine.gitproc("sync").status == 0
    assert (head(machine), machine.pids()) == (sha, pids)


def test_a_branch_that_is_gone_changes_nothing_but_status(machine):
    sha = machine.deploy({"a.service": service()})
    pids = machine.pids()
    machine.git("update-ref", "-d", "refs/heads/main")
    until(lambda: "gone" in source_error(machine), "status says it")
    assert "branch main" in machine.gitproc("status").out
    assert (head(machine), machine.pids()) == (sha, pids)
    machine.git("update-ref", "refs/heads/main", sha)
    until(lambda: not source_error(machine), "it is back")
    machine.git("update-ref", "-d", "refs/heads/main")
    until(lambda: "gone" in source_error(machine), "and gone again")
    machine.kill_manager()
    until(lambda: "gone" in source_error(machine), "the next manager says it too")
    assert (head(machine), machine.pids()) == (sha, pids)
    machine.git("update-ref", "refs/heads/main", sha)
    until(lambda: not source_error(machine), "it is back")
    assert machine.pids() == pids


def test_an_unborn_branch_means_nothing_to_do(machine):
    assert machine.status()["commit"]["applied"] is None
    status, out, _ = machine.gitproc("status")
    assert status == 0
    assert "no commit yet" in out
    machine.kill_manager()
    machine.deploy({"a.service": service()})


def test_the_configured_branch_counts_and_can_be_changed(machines):
    machine = machines(branch="prod", config=f'{CONFIG}branch = "prod"\n')
    machine.deploy({"a.service": service(), "b.service": service()})
    machine.git("checkout", "-q", "-b", "next")
    machine.repository.branch = "next"
    sha = machine.commit({"c.service": service(), "a.service": None})
    assert machine.gitproc("sync").status == 0
    before = machine.pids()
    assert before.keys() == {"a", "b"}
    machine.config_file.write_text(f'{CONFIG}branch = "next"\n')
    machine.kill_manager()
    machine.verdict(sha)
    after = machine.pids()
    assert after.keys() == {"b", "c"}
    assert after["b"] == before["b"]


def test_a_repository_that_is_not_there_yet(machines):
    machine = machines(start=False)
    aside = machine.root / "aside"
    machine.commit({"a.service": service()})
    machine.repository.path.rename(aside)
    machine.start()
    until(lambda: source_error(machine), "status says it")
    assert machine.gitproc("doctor").status == 1
    aside.rename(machine.repository.path)
    machine.gitproc("sync")
    machine.wait("a")


@pytest.mark.parametrize("how", ["deleted", "refused", "branch deleted"])
def test_a_new_start_brings_back_what_was_in_force(machines, how):
    machine = machines()
    sha = machine.deploy({"a.service": service(), "x/b.service": service(), "data": "1"})
    if how == "refused":
        machine.deploy({"a.service": "[Service]\nExecStrat=/bin/true\n"}, "refused")
    machine.stop()
    if how == "deleted":
        shutil.rmtree(machine.repository.path)
    elif how == "branch deleted":
        machine.git("update-ref", "-d", "refs/heads/main")
    machine.start()
    machine.wait("a")
    machine.wait("b")
    assert head(machine) == sha
    commit = machine.status()["commit"]
    if how == "refused":
        assert commit["refused"]["verdict"] == "refused"
        assert "a.service:2: error: ExecStrat" in machine.gitproc("status").out
    else:
        assert commit["error"]
    # Its files are there for the units, too.
    assert (machine.state / "trees/current/data").read_text() == "1"


@pytest.mark.parametrize("bare", [False, True], ids=["work-tree", "bare"])
def test_rollback_is_a_commit_with_an_earlier_tree(machines, bare):
    machine = machines(bare=bare)
    first = machine.deploy({"a.service": service(), "b.service": service()})
    before = machine.pids()
    machine.deploy({"a.service": OTHER, "c.service": service()})
    status, out, _ = machine.gitproc("rollback")
    assert status == 0, out
    assert first[:10] in out
    sha = machine.git("rev-parse", "main", cwd=machine.repository.path)
    machine.verdict(sha)
    after = machine.pids()
    assert after.keys() == {"a", "b"}
    assert after["b"] == before["b"]
    tree = "rev-parse", "main^{tree}", f"{first}^{{tree}}"
    one, other = machine.git(*tree, cwd=machine.repository.path).split()
    assert one == other
    assert first in machine.git("log", "-1", "--format=%B", sha, cwd=machine.repository.path)
    if not bare:
        assert machine.git("status", "--porcelain") == ""
        assert not (machine.repository.path / "c.service").exists()
    back = machine.gitproc("rollback", sha + "~1")
    assert back.status == 0
    machine.wait("c")


def test_rollback_leaves_edits_alone_and_lists_them(machine):
    first = machine.deploy({"a.service": service()})
    second = machine.deploy({"a.service": OTHER})
    machine.repository.write({"a.service": "# half an edit", "new.service": "x"})
    status, _, err = machine.gitproc("rollback", first)
    assert status != 0
    assert "a.service" in err
    assert machine.git("rev-parse", "HEAD") == second
    assert (machine.repository.path / "a.service").read_text() == "# half an edit"
    assert machine.gitproc("rollback", "no-such-rev").status != 0


def test_a_rollback_that_is_cut_off_leaves_nothing_behind(machine):
    first = machine.deploy({"a.service": service()})
    second = machine.deploy({"a.service": OTHER})
    new = machine.git("commit-tree", f"{first}^{{tree}}", "-p", second, "-m", "Roll back")
    machine.git("update-ref", "refs/gitproc/rollback", new)
    machine.git("read-tree", "-m", "-u", second, new)
    pids = machine.pids()
    machine.kill_manager()
    until(lambda: not machine.git("for-each-ref", "refs/gitproc/rollback"), "it is taken back")
    assert machine.git("status", "--porcelain") == ""
    assert (head(machine), machine.pids()) == (second, pids)


def test_rollback_needs_a_commit_that_was_good(machine):
    machine.deploy({"a.service": service()})
    status, _, err = machine.gitproc("rollback")
    assert status != 0
    assert "gitproc history" in err


def test_verdicts_are_notes_on_the_commits(machine, monkeypatch):
    monkeypatch.setitem(IDENTITY, "GIT_COMMITTER_DATE", "@1600000000 +0000")  # all of one second
    shas = {
        machine.deploy({"a.service": service()}): "good",
        machine.deploy({"a.service": FAILING}, "failed"): "failed",
        machine.deploy({"a.service": "[Service]\nTypo=1\n"}, "refused"): "refused",
    }
    entries = machine.rpc("history")["entries"]
    assert {e["sha"]: e["verdict"] for e in entries} == shas
    text = machine.gitproc("history").out
    for sha, verdict in shas.items():
        assert any(sha[:10] in x and verdict in x for x in text.splitlines())
    lines = machine.gitproc("history", "a").out.splitlines()
    told = [x.partition(" commit ")[2] for x in lines if " commit " in x]
    assert [x.split()[0] for x in told] == [x[:10] for x in [*shas][::-1]]
    machine.kill_manager()
    assert {e["sha"]: e["verdict"] for e in machine.rpc("history")["entries"]} == shas


def test_a_repository_others_can_write_is_not_trusted(machines):
    machine = machines()
    machine.deploy({"a.service": service()})
    pids = machine.pids()
    (machine.repository.path / ".git/refs/heads").chmod(0o777)
    machine.commit({"a.service": OTHER})
    until(lambda: "refs/heads" in source_error(machine), "it is said")
    assert machine.pids() == pids


def test_a_repository_that_is_replaced_is_watched_again(machines):
    machine = machines(config="settle_seconds = 0.1\npoll_interval = 3600\n")
    machine.deploy({"a.service": service()})
    until(lambda: "notes" in machine.git("for-each-ref"), "what is to be written is written")
    place = machine.repository.path
    shutil.copytree(place, place.with_name("restored"), symlinks=True)
    place.rename(place.with_name("before"))
    place.with_name("restored").rename(place)
    assert machine.gitproc("sync").status == 0
    machine.deploy({"b.service": service()})
    machine.deploy({"c.service": service()})
