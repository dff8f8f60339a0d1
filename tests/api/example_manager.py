"""A small manager with real state behind the real server on a real socket, for the tests of api and cli."""

import asyncio
import fnmatch
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from gitproc.api.caller import Access
from gitproc.api.connection import Limits
from gitproc.api.server import Server
from gitproc.errors import NoSuchUnit, RefusedError

LONG_AGO = 1_700_000_000.0
COMMIT = {
    "sha": "1234567890abcdef",
    "author": "Ada",
    "time": LONG_AGO,
    "subject": "web: more memory",
}
NASTY = "\x1b]0;owned\x07 \x9b31m red \u202e txt"


def unit(name, **more):
    return {
        "name": name,
        "description": f"The {name.partition('.')[0]} service",
        "load_state": "loaded",
        "active_state": "inactive",
        "sub_state": "dead",
        "result": "success",
        "main_pid": None,
        "since": LONG_AGO,
        "fragment": name,
        "drop_ins": [],
        "documentation": [],
        "commit": COMMIT,
        "restarts": 0,
        "log": [],
        **more,
    }


class ExampleManager:
    """Units that start by being told so. `calls` are the requests as they reached the handler."""

    def __init__(self):
        self.calls = []
        self.gone = []
        self.cancelled = threading.Event()
        self.streaming = threading.Event()
        self.units = {
            one["name"]: one
            for one in (
                unit(
                    "web.service", active_state="active", sub_state="running", main_pid=4242,
                    memory=5 * 1024 * 1024 + 99999, memory_max=512 << 20, tasks=2, tasks_max=64,
                    cpu_seconds=61.25, cgroup="/gitproc/web", restarts=2,
                    processes=[
                        {"pid": 4242, "title": "/usr/bin/web --port 80"},
                        {"pid": 4243, "title": "web: worker"},
                    ],
                    health={"state": "healthy", "failures": 0, "detail": ""},
                    log=["hello", f"nasty {NASTY}"],
                ),
                unit("db.service", active_state="failed", sub_state="failed", result="exit-code",
                     exec_main_code="exited", exec_main_status=1, reason="gave up after 5 starts"),
                unit("held.service", hold={"by": "ada", "at": LONG_AGO}),
                unit("evil.service", description=NASTY),
                unit("multi-user.target", active_state="active", sub_state="active"),
            )
        }  # fmt: skip

    async def call(self, method, params, caller):
        self.calls.append((method, params, caller))
        if method in {"start", "stop", "restart"}:
            return {"units": {name: self._job(method, name) for name in params["units"]}}
        return await getattr(self, "_" + method.replace("-", "_"))(params)

    def hung_up(self, caller):
        self.gone.append(caller)

    def _job(self, verb, name):
        found = self.units.get(name)
        if found is None:
            return {"result": "not-found"}
        if found["name"] == "db.service" and verb != "stop":
            return {"result": "failed", "message": "exit-code (status 1)", "active_state": "failed"}
        started = verb != "stop"
        found["active_state"] = "active" if started else "inactive"
        found["main_pid"] = 4242 if started else None
        return {"result": "done", "pid": found["main_pid"], "active_state": found["active_state"]}

    def _matching(self, params):
        found = []
        for pattern in params.get("units") or ["*"]:
            names = fnmatch.filter(self.units, pattern)
            found += [self.units[name] for name in names]
            if not names and not set(pattern) & set("*?["):
                found.append(
                    {"name": pattern, "load_state": "not-found", "active_state": "inactive"}
                )
        return found

    async def _status(self, params):
        commit = {
            "branch": "main",
            "head": "feed",
            "applied": COMMIT,
            "refused": {"sha": "feedbeef", "author": "Bob", "time": LONG_AGO, "subject": "typo"},
            "diagnostics": [
                {"file": "web.service", "line": 7, "severity": "error", "directive": "ExecStrat",
                 "message": "unknown directive"},
            ],
        }  # fmt: skip
        return {
            "daemon": {"pid": 1, "version": "0.1.0", "since": LONG_AGO},
            "commit": commit,
            "units": self._matching(params),
        }

    async def _list(self, params):
        return {"units": self._matching(params)}

    _is_active = _is_failed = _list

    async def _show(self, params):
        wanted = params.get("properties") or ["Id", "ActiveState", "Description"]
        units = {}
        for name in params["units"]:
            found = self.units.get(name) or {"load_state": "not-found"}
            values = {
                "Id": name, "ActiveState": found.get("active_state", "inactive"),
                "Description": found.get("description", ""),
            }  # fmt: skip
            units[name] = {key: values[key] for key in wanted if key in values}
        return {"units": units}

    async def _cat(self, params):
        text = "[Service]\nExecStart=/bin/true\n"
        return {
            "units": {
                name: [{"path": name, "text": text}] if name in self.units else []
                for name in params["units"]
            }
        }

    async def _logs(self, params):
        wanted = [params["unit"]] if "unit" in params else params.get("units", ["*"])
        names = [name for one in wanted for name in fnmatch.filter(self.units, one) or [one]]
        for name in names:
            if name not in self.units:
                raise NoSuchUnit(f"no unit {name} is loaded", unit=name)
        texts = [f"line {number}" for number in range(200)]
        texts[150] = "an Error"
        texts += ["bytes \udcff\udcfe", f"nasty {NASTY}"]
        lines = [
            {
                "unit": name,
                "time": LONG_AGO,
                "text": text,
                "priority": 3 if text == texts[150] else 6,
            }
            for text in texts
            for name in names
        ]
        return {"lines": lines[-params.get("lines", 100) :]}

    async def stream(self, method, params, caller) -> AsyncIterator[dict]:
        self.calls.append((method, params, caller))
        try:
            number = 0
            while params.get("lines") is None or number < params["lines"]:
                yield {
                    "time": LONG_AGO,
                    "kind": "tick",
                    "text": f"line {number} \udcff",
                    "message": "m",
                }
                self.streaming.set()
                number += 1
                await asyncio.sleep(0)
        finally:
            self.cancelled.set()

    async def _plan(self, params):
        change = {"directive": "MemoryMax", "old": "1G", "new": "2G", "where": "web.service:4"}
        action = {"unit": "web.service", "action": "live", "reason": "limits", "changes": [change]}
        return {"commit": COMMIT, "actions": [action], "diagnostics": []}

    async def _sync(self, params):
        outcome = {"result": "done", "active_state": "active", "pid": 4242}
        return {"commit": {**COMMIT, "verdict": "good"}, "units": {"web.service": outcome}}

    async def _rollback(self, params):
        if params.get("sha") == "bad":
            found = {"file": "a.service", "line": 3, "severity": "error", "directive": "Type",
                     "message": "no such type"}  # fmt: skip
            raise RefusedError("cannot roll back to bad: it would be refused", diagnostics=[found])
        return {"commit": {**COMMIT, "sha": "abcdef012345"}, "restored": COMMIT}

    async def _history(self, params):
        entry = {**COMMIT, "verdict": "failed", "units": {"web.service": "failed: exit-code"}}
        return {"entries": [entry][: params.get("lines", 20)]}

    async def _events(self, params):
        return {
            "events": [
                {"time": LONG_AGO, "kind": "unit.started", "unit": "web.service", "who": "ada"}
            ]
        }

    async def _doctor(self, params):
        fail = {
            "name": "cgroups",
            "state": "fail",
            "detail": "not writable",
            "advice": "run as root",
        }
        return {"checks": [{"name": "git", "state": "ok", "detail": "2.39"}, fail]}

    async def _kill(self, params):
        return {"units": {name: {"result": "done"} for name in params["units"]}}

    async def _reload(self, params):
        try:
            await asyncio.Event().wait()  # a reload that never ends
        finally:
            self.cancelled.set()

    async def _ping(self, params):
        return {"pid": os.getpid(), "big": "x" * 4_000_000 if self.units.get("big") else ""}

    async def _try_restart(self, params):
        raise ZeroDivisionError("a fault of ours")


class Running:
    """The server in a thread of its own. `with` it; `path` is its socket."""

    def __init__(self, path: Path, access: Access | None = None, limits: Limits | None = None):
        self.path, self.manager = path, ExampleManager()
        self._access, self._limits = access, limits
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = Server(self.path, self.manager, self._access, self._limits)
        try:
            await server.start()
        except Exception as error:  # reported to the thread that asked
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await server.close()

    def pass_turns(self, count=20):
        """Returns once its loop has turned so often: what had arrived has been seen."""

        async def turn():
            await asyncio.sleep(0.001)

        for _ in range(count):
            asyncio.run_coroutine_threadsafe(turn(), self._loop).result(30)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(30)
        if self._failure:
            raise self._failure
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()
