"""Set-up between fork and exec: every key of the spec, every step that can fail."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import uuid
from pathlib import Path

import pytest

from tests.shim.client import NOBODY

CGROUPS = Path("/sys/fs/cgroup/unified")
if not (CGROUPS / "cgroup.procs").exists():
    CGROUPS = Path("/sys/fs/cgroup")

root = pytest.mark.root


def out(client, script, **spec):
    text, status = client.run(str(uuid.uuid4()), script, **spec)
    assert status == (1, 0), text
    return text.strip()


@pytest.fixture
def open_path(tmp_path):
    """A directory that every user may walk into."""
    directory = tmp_path
    while directory.stat().st_uid == os.geteuid() and directory != Path("/tmp"):
        directory.chmod(0o755)
        directory = directory.parent
    return tmp_path


def dispositions(mask):
    """Without signals 32 and 33, which libc keeps for itself: whoever starts the tests may pass them on
    ignored, and sigaction(2) of libc lets nobody change that."""
    return int(mask, 16) & ~(0b11 << 31)


def test_what_a_service_finds_by_default(client):
    script = (
        "pwd; umask; ulimit -Sn; cat /proc/self/stat | cut -d' ' -f1,5,6; readlink /proc/self/fd/0"
    )
    cwd, umask, files, ids, stdin = out(client, script).split("\n")
    assert (cwd, umask, files, stdin) == ("/", "0022", "1024", "/dev/null")
    assert (
        out(client, "set -- $(cut -d' ' -f1,6 /proc/$$/stat); [ $1 = $2 ] && echo leader")
        == "leader"
    )
    assert len(ids.split()) == 3
    blocked, ignored = out(client, "grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2").split()
    assert (int(blocked, 16), dispositions(ignored)) == (0, 1 << (signal.SIGPIPE - 1))


def test_sigpipe_is_ignored_only_if_asked(client):
    script = "grep SigIgn /proc/self/status | cut -f2"
    assert dispositions(out(client, script, ignore_sigpipe=False)) == 0
    ignored = dispositions(out(client, script, ignore_sigpipe=True))
    assert ignored == 1 << (signal.SIGPIPE - 1)


def test_arguments_and_environment_are_exact(client):
    odd = "x=\u00e4 \udcff$B'\""
    text = out(
        client, 'printf "%s" "$A" | od -An -tx1 -v', env=["PATH=/bin", f"A={odd}", "B", "=x"]
    )
    assert bytes.fromhex(text).decode("utf-8", "surrogateescape") == odd
    text = out(client, "env | sort", env=["PATH=/usr/bin:/bin", "A=1", "A=2", "E="], pid_env=["ME"])
    lines = text.split("\n")
    assert "A=2" in lines and "E=" in lines
    assert any(line.startswith("ME=") and line[3:].isdigit() for line in lines)


def test_directory_umask_and_nice(client, tmp_path):
    assert out(client, "pwd; umask; nice", cwd=str(tmp_path), umask=0o077, nice=5).split("\n") == [
        str(tmp_path), "0077", "5",
    ]  # fmt: skip
    assert out(client, "pwd", cwd="/no/such", cwd_optional=True) == "/"


def test_resource_limits(client):
    limits = [[resource.RLIMIT_NOFILE, 100, 200], [resource.RLIMIT_CORE, 0, -1]]
    text = out(client, "ulimit -Sn; ulimit -Hn; ulimit -Sc", rlimits=limits)
    assert text.split("\n") == ["100", "200", "0"]


def test_a_limit_above_the_hard_limit_is_cut_down(client):
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if hard < 0:
        pytest.skip("the hard limit is infinite here")
    text = out(
        client,
        "grep processes /proc/self/limits",
        rlimits=[[resource.RLIMIT_NPROC, hard + 5, hard + 5]],
    )
    assert int(text.split()[2]) in (hard, hard + 5)  # with CAP_SYS_RESOURCE it may be raised


def test_oom_score(client):
    assert out(client, "cat /proc/self/oom_score_adj", oom_score_adjust=500) == "500"


def test_a_lowering_of_the_oom_score_that_is_refused_is_a_warning(user_shim):
    client = user_shim.connect()
    id, _ = client.start("a", "/bin/true", oom_score_adjust=-500)
    assert "-500" in client.expect("warning", id)[2]


def test_no_new_privileges(client):
    script = "grep NoNewPrivs /proc/self/status | cut -f2"
    assert (out(client, script), out(client, script, no_new_privs=True)) == ("0", "1")


def test_output_in_three_ways(client, tmp_path):
    handle = os.open(tmp_path / "err", os.O_CREAT | os.O_WRONLY)
    request = client.ask(
        "a", "/bin/sh", "-c", "echo a; echo b >&2", output="null", error={"fd": 0}, give=(handle,)
    )
    assert client.exit_of(client.expect("started", request)[2]) == (1, 0)
    assert (tmp_path / "err").read_text() == "b\n"
    os.close(handle)


def test_output_inherited_from_the_shim(shims, tmp_path):
    with (tmp_path / "out").open("wb") as file:
        client = shims(stdout=file, stderr=file).connect()
    id, _ = client.start("a", "/bin/sh", "-c", "echo a; echo b >&2", output="inherit")
    client.exit_of(id)
    assert (tmp_path / "out").read_text() == "a\nb\n"


def test_input_from_a_descriptor(client):
    reading, writing = os.pipe()
    os.write(writing, b"hello")
    os.close(writing)
    other, output = os.pipe()
    request = client.ask(
        "a", "/bin/cat", give=(reading, output), stdin={"fd": 0}, output={"fd": 1}, error="null"
    )
    os.close(output)
    os.close(reading)
    with os.fdopen(other, "rb") as pipe:
        assert pipe.read() == b"hello"
    client.exit_of(client.expect("started", request)[2])


@root
def test_users_and_groups(client):
    assert out(client, "id -u; id -g; id -G", uid=NOBODY, gid=NOBODY, groups=[NOBODY, 5]).split("\n") == [
        "65534", "65534", "65534 5",
    ]  # fmt: skip
    assert out(client, "id -G", uid=NOBODY, gid=NOBODY) == "65534"
    assert "CapEff:0000000000000000" in out(
        client, "tr -d '\\t' </proc/self/status", uid=NOBODY, gid=NOBODY
    )


@root
def test_chroot(client, tmp_path):
    step, number, status = client.fails("a", "/bin/sh", chroot=str(tmp_path))
    assert (step, number, status) == ("EXEC", errno.ENOENT, (1, 203))


@root
def test_a_cgroup_is_joined_before_anything_else(client):
    cgroup = CGROUPS / f"gitproc-test-{uuid.uuid4().hex[:12]}"
    try:
        cgroup.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        name = out(client, "cat /proc/self/cgroup", cgroup=str(cgroup))
        assert f"0::/{cgroup.name}" in name
        id, pid = client.start("s", "/bin/sleep", "100", cgroup=str(cgroup))
        assert (cgroup / "cgroup.procs").read_text().split() == [str(pid)]
        (cgroup / "cgroup.kill").write_text("1")
        assert client.exit_of(id) == (2, 9)
        name = out(client, "cat /proc/self/cgroup", cgroup_procs=[str(cgroup / "cgroup.procs")])
        assert f"0::/{cgroup.name}" in name
    finally:
        cgroup.rmdir()


@root
def test_directories_are_made_and_owned(client, open_path):
    base = open_path / "state"
    spec = {
        "uid": NOBODY, "gid": NOBODY,
        "directories": [
            ["STATE_DIRECTORY", str(base / "a/b"), 0o700, NOBODY, NOBODY],
            ["CONFIGURATION_DIRECTORY", str(base / "etc"), 0o755, -1, -1],
        ],
    }  # fmt: skip
    assert out(client, f"touch {base}/a/b/x; echo ok", **spec) == "ok"
    info = (base / "a/b").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o700, NOBODY, NOBODY)
    assert ((base / "a").stat().st_uid, stat.S_IMODE((base / "a").stat().st_mode)) == (0, 0o755)
    assert (base / "etc").stat().st_uid == 0
    (base / "a/b/x").chmod(0o600)
    os.chown(base / "a/b/x", 0, 0)
    os.chown(base / "a/b", 0, 0)  # as if User= had changed: what lies inside changes with it
    assert out(client, f"echo y >{base}/a/b/x; echo ok", **spec) == "ok"


@root
def test_a_link_of_the_service_is_not_followed(client, open_path):
    mine = open_path / "mine"
    mine.mkdir()
    os.chown(mine, NOBODY, NOBODY)
    (open_path / "target").mkdir()
    (mine / "sub").symlink_to(open_path / "target")
    directories = [["CACHE_DIRECTORY", str(mine / "sub"), 0o777, NOBODY, NOBODY]]
    assert client.fails("a", "/bin/true", directories=directories) == (
        "CACHE_DIRECTORY", errno.ELOOP, (1, 239),
    )  # fmt: skip
    assert (open_path / "target").stat().st_uid == 0
    (open_path / "link").symlink_to("target")  # root's own link in root's own directory
    directories = [["LOGS_DIRECTORY", str(open_path / "link" / "x"), 0o755, NOBODY, NOBODY]]
    assert out(client, "echo ok", directories=directories) == "ok"
    assert (open_path / "target" / "x").stat().st_uid == NOBODY


@pytest.mark.parametrize(
    ("spec", "step", "number", "status"),
    [
        ({"cwd": "/no/such"}, "CHDIR", errno.ENOENT, 200),
        ({"argv": ["x"], "path": "/no/such"}, "EXEC", errno.ENOENT, 203),
        ({"argv": ["x"], "path": "/etc/passwd"}, "EXEC", errno.EACCES, 203),
        ({"nice": "much"}, "NICE", errno.EINVAL, 201),
        ({"rlimits": [[resource.RLIMIT_NOFILE, 20, 10]]}, "LIMITS", errno.EINVAL, 205),
        ({"oom_score_adjust": 5000}, "OOM_ADJUST", errno.EINVAL, 206),
        ({"chroot": "/no/such"}, "CHROOT", errno.ENOENT, 210),
        ({"cgroup_procs": ["/no/such"]}, "CGROUP", errno.ENOENT, 219),
    ],
)
def test_failing_steps(client, spec, step, number, status):
    assert client.fails("a", "/bin/true", **spec) == (step, number, (1, status))


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ("RUNTIME_DIRECTORY", 233), ("STATE_DIRECTORY", 238), ("CACHE_DIRECTORY", 239),
        ("LOGS_DIRECTORY", 240), ("CONFIGURATION_DIRECTORY", 241),
    ],
)  # fmt: skip
def test_failing_directories(client, step, status):
    directories = [[step, "/dev/null/x", 0o755, -1, -1]]
    assert client.fails("a", "/bin/true", directories=directories) == (
        step, errno.ENOTDIR, (1, status),
    )  # fmt: skip


def test_an_ordinary_user_cannot_become_another(user_shim):
    client = user_shim.connect()
    assert client.fails("a", "/bin/true", uid=1, gid=shim_gid(user_shim)) == (
        "USER",
        errno.EPERM,
        (1, 217),
    )
    assert client.fails("b", "/bin/true", gid=1) == ("GROUP", errno.EPERM, (1, 216))
    text, status = client.run("c", "id -u")
    assert (int(text), status) == (NOBODY if os.geteuid() == 0 else os.geteuid(), (1, 0))


def shim_gid(shim):
    fields = Path(f"/proc/{shim.pid}/status").read_text().split("Gid:")[1].split()
    return int(fields[0])
