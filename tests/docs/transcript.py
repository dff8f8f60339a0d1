"""Play the pages that show a terminal, and write what they print into them: `python tests/docs/transcript.py`.

`test_pages.py` plays the same pages and fails where a page is not true. With names of pages only those are
played; a page that is true is left as it is, so that ids and times do not change for nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from tests.docs.pages import DEADLINE, LOOKS, Step, matches, normal, stage, steps  # noqa: E402

_CONFIG = "settle_seconds = 1.0\n"  # a page's reader takes longer between two commands
_RUNS = """\
gitproc() { command gitproc --root $HOME/demo "$@"; }
gitproc --quiet init
gitproc daemon >$HOME/daemon.out 2>&1 &
until gitproc --quiet status 2>/dev/null; do sleep 0.1; done
cd ~/demo/etc/gitproc/services
"""
_INITS = """\
gitproc() { command gitproc --root $HOME/demo "$@"; }
gitproc --quiet init
mkdir -p ~/system/lib/systemd/system && cd
"""
_WEB = """\
[Unit]
Description=The front page

[Service]
ExecStart=/usr/bin/python3 -m http.server 8080 --bind 127.0.0.1
MemoryMax=64M
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""
_WRITES = f"""\
cat >web.service <<'EOF'
{_WEB}EOF
"""
_SERVES = f"{_WRITES}git add web.service && git commit -qm 'Serve the front page'\n"
_CLONE = f"mkdir ~/work && cd ~/work && git init -qb main\n{_WRITES}"
_REMOTE = "git remote add production ~/demo/etc/gitproc/services\n"
_LISTENS = "until curl -so /dev/null http://127.0.0.1:8080/; do sleep 0.1; done\n"


class Scene(NamedTuple):
    """What lies ready before a page begins: where its manager is, and commands that nobody sees."""

    manager: tuple[str, ...] = ("--root", "demo")
    before: tuple[str, ...] = ()


PAGES = {
    "README.md": Scene(before=(_RUNS, _CLONE, _REMOTE)),
    "docs/tutorial.md": Scene(("--root", "tour")),
    "docs/how-to/recover-after-bad-commit.md": Scene(before=(_RUNS, _SERVES)),
    "docs/how-to/push.md": Scene(before=(_RUNS, _CLONE)),
    "docs/how-to/lost-state-directory.md": Scene(before=(_RUNS, _SERVES, _LISTENS)),
    "docs/how-to/start-conditions-and-reactions.md": Scene(before=(_RUNS,)),
    "docs/how-to/confine-a-service.md": Scene(before=(_RUNS,)),
    "docs/how-to/secrets-and-dynamic-users.md": Scene(before=(_RUNS,)),
    "docs/how-to/read-logs.md": Scene(before=(_RUNS, _SERVES, _LISTENS)),
    "docs/how-to/timers-and-paths.md": Scene(before=(_RUNS,)),
    "docs/how-to/limits-and-slices.md": Scene(before=(_RUNS,)),
    "docs/how-to/ci-gate.md": Scene(
        before=("mkdir ~/services && cd ~/services && git init -qb main",)
    ),
    "docs/how-to/take-systemd-units.md": Scene(before=(_INITS,)),
    "docs/how-to/as-ordinary-user.md": Scene(("--user",)),
}


def play(
    name: str, home: Path, patience: float = DEADLINE / 2
) -> Iterator[tuple[Step, list[str], bool]]:
    """Play a page; each command's step, what it printed as pages show it, and whether the page says so.

    A command that only looks is tried again for `patience` seconds: the page may show what comes in a moment.
    """
    scene = PAGES[name]
    manager = [str(home / word) if not word.startswith("-") else word for word in scene.manager]
    folder = home / ".config/gitproc" if "--user" in manager else Path(manager[1], "etc/gitproc")
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(_CONFIG)
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    with stage(home, *manager) as it:
        for command in scene.before:
            it.shell.run(it.real(command))
            it.settle()
        for step in steps((PROJECT / name).read_text()):
            if step.kind != "command":
                it.play(step)
                continue
            shown = normal(step.shown, theirs)
            got = it.shown(it.play(step))
            true = _agrees(shown, got, ours)
            deadline = time.monotonic() + patience
            while not true and LOOKS.match(step.text) and time.monotonic() < deadline:
                time.sleep(0.2)
                got = it.shown(it.play(step))
                true = _agrees(shown, got, ours)
            normal(got, ours)
            yield step, got, true


def _agrees(shown: list[str], got: list[str], names: dict[str, str]) -> bool:
    return matches(shown, normal(got, dict(names)))


def rewrite(name: str, home: Path) -> bool:
    """Make a page true; whether it was not."""
    results = list(play(name, home, patience=2.0))
    if all(true for _, _, true in results):
        return False
    lines = (PROJECT / name).read_text().splitlines()
    for step, got, true in reversed(results):
        if not (true and "..." in step.shown):
            lines[step.start : step.end] = got
    (PROJECT / name).write_text("\n".join(lines) + "\n")
    return True


def main(names: list[str]) -> None:
    """Rewrite pages (all without `names`)."""
    for name in names or PAGES:
        with tempfile.TemporaryDirectory(prefix="gitproc-docs.") as top:
            home = Path(top, "home")
            home.mkdir()
            changed = rewrite(name, home)
        print(f"{name}: {'rewritten' if changed else 'true'}")


if __name__ == "__main__":
    main(sys.argv[1:])
