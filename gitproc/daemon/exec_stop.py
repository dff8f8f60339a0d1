"""What systemd runs as ExecStop=: keeps the services over a restart, stops them in order otherwise.

systemd runs ExecStop= for `systemctl restart` as for `systemctl stop` and shutdown. For a restart there is
nothing to do: the SIGTERM that follows makes the manager step aside. For a stop the manager gets SIGINT, and
this process waits until it has stopped every unit, as `TimeoutStopSec=` of the service allows.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

from gitproc.daemon import systemd
from gitproc.errors import HostError


def main() -> int:
    """Exit status 0: the manager may be ended now."""
    service = systemd.service()
    main_pid = os.environ.get("MAINPID", "")
    if service is None:
        sys.stderr.write("exec-stop is for ExecStop= of gitproc.service\n")
        return 2
    if not main_pid.isdecimal():
        return 0  # the manager is gone; what is left in the scope is systemd's to end
    try:
        job = service.stop_job()
    except HostError as error:
        # Unknown: keep the services. If it was a stop, systemd ends the scope next.
        sys.stderr.write(f"{error}\n")
        return 0
    if job == "stop":
        with contextlib.suppress(ProcessLookupError):
            stop_all(int(main_pid))
    return 0


def stop_all(manager: int) -> None:
    """Have the manager of this PID stop every unit in order; returns when it has ended."""
    descriptor = os.pidfd_open(manager)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGINT)
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
