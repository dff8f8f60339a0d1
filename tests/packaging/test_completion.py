"""Completion in real shells: a machine runs, keys are typed, and what the shell makes of them is looked at."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE, Machine, service

PROJECT = Path(__file__).parents[2]
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
UNITS = {"web@one.service": service(), "web.service": service(), "mail.service": service()}


@pytest.fixture(scope="module", autouse=True)
def shells():
    if os.geteuid() == 0:
        subprocess.run([PROJECT / "tools/debian", "bash-completion", "zsh", "fish"], check=True)


@pytest.fixture(scope="module")
def completions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    subprocess.run([sys.executable, PROJECT / "tools/completion", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def machine():
    made = Machine()
    try:
        made.start()
        made.commit(UNITS)
        for name in UNITS:
            made.wait(name.removesuffix(".service"))
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A PATH on which `gitproc` is."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "gitproc"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -m gitproc.cli.main "$@"\n')
    script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


class Terminal:
    """A shell at a terminal of its own."""

    PROMPT = "ready> "

    def __init__(self, command, path, folder, setup):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            environment = {"PATH": path, "TERM": "dumb", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
            os.execvpe(command[0], command, environment)
        self.unread = ""
        for line in setup:
            os.write(self.file, f"{line}\n".encode())
        os.write(self.file, b"echo set-up-$((40+2))\n")
        self.read("set-up-42")
        self.read(self.PROMPT)

    def read(self, wanted):
        """What comes until the wanted text, with it."""
        text, deadline = self.unread, time.monotonic() + DEADLINE
        while wanted not in text:
            left = deadline - time.monotonic()
            assert left > 0, f"waited for {wanted!r}, got {text!r}"
            if select.select([self.file], [], [], left)[0]:
                text += os.read(self.file, 65536).decode(errors="replace")
        before, found, self.unread = text.partition(wanted)
        return before + found

    def complete(self, typed, wanted):
        """Type, press Tab, and wait for text; then forget the line."""
        os.write(self.file, f"{typed}\t".encode())
        # a terminal is not a file: carriage returns and control sequences stand in what is shown
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r|\x07", "", self.read(wanted))
        os.write(self.file, b"\x15\n")
        self.read(self.PROMPT)
        return shown

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)


def bash(completions, path, folder):
    if not BASH_COMPLETION.exists():
        pytest.skip("bash-completion is not installed")
    setup = (
        f". {BASH_COMPLETION}",
        f". {completions}/gitproc",
        "bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'",
        f"PS1='{Terminal.PROMPT}'",
    )
    return Terminal(["bash", "--norc", "--noprofile", "-i"], path, folder, setup)


def zsh(completions, path, folder):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    setup = (
        f"fpath=({completions} $fpath); autoload -Uz compinit; compinit -u -D",
        "unsetopt zle_bracketed_paste prompt_sp; setopt no_beep no_always_last_prompt",
        f"PS1='{Terminal.PROMPT}'",
    )
    return Terminal(["zsh", "-f", "-i"], path, folder, setup)


@pytest.fixture(params=[bash, zsh], ids=lambda x: x.__name__)
def terminal(request, completions, path, tmp_path):
    made = request.param(completions, path, tmp_path)
    yield made
    made.close()


def test_verbs(terminal):
    terminal.complete("gitproc try-res", "try-restart ")
    terminal.complete("gitproc roll", "rollback ")


def test_options(terminal):
    terminal.complete("gitproc start --no-b", "--no-block ")
    terminal.complete("gitproc kill --kill-wh", "--kill-who")
    terminal.complete("gitproc --js", "--json ")


def test_words_of_an_option(terminal):
    terminal.complete("gitproc kill --kill-whom con", "control")


def test_files(terminal, tmp_path):
    (tmp_path / "only-one.service").touch()
    terminal.complete("gitproc verify onl", "only-one.service")


def test_units_of_the_manager_that_is_named(terminal, machine):
    terminal.complete(f"gitproc --root {machine.root} status ma", "mail.service ")
    terminal.complete(f"gitproc --root {machine.root} logs web@o", "web@one.service ")
    shown = terminal.complete(f"gitproc --root {machine.root} stop web", "web@one.service")
    assert "web.service" in shown


def test_without_a_manager_there_are_no_units_and_no_noise(terminal, tmp_path):
    root = tmp_path / "nobody"
    os.write(terminal.file, f"gitproc --root {root} status x\t\t".encode())
    os.write(terminal.file, b"\x15echo done-$((40+2))\n")
    assert "gitproc: " not in terminal.read("done-42")


def fish(completions, path, typed):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    script = f"source {completions}/gitproc.fish; complete -C {typed!r}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env={"PATH": path, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_fish(completions, path, machine):
    assert fish(completions, path, "gitproc try-res") == ["try-restart"]
    assert fish(completions, path, "gitproc start --no-b") == ["--no-block"]
    assert fish(completions, path, "gitproc kill --kill-whom con") == ["control"]
    where = f"gitproc --root {machine.root}"
    assert fish(completions, path, f"{where} status ma") == ["mail.service"]
    assert fish(completions, path, f"{where} stop web") == ["web.service", "web@one.service"]
