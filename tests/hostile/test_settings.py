"""The host's own settings, and a user's own manager, where others could have a hand in."""

from __future__ import annotations

import os

import pytest

from gitproc.daemon.config import load
from gitproc.errors import ConfigError

NOBODY = 65533


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[notify]\ncommand = ["/bin/true"]\n')
    path.chmod(0o644)
    return path


def test_settings_that_everybody_can_write_are_not_read(file):
    """They name programs that the manager runs, and who may ask for anything."""
    assert load(file).notify.command == ("/bin/true",)
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod"):
        load(file)


@pytest.mark.root
def test_nor_are_those_of_a_stranger_or_a_group(file):
    os.chown(file, NOBODY, 0)
    with pytest.raises(ConfigError, match="belongs to"):
        load(file)
    os.chown(file, 0, NOBODY)
    file.chmod(0o664)
    with pytest.raises(ConfigError, match="chmod"):
        load(file)


def test_a_users_own_manager_obeys_no_group_unless_told(file, tmp_path):
    """Its operators could run anything as that user; and a user cannot give a socket away."""
    env = {"HOME": str(tmp_path)}
    assert load(None, user_mode=True, environ=env).group == ""
    file.write_text('group = "friends"\n')
    assert load(file, user_mode=True, environ=env).group == "friends"
    assert load(file).group == "friends"
