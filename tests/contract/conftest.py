from __future__ import annotations

import pytest

from tests.contract.fake import Fake
from tests.contract.real import Real


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.root)])
def host(request, tmp_path):
    """A machine of each kind, a test after the other."""
    if request.param == "fake":
        yield Fake()
        return
    tmp_path.chmod(0o755)
    real = Real(tmp_path)
    yield real
    real.close()
