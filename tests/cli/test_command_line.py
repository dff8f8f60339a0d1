"""The command line over a real socket: equal by both paths, exact exit statuses, words for every mistake."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitproc.cli import fast, where
from gitproc.cli.arguments import parse
from gitproc.cli.launcher import script
from gitproc.cli.remote import ssh_command, without_host
from gitproc.daemon.config import load
from gitproc.errors import UsageError
from tests.api.example_manager import Running
from tests.cli.command import Command


@pytest.fixture
def gitproc(tmp_path):
    return Command(tmp_path)


FAST = [
    (["status"], 0),
    (["status", "web"], 0),
    (["status", "web", "db.service"], 3),
    (["status", "nope"], 4),
    (["status", "held", "-q"], 3),
    (["status", "*"], 3),
    (["status", "zz*"], 0),
    (["list"], 0),
    (["list-units", "w*", "--no-pager"], 0),
    (["start", "web"], 0),
    (["start", "held", "web"], 0),
    (["start", "db"], 1),
    (["start", "nope"], 5),
    (["stop", "--no-block", "web"], 0),
    (["restart", "-q", "web"], 0),
    (["try-restart", "web"], 1),
    (["is-active", "web"], 0),
    (["is-active", "db"], 3),
    (["is-active", "nope"], 4),
    (["is-failed", "db"], 0),
    (["is-failed", "web"], 1),
    (["show", "web"], 0),
    (["show", "web", "db", "-p", "Id", "--property=ActiveState,Id"], 0),
    (["show", "--value", "-p", "Id", "evil"], 0),
    (["show", "-P", "Id", "web", "db", "-P", "ActiveState"], 0),
    (["logs", "web"], 0),
    (["logs", "web", "-n", "3"], 0),
    (["logs", "web", "--lines=2", "--since", "today"], 0),
    (["logs", "nope"], 4),
    (["logs", "web", "--since=soon"], 2),
    (["start", "w" * 300], 2),
    (["start", 'a"b\\c\n\u00e9\U0001f600\x01'], 5),
]


@pytest.mark.parametrize(("words", "status"), FAST, ids=lambda value: str(value)[:40])
def test_both_paths_say_the_same(root, gitproc, words, status):
    quick = gitproc("--root", root, *words)
    slow = gitproc("--root", root, *words, slow=True)
    assert (quick.returncode, quick.stdout, quick.stderr) == (
        slow.returncode,
        slow.stdout,
        slow.stderr,
    )
    assert quick.returncode == status
    assert b"Traceback" not in quick.stderr


@pytest.mark.parametrize(
    "words", [["status"], ["status", "web", "evil"], ["list"], ["logs", "web"]]
)
def test_both_paths_draw_the_same_on_a_terminal(root, gitproc, words):
    quick = gitproc.on_terminal("--root", root, *words)
    assert quick == gitproc.on_terminal("--root", root, *words, slow=True)
    assert b"\x07" not in quick[1]
    assert b"\x1b]" not in quick[1]
    ours = quick[1].replace(b"\x1b[1;31man Error\x1b[0m", b"")  # a line of that level
    assert (b"\x1b[" in ours) == (words[0] != "logs")
    assert (ours != quick[1]) == (words[0] == "logs")


@pytest.mark.parametrize("words", [["list"], ["status", "web"], ["events"], ["list", "--json"]])
def test_a_full_disk_is_called_one(root, gitproc, words):
    for slow in (False, True):
        found = gitproc.into("/dev/full", "--root", root, *words, slow=slow)
        said = b"gitproc: cannot write the output: No space left on device\n"
        assert (found.returncode, found.stderr) == (1, said)


def test_a_list_for_scripts(root, gitproc):
    words = ("--root", root, "list", "--no-legend", "--plain", "--full", "we*", "db")
    out = gitproc(*words).stdout.decode()
    assert [line.split()[0] for line in out.splitlines()] == ["web.service", "db.service"]
    assert gitproc.on_terminal(*words)[1].decode().count("\n") == 2


def test_no_color_is_obeyed(root, tmp_path):
    plain = Command(tmp_path, NO_COLOR="1")
    for words in (["status"], ["history"], ["doctor"]):
        assert b"\x1b" not in plain.on_terminal("--root", root, *words)[1]


def test_the_fast_path_takes_what_it_should(root):
    """A word too many in the slow path costs 40 ms at every prompt: nobody would see it but a test."""
    program = (
        "import sys; from gitproc.cli import fast; status = fast.run(sys.argv[1:])\n"
        "import posix; heavy = {'os', 're', 'json', 'typing', 'argparse', 'socket', 'enum', 'site'}\n"
        "posix.write(2, repr((status is not None, sorted(heavy & set(sys.modules)))).encode())"
    )
    project = str(Path(fast.__file__).parents[2])
    for words, _ in FAST:
        code = f"import sys; sys.path.append({project!r})\n{program}"
        command = [sys.executable, "-ISc", code, "--root", str(root), *words]
        found = subprocess.run(command, capture_output=True, check=True, timeout=50).stderr
        assert found.endswith(b"(True, [])"), words


def test_start_says_what_the_founding_document_says(root, gitproc):
    assert gitproc("--root", root, "start", "web").stdout == b"Service started (PID: 4242)\n"


def test_logs_are_copied_byte_for_byte(root, gitproc):
    out = gitproc("--root", root, "logs", "web", "-n", "2").stdout
    assert out.startswith(b"bytes \xff\xfe\nnasty \x1b]0;")


@pytest.mark.parametrize(
    "words",
    [
        ["status"], ["list"], ["show", "web"], ["is-active", "web"], ["start", "web"], ["cat", "web"],
        ["logs", "web"], ["plan"], ["plan", "HEAD"], ["history"], ["history", "web", "-n1"], ["events"],
        ["sync"], ["rollback"], ["rollback", "abc"], ["kill", "-s", "HUP", "web"], ["doctor"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_json_is_json_with_a_version(root, gitproc, words):
    for arguments in (["--json", *words], [*words, "--json"]):
        found = gitproc("--root", root, *arguments)
        assert json.loads(found.stdout)["version"] == 1
        assert found.stderr == b""


def test_an_error_in_json(root, gitproc):
    found = gitproc("--root", root, "rollback", "bad", "--json")
    body = json.loads(found.stdout)["error"]
    assert (found.returncode, found.stderr) == (1, b"")
    assert body["data"]["diagnostics"][0]["line"] == 3


def test_verbs_of_the_slow_path_in_words(root, gitproc):
    for words, status, expected in (
        (["plan"], 0, b"~ live web.service: limits"),
        (["sync"], 0, b"In sync with 1234567890"),
        (["rollback"], 0, b"Rolled back to 1234567890"),
        (["rollback", "bad"], 1, b"a.service:3: error: Type: no such type"),
        (["history"], 0, b"web: more memory"),
        (["events"], 0, b"unit.started web.service (by ada)"),
        (["cat", "web"], 0, b"# web.service\n[Service]\n"),
        (["cat", "nope"], 1, b"No files found for nope.service"),
        (["doctor"], 1, b"run as root"),
        (["kill", "web"], 0, b""),
        (["kill", "web", "-s", "NOPE"], 2, b"not a signal"),
    ):
        found = gitproc("--root", root, *words)
        assert found.returncode == status, words
        assert expected in found.stdout + found.stderr


def test_tables_on_a_terminal_obey_nothing_from_outside(root, gitproc):
    for words in (["history"], ["doctor"]):
        status, out = gitproc.on_terminal("--root", root, *words)
        assert b"VERDICT" in out or b"STATE" in out
        assert b"Traceback" not in out
        assert status in {0, 1}


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], b"VERB"),
        (["statsu"], b"did you mean `gitproc status`?"),
        (["xyzzy"], b"see `gitproc --help`"),
        (["start"], b"UNIT"),
        (["list", "--bogus"], b"--bogus"),
        (["logs", "web", "--list-boots"], b"no boots are told apart"),
        (["logs", "web", "-b", "-1"], b"no boots are told apart"),
        (["logs", "-k"], b"dmesg"),
        (["logs", "web", "--vacuum-size=1G"], b"config.toml"),
        (["logs", "web", "--frobnicate"], b"unknown argument --frobnicate; see"),
        (["logs", "web", "-g", "(a"], b"is no pattern"),
        (["logs", "web", "-p", "loud"], b"emerg"),
        (["logs", "web", "-o", "verbose"], b"short-iso"),
        (["logs", "web", "-rf"], b"not both"),
        (["journalctl", "-u", "web"], b"gitproc logs"),
        (["logs", "web", "-n", "many"], b"not a number"),
        (["-n", "3", "logs", "web"], b"3"),
        (["kill", "web", "--kill-whom", "nobody"], b"main"),
        (["status", "--socket"], b"--socket"),
    ],
)
def test_usage_mistakes_exit_2_with_a_hint(gitproc, words, hint):
    found = gitproc(*words)
    assert found.returncode == 2
    assert hint in found.stderr
    assert b"Traceback" not in found.stderr


def test_help_and_version(gitproc):
    whole = gitproc("--help")
    assert whole.returncode == 0
    # fmt: off
    verbs = (
        "init", "daemon", "status", "list", "start", "stop", "restart", "reload",
        "try-restart", "kill", "reset-failed", "is-active", "is-failed", "show", "cat", "logs",
        "reload-or-restart", "is-enabled", "list-dependencies", "verify", "plan", "sync", "rollback",
        "history", "events", "doctor", "daemon-reexec",
    )
    # fmt: on
    for verb in verbs:
        assert f"    {verb} ".encode() in whole.stdout
        one = gitproc(verb, "--help")
        assert one.returncode == 0
        assert b"--json" in one.stdout
    assert gitproc("--version").stdout.startswith(b"gitproc 0.")


def test_no_daemon_says_what_to_do(tmp_path, gitproc):
    for words in (["status"], ["start", "web"], ["plan"], ["logs", "-f", "web"]):
        found = gitproc("--root", tmp_path, *words)
        assert found.returncode == 1
        assert (
            b"is it running? start it with `systemctl start gitproc` or `gitproc daemon`"
            in found.stderr
        )
        assert f"{tmp_path}/run/gitproc.sock".encode() in found.stderr
    found = gitproc("--root", tmp_path, "doctor")
    assert (found.returncode, b"gitproc daemon" in found.stdout) == (1, True)


def test_something_that_is_no_manager(tmp_path, gitproc):
    for answer in (
        b"",
        b"HTTP/1.1 400\r\n\r\n",
        b"gitproc-text 1 0 50 0\nshort",
        b"gitproc-text 9\n",
    ):
        path = tmp_path / f"s{len(answer)}"
        with socket.socket(socket.AF_UNIX) as fake:
            fake.bind(str(path))
            fake.listen()
            process = subprocess.Popen(
                gitproc.words("--socket", path, "restart", "web"), stderr=subprocess.PIPE
            )
            peer, _ = fake.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)
            assert b"daemon" in process.communicate(timeout=50)[1]
            assert process.returncode == 1


# ------------------------------------------------------------------ following, pipes, interrupts


def test_follow_ends_quietly_on_interrupt_and_on_a_closed_pipe(root, gitproc):
    words = gitproc.words("--root", root, "logs", "-f", "web")
    for end, status in (("interrupt", 130), ("close", 141)):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"line 0 \xff\n"
        if end == "interrupt":
            process.send_signal(signal.SIGINT)
            while process.stdout.read(65536):
                pass
        process.stdout.close()
        assert (process.wait(50), process.stderr.read()) == (status, b"")
        process.stderr.close()


def test_follow_with_json_is_one_object_a_line(root, gitproc):
    found = gitproc("--root", root, "events", "-f", "-n", "3", "--json")
    assert [json.loads(line)["kind"] for line in found.stdout.splitlines()] == ["tick"] * 3


def test_the_fast_path_ends_quietly_on_a_closed_pipe_and_on_interrupt(root, gitproc):
    read, write = os.pipe()
    os.close(read)
    found = subprocess.run(
        gitproc.words("--root", root, "list"), stdout=write, stderr=subprocess.PIPE, timeout=50,
        check=False,
    )  # fmt: skip
    os.close(write)
    assert (found.returncode, found.stderr) == (141, b"")
    manager_socket = root / "run/other.sock"
    with Running(manager_socket) as running:
        process = subprocess.Popen(gitproc.words("--socket", manager_socket, "reload", "web"))
        deadline = time.monotonic() + 30
        while not running.manager.calls and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(50) == 130
        assert running.manager.cancelled.wait(30)


# ------------------------------------------------------------------ where, whither


@pytest.mark.parametrize(
    "text",
    [
        "", "branch = 'x'\n", "socket = '/a/b.sock'\n", '  socket="/a/b.sock" # comment\n',
        '"socket" = "/a b/c"\n', "[logs]\nfiles = 3\n", 'socket = "/a/\\u0062"\n',
        'group = """\nsocket = "/no"\n"""\n',
    ],
)  # fmt: skip
def test_the_fast_path_finds_the_socket_where_the_configuration_puts_it(
    tmp_path, text, monkeypatch
):
    file = tmp_path / "config.toml"
    file.write_text(text)
    found = where.socket_path(config=str(file))
    try:
        wanted = str(load(file).socket)
    except Exception:
        wanted = None
    assert found in {wanted, None}
    if "\\" not in text and '"""' not in text:
        assert found == wanted


