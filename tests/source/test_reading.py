from __future__ import annotations

from pathlib import Path

import pytest

from gitproc.errors import SourceError
from gitproc.source import reading
from gitproc.source.reading import is_unit_like, leaves_tree
from tests.source.conftest import Repo

UNIT = "[Service]\nExecStart=/bin/true\n"


def messages(change) -> list[str]:
    return [str(found) for found in change.diagnostics]


class TestFiles:
    def test_full_read(self, repo, source):
        repo.write("web/nginx.service", UNIT)
        repo.write("nginx.service.d/10-more.conf", "[Service]\nNice=1\n")
        repo.write("web/nginx.conf", "worker_processes 1;")
        repo.write(".hidden/x.service")
        repo.write(".gitignore", "*.o\n")
        (repo.path / "www.service").symlink_to("web/nginx.service")
        sha = repo.commit()
        change = source(repo).read(sha)
        assert change.full
        assert change.diagnostics == ()
        assert sorted(change.files) == [
            ".gitignore",
            "nginx.service.d/10-more.conf",
            "web/nginx.conf",
            "web/nginx.service",
            "www.service",
        ]
        unit = change.files["web/nginx.service"]
        assert unit is not None
        assert (unit.data, unit.link) == (UNIT.encode(), None)
        assert unit.oid == repo.git("rev-parse", f"{sha}:web/nginx.service")
        other = change.files["web/nginx.conf"]
        assert other is not None
        assert other.data == b""
        link = change.files["www.service"]
        assert link is not None
        assert link.link == "web/nginx.service"

    def test_blob(self, repo, source):
        repo.write("nginx.conf", "text")
        git = source(repo)
        file = git.read(repo.commit()).files["nginx.conf"]
        assert git.blob(file.oid) == b"text"
        with pytest.raises(SourceError, match="more than 2"):
            git.blob(file.oid, 2)
        with pytest.raises(SourceError, match="no file"):
            git.blob("0" * 40)

    def test_empty_tree(self, repo, source):
        assert source(repo).read(repo.commit()) == ({}, True, ())

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("a.service", True),
            ("x/y@.timer", True),
            ("a.service.d/x.conf", True),
            ("service.d/x.conf", True),
            ("conf.d/x.conf", True),
            ("x.conf", False),
            (".a.service", False),
            ("a.service.d/.x.conf", False),
            (".service", False),
            ("a.service~", False),
        ],
    )
    def test_unit_like(self, path, expected):
        assert is_unit_like(path) is expected


