"""Inside the machine: scores of `gitproc security` beside those of systemd's own, for what Debian really ships.

Its units as they are, and as somebody would change them: a third of their sandbox taken away, or more put in.
"""

import random
from pathlib import Path

import pytest

from gitproc.units.exposure import expose
from gitproc.units.sandbox_rules import has_own_mounts
from tests.security.test_yardstick import CHOICES, theirs
from tests.units.trees import tree

FOLDERS = (Path("/lib/systemd/system"), Path("/etc/systemd/system"), Path("/src/packaging"))
LEAST = 200
APART = 0.3


def shipped():
    """Unit files by name; no links, templates, or such as mask."""
    return {
        path.name: path.read_text()
        for folder in FOLDERS
        for path in sorted(folder.rglob("*.service"))
        if not path.is_symlink() and "@." not in path.name and path.stat().st_size
    }


def mutated(text, seed):
    """Two lines of three of what sandboxes it, and a few more."""
    chance = random.Random(seed)
    lines = [
        line
        for line in text.splitlines()
        if line.partition("=")[0] not in CHOICES or chance.random() < 2 / 3
    ]
    names = sorted(CHOICES)
    more = [f"{name}={chance.choice(CHOICES[name])}" for name in chance.sample(names, 6)]
    return "\n".join([*lines, "[Service]", *more, ""])


def corpus():
    files = shipped()
    for round in range(100):
        for name, text in sorted(shipped().items()):
            if len(files) >= LEAST + 60:
                return files
            files[f"m{round}-{name}"] = mutated(text, f"{round} {name}")
    return files


@pytest.mark.timeout(300)
def test_two_hundred_units_of_debian_score_the_same(tmp_path):
    files = corpus()
    assert len(files) >= LEAST
    units = tree(files, "*").units
    found = {name: expose(units[name], as_written=True).score for name in files if name in units}
    for name, text in files.items():
        # Of files alone systemd does not see that a sandbox has mounts of its own; of loaded units it does.
        own = name in units and has_own_mounts(units[name].values)
        (tmp_path / name).write_text(text + ("\n[Service]\nPrivateMounts=yes\n" if own else ""))
    expected = theirs(tmp_path, list(found))
    assert len(expected) >= LEAST
    apart = {
        name: (found[name], score)
        for name, score in expected.items()
        if abs(found[name] - score) > APART + 1e-9
    }
    assert apart == {}
    print(len(expected), "units,", sum(found[x] == y for x, y in expected.items()), "the same")
