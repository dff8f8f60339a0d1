"""daemon.log gets every message, rotates, and never raises into the manager."""

import logging
import os
import re
import subprocess
import sys
import warnings

import pytest

from gitproc.store import daemon_log


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    handlers, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.raiseExceptions = raising
    logging.captureWarnings(False)


def test_a_message_has_time_level_and_origin(tmp_path):
    daemon_log.set_up(tmp_path / "daemon.log", stderr=False)
    logging.getLogger("gitproc.store.logs").warning("first\nsecond \udcff")
    logging.getLogger("gitproc").debug("too fine")
    text = (tmp_path / "daemon.log").read_text()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING store\.logs: first\n    second \\udcff\n",
        text,
    )


def test_setting_up_twice_does_not_double_messages(tmp_path):
    for _ in range(2):
        daemon_log.set_up(tmp_path / "daemon.log", stderr=False)
    logging.getLogger("gitproc").info("once")
    assert (tmp_path / "daemon.log").read_text().count("once") == 1


def test_what_a_turn_says_is_written_at_once(tmp_path, capfd):
    daemon_log.set_up(tmp_path / "daemon.log", stderr=True)
    daemon_log.gather()
    for number in range(3):
        logging.getLogger("gitproc").info("message %d", number)
    assert (tmp_path / "daemon.log").exists() is False
    assert capfd.readouterr().err == ""
    daemon_log.release()
    text = (tmp_path / "daemon.log").read_text()
    assert [line[-1] for line in text.splitlines()] == ["0", "1", "2"]
    assert capfd.readouterr().err == text
    logging.getLogger("gitproc").info("message 3")
    assert (tmp_path / "daemon.log").read_text().endswith("message 3\n")


def test_it_rotates(tmp_path):
    daemon_log.set_up(tmp_path / "daemon.log", stderr=False, max_bytes=500, files=2)
    for number in range(50):
        logging.getLogger("gitproc").info("message %d", number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    assert "message 49\n" in (tmp_path / "daemon.log").read_text()


def test_a_directory_that_is_missing_raises_nothing_and_is_tried_again(tmp_path):
    daemon_log.set_up(tmp_path / "later" / "daemon.log", stderr=False)
    logging.getLogger("gitproc").error("lost")
    (tmp_path / "later").mkdir()
    logging.getLogger("gitproc").error("kept")
    assert "kept" in (tmp_path / "later" / "daemon.log").read_text()


def test_pythons_warnings_go_there_too(tmp_path):
    daemon_log.set_up(tmp_path / "daemon.log", stderr=False)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old habit", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "old habit" in (tmp_path / "daemon.log").read_text()


def run_with_stderr(stderr, environ) -> None:
    code = (
        "import logging; from gitproc.store import daemon_log\n"
        "daemon_log.set_up(None, stderr=True); logging.getLogger('gitproc').error('one\\ntwo')"
    )
    subprocess.run([sys.executable, "-c", code], stderr=stderr, env=environ, check=True)


def test_in_the_foreground_messages_go_to_standard_error(tmp_path):
    with (tmp_path / "stderr").open("wb") as stderr:
        run_with_stderr(stderr, dict(os.environ))
    assert re.fullmatch(r"\d{4}.* ERROR gitproc: one\n    two\n", (tmp_path / "stderr").read_text())


def test_under_systemd_they_carry_the_journals_priority(tmp_path):
    with (tmp_path / "stderr").open("wb") as stderr:
        status = os.fstat(stderr.fileno())
        stream = f"{status.st_dev}:{status.st_ino}"
        run_with_stderr(stderr, {**os.environ, "JOURNAL_STREAM": stream})
    assert (tmp_path / "stderr").read_text() == "<3>one\n<3>two\n"
