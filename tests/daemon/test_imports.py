"""What a manager that comes back imports before it answers: each module costs a fraction of a millisecond."""

import subprocess
import sys

LATER = {
    "gitproc.units.loader",
    "gitproc.daemon.compiling",
    "gitproc.daemon.push",
    "gitproc.source",
    "git",
}


def test_what_reads_commits_is_imported_by_the_first_who_reads_one():
    code = (
        "import sys; import gitproc.daemon.daemon, gitproc.daemon.recover, gitproc.daemon.perform, "
        "gitproc.daemon.handler, gitproc.daemon.desired, gitproc.daemon.outcome, gitproc.api.server; "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    there = {*done.stdout.split()}
    assert "gitproc.daemon.handler" in there
    assert not there & LATER
