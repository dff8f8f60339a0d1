"""What the command line talks to."""

import pytest

from tests.api.example_manager import Running


@pytest.fixture
def root(tmp_path):
    """The root directory of a manager that answers from examples."""
    (tmp_path / "run").mkdir()
    with Running(tmp_path / "run/gitproc.sock"):
        yield tmp_path
