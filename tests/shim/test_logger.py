"""Logs: exact bytes, index, rotation, a logger that dies, a disk that is full."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from gitproc.shim import logfile
from gitproc.shim.logfile import LogFile
from tests.shim.client import NOBODY, children_of, text_of, title, until

LINES = 'i=0; while [ $i -lt {count} ]; do echo "line $i"; i=$((i+1)); {pause} done'


def log_to(path, max_bytes=0, files=3):
    return {"log": str(path), "max_bytes": max_bytes, "files": files}


def comm(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def lines(count, pause=""):
    return LINES.format(count=count, pause=pause)


def index_of(path):
    data = path.with_name(path.name + ".index").read_bytes()
    assert len(data) % 16 == 0
    return [struct.unpack_from("<QQ", data, at) for at in range(0, len(data), 16)]


def run(client, cookie, script, **spec):
    id, _ = client.start(cookie, "/bin/sh", "-c", script, **spec)
    return client.exit_of(id)


def test_bytes_arrive_exactly_with_their_times(client, tmp_path):
    path = tmp_path / "a.log"
    before = time.time_ns()
    script, gate = "printf 'one\\n'; printf '\\0two' >&2; read x; echo", os.pipe()
    id, _ = client.start(
        "a", "/bin/sh", "-c", script, output=log_to(path), stdin={"fd": 0}, give=gate[:1]
    )
    until(lambda: text_of(path) == "one\n\0two")
    time.sleep(0.05)
    os.write(gate[1], b"\n")
    assert client.exit_of(id) == (1, 0)
    until(lambda: text_of(path) == "one\n\0two\n")
    index = until(lambda: len(index_of(path)) >= 2 and index_of(path))
    assert index[0][0] == 0 and index[-1][0] == 8
    assert before <= index[0][1] <= index[-1][1] <= time.time_ns()
    assert index[-1][1] - index[0][1] > 40_000_000
    for end in gate:
        os.close(end)


def test_several_processes_share_a_file_and_later_ones_append(client, tmp_path):
    path = tmp_path / "a.log"
    ids = [
        client.start(f"c{n}", "/bin/sh", "-c", lines(200), output=log_to(path))[0] for n in range(3)
    ]
    for id in ids:
        client.exit_of(id)
    run(client, "last", "echo end", output=log_to(path))
    until(lambda: path.exists() and path.read_bytes().count(b"\n") == 601)
    assert path.read_text().count("line 199\n") == 3
    assert path.read_text().endswith("end\n")


def test_a_logger_that_is_killed_loses_no_line(shim, client, tmp_path):
    path = tmp_path / "a.log"
    gate = os.pipe()
    script = f"read x; {lines(20000)}"
    id, _ = client.start(
        "a", "/bin/sh", "-c", script, output=log_to(path), stdin={"fd": 0}, give=gate[:1]
    )
    for number in range(6):  # each death makes the pause before the next logger longer
        if number == 1:
            os.write(gate[1], b"\n")
        if client.pump(0):
            break
        logger = shim.logger
        os.kill(logger, signal.SIGKILL)
        shim.other_logger(logger)
    assert client.exit_of(id) == (1, 0)
    for end in gate:
        os.close(end)
    wanted = "".join(f"line {n}\n" for n in range(20000))
    until(lambda: path.exists() and len(path.read_bytes()) >= len(wanted))
    assert path.read_text() == wanted
    offsets = [offset for offset, _ in index_of(path)]
    assert offsets == sorted(set(offsets)) and offsets[-1] < len(wanted)


def test_output_waits_while_there_is_no_logger(shim, client, tmp_path):
    path = tmp_path / "a.log"
    for _ in range(4):  # each death makes the pause before the next logger longer
        logger = shim.logger
        os.kill(logger, signal.SIGKILL)
        shim.other_logger(logger)
    os.kill(shim.logger, signal.SIGKILL)
    assert run(client, "a", "echo said while nobody listened", output=log_to(path)) == (1, 0)
    until(lambda: path.exists() and path.read_text() == "said while nobody listened\n")


def test_the_logger_knows_its_title_and_holds_only_its_own(shim, client, tmp_path):
    client.start("a", "/bin/sleep", "1000", output=log_to(tmp_path / "a.log"))
    assert comm(shim.logger) == "gitproc-logger"
    assert comm(shim.pid) == "gitproc-shim"
    os.kill(shim.logger, signal.SIGTERM)  # as a whole session may be told: it is the shim's to end
    os.kill(shim.logger, signal.SIGINT)
    # the standard three, control socket, epoll, one pipe; its file is opened with the first byte
    until(lambda: len([*Path(f"/proc/{shim.logger}/fd").iterdir()]) == 6)


def test_rotation_keeps_every_line_and_its_index(client, tmp_path):
    path = tmp_path / "a.log"
    gate = os.pipe()
    id, _ = client.start(
        "a", "/bin/sh", "-c", lines(3000, "[ $((i % 500)) = 0 ] && read x;"), stdin={"fd": 0},
        output=log_to(path, max_bytes=8000, files=20), give=gate[:1],
    )  # fmt: skip
    wanted = "".join(f"line {n}\n" for n in range(3000))

    def pieces():
        names = [tmp_path / f"a.log.{n}" for n in range(20, 0, -1)] + [path]
        return [name for name in names if name.exists()]

    # Until the last rotation is done, a piece may be gone between being seen and being read.
    for number in range(500, 3001, 500):
        so_far = wanted[: wanted.index(f"line {number - 1}\n")] + f"line {number - 1}\n"
        until(lambda x=so_far: "".join(map(text_of, pieces())) == x)
        os.write(gate[1], b"\n")
    assert client.exit_of(id) == (1, 0)
    for end in gate:
        os.close(end)
    assert len(pieces()) >= 3

    def indexed(piece):
        try:
            index = index_of(piece)
        except FileNotFoundError:  # it follows its file
            return False
        return bool(index) and index[0][0] == 0 and index[-1][0] < piece.stat().st_size

    until(lambda: all(map(indexed, pieces()[:-1])))
    for piece in pieces()[:-1]:
        assert piece.read_text().endswith("\n")
        size = piece.stat().st_size
        # A logger that keeps up with every line has an index that is longer than the log.
        assert max(size, 16 * len(index_of(piece))) >= 8000
        assert size < 8000 + 65536


def test_rotation_forgets_the_oldest(client, tmp_path):
    path = tmp_path / "a.log"
    kept = ["a.log.1", "a.log.1.index", "a.log.2", "a.log.2.index"]  # an index follows its file
    for number in range(6):
        run(client, f"c{number}", f"echo {number}", output=log_to(path, max_bytes=1, files=2))
        until(lambda n=number: text_of(tmp_path / "a.log.1") == f"{n}\n" and not path.exists())
    until(lambda: sorted(p.name for p in tmp_path.glob("a.log*")) == kept)
    assert (tmp_path / "a.log.2").read_text() == "4\n"


def test_a_file_that_was_moved_away_is_made_again_on_request(client, tmp_path):
    path = tmp_path / "a.log"
    id, _ = client.start(
        "a", "/bin/sh", "-c", "echo 1; read x; echo 2", output=log_to(path), stdin={"fd": 0},
        give=(pipe := os.pipe())[:1],
    )  # fmt: skip
    until(lambda: path.exists() and path.read_text() == "1\n")
    path.rename(tmp_path / "old")
    client.send("reopen", 5)
    client.expect("reopened", 5)
    os.write(pipe[1], b"\n")
    client.exit_of(id)
    until(lambda: path.exists() and path.read_text() == "2\n")
    assert (tmp_path / "old").read_text() == "1\n"
    os.close(pipe[0])
    os.close(pipe[1])


def test_a_missing_directory_is_made_and_a_link_is_not_followed(client, tmp_path):
    run(client, "a", "echo a", output=log_to(tmp_path / "new" / "a.log"))
    until(
        lambda: (tmp_path / "new/a.log").exists() and (tmp_path / "new/a.log").read_text() == "a\n"
    )
    (tmp_path / "b.log").symlink_to(tmp_path / "elsewhere")
    run(client, "b", "echo b", output=log_to(tmp_path / "b.log"))
    assert "b.log" in client.expect("warning", 0)[2]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.root
def test_a_full_disk_stops_nobody_and_the_loss_is_told(client, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
    try:
        path = disk / "a.log"
        script = f"{lines(30000)}; read x; echo after"
        pipe = os.pipe()
        id, _ = client.start(
            "a", "/bin/sh", "-c", script, output=log_to(path), stdin={"fd": 0}, give=(pipe[0],)
        )
        assert "output is being lost" in client.expect("warning", 0)[2]
        total = sum(len(f"line {n}\n") for n in range(30000))
        until(lambda: waiting_for_input(client, id))
        client.send("drain", 7)  # nothing of it is in the pipe any more
        client.expect("drained", 7)
        kept = until(lambda: path.stat().st_size)
        path.write_bytes(b"")  # room again
        os.write(pipe[1], b"\n")
        news = client.expect("warning", 0)[2]
        assert "writable again" in news
        lost = int(news.split(", ")[1].split()[0])
        assert client.exit_of(id) == (1, 0)
        until(lambda: path.read_bytes().endswith(b"after\n"))
        assert lost + kept + len(path.read_bytes()) - len("after\n") == total
        for end in pipe:
            os.close(end)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def waiting_for_input(client, id):
    pid = next(row[2] for row in client.list() if row[0] == id)
    return Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x0 ")  # read(0, ...)


@pytest.mark.root
def test_a_service_that_is_not_root_can_open_its_output_again(client, tmp_path):
    path = tmp_path / "a.log"
    script = "echo 1 >/dev/stdout; echo 2 >/dev/stderr; echo 3 >/proc/self/fd/1"
    assert run(client, "a", script, output=log_to(path), uid=NOBODY, gid=NOBODY) == (1, 0)
    until(lambda: path.exists() and path.read_text() == "1\n2\n3\n")
    assert path.stat().st_uid == 0 and path.stat().st_mode & 0o777 == 0o640


def test_the_logger_outlives_a_shim_that_is_killed(shim, client, tmp_path):
    path = tmp_path / "a.log"
    pipe = os.pipe()
    client.start(
        "a", "/bin/sh", "-c", "echo 1; read x; echo 2", output=log_to(path), stdin={"fd": 0},
        give=(pipe[0],),
    )  # fmt: skip
    until(lambda: path.exists() and path.read_text() == "1\n")
    logger = shim.logger
    shim.process.kill()
    shim.process.wait()
    os.write(pipe[1], b"\n")
    until(lambda: path.read_text() == "1\n2\n")
    until(lambda: not title(logger))
    for end in pipe:
        os.close(end)


def test_shutdown_writes_down_what_was_said(shim, client, tmp_path):
    path = tmp_path / "a.log"
    client.start("a", "/bin/sh", "-c", lines(5000) + "; exec sleep 1000", output=log_to(path))
    pid = client.list()[0][2]
    until(lambda: comm(pid) == "sleep")
    client.send("shutdown")
    assert shim.process.wait(60) == 0
    os.kill(pid, signal.SIGKILL)
    assert path.read_bytes().count(b"\n") == 5000


def test_shutdown_while_the_logger_dies_loses_nothing(shim, client, tmp_path):
    path = tmp_path / "a.log"
    os.kill(shim.logger, signal.SIGSTOP)
    run(client, "a", "echo the last words", output=log_to(path))
    client.send("shutdown")
    os.kill(shim.logger, signal.SIGKILL)
    assert shim.process.wait(60) == 0
    assert path.read_text() == "the last words\n"


def test_two_loggers_on_one_file_lose_nothing(tmp_path, monkeypatch):
    """The one of a shim that was killed goes on beside its successor's."""
    monkeypatch.setattr(logfile, "_LOCK_PATIENCE", 50.0)
    path, count = tmp_path / "a.log", 20000
    gate, opened = os.pipe()
    loggers = []
    for name in "ab":
        pid = os.fork()
        if pid == 0:
            try:
                file = LogFile(str(path), 0, 0)
                os.close(opened)
                os.read(gate, 1)
                reading, writing = os.pipe()
                for number in range(count):
                    os.write(writing, f"{name} {number}\n".encode())
                    file.move(reading)
            finally:
                os._exit(0)
        loggers.append(pid)
    os.close(opened)
    os.close(gate)
    for pid in loggers:
        assert os.waitpid(pid, 0)[1] == 0
    lines = path.read_text().splitlines()
    for name in "ab":
        assert [x for x in lines if x[0] == name] == [f"{name} {n}" for n in range(count)]
    assert len(lines) == 2 * count


