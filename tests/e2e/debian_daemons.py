"""Daemons of Debian: their shipped unit files, what a bare machine lacks for them, and how each proves itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path("/lib/systemd/system")
#: What Debian's own arrangement makes at boot, and what a bare machine lacks.
PREPARE = """
for package in haproxy postgresql-common dnsmasq memcached; do systemd-tmpfiles --create $package.conf; done
test -d /etc/postgresql/15/main || pg_createcluster 15 main
ssh-keygen -A
printf 'address=/localhost/127.0.0.1\nno-resolv\n' >/etc/dnsmasq.d/test.conf
echo '@reboot root touch /run/cron-works' >/etc/cron.d/test
mkdir -p /var/www/html
echo hello >/var/www/html/index.html
rm -f /var/lib/logrotate/status
"""


@dataclass(frozen=True)
class Daemon:
    """A unit, the files it comes in, and a script that fails unless the daemon works.

    `pid_file`: where the daemon itself says which process is the main one. `port`: one that only it listens on.
    `reloads`: what reloads it, if anything. `killed`: the result when its main process is; empty: it starts again.
    """

    name: str
    works: str
    files: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    pid_file: str = ""
    port: int = 0
    reloads: str = ""
    killed: str = ""

    @property
    def unit_files(self) -> tuple[str, ...]:
        """What the package ships for it."""
        return self.files or (f"{self.name}.service",)

    @property
    def installed(self) -> bool:
        """Whether the package is there."""
        return all((SHIPPED / x).exists() for x in self.unit_files)

    def shipped(self) -> dict[str, str]:
        """Its unit files as the package has them."""
        return {x: (SHIPPED / x).read_text() for x in self.unit_files}


FLEET = [
    Daemon(
        "nginx",
        "curl -fsS http://127.0.0.1/ -o /dev/null",
        pid_file="/run/nginx.pid",
        port=80,
        reloads="nginx",
        killed="signal",
    ),
    Daemon(
        "postgresql@15-main",
        "pg_isready -h /var/run/postgresql && su postgres -c 'psql -qc \"select 1\"'",
        ("postgresql@.service", "postgresql.service"),
        (("postgresql.service.wants/postgresql@15-main.service", "../postgresql@.service"),),
        pid_file="/run/postgresql/15-main.pid",
        port=5432,
        reloads="postgresql",
        killed="exit-code",  # of ExecStop=: ExecStart=- says that the main process may fail
    ),
    Daemon(
        "ssh",
        "nc -w 2 127.0.0.1 22 </dev/null | grep -q SSH-2.0",
        pid_file="/run/sshd.pid",
        port=22,
        reloads="ssh",
    ),
    Daemon(
        "prometheus-node-exporter",
        "curl -fsS http://127.0.0.1:9100/metrics | grep -q node_load1",
        port=9100,
    ),
    Daemon("cron", "test -e /run/cron-works", pid_file="/run/crond.pid"),
    Daemon(
        "dnsmasq",
        "dig +time=1 +tries=1 @127.0.0.1 localhost A | grep -q NOERROR",
        pid_file="/run/dnsmasq/dnsmasq.pid",
        port=53,
        reloads="dnsmasq",
        killed="signal",
    ),
    Daemon(
        "redis-server",
        "redis-cli -h 127.0.0.1 ping | grep -q PONG",
        pid_file="/run/redis/redis-server.pid",
        port=6379,
    ),
    Daemon(
        "memcached",
        "printf 'version\\r\\nquit\\r\\n' | nc -w 2 127.0.0.1 11211 | grep -q VERSION",
        pid_file="/run/memcached/memcached.pid",
        port=11211,
    ),
    Daemon(
        "haproxy",
        "echo 'show info' | nc -w 2 -U /run/haproxy/admin.sock | grep -q Process_num",
        pid_file="/run/haproxy.pid",
        reloads="haproxy",
    ),
]
NAMES = {daemon.name: daemon for daemon in FLEET}
