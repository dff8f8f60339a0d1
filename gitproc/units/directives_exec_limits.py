"""Rows of the directive table for resource limits: LimitCPU= and its kin of systemd.exec(5)."""

from __future__ import annotations

from gitproc.units.directive import Directive
from gitproc.units.rows import one
from gitproc.units.values import Limit, parse_limit


def _limit(name: str, what: str) -> Directive[Limit | None]:
    def parse(value: str) -> Limit | None:
        return parse_limit(name, value)

    return one("Service", name, parse, None, f"{what}: SOFT[:HARD], infinity lifts it.")


LIMIT_CPU = _limit("LimitCPU", "CPU time")
LIMIT_FSIZE = _limit("LimitFSIZE", "Size of a written file")
LIMIT_DATA = _limit("LimitDATA", "Data segment")
LIMIT_STACK = _limit("LimitSTACK", "Stack")
LIMIT_CORE = _limit("LimitCORE", "Core dump")
LIMIT_RSS = _limit("LimitRSS", "Resident memory (the kernel ignores it)")
LIMIT_NOFILE = _limit("LimitNOFILE", "Open file descriptors")
LIMIT_AS = _limit("LimitAS", "Address space")
LIMIT_NPROC = _limit("LimitNPROC", "Processes of the user")
LIMIT_MEMLOCK = _limit("LimitMEMLOCK", "Locked memory")
LIMIT_LOCKS = _limit("LimitLOCKS", "File locks (the kernel ignores it)")
LIMIT_SIGPENDING = _limit("LimitSIGPENDING", "Queued signals of the user")
LIMIT_MSGQUEUE = _limit("LimitMSGQUEUE", "Bytes in message queues of the user")
LIMIT_NICE = _limit("LimitNICE", "Nice level that may be reached")
LIMIT_RTPRIO = _limit("LimitRTPRIO", "Real-time priority that may be reached")
LIMIT_RTTIME = _limit("LimitRTTIME", "CPU time in real-time scheduling without a pause")
LIMITS: tuple[Directive[Limit | None], ...] = (
    LIMIT_CPU,
    LIMIT_FSIZE,
    LIMIT_DATA,
    LIMIT_STACK,
    LIMIT_CORE,
    LIMIT_RSS,
    LIMIT_NOFILE,
    LIMIT_AS,
    LIMIT_NPROC,
    LIMIT_MEMLOCK,
    LIMIT_LOCKS,
    LIMIT_SIGPENDING,
    LIMIT_MSGQUEUE,
    LIMIT_NICE,
    LIMIT_RTPRIO,
    LIMIT_RTTIME,
)