def test_the_fast_path_finds_the_socket_of_a_root_and_of_a_user(tmp_path, monkeypatch):
    assert where.socket_path() == str(load(environ={}).socket)
    assert where.socket_path(root=str(tmp_path)) == str(load(root=tmp_path).socket)
    environ = {
        "XDG_RUNTIME_DIR": "/run/user/7",
        "XDG_CONFIG_HOME": str(tmp_path),
        "HOME": "/home/x",
    }
    import posix

    with monkeypatch.context() as patch:
        for name, value in environ.items():
            patch.setitem(posix.environ, name.encode(), value.encode())
        assert where.socket_path(user=True) == str(load(user_mode=True, environ=environ).socket)
        patch.delitem(posix.environ, b"XDG_RUNTIME_DIR")
        assert where.socket_path(user=True) is None


def test_a_remote_command_is_quoted_for_the_shell_there():
    words = ["-H", "ada@far", "--json", "start", "a b", "$(reboot)", "--host=x"]
    assert ssh_command("ada@far", words, terminal=False) == [
        "ssh", "--", "ada@far", "gitproc --json start 'a b' '$(reboot)'",
    ]  # fmt: skip
    assert ssh_command("h", ["status"], terminal=True)[1] == "-t"
    with pytest.raises(UsageError):
        ssh_command("-oProxyCommand=reboot", [], terminal=False)


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("-qH h status", "-q status"),
        ("-qHh status", "-q status"),
        ("logs -fH h web -n 5", "logs -f web -n 5"),
        ("-Hh show -p Id web", "show -p Id web"),
        ("show -pHost web --host h", "show -pHost web"),
    ],
)
def test_no_command_is_sent_on_by_the_other_end(words, there):
    assert parse(words.split()).host == "h"
    assert not parse(there.split()).host
    assert without_host(words.split()) == there.split()


