"""What may befall verbs about the whole branch, while others push to it: see `blows.py`.

Who asked may be killed, the manager may, and the shim. Whatever comes of it, the branch decides: in the end
what runs is what its HEAD says, every commit on the way to it has one verdict or none, nothing lies half
written in the work tree, and a client that was told of success was told the truth.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness import COMMAND, until
from tests.faults.blows import manager_killed, shim_killed
from tests.faults.branch_blows import push
from tests.faults.oracle import eventually

if TYPE_CHECKING:
    from tests.faults.soak import Soak

VERDICTS = {None, "good", "failed", "refused", "superseded"}


def apply_cut_off(soak: Soak) -> None:
    """`gitproc apply`."""
    _cut_off(soak, "apply")


def sync_cut_off(soak: Soak) -> None:
    """`gitproc sync`."""
    _cut_off(soak, "sync")


def rollback_among_pushes(soak: Soak) -> None:
    """`gitproc rollback`, to one of the last commits."""
    machine = soak.machine
    old = machine.git("rev-list", "--first-parent", "-n", "6", "HEAD").split()
    _cut_off(soak, "rollback", soak.dice.choice(old[1:] or old))


def _cut_off(soak: Soak, verb: str, *args: str) -> None:
    machine, dice = soak.machine, soak.dice
    clone = machine.root / "clone"
    with soak.no_commits():
        soak.mend()
        soak.wait_for_verbs()
        before = machine.git("rev-parse", "HEAD")
        machine.git("clone", "-q", str(machine.repository.path), str(clone), cwd=machine.root)
        names = [dice.choice(sorted(soak.wanted)) for _ in range(dice.randint(1, 4))]
        pushed = soak.aside(_pushes, soak, clone, [soak.next_value(name) for name in names])
        time.sleep(dice.random() * 0.3)
        asked = [_ask(soak, verb, *args) for _ in range(dice.choice([1, 1, 2]))]
        time.sleep(dice.random() * 0.4)
        for what in dice.sample(["client", "manager", "shim"], dice.choice([1, 1, 2])):
            if what == "client":
                asked[0].kill()
                soak.count("client killed")
            elif what == "manager":
                manager_killed(soak)
            else:
                soak.allow_all()  # who ends meanwhile ends for a commit
                shim_killed(soak)
        answers = [(x.wait(60), *_said(x)) for x in asked]
        accepted = pushed.result()
        shutil.rmtree(clone)
    soak.count(f"{verb} cut off")

    def left() -> str:
        found = machine.git("status", "--porcelain")
        return f"{verb} left {found!r}\n{answers}\n{accepted}\n{soak.refusals}" if found else ""

    if any("cannot lock ref" in x or "failed to update ref" in x for x in soak.refusals):
        # git writes the files of a push before it sees that the branch has moved meanwhile.
        soak.count("pushes that came too late")
        machine.git("reset", "-q", "--hard")
    eventually(left)
    soak.believe_head(before)
    _true(soak, before, verb, args, answers, accepted)


def _ask(soak: Soak, verb: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "--root", str(soak.machine.root), verb, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _said(client: subprocess.Popen[str]) -> tuple[str, str]:
    assert client.stdout is not None and client.stderr is not None
    with client.stdout, client.stderr:
        return client.stdout.read(), client.stderr.read()


def _pushes(soak: Soak, clone: Path, changes: list[dict[str, str]]) -> list[str]:
    """Push one change after the other, each on what the branch is by then; the commits that were accepted."""
    machine, accepted = soak.machine, []
    for files in changes:
        machine.git("fetch", "-q", "origin", cwd=clone)
        machine.git("reset", "-q", "--hard", "origin/main", cwd=clone)
        for name, text in files.items():
            if (clone / name).exists():
                (clone / name).write_text(text)
        machine.git("commit", "-q", "--allow-empty", "-a", "-m", "pushed", cwd=clone)
        done = push(clone)
        if done.returncode == 0:
            accepted.append(machine.git("rev-parse", "HEAD", cwd=clone))
            soak.count("pushes")
        else:
            soak.count("pushes refused")
            soak.refusals.append(done.stderr.decode())
    return accepted


def _true(
    soak: Soak,
    before: str,
    verb: str,
    args: tuple[str, ...],
    answers: list[tuple[int, str, str]],
    accepted: list[str],
) -> None:
    machine = soak.machine
    commits = machine.git("rev-list", "--first-parent", f"{before}..HEAD").split()
    missing = [x for x in accepted if x not in commits]
    assert not missing, f"{missing} were accepted and are not on the branch: {commits}"
    assert not (locks := [*machine.repository.path.glob(".git/*.lock")]), locks
    messages = machine.git("log", "--first-parent", "--format=%B", f"{before}..HEAD")
    for status, out, err in answers:
        assert "Traceback" not in err, err
        if verb == "rollback" and status == 0:
            assert f"Rollback-To: {args[0]}" in messages, f"{out!r} is said, and is not so"

    def settled() -> bool:
        commit = soak.machine.status()["commit"]
        return not commit["deploying"] and (commit["applied"] or {}).get("sha") == machine.git(
            "rev-parse", "HEAD"
        )

    until(settled, "HEAD is judged")
    entries = machine.rpc("history", lines=len(commits) + 1)["entries"]
    verdicts = {x["sha"]: x["verdict"] for x in entries}
    wrong = {x: verdicts.get(x) for x in commits if verdicts.get(x) not in VERDICTS}
    assert not wrong, f"verdicts: {wrong}"
    assert not commits or verdicts[commits[0]] == "good", verdicts