def test_a_reader_that_keeps_the_lock_does_not_keep_the_lines(tmp_path):
    path = tmp_path / "a.log"
    file = LogFile(str(path), 0, 0)
    reading, writing = os.pipe()
    os.write(writing, b"one\n")
    file.move(reading)
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    for line in (b"two\n", b"three\n"):
        os.write(writing, line)
        file.move(reading)
    assert path.read_text() == "one\ntwo\nthree\n"
    for fd in (reader, reading, writing):
        os.close(fd)


def test_a_logger_that_is_asked_has_written_all_that_was_in_the_pipes(shim, client, tmp_path):
    path, ruled = tmp_path / "a.log", tmp_path / "b.log"
    rules = (-1, 6, True, 0.0, 0)
    os.kill(shim.logger, signal.SIGSTOP)
    try:
        run(client, "a", "echo one; echo last words", output=log_to(path))
        run(client, "b", "printf unfinished", output={**log_to(ruled), "rules": rules})
        client.send("drain", 7)
        client.list()  # the shim has taken it in,
        assert not client.kept  # and nobody has answered
    finally:
        os.kill(shim.logger, signal.SIGCONT)
    client.expect("drained", 7)
    assert (path.read_text(), ruled.read_text()) == ("one\nlast words\n", "unfinished")


def test_asking_the_logger_ends_where_somebody_writes_without_end(shim, client, tmp_path):
    client.start("a", "/bin/sh", "-c", "exec yes", output=log_to(tmp_path / "a.log", 100000, 0))
    for token in (7, 8):
        client.send("drain", token)
        client.expect("drained", token)


def test_a_logger_that_comes_later_answers(shim, client, tmp_path):
    path = tmp_path / "a.log"
    for _ in range(4):  # each death makes the pause before the next logger longer
        logger = shim.logger
        os.kill(logger, signal.SIGKILL)
        shim.other_logger(logger)
    logger = shim.logger
    os.kill(logger, signal.SIGKILL)
    until(lambda: logger not in children_of(shim.pid))
    run(client, "a", "echo said while nobody listened", output=log_to(path))
    client.send("drain", 7)
    client.expect("drained", 7)
    assert path.read_text() == "said while nobody listened\n"
