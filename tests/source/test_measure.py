"""A commit's bytes are told without its content being read, and a bomb is not counted to its end."""

from __future__ import annotations

import subprocess

from gitproc.source.git_integration import GitIntegration


def git(path, *words, stdin=b""):
    done = subprocess.run(
        ["git", "-C", path, "-c", "user.name=t", "-c", "user.email=t@t", *words],
        input=stdin,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def test_every_file_counts_as_often_as_it_stands_there(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a").write_bytes(b"x" * 1000)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b c\n").write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to("a")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    repository = GitIntegration(tmp_path)
    head = repository.head()
    assert head is not None
    assert repository.laid_out_bytes(head, 1 << 30) == 2001
    assert repository.laid_out_bytes(head, 500) > 500
    repository.close()


def test_a_tree_of_trees_without_end_is_left_as_soon_as_it_is_too_much(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    blob = git(tmp_path, "hash-object", "-w", "--stdin", stdin=b"0" * 100_000)
    tree = git(tmp_path, "mktree", stdin=f"100644 blob {blob}\tf\n".encode())
    for _ in range(10):  # 10 ** 10 files
        lines = "".join(f"040000 tree {tree}\t{n}\n" for n in range(10))
        tree = git(tmp_path, "mktree", stdin=lines.encode())
    commit = git(tmp_path, "commit-tree", tree, "-m", "x")
    git(tmp_path, "update-ref", "refs/heads/main", commit)
    repository = GitIntegration(tmp_path)
    assert (1 << 30) < repository.laid_out_bytes(commit, 1 << 30) < (1 << 31)
    repository.close()
