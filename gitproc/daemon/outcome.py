"""Telling how commits ended: a note beside the commit, a program, a webhook; each outcome once to each.

What is to be told stands in the world's outbox, durable since the verdict itself. One worker a channel goes
through it in order and reports what has been told, which the journal then keeps. A crash loses nothing. It
can repeat one delivery, where it falls between the telling and the journal's write: a program counts as told
once it runs and its input is written, milliseconds before; a webhook once it has answered with a status of
2xx, so the window is the time of the receiver's answer. Every telling carries `delivery` (commit and verdict,
also as Idempotency-Key), by which a receiver drops the second. Notes are set to the same text again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

from gitproc.core.commit_states import Outcome
from gitproc.core.events import Event, OutcomeTold
from gitproc.core.records import commit_record
from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.daemon.loop import boottime
from gitproc.errors import GitProcError
from gitproc.kernel import heap

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0  # seconds after a failed try; doubled after each further one
LONGEST_PAUSE = 300.0
PATIENCE = 86_400.0  # seconds after which nobody is interested any more

Send = Callable[[Outcome, dict[str, Any]], Awaitable[str]]


class Outcomes:
    """The workers of one manager. `look` has them look into the outbox."""

    def __init__(self, effects: Effects, desired: Desired, post: Callable[[Event], None]) -> None:
        self._e = effects
        self._world = effects.world
        self._desired = desired
        self._post = post
        self._notify = effects.config.notify
        self._sends: dict[str, Send] = {"note": self._note}
        if self._notify.command:
            self._sends["command"] = self._command
        if self._notify.webhook:
            self._sends["webhook"] = self._webhook
        self._wake = {channel: asyncio.Event() for channel in self._sends}
        self._sent: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.settled: Callable[[], None] = lambda: None
        """Called when an outcome has been told: for the moment there is nothing else to do."""

    def look(self) -> None:
        """Something may have come into the outbox, or have been told to everybody."""
        if not self._world.outbox:
            self._sent.clear()
            return
        if not self._tasks:
            for channel in self._sends:
                self._start(self._work(channel))
        for delivery, outcome in self._world.outbox.items():
            if self._sends.keys() <= set(outcome.told):
                self._post(OutcomeTold(delivery, "", last=True))
        for event in self._wake.values():
            event.set()

    async def close(self) -> None:
        """End the workers; what is not told yet is told by the next manager."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the workers -----------------------------------------------------------------------------

    async def _work(self, channel: str) -> None:
        began, failures = boottime(), 0
        while True:
            outcome = self._next(channel)
            if outcome is None:
                self._wake[channel].clear()
                await self._wake[channel].wait()
                continue
            try:
                problem = await self._sends[channel](outcome, self.payload(outcome))
            except Exception as error:
                log.exception("cannot tell %s of %s", channel, outcome.delivery)
                problem = f"{error!r}"
            if problem and boottime() - (outcome.at or began) < PATIENCE:
                if failures == 0:
                    log.warning("%s; it is tried again", problem)
                await asyncio.sleep(min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE))
                failures += 1
                continue
            if problem:
                log.error("%s; given up", problem)
            failures = 0
            self._told(outcome, channel)

    def _next(self, channel: str) -> Outcome | None:
        for delivery, outcome in self._world.outbox.items():
            if channel not in outcome.told and (delivery, channel) not in self._sent:
                return outcome
        return None

    def _told(self, outcome: Outcome, channel: str) -> None:
        self._sent.add((outcome.delivery, channel))
        self._post(OutcomeTold(outcome.delivery, channel, last=False))
        heap.give_back()  # the commit is done with, and so is what loading it took
        self.settled()

    def payload(self, outcome: Outcome) -> dict[str, Any]:
        """What is told, as JSON."""
        ago = boottime() - outcome.at if outcome.at else 0.0
        return {
            "version": 1,
            "delivery": outcome.delivery,
            "verdict": outcome.verdict,
            "commit": commit_record(outcome.commit),
            "branch": self._e.config.branch,
            "host": self._e.host.hostname,
            "time": round(time.time() - ago, 3),
            "seconds": outcome.seconds,
            "reason": outcome.reason,
            "units": outcome.units,
        }

    # -- the channels: each returns "" or what went wrong ----------------------------------------

    async def _note(self, outcome: Outcome, payload: dict[str, Any]) -> str:
        sha = outcome.commit.sha
        text = json.dumps({k: v for k, v in payload.items() if k != "commit"}, indent=1)

        def write() -> None:
            self._desired.git().write_note(sha, text, payload["time"])

        try:
            await asyncio.get_running_loop().run_in_executor(None, write)
        except GitProcError as error:
            return error.message
        return ""

    async def _command(self, outcome: Outcome, payload: dict[str, Any]) -> str:
        argv = self._notify.command
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot run {argv[0]}: {error.strerror}"
        try:
            async with asyncio.timeout(self._notify.timeout):
                stdin = process.stdin
                if stdin is not None:
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        stdin.write(json.dumps(payload).encode() + b"\n")
                        await stdin.drain()
                        stdin.close()
                self._told(outcome, "command")
                status = await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            log.warning("%s took longer than %g s and was killed", argv[0], self._notify.timeout)
            return ""
        if status != 0:
            log.warning("%s ended with status %d", argv[0], status)
        return ""

    async def _webhook(self, outcome: Outcome, payload: dict[str, Any]) -> str:
        from gitproc.health import http_client  # few have one
        from gitproc.health.url import check_url

        url = self._notify.webhook
        headers = {"Content-Type": "application/json", "Idempotency-Key": outcome.delivery}
        try:
            async with asyncio.timeout(self._notify.timeout):
                status, reason = await http_client.request(
                    check_url(url), "POST", json.dumps(payload).encode(), headers
                )
        except TimeoutError:
            return f"{url}: no answer within {self._notify.timeout:g} s"
        except (http_client.NoHttp, OSError) as error:
            return f"{url}: {error}"
        return "" if 200 <= status < 300 else f"{url}: HTTP status {status} {reason}".rstrip()
