"""Over ssh: pushes of root, of a member of the group and of an outsider, and `gitproc -H`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.e2e import harness
from tests.e2e.harness import COMMAND, DEADLINE, service, shell, until
from tests.push.sshd import SSHD, Sshd, account, group, interpreter

pytestmark = [
    pytest.mark.root,
    pytest.mark.debian,
    pytest.mark.skipif(not Path(SSHD).exists(), reason="needs openssh-server"),
    pytest.mark.skipif(not interpreter(), reason="needs a Python that every user can run"),
    pytest.mark.skipif(shutil.which("useradd") is None, reason="needs useradd"),
]


@pytest.fixture(scope="module")
def team():
    """A group, a member of it, somebody who is none, and an sshd for all of them."""
    tag = f"{os.getpid() % 100000}"
    folder = Path(
        tempfile.mkdtemp(prefix="gitproc-sshd-")
    )  # pytest's own are closed to other users
    folder.chmod(0o755)
    sshd = Sshd(folder / "d")
    try:
        with (
            group(f"gpt-{tag}") as members,
            account(f"gpm-{tag}", [members]) as member,
            account(f"gpo-{tag}", []) as outsider,
        ):
            yield sshd, members, member, outsider
    finally:
        sshd.close()
        shutil.rmtree(folder)


@pytest.fixture
def server(servers, team):
    return servers(bare=True, group=team[1])


def clone_of(server, team, user, *, door=True):
    sshd = team[0]
    clone = server.clone(f"ssh://{user}@localhost{server.repository.path}", **sshd.environment)
    if door:
        clone.git(
            "config", "remote.origin.receivepack", f"gitproc --root {server.root} receive-pack"
        )
    return clone


def test_a_member_of_the_group_pushes(server, team):
    member = team[2]
    clone = clone_of(server, team, member)
    sha = clone.commit({"a.service": service()})
    status, _, said = clone.push()
    assert status == 0, said
    assert "hint:" not in said
    assert "remote:     a.service: Started a.service" in said
    assert server.head() == sha
    [event] = server.events("push.accepted")
    assert event["who"].startswith(f"{member} (uid ")
    # everything in the repository is the owner's, and the member wrote none of it himself
    strangers = [x for x in server.repository.path.rglob("*") if x.stat().st_uid != 0]
    assert strangers == []
    clone.commit({"a.service": "[Service]\nExecStrat=x\n"})
    status, _, said = clone.push()
    assert status != 0
    assert "remote: a.service:2: error: ExecStrat" in said
    assert server.events("push.refused")[0]["who"].startswith(member)
    assert clone.push("--force", "-oforce", ":main").status == 0
    assert clone.push("-oasync", f"{sha}:refs/heads/main").status == 0


def test_the_owner_need_not_be_root(servers, team, monkeypatch):
    sshd, members, member, owner = team  # an outsider: the group lets his git reach the daemon
    monkeypatch.setattr(harness, "COMMAND", [sshd.python, "-I", "-m", "gitproc.cli.main"])
    server = servers(bare=True, start=False, group=members)
    subprocess.run(["chown", "-R", owner, str(server.repository.path)], check=True)
    server.start()
    clone = clone_of(server, team, member)
    sha = clone.commit({"a.service": service()})
    status, _, said = clone.push()
    assert status == 0, said
    assert "Started a.service" in said
    assert server.head() == sha
    assert server.events("push.accepted")[0]["who"].startswith(f"{member} (uid ")
    files = [x for x in server.repository.path.rglob("*") if x.owner() != owner]
    assert files == []
    clone.commit({"a.service": "[Service]\nExecStrat=x\n"})
    assert "remote: a.service:2: error: ExecStrat" in clone.push().err


def test_root_pushes(server, team):
    clone = clone_of(server, team, "root")
    sha = clone.commit({"a.service": service()})
    status, _, said = clone.push()
    assert status == 0, said
    assert server.head() == sha
    direct = clone_of(server, team, "root", door=False)  # git's own way, and yet our hooks
    direct.git("pull", "-q", str(server.repository.path), "main")
    direct.commit({"a.service": "[Service]\nExecStrat=x\n"})
    assert "error: ExecStrat" in direct.push().err


def test_an_outsider_is_refused_in_words(server, team):
    clone = clone_of(server, team, team[3])
    sha = clone.commit({"a.service": service()})
    status, _, said = clone.push()
    assert status != 0
    assert f"you may not push here: become root or join the group {team[1]}" in said
    clone.git("config", "--unset", "remote.origin.receivepack")
    assert clone.push().status != 0
    assert not server.has(sha)


def test_no_other_repository_is_taken(server, team):
    other = server.root / "other"
    server.git("init", "-q", "--bare", str(other), cwd=server.root)
    clone = clone_of(server, team, team[2])
    clone.git("remote", "set-url", "origin", f"ssh://{team[2]}@localhost{other}")
    clone.commit({"a.service": service()})
    status, _, said = clone.push()
    assert status != 0
    assert f"{other} is not the repository here: that is {server.repository.path}" in said


def test_a_daemon_that_is_down_takes_nothing(servers, team):
    server = servers(bare=True, start=False, group=team[1])
    clone = clone_of(server, team, team[2])
    clone.commit({"a.service": service()})
    assert "cannot reach the daemon" in clone.push().err


# ------------------------------------------------------------------ gitproc -H


def there(server, team, user, *words):
    done = subprocess.run(
        [*COMMAND, "-H", f"{user}@localhost", "--root", str(server.root), *words],
        env={**os.environ, **team[0].environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_looking_from_elsewhere(server, team):
    member, outsider = team[2:]
    clone = clone_of(server, team, member)
    clone.commit({"a.service": service(shell("echo hello; exec sleep 1000"))})
    assert clone.push().status == 0
    until(lambda: server.log("a") == "hello\n", "it has spoken")
    code, out, err = there(server, team, member, "status", "a")
    assert (code, err) == (0, "")
    assert "a.service" in out
    code, out, _ = there(server, team, member, "is-active", "a", "--json")
    assert code == 0
    assert json.loads(out)["units"][0]["active_state"] == "active"
    assert there(server, team, member, "is-active", "nothing")[0] == 4
    code, out, _ = there(server, team, member, "logs", "a", "-n", "1")
    assert (code, out) == (0, "hello\n")
    assert there(server, team, member, "stop", "a")[0] == 0
    assert there(server, team, member, "is-active", "a")[:2] == (3, "inactive\n")
    code, _, err = there(server, team, outsider, "status")
    assert code == 1
    assert "permission denied" in err


def test_following_from_elsewhere_ends_over_there_as_well(server, team):
    member = team[2]
    clone = clone_of(server, team, member)
    clone.commit({"a.service": service(shell("echo hello; exec sleep 1000"))})
    assert clone.push().status == 0
    words = ["-H", f"{member}@localhost", "--root", str(server.root), "logs", "-f", "a"]
    follow = subprocess.Popen(
        [*COMMAND, *words],
        env={**os.environ, **team[0].environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follow.stdout is not None
    assert follow.stdout.readline() == "hello\n"
    assert followers(server) != []
    follow.send_signal(signal.SIGINT)
    assert follow.wait(DEADLINE) != 0
    follow.stdout.close()
    until(lambda: followers(server) == [], "nobody follows any more")


def followers(server) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"logs" in words and str(server.root).encode() in words:
            found.append(str(words))
    return found


def test_the_two_commands_of_init_are_the_ones(servers, team):
    server = servers(bare=True, group=team[1])
    lines = server.gitproc("init").out.splitlines()
    [add] = [x.strip() for x in lines if x.startswith("  git remote add ")]
    [config] = [x.strip() for x in lines if x.startswith("  git config remote.")]
    clone = server.clone(**team[0].environment)
    add = add.replace("USER", team[2])
    for command in (add, config):
        done = subprocess.run(
            ["sh", "-c", command], cwd=clone.path, env=clone.environment, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    sha = clone.commit({"a.service": service()})
    status, _, said = clone.run("push", "production", "main")
    assert status == 0, said
    assert server.head() == sha
