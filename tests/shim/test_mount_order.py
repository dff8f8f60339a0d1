"""The pure half of a sandbox's mounts: what is sorted, merged and dropped."""

from __future__ import annotations

import pytest

from gitproc.shim.mount_order import points


def entry(text):
    path, kind, *options = text.split()
    return (path, kind, "-" in options, "/source" if kind.startswith("bind") else "", "")


CASES = [
    ([], ["/ - rw"]),
    (["/usr ro"], ["/ - rw", "/usr - ro"]),
    (["/usr/lib ro", "/usr ro"], ["/ - rw", "/usr - ro"]),
    (["/usr ro", "/usr/local rw"], ["/ - rw", "/usr - ro", "/usr/local - rw"]),
    (["/usr rw"], ["/ - rw"]),
    (["/ ro", "/dev rw", "/dev/pts rw"], ["/ - ro", "/dev - rw"]),
    (["/a ro", "/a rw"], ["/ - rw", "/a - ro"]),  # the stricter word
    (["/a exec", "/a noexec"], ["/ - rw", "/a - rw noexec"]),
    (["/ ro", "/ noexec", "/usr exec"], ["/ - ro noexec", "/usr - ro"]),
    (["/a noexec", "/a/b rw"], ["/ - rw", "/a - rw noexec"]),
    (["/a ro", "/a/b noexec"], ["/ - rw", "/a - ro", "/a/b - ro noexec"]),
    (["/a hide", "/a/b bind", "/a/b/c rw"], ["/ - rw", "/a hide ro"]),
    (["/a hide", "/a bind", "/a rw"], ["/ - rw", "/a hide ro"]),
    (["/ab ro", "/a ro", "/a/b rw"], ["/ - rw", "/a - ro", "/a/b - rw", "/ab - ro"]),
    (["/ ro", "/m bind"], ["/ - ro", "/m bind rw"]),  # what is put there is as it is said
    (["/ ro", "/m bind", "/m ro"], ["/ - ro", "/m bind ro"]),
    (["/ noexec", "/m bind"], ["/ - rw noexec", "/m bind rw noexec"]),
    (["/m bind-ro", "/m bind"], ["/ - rw", "/m bind-ro ro"]),
    (["/t tmpfs", "/t/x bind", "/t ro"], ["/ - rw", "/t tmpfs ro", "/t/x bind rw"]),
    (["/dev tmpfs", "/dev dev"], ["/ - rw", "/dev dev rw"]),
    (["/sys tmpfs", "/sys bind-bare", "/sys sysfs"], ["/ - rw", "/sys sysfs rw"]),
    (["/run tmpfs", "/run tmpfs-bare"], ["/ - rw", "/run tmpfs rw"]),
    (["/m bind", "/m bind-flat"], ["/ - rw", "/m bind-flat rw"]),
    (["/m bind-ro", "/m bind-flat"], ["/ - rw", "/m bind-flat ro"]),
    (["/ ro", "/sys sysfs"], ["/ - ro", "/sys sysfs ro"]),  # nobody said that it is to be written
    (["/ ro", "/sys rw", "/sys sysfs"], ["/ - ro", "/sys sysfs rw"]),
    (["/ tmpfs", "/usr bind-ro"], ["/ tmpfs rw", "/usr bind-ro ro"]),
]


@pytest.mark.parametrize(("entries", "wanted"), CASES)
def test_what_is_left_of_the_entries(entries, wanted):
    found = points([entry(text) for text in entries])
    assert [repr(point) for point in found] == wanted
    backwards = points([entry(text) for text in reversed(entries)])
    assert [repr(point) for point in backwards] == wanted


def test_the_first_of_two_binds_counts():
    one, two = ("/m", "bind", False, "/one", ""), ("/m", "bind", False, "/two", "")
    assert points([one, two])[1].content == one


def test_a_place_may_be_missing_if_all_say_so():
    assert points([("/a", "ro", True, "", ""), ("/a", "noexec", True, "", "")])[1].optional
    assert not points([("/a", "ro", True, "", ""), ("/a", "noexec", False, "", "")])[1].optional


def test_only_what_differs_is_restricted():
    entries = [
        ("/", "ro", False, "", ""),
        ("/m", "bind-ro", False, "/x", ""),
        ("/w", "rw", False, "", ""),
    ]
    assert [point.restricted for point in points(entries)] == [True, False, True]
