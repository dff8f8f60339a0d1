"""What every measurement gets: the tiny program, its stamps, a daemon over an empty repository."""

import compileall

import pytest

from tests.bench.constellation import PROJECT, Constellation
from tests.bench.floor import Stamps, build


@pytest.fixture(scope="session", autouse=True)
def compiled():
    """As where it is installed: who compiles what it imports is slower once, and larger for ever."""
    compileall.compile_dir(PROJECT / "gitproc", quiet=1)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    folder.chmod(0o755)
    return build(folder)


@pytest.fixture
def stamps(tmp_path):
    made = Stamps(tmp_path)
    yield made
    made.close()


@pytest.fixture
def constellation(tmp_path, program, stamps):
    made = Constellation(tmp_path, program, stamps)
    with made:
        yield made
