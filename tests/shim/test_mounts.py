"""Mounts of a service's own at the level of the shim: hostile paths, links and races."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.shim.client import NOBODY

pytestmark = pytest.mark.root


@pytest.fixture
def covers(tmp_path):
    folder = tmp_path / "covers"
    (folder / "dir").mkdir(parents=True)
    (folder / "dir").chmod(0)
    (folder / "reg").touch(0)
    os.mknod(folder / "chr", stat.S_IFCHR)
    return str(folder)


@pytest.fixture
def see(client, covers):
    """Runs a script within mounts: its output and end; or the step that failed and why."""
    return seeing(client, covers)


@pytest.fixture
def see_from(shims, covers):
    """The same, where a command line brought the shim to; and what hears the shim."""

    def make(*prefix):
        client = shims(prefix=list(prefix)).connect()
        return seeing(client, covers), client

    return make


def seeing(client, covers):
    numbers = itertools.count()

    def run(script, *entries, root="", seen=(), **spec):
        full = [(str(x[0]), *x[1:], *(False, "", "")[len(x) - 2 :]) for x in entries]
        mounts = {"hidden": covers, "entries": full, "root": root, "seen": [*map(str, seen)]}
        client.kept.clear()
        script = f"exec 2>&1; {script}"
        text, end = client.run(f"m{next(numbers)}", script, mounts=mounts, **spec)
        failed = [x for x in client.kept if x[0] == "setup_failed"]
        return (failed[0][2], failed[0][4]) if failed else (text, end[1])

    return run


def theirs(folder):
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def link(path, target):
    path.symlink_to(target)
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return path


@pytest.mark.parametrize("kind", ["rw", "ro", "hide", "noexec", "tmpfs"])
def test_a_link_of_somebody_elses_leads_to_what_is_theirs_and_nowhere_else(see, tmp_path, kind):
    own = theirs(tmp_path / "own")
    theirs(own / "real")
    good, bad = link(own / "good", "real"), link(own / "bad", "/etc")
    assert see("true", ("/", "ro"), (good, kind)) == ("", 0)
    step, why = see("true", ("/", "ro"), (bad, kind))
    assert (step, "others could have made" in why) == ("NAMESPACE", True)
    step, why = see("true", ("/", "ro"), (bad / "apt", kind))
    assert (step, "others could have made" in why) == ("NAMESPACE", True)


def test_nor_does_the_source_of_a_bind(see, tmp_path):
    own = theirs(tmp_path / "own")
    bad = link(own / "bad", "/etc")
    step, why = see("true", (tmp_path / "m", "bind", False, str(bad)))
    assert (step, "others could have made" in why) == ("NAMESPACE", True)
    assert not (tmp_path / "m").exists()


def test_what_a_root_service_may_write_to_leads_nowhere_else_either(see, tmp_path):
    """It could put a link there, and would have /etc writable at its next start."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "data").symlink_to("/etc")
    (state / "inner").mkdir()
    (state / "good").symlink_to("inner")
    entries = [("/", "ro"), (state, "rw")]
    step, why = see("touch /etc/gitproc-x", *entries, (state / "data", "rw"))
    assert (step, "the service could have made" in why) == ("NAMESPACE", True)
    step, why = see("true", *entries, (tmp_path / "m", "bind", False, str(state / "data")))
    assert (step, "the service could have made" in why) == ("NAMESPACE", True)
    script = f"touch {state}/inner/x"
    assert see(script, *entries, (state / "good", "rw")) == ("", 0)
    assert not Path("/etc/gitproc-x").exists()


def test_links_of_root_are_followed(see, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "far").symlink_to(f"{tmp_path}/link/../link")
    text, _ = see(f"touch {tmp_path}/real/x", (tmp_path / "far", "ro"))
    assert "Read-only" in text
    (tmp_path / "round").symlink_to("round")
    assert see("true", (tmp_path / "round", "ro"))[0] == "NAMESPACE"


def test_a_bind_makes_its_place_and_follows_no_link_there(see, tmp_path):
    own = theirs(tmp_path / "own")
    link(own / "a", "/srv")
    step, _ = see("true", (own / "a" / "b", "bind", False, "/usr"))
    assert step == "NAMESPACE"
    assert not Path("/srv/b").exists()


