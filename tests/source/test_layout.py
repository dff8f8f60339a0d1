from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from gitproc.errors import SourceError


def listing(root: Path) -> dict[str, str]:
    """Every file below: its mode and text, or where it leads."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = f"{path.stat().st_mode & 0o777:o} {path.read_text()}"
    return found


@pytest.fixture
def dest(tmp_path: Path):
    yield tmp_path / "trees"
    for folder, _, _ in os.walk(tmp_path / "trees"):
        Path(folder).chmod(0o700)


class TestLayout:
    def test_whole_tree_read_only(self, repo, source, dest):
        repo.write("web/nginx.conf", "conf")
        repo.write(".hidden/x", "hidden")
        repo.write("run.sh", "#!/bin/sh").chmod(0o755)
        (repo.path / "web/link").symlink_to("../run.sh")
        sha = repo.commit()
        made = source(repo).lay_out(sha, dest)
        assert made == dest / sha
        assert listing(made) == {
            ".hidden/x": "444 hidden",
            "run.sh": "555 #!/bin/sh",
            "web/link": "-> ../run.sh",
            "web/nginx.conf": "444 conf",
        }
        assert (dest / "current").readlink() == Path(sha)
        assert {p.stat().st_mode & 0o777 for p in (made, made / "web")} == {0o555}

    def test_unchanged_files_are_shared_and_old_trees_go(self, repo, source, dest):
        git = source(repo)
        shas = []
        for number in range(4):
            repo.write("same.conf", "same")
            repo.write("moves.conf", str(number))
            shas.append(repo.commit())
            git.lay_out(shas[-1], dest, keep=shas[:1])
        last, before = dest / shas[3], dest / shas[2]
        assert (last / "same.conf").stat().st_ino == (before / "same.conf").stat().st_ino
        assert (last / "moves.conf").read_text() == "3"
        assert (before / "moves.conf").read_text() == "2"
        assert {p.name for p in dest.iterdir()} == {"current", shas[0], shas[2], shas[3]}
        assert (dest / "current").readlink() == Path(shas[3])

    def test_again_is_free_and_back_is_possible(self, repo, source, dest):
        git = source(repo)
        repo.write("a", "1")
        first = repo.commit()
        repo.write("a", "2")
        second = repo.commit()
        made = git.lay_out(first, dest)
        inode = (made / "a").stat().st_ino
        git.lay_out(second, dest)
        git.lay_out(first, dest)
        assert (dest / "current/a").stat().st_ino == inode

    def test_what_an_earlier_life_left_is_checked(self, repo, source, dest):
        repo.write("a.conf", "right")
        repo.write("b.conf", "right too")
        sha = repo.commit()
        made = source(repo).lay_out(sha, dest)
        inode = (made / "b.conf").stat().st_ino
        assert source(repo).lay_out(sha, dest) == made
        assert (made / "b.conf").stat().st_ino == inode
        (made / "a.conf").chmod(0o644)
        (made / "a.conf").write_text("")  # as after a power failure
        (dest / ".new-left").mkdir()
        source(repo).lay_out(sha, dest)
        assert (made / "a.conf").read_text() == "right"
        assert {p.name for p in dest.iterdir()} == {"current", sha}

    def test_current_is_never_away(self, repo, source, dest):
        git = source(repo)
        shas = []
        for number in range(6):
            repo.write("a", str(number))
            shas.append(repo.commit())
        git.lay_out(shas[0], dest)
        missing, done, current = [], threading.Event(), dest / "current"

        def look():
            while not done.is_set():
                target = current.readlink()
                if not (dest / target).exists() and current.readlink() == target:
                    missing.append(target)

        thread = threading.Thread(target=look)
        thread.start()
        for sha in shas[1:]:
            git.lay_out(sha, dest)
        done.set()
        thread.join()
        assert missing == []

    def test_links_that_lead_out_are_not_made(self, repo, source, dest, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        links = {
            "absolute": str(outside),
            "up": "../../outside",
            "d/stepwise": "down/../../../outside",
            "fine": "d",
        }
        repo.write("d/file", "x")
        for name, target in links.items():
            (repo.path / name).symlink_to(target)
        made = source(repo).lay_out(repo.commit(), dest)
        assert set(listing(made)) == {"d/file", "fine"}

    def test_crafted_names_write_nothing_outside(self, repo, source, dest, tmp_path):
        evil, link = repo.blob(b"evil"), repo.blob(str(tmp_path).encode())
        inner = repo.git("mktree", stdin=f"100644 blob {evil}\tcanary\n".encode())
        sha = repo.plant(
            [
                ("100644", evil, b"../canary"),
                ("120000", link, b"twice"),
                ("40000", inner, b"twice"),
                ("40000", inner, b".."),
                ("160000", "1" * 40, b"sub"),
                ("100644", evil, b"ok"),
            ]
        )
        made = source(repo).lay_out(sha, dest)
        assert listing(made) == {"ok": "444 evil"}
        assert not list(tmp_path.glob("canary"))

    def test_no_room_is_said(self, repo, source, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(SourceError, match="cannot lay out"):
            source(repo).lay_out(repo.commit(), tmp_path / "file" / "x")

    def test_repository_may_vanish_between(self, repo, source, dest):
        repo.write("a", "1")
        git = source(repo)
        sha = repo.commit()
        git.lay_out(sha, dest)
        shutil.rmtree(repo.path)
        with pytest.raises(SourceError):
            git.lay_out(sha, dest)
        assert (dest / "current/a").read_text() == "1"


def test_a_layout_can_be_made_before_it_is_the_current_one(repo, source, dest):
    """A commit's files are there before it is judged; refused, it never becomes the current one."""
    git = source(repo)
    repo.write("a.conf", "1")
    first = repo.commit()
    repo.write("a.conf", "2")
    second = repo.commit()
    git.lay_out(first, dest)
    git.lay_out(second, dest, point=False)
    assert (dest / "current" / "a.conf").read_text() == "1"
    assert (dest / second / "a.conf").read_text() == "2"
    git.point(second, dest)
    assert (dest / "current" / "a.conf").read_text() == "2"
