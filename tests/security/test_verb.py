"""`gitproc security` and the policy that refuses a push, on a running machine."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import service
from tests.push.conftest import servers  # noqa: F401 (a fixture)

pytestmark = pytest.mark.root


def test_scores_gaps_thresholds_and_a_push_that_opens_a_service(servers):  # noqa: F811
    server = servers(bare=True, config="[policy]\nmax_exposure = 9.4\n")
    clone = server.clone()
    closed = service(settings="User=daemon\nUMask=0077\n")
    clone.commit({"a.service": closed})
    assert clone.push().status == 0

    status, out, _ = server.gitproc("security")
    assert status == 0
    assert out.splitlines()[0].split() == ["UNIT", "EXPOSURE", "LEVEL"]
    assert out.splitlines()[1].split() == ["a.service", "9.2", "UNSAFE"]
    status, out, _ = server.gitproc("security", "a")
    assert any(x.split()[-1] == "PrivateNetwork=yes" for x in out.splitlines())
    assert out.splitlines()[-1].startswith("a.service: 9.2 UNSAFE (")
    shown = json.loads(server.gitproc("security", "--json", "a").out)
    assert shown["version"] == 1
    assert shown["units"][0]["exposure"] == 9.2
    assert server.gitproc("security", "--threshold", "9.2").status == 0
    assert server.gitproc("security", "--threshold", "9.1").status == 1
    assert server.gitproc("security", "--threshold", "eleven").status == 2
    assert server.gitproc("security", "nowhere").status == 4

    pids = server.pids()
    clone.commit({"a.service": service()})
    status, _, said = clone.push()
    assert status != 0
    assert "a.service is too exposed: 9.2 → 9.6, at most 9.4 is allowed" in said
    assert server.pids() == pids

    clone.git("reset", "-q", "--hard", "origin/main")
    clone.commit({"t@.service": "[Service]\nExecStart=/bin/sleep 1000\n"})
    status, _, said = clone.push()
    assert status != 0
    assert "t@.service is too exposed: 9.6, at most 9.4 is allowed" in said
    clone.git("reset", "-q", "--hard", "origin/main")
    clone.commit({"t@.service": closed})
    assert clone.push().status == 0
