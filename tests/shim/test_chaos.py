"""Everything at once: manager, logger and shim's program die or are replaced while services come and go.

Each service writes numbered lines and ends in its own way. At the end every exit has been told exactly
once with the right status, and every line is in its log exactly once.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest

from tests.shim.client import until

SERVICES = 60
SECONDS = 6.0

SCRIPT = """
i=0
while [ $i -lt {lines} ]; do echo "line $i"; i=$((i+1)); sleep 0.02; done
{end}
"""


def ending(number):
    if number % 3 == 0:
        return f"exit {number % 200}", (1, number % 200)
    signo = (9, 15, 6)[number % 3]
    return f"ulimit -c 0; kill -{signo} $$", (2, signo)


def wait_for_size(path, size):
    until(lambda: path.exists() and path.stat().st_size >= size, 40)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_nothing_is_lost(shim, tmp_path):
    chance = random.Random(7)
    wanted = {f"s{number}": ending(number) for number in range(SERVICES)}
    lengths = {cookie: chance.randrange(40, 200) for cookie in wanted}
    asked: set[str] = set()
    exits: dict[str, tuple] = {}
    sequences: set[int] = set()
    deaths = {"manager": 0, "logger": 0, "reexec": 0}
    client = shim.connect()
    stop = time.monotonic() + SECONDS
    strike = time.monotonic() + 0.3

    def ask(cookie):
        script = SCRIPT.format(lines=lengths[cookie], end=wanted[cookie][0])
        log = {"log": str(tmp_path / f"{cookie}.log"), "max_bytes": 0, "files": 0}
        more = {"pid_namespace": "init"} if os.geteuid() == 0 and int(cookie[1:]) % 10 == 1 else {}
        client.ask(cookie, "/bin/sh", "-c", script, output=log, **more)
        asked.add(cookie)

    def note():
        """Journal first, acknowledge then; a repeated exit carries a known number."""
        for message in client.kept:
            if message[0] == "exited":
                cookie, end = message[3], message[5:7]
                assert exits.setdefault(cookie, (message[1], *end)) == (message[1], *end)
                sequences.add(message[1])
                if chance.random() < 0.7:
                    client.send("ack", [message[1]])
        client.kept.clear()

    while len(exits) < SERVICES or not all(deaths.values()):
        if len(asked) < SERVICES and chance.random() < 0.3:
            ask(next(cookie for cookie in wanted if cookie not in asked))
        try:
            client.pump(0.02)
        except EOFError:
            raise AssertionError("the shim hung up") from None
        note()
        now = time.monotonic()
        assert now < stop + 120
        missing = [blow for blow, count in deaths.items() if not count]
        if now < strike or (now > stop and not missing):
            continue
        strike = now + chance.uniform(0.1, 0.4)
        blow = chance.choice(missing or ["manager", "manager", "logger", "reexec"])
        deaths[blow] += 1
        if blow == "manager":
            client.close()  # whatever was on its way is lost with it
            client = shim.connect(listed=False)
            alive = {row[1] for row in client.list()}
            for cookie in asked - alive - set(exits):
                ask(cookie)
        elif blow == "logger":
            with contextlib.suppress(ProcessLookupError):
                os.kill(shim.logger, signal.SIGKILL)
        else:
            client.send("reexec", 1000 + deaths["reexec"])

    assert {cookie: end[1:] for cookie, end in exits.items()} == {
        cookie: end for cookie, (_, end) in wanted.items()
    }
    assert len(sequences) == SERVICES
    client.send("ack", sorted(sequences))
    until(lambda: client.list() == [])
    for cookie, count in lengths.items():
        text = "".join(f"line {number}\n" for number in range(count))
        path = tmp_path / f"{cookie}.log"
        wait_for_size(path, len(text))
        assert path.read_text() == text