class TestChanges:
    def test_one_changed_file_reads_one_blob(self, tmp_path: Path, source):
        repo = Repo(tmp_path / "r")
        for number in range(300):
            repo.write(f"d{number // 50}/u{number}.service", f"{UNIT}# {number}\n")
        first = repo.commit()
        git = source(repo)
        git.read(first)
        repo.write("d3/u170.service", "changed")
        second = repo.commit()
        git.head()
        before = git.requests
        change = git.read(second, first)
        assert git.requests - before == 5  # two roots, two folders, one blob
        assert not change.full
        assert {path: file.data for path, file in change.files.items()} == {
            "d3/u170.service": b"changed"
        }
        assert git.read(second, second).files == {}

    def test_added_removed_renamed_and_turned(self, repo, source):
        for name in (
            "stay.service",
            "old.service",
            "gone/a.service",
            "gone/b/c.service",
            "turn/x.service",
        ):
            repo.write(name, name)
        repo.write("flip", "file")
        first = repo.commit()
        git = source(repo)
        full = dict(git.read(first).files)
        repo.git("rm", "-q", "-r", "old.service", "gone", "turn", "flip")
        repo.write("new.service", "new.service")
        repo.write("turn", "now a file")
        repo.write("flip/y.service", "now a folder")
        second = repo.commit()
        change = git.read(second, first)
        assert {path: file and file.data for path, file in change.files.items()} == {
            "old.service": None,
            "gone/a.service": None,
            "gone/b/c.service": None,
            "turn/x.service": None,
            "turn": b"",
            "flip": None,
            "flip/y.service": b"now a folder",
            "new.service": b"new.service",
        }
        for path, file in change.files.items():
            full.pop(path, None)
            if file is not None:
                full[path] = file
        fresh = source(repo).read(second)
        assert full == fresh.files

    def test_unknown_base_means_everything(self, repo, source):
        repo.write("a.service")
        first = repo.commit()
        repo.write("b.service")
        second = repo.commit()
        change = source(repo).read(second, first)
        assert change.full
        assert sorted(change.files) == ["a.service", "b.service"]
        assert source(repo).read(second, "0" * 40).full

    def test_large_folder_one_more_and_one_less(self, repo, source):
        def files(numbers: range) -> str:
            return "".join(f"M 100644 inline f/u{n}.service\ndata 1\nx\n" for n in numbers)

        head = "commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 1\nx\n"
        repo.git("fast-import", "--quiet", stdin=(head + files(range(2000))).encode())
        git = source(repo)
        first = git.head()
        git.read(first)
        more = head + "from refs/heads/main^0\n"
        repo.git("fast-import", "--quiet", stdin=(more + files(range(2000, 2001))).encode())
        second = git.head()
        assert list(git.read(second, first).files) == ["f/u2000.service"]
        repo.git("fast-import", "--quiet", stdin=(more + "D f/u7.service\n").encode())
        third = git.head()
        assert git.read(third, second).files == {"f/u7.service": None}


