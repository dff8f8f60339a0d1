"""A unit's text, compiled here, carried out by a real shim in a real group: what the program then finds."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
from functools import partial
from pathlib import Path

import pytest

from gitproc.core.events import Executed, Exited, Process, SetupFailed, Slot, Spawned
from gitproc.kernel import directories
from gitproc.kernel.cgroup_layout import Kind, detect
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.resource_controller import ResourceController
from gitproc.kernel.spawn_spec import LaunchContext, LogOutput, compile_spec
from gitproc.units import directives as d
from gitproc.units.specifiers import Host
from tests.kernel.parts import soon, unit
from tests.shim.client import Shim

pytestmark = pytest.mark.root

REPORT = """
import json, os, resource
status = dict(line.rstrip().split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "env": dict(os.environ),
    "cwd": os.getcwd(),
    "umask": status["Umask"],
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "nice": os.nice(0),
    "cgroup": open("/proc/self/cgroup").read(),
}), flush=True)
import time
time.sleep(1000)
"""
# One that any user may execute.
PYTHON = "/usr/bin/python3"


class Launcher:
    """The manager's three parts around one shim, as the daemon puts them together."""

    def __init__(self, tmp_path: Path) -> None:
        self.shim = Shim(tmp_path)
        self.host = Host(run=str(tmp_path / "run"), state=str(tmp_path / "lib"))
        self.log = tmp_path / "test.log"
        self.events: list[object] = []
        self.controller = ResourceController(
            detect(self.shim.pid), self.shim.pid, f"gitproc-test-{os.getpid()}"
        )
        self.manager = ProcessManager(self.events.append)

    async def connect(self) -> None:
        self.controller.prepare()
        welcome = await self.manager.connect(self.shim.socket, 10.0)
        os.close(welcome.notify_fd)
        await self.manager.list()

    def launch(self, definition, slot=Slot.MAIN) -> Process:
        process = Process(definition.name, "a" * 32, slot, 1, definition.fingerprint)
        assert self.controller.create(definition) == []
        paths = self.controller.paths(definition.name)
        context = LaunchContext(
            self.host, paths.directory, paths.procs, LogOutput(str(self.log), 1 << 20, 1)
        )
        plan = compile_spec(definition, definition[d.EXEC_START][0], process, context)
        assert plan.warnings == []
        self.manager.spawn(process, plan.spec)
        return process

    def found(self, kind):
        return next((event for event in self.events if isinstance(event, kind)), None)

    async def end(self) -> None:
        for name in self.controller.existing():
            self.controller.kill(name, signal.SIGKILL)
            await soon(partial(self.controller.is_empty, name), "the unit is empty")
            self.controller.remove(name)
        await soon(lambda: self.controller.existing() == [], "the groups are removed")
        self.controller.remove_base()
        self.controller.close()
        self.manager.close()
        self.shim.end()


def drive(tmp_path, scenario):
    async def run():
        launcher = Launcher(tmp_path)
        try:
            await launcher.connect()
            await scenario(launcher)
        finally:
            await launcher.end()

    asyncio.run(run())


def test_the_program_finds_what_its_unit_says(tmp_path):
    (tmp_path / "env").write_text(f"FROM_FILE='two words'\nREPORT='{REPORT}'\n")
    definition = unit(
        f"ExecStart={PYTHON} -I -c ${{REPORT}}\nUser=daemon\nSupplementaryGroups=tty\n"
        f"EnvironmentFile={tmp_path}/env\nRuntimeDirectory=a/b\nStateDirectory=s\n"
        f"RuntimeDirectoryMode=0700\nUMask=0027\nNice=5\nLimitNOFILE=123:456\n"
        f"WorkingDirectory=/usr\nMemoryMax=256M\nTasksMax=10\n"
    )
    account = pwd.getpwnam("daemon")

    async def scenario(it):
        it.launch(definition)
        await soon(lambda: it.found(Executed), "executed")
        await soon(lambda: it.log.exists() and it.log.read_bytes().endswith(b"}\n"), "the report")
        said = json.loads(it.log.read_text())
        uid, gid, groups = said["ids"]
        assert (uid, gid) == (account.pw_uid, account.pw_gid)
        assert sorted(groups) == sorted({*os.getgrouplist("daemon", gid), 5})
        env = said["env"]
        assert env["FROM_FILE"] == "two words"
        assert env["RUNTIME_DIRECTORY"] == str(tmp_path / "run/a/b")
        assert env["INVOCATION_ID"] == "a" * 32
        assert env["USER"] == "daemon"
        assert said["cwd"] == "/usr"
        assert said["umask"] == "0027"
        assert said["nofile"] == [123, 456]
        assert said["nice"] == 5
        runtime = tmp_path / "run/a/b"
        assert (runtime.stat().st_uid, runtime.stat().st_mode & 0o777) == (uid, 0o700)
        assert (tmp_path / "run/a").stat().st_uid == 0
        spawned = it.found(Spawned)
        assert it.controller.pids("test.service") == [spawned.pid]
        assert it.controller.unit_of(spawned.pid) == "test.service"
        assert it.controller.usage("test.service").memory_max == 256 << 20
        it.controller.kill("test.service", signal.SIGTERM)
        await soon(lambda: it.found(Exited), "exited")
        assert it.controller.is_empty("test.service"), "empty by the time the exit is told"
        assert directories.release(definition, LaunchContext(it.host)) == []
        assert not runtime.exists()
        assert (tmp_path / "lib/s").exists()

    if detect().kind is Kind.NONE:
        pytest.skip("no cgroups")
    drive(tmp_path, scenario)


def test_a_setup_that_fails_names_systemds_step(tmp_path):
    async def scenario(it):
        it.launch(unit("WorkingDirectory=/no/such/place"))
        await soon(lambda: it.found(Exited), "exited")
        assert it.found(SetupFailed).step == "CHDIR"
        assert it.found(Exited).status == 200

    drive(tmp_path, scenario)


def test_a_private_pid_namespace_hides_the_host(tmp_path):
    script = "echo $$; ls /proc | grep -c '^[0-9]'"
    definition = unit(f'ExecStart=/bin/sh -c "{script.replace("$$", "$$$$")}"\nPrivatePIDs=yes')

    async def scenario(it):
        it.launch(definition)
        await soon(lambda: it.found(Exited), "exited")
        await soon(lambda: it.log.exists() and it.log.read_text().count("\n") == 2, "the output")
        pid, seen = map(int, it.log.read_text().split())
        assert pid < 10
        assert seen < 10

    drive(tmp_path, scenario)