def test_host_runs_ssh(tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nprintf "%s|" "$@"\nexit 7\n')
    ssh.chmod(0o755)
    command = Command(tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    found = command("status", "-H", "ada@far", "web")
    assert (found.returncode, found.stdout) == (7, b"--|ada@far|gitproc status web|")


def test_global_options_stand_anywhere():
    for words in (["--root", "/r", "--json", "cat", "x"], ["cat", "--root=/r", "x", "--json"]):
        args = parse(words)
        assert (args.root, args.json, args.units, args.quiet) == ("/r", True, ["x"], False)


def test_the_daemon_gets_its_own_options():
    args = parse(["--root", "/r", "daemon", "--exec-stop"])
    assert args.rest == ["--root", "/r", "--exec-stop"]


def test_the_launcher_refuses_what_no_kernel_would_run():
    assert script("/usr/bin/python3", "/x").startswith("#!/usr/bin/python3 -IS\n")
    for python in ("/a b/python", "/x" * 200):
        with pytest.raises(ValueError, match="cannot start"):
            script(python, "/x")


# ------------------------------------------------------------------ init


def test_init_makes_a_repository_and_may_be_repeated(tmp_path, gitproc):
    first = gitproc("--root", tmp_path, "init")
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "etc/gitproc/services/.git").is_dir()
    assert b"gitproc daemon" in first.stdout
    again = gitproc("--root", tmp_path, "init", "--json")
    assert json.loads(again.stdout)["created"] is False


def test_init_reads_the_configuration_and_names_its_mistakes(tmp_path, gitproc):
    (tmp_path / "etc/gitproc").mkdir(parents=True)
    (tmp_path / "etc/gitproc/config.toml").write_text("branch = 'main'\nbrunch = 3\n")
    found = gitproc("--root", tmp_path, "init")
    assert found.returncode == 78
    assert b"config.toml:2" in found.stderr