class TestStrange:
    def test_submodule(self, repo, source):
        sha = repo.plant([("160000", "1" * 40, b"vendor")])
        change = source(repo).read(sha)
        assert change.files == {}
        assert messages(change) == [
            "vendor: error: submodules are not supported: nothing of it is in the commit"
        ]

    def test_names_that_step_out(self, repo, source):
        blob = repo.blob(UNIT.encode())
        sha = repo.plant(
            [("100644", blob, name) for name in (b"..", b"../x.service", b".git", b"ok.service")]
            + [("100644", blob, b"caf\xe9.service")]
        )
        change = source(repo).read(sha)
        assert list(change.files) == ["ok.service"]
        assert len(change.diagnostics) == 4
        assert "caf\\xe9.service: error: the name is not UTF-8" in messages(change)

    def test_one_name_twice(self, repo, source):
        one, two = repo.blob(b"one"), repo.blob(b"two")
        sha = repo.plant([("100644", one, b"a.service"), ("100644", two, b"a.service")])
        change = source(repo).read(sha)
        assert change.files == {}
        assert "stands twice" in messages(change)[0]

    def test_case_clash(self, repo, source):
        for name in ("Web.service", "web.service", "README", "readme"):
            repo.write(name, name)
        change = source(repo).read(repo.commit())
        assert messages(change) == [
            "readme: warning: differs from README in case only",
            "web.service: error: differs from Web.service in case only",
        ]

    def test_large_file_is_not_transferred(self, repo, source):
        repo.write("big.service", "#" * (reading.MAX_UNIT_BYTES + 1))
        repo.write("small.service", UNIT)
        change = source(repo).read(repo.commit())
        assert list(change.files) == ["small.service"]
        assert change.files["small.service"].data == UNIT.encode()
        assert "big.service: error: 1048577 bytes, more than 1048576 are not read" in messages(
            change
        )

    def test_many_large_files_end_the_reading(self, repo, source):
        for number in range(12):
            repo.write(f"{number}.service", f"{number}" + "#" * reading.MAX_UNIT_BYTES)
        change = source(repo).read(repo.commit())
        assert change.files == {}
        assert len(change.diagnostics) == 12

    def test_lfs_pointer(self, repo, source):
        repo.write(
            "a.service", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
        )
        assert "git-lfs" in messages(source(repo).read(repo.commit()))[0]

    def test_links(self, repo, source):
        targets = {
            "mask.service": "/dev/null",
            "alias.service": "d/a.service",
            "d/up.service": "../a.service",
            "d/out.service": "../../a.service",
            "passwd": "/etc/passwd",
            "multi-user.target.wants/a.service": "/etc/systemd/system/a.service",
        }
        for name, target in targets.items():
            link = repo.path / name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(target)
        change = source(repo).read(repo.commit())
        assert {path: file.link for path, file in change.files.items()} == targets
        assert messages(change) == [
            "d/out.service: error: the link leaves the repository: ../../a.service",
            "passwd: warning: the link leaves the repository: /etc/passwd",
        ]

    @pytest.mark.parametrize(
        ("path", "target", "leaves"),
        [
            ("a", "b/c", False),
            ("d/a", "../b", False),
            ("d/e/a", "../../b", False),
            ("a", "..", True),
            ("d/a", "../../b", True),
            ("d/e/a", "../b/../../..", True),
            ("d/e/a", "link/..", True),
            ("a", "/b", True),
            ("a", "./b//c", False),
        ],
    )
    def test_leaves_tree(self, path, target, leaves):
        assert leaves_tree(path, target) is leaves

    def test_findings_stay_until_their_place_changes(self, repo, source):
        repo.write("d/Web.service")
        repo.write("d/web.service")
        repo.write("bad.service", "version https://git-lfs.github.com/spec/v1\n")
        first = repo.commit()
        git = source(repo)
        assert len(git.read(first).diagnostics) == 2
        repo.write("other.service")
        second = repo.commit()
        change = git.read(second, first)
        assert list(change.files) == ["other.service"]
        assert len(change.diagnostics) == 2
        repo.git("rm", "-q", "d/Web.service")
        third = repo.commit()
        assert [str(found.location) for found in git.read(third, second).diagnostics] == [
            "bad.service"
        ]
        repo.write("bad.service", UNIT)
        fourth = repo.commit()
        assert git.read(fourth, third).diagnostics == ()
        repo.git("rm", "-q", "-r", "d")
        fifth = repo.commit()
        assert git.read(fifth, second).diagnostics == ()

    def test_a_file_that_turns_bad_is_gone(self, repo, source):
        repo.write("a.service", UNIT)
        first = repo.commit()
        git = source(repo)
        git.read(first)
        repo.write("a.service", "#" * (reading.MAX_UNIT_BYTES + 1))
        change = git.read(repo.commit(), first)
        assert change.files == {"a.service": None}
        assert len(change.diagnostics) == 1

    def test_long_names_in_many_places_end(self, repo, source):
        oid, form = repo.blob(b"x"), "100644"
        entries = [(form, oid, b"f%03d" % n) for n in range(500)]
        for width in (5, *[1] * 13):
            tree = repo.tree(entries)
            entries = [("40000", tree, b"%d" % n + b"d" * 250) for n in range(width)]
        entries = [("40000", repo.tree(entries), b"%03d" % n + b"d" * 250) for n in range(20)]
        sha = repo.plant(entries)
        git = source(repo)
        with pytest.raises(SourceError, match="characters together"):
            git.read(sha)
        long = repo.plant([(form, oid, b"n" * 256)])
        with pytest.raises(SourceError, match="names longer than 255 bytes"):
            git.read(long)
        assert git.read(repo.plant([(form, oid, b"n" * 255)])).files

    def test_tree_bomb_ends(self, repo, source):
        oid = repo.blob(b"x")
        entries, mode = [("100644", oid, b"f%d" % n) for n in range(10)], "40000"
        for _ in range(10):
            tree = repo.tree(entries)
            entries = [(mode, tree, b"d%d" % n) for n in range(10)]
        sha = repo.plant(entries)
        git = source(repo)
        with pytest.raises(SourceError, match="more than 200000 files"):
            git.read(sha)
        assert git.head() == sha