def test_what_the_host_has_read_only_stays_so(see, tmp_path):
    """ReadWritePaths= is an exception from the sandbox, not from the host."""
    text, _ = see(
        f"touch {tmp_path}/m/x",
        (tmp_path / "m", "bind-ro", False, str(tmp_path)),
        (tmp_path / "m" / "covers", "rw"),
    )
    assert "Read-only" in text


def test_mounts_below_are_restricted_too(see, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    inner = f"mount -t tmpfs x {tmp_path}/a && mkdir {tmp_path}/a/w"
    script = f"touch {tmp_path}/b/x; touch {tmp_path}/b/dev/shm/x"
    text, _ = see(f"{inner}; {script}", (tmp_path / "b", "bind-ro", False, "/"))
    assert text.count("Read-only") == 1 or text.count("cannot touch") == 2


def test_what_is_inaccessible_cannot_be_opened_even_by_root(see, tmp_path):
    (tmp_path / "file").write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("secret")
    entries = [(tmp_path / "file", "hide"), (tmp_path / "folder", "hide"), ("/dev/full", "hide")]
    script = f"cat {tmp_path}/file {tmp_path}/folder/file /dev/full; echo x >{tmp_path}/file"
    text, _ = see(script, *entries)
    assert "secret" not in text
    assert text.count("Permission denied") == 1 and "Read-only" in text
    text, _ = see(f"cat {tmp_path}/file; ls {tmp_path}/folder", *entries, uid=NOBODY, gid=NOBODY)
    assert text.count("ermission denied") == 2


def test_another_root_holds_the_service(see, tmp_path):
    root = tmp_path / "root"
    for name in ("usr", "bin", "lib", "lib64", "proc", "old"):
        (root / name).mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    binds = [(f"/{x}", "bind-ro", False, f"/{x}") for x in ("usr", "bin", "lib", "lib64")]
    (root / "up").symlink_to("../../../../../../etc/passwd")
    script = f"ls /; cat {tmp_path}/secret /up /../../etc/passwd; ls /old; cat /proc/self/mountinfo"
    text, _ = see(script, *binds, ("/proc", "proc"), root=str(root))
    assert text.count("No such file") == 3
    assert "secret\n" not in text.replace(f"{tmp_path}/secret", "")


@pytest.mark.parametrize("again", [(), (("/", "tmpfs"),)])
def test_what_is_hidden_in_another_root_is_hidden_and_the_old_root_is_gone(see, tmp_path, again):
    root = tmp_path / "root"
    for name in ("usr", "bin", "lib", "lib64", "proc", "dev"):
        (root / name).mkdir(parents=True)
    mounts = [(f"/{x}", "bind", False, f"/{x}") for x in ("usr", "bin", "lib", "lib64", "dev")]
    hidden = [("/usr/share", "hide"), ("/dev/full", "hide"), ("/proc/kallsyms", "hide")]
    script = (
        "ls /usr/share; cat /dev/full /proc/kallsyms | wc -c; cut -d' ' -f5 /proc/self/mountinfo"
    )
    text, _ = see(script, *again, *mounts, *hidden, ("/proc", "proc"), root=str(root))
    assert "/dev/full: Permission denied" in text
    read, *places = (x for x in text.splitlines() if "denied" not in x)
    assert (read, places.count("/")) == ("0", 1), text


def test_a_root_that_the_service_could_have_replaced_is_none(see, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "root").symlink_to("/")
    step, why = see("true", (tmp_path, "bind", False, str(state)), root=str(state / "root"))
    assert (step, "the service could have made" in why) == ("NAMESPACE", True)


def test_the_hosts_mounts_do_not_change(see, tmp_path):
    before = Path("/proc/self/mountinfo").read_text()
    see("true", ("/", "ro"), ("/tmp", "tmpfs"), ("/dev", "dev"), ("/srv", "hide", True))
    names = [x for x in Path("/proc/self/mountinfo").read_text().splitlines() if str(tmp_path) in x]
    assert names == [x for x in before.splitlines() if str(tmp_path) in x]


def test_no_descriptor_is_left_open(see):
    text, _ = see(
        "ls /proc/self/fd", ("/", "ro"), ("/dev", "dev"), ("/srv", "hide", True), ("/tmp", "rw")
    )
    assert text.split() == ["0", "1", "2", "3"]  # the last is that of ls


def test_a_root_that_is_put_together(see):
    binds = [(f"/{x}", "bind-ro", True, f"/{x}") for x in ("usr", "bin", "lib", "lib64", "proc")]
    text, _ = see("ls /; touch /x && ls -d /x", ("/", "tmpfs"), *binds)
    assert text.split() == ["bin", "lib", "lib64", "proc", "usr", "/x"]


def test_a_namespace_that_cannot_be_made(shims):
    """It fails the start, unless it is said that it may be gone without."""
    script = 'echo 0 >/proc/sys/user/max_uts_namespaces; echo 0 >/proc/sys/user/max_mnt_namespaces; exec "$@"'
    client = shims(prefix=["unshare", "-Ur", "sh", "-c", script, "x"]).connect()
    mounts = {"hidden": "", "entries": [("/", "ro", False, "", "")]}
    specs: list[dict[str, Any]] = [{"own_host_name": True}, {"mounts": mounts}]
    for number, spec in enumerate(specs):
        step, _, end = client.fails(f"f{number}", "/bin/true", **spec)
        assert (step, end) == ("NAMESPACE", (1, 226))
        id, _ = client.start(f"l{number}", "/bin/true", lenient=True, **spec)
        assert client.exit_of(id) == (1, 0)
        assert "are not isolated" in client.expect("warning", id)[2]


def test_a_place_that_is_made_is_restricted_as_well(see, tmp_path):
    made = tmp_path / "made"
    text, _ = see(f"touch {made}/x", (made, "tmpfs"), (made, "ro"))
    assert "Read-only" in text
    missing = tmp_path / "missing"
    step, why = see("true", (missing, "ro"))
    assert (step, str(missing) in why) == ("NAMESPACE", True)


def test_when_all_is_hidden_nothing_is_run(see):
    """And nothing else that restricts is lost by it."""
    step, _ = see("touch /etc/gitproc-x", ("/", "hide"), ("/etc", "ro"))
    assert step == "EXEC"


def test_what_cannot_be_mounted_is_named(see, tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    for entries, root, named in (
        ([(folder, "bind", False, str(file))], "", folder),
        ([(file, "tmpfs")], "", file),
        ([], str(file), file),
    ):
        step, why = see("true", *entries, root=root)
        assert (step, str(named) in why) == ("NAMESPACE", True), why


SYS = ("/sys", "sysfs")
NETWORK = "stat -c %d /sys; ls /sys/class/net"


def test_a_sys_shows_the_network_of_the_process_and_all_that_is_mounted_below(see_from):
    see, _ = see_from("unshare", "--net")
    here = f"{Path('/sys').stat().st_dev}\n"
    names = sorted(x.name for x in Path("/sys/class/net").iterdir())
    groups = "ls -A /sys/fs/cgroup"
    assert see(NETWORK)[0].split() == [here.strip(), *names]
    device, *found = see(NETWORK, SYS)[0].split()
    assert found == ["lo"] and device != here.strip()
    assert see(groups, SYS) == see(groups)
    entries = [("/", "ro"), ("/sys/fs/cgroup", "rw", True)]
    text, _ = see(
        f"test -w /sys/kernel || {NETWORK}; test -w /sys/fs/cgroup && {groups}", SYS, *entries
    )
    assert text.split() == [device, "lo", *see(groups)[0].split()]
    assert see("ls /sys", SYS, ("/sys", "hide")) == ("", 0)


def test_a_sys_that_is_read_only_stays_so(see_from):
    see, _ = see_from(
        "unshare", "--net", "--mount", "sh", "-c", 'mount -o remount,bind,ro /sys && exec "$@"', "x"
    )
    assert see("ls /sys/class/net; test -w /sys/kernel || echo read-only", SYS)[0].split() == [
        "lo",
        "read-only",
    ]


def test_where_no_sys_may_be_mounted_it_is_the_hosts(see_from):
    see, client = see_from("unshare", "--user", "--map-root-user")
    assert see(NETWORK, SYS) == see(NETWORK)
    see("true", SYS)
    assert "/sys shows the host's network interfaces" in client.expect("warning", 3)[2]


def test_where_there_is_no_sys_there_is_none(see_from, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    script = """
        mount -t tmpfs x "$0"
        for at in /*; do
            if [ -L "$at" ]; then cp -P "$at" "$0"
            elif [ -d "$at" ] && [ "$at" != /sys ]; then mkdir "$0$at"; mount --rbind "$at" "$0$at"
            fi
        done
        exec chroot "$0" "$@"
    """
    see, _ = see_from("unshare", "--mount", "sh", "-ec", script, str(root))
    assert see("test ! -e /sys", SYS) == ("", 0)


def test_a_root_keeps_what_is_mounted_in_it(see_from, tmp_path):
    root = tmp_path / "root"
    for name in ("usr", "bin", "lib", "lib64", "dev", "run", "sys"):
        (root / name).mkdir(parents=True)
    own = " && ".join(
        f"mount -t tmpfs x {root}/{x} && touch {root}/{x}/own" for x in ("dev", "run")
    )
    see, _ = see_from("unshare", "--mount", "sh", "-c", f'{own} && exec "$@"', "x")
    entries = [(f"/{x}", "bind-ro", True, f"/{x}") for x in ("usr", "bin", "lib", "lib64")]
    entries += [(f"/{x}", "bind-bare", False, f"/{x}") for x in ("dev", "sys")]
    entries += [("/run", "tmpfs-bare", False, "")]
    assert see("ls /dev /run; ls -d /sys/kernel", *entries, root=str(root))[0].split() == [
        "/dev:", "own", "/run:", "own", "/sys/kernel",
    ]  # fmt: skip
    assert see("ls /dev", *entries, ("/dev", "tmpfs"), root=str(root))[0].split() == ["own"]
    text, _ = see("touch /run/x && ls /run", *entries, ("/run", "tmpfs"), root=str(root))
    assert text.split() == ["x"]


def test_what_a_service_needs_may_not_be_hidden(see, tmp_path):
    """Not even by a link to it."""
    (tmp_path / "folder").mkdir()
    needed = tmp_path / "folder" / "credentials"
    needed.mkdir()
    (tmp_path / "link").symlink_to("folder")
    for hidden in ("folder", "link"):
        step, why = see("true", (tmp_path / hidden, "hide"), seen=[needed])
        assert (step, str(needed) in why) == ("NAMESPACE", True)
    assert see("true", (tmp_path / "folder", "ro"), seen=[needed, tmp_path / "never"]) == ("", 0)


@pytest.mark.parametrize("kind", ["rw", "ro", "exec", "noexec"])
def test_a_place_has_to_be_in_what_is_put_around_it(see, tmp_path, kind):
    """Also where a word about it changes nothing."""
    (tmp_path / "there").mkdir()
    missing = (tmp_path / "there", kind)
    step, why = see("true", (tmp_path, "tmpfs"), missing)
    assert (step, str(tmp_path / "there") in why) == ("NAMESPACE", True)
    assert see("true", (tmp_path, "tmpfs"), (*missing, True)) == ("", 0)
    assert see("true", (tmp_path, "hide"), (tmp_path / "nowhere", kind)) == ("", 0)


def test_what_the_host_mounts_and_unmounts_later(shims, covers, tmp_path):
    """It reaches a service unless that has none of it, and never what is hidden or replaced there."""
    shim = shims(prefix=["unshare", "--mount", "--propagation", "shared"])
    client = shim.connect()
    kinds = {"open": "rw", "ro": "ro", "hidden": "hide", "empty": "tmpfs", "exact": "hide"}
    for name in kinds:
        (tmp_path / name / "m").mkdir(parents=True)
    entries = [(str(tmp_path / name), kind, False, "", "") for name, kind in kinds.items()]
    roots = {}
    for propagation in ("shared", "private"):
        mounts = {"hidden": covers, "entries": entries, "propagation": propagation}
        _, pid = client.start(propagation, "/bin/sleep", "1000", mounts=mounts)
        roots[propagation] = Path(f"/proc/{pid}/root{tmp_path}")
    late = [tmp_path / x for x in ("open/m", "ro/m", "hidden/m", "empty/m", "exact")]

    def on_the_host(script):
        enter = ["nsenter", "--mount", f"--target={shim.pid}", "sh", "-ec"]
        subprocess.run([*enter, script], check=True)

    def seen(kind):
        return [str(x.relative_to(roots[kind])) for x in sorted(roots[kind].rglob("late"))]

    on_the_host("\n".join(f"mount -t tmpfs x {at}; touch {at}/late" for at in late))
    assert (seen("shared"), seen("private")) == (["open/m/late", "ro/m/late"], [])
    on_the_host("\n".join(f"umount {at}" for at in late))
    assert seen("shared") == []
