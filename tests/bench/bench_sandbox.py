"""What a sandbox adds to a start: spawn asked for -> program exec'd, by kind of namespace."""

import os
import stat
import statistics
import time

import pytest

from gitproc.core.events import Process, Slot
from gitproc.kernel.launch import LaunchContext
from gitproc.kernel.shared_namespaces import make
from gitproc.kernel.spawn_spec import compile_spec
from gitproc.units import directives as d
from gitproc.units.diagnostics import Location
from gitproc.units.specifiers import Host
from gitproc.units.unit import Setting, Unit
from tests.bench.report import row
from tests.shim.client import Shim

ROUNDS = 60
STRICT = "ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=disconnected\nPrivateDevices=yes"
TIGHT = f"{STRICT}\nProtectKernelTunables=yes\nProtectKernelLogs=yes\nProtectControlGroups=yes"
KINDS = {
    "nothing of it": "",
    "PrivateMounts=": "PrivateMounts=yes",
    "PrivateTmp=disconnected": "PrivateTmp=disconnected",
    "ProtectSystem=strict": "ProtectSystem=strict",
    "PrivateDevices=": "PrivateDevices=yes",
    "strict, homes, tmp, devices": STRICT,
    "that, and Protect*=": TIGHT,
    "PrivateNetwork= (joined), PrivateMounts=no": "PrivateNetwork=yes\nPrivateMounts=no",
    "PrivateNetwork= (joined), a /sys of its own": "PrivateNetwork=yes",
    "strict, homes, tmp, devices, and a network": f"{STRICT}\nPrivateNetwork=yes",
    "PrivateUsers=": "PrivateUsers=yes",
    "ProtectHostname=": "ProtectHostname=yes",
    "PrivatePIDs=": "PrivatePIDs=yes",
}
pytestmark = [pytest.mark.bench, pytest.mark.root]


@pytest.mark.timeout(300)
def test_what_a_sandbox_costs(tmp_path):
    covers = tmp_path / "covers"
    (covers / "dir").mkdir(parents=True)
    (covers / "reg").touch()
    os.mknod(covers / "chr", stat.S_IFCHR)
    shim = Shim(tmp_path)
    network = make("net")
    try:
        client = shim.connect()
        taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for number in range(ROUNDS):
            for kind, settings in KINDS.items():
                spec = _spec(settings, str(covers))
                give = (network,) if "PrivateNetwork" in settings else ()
                if give:
                    spec["join_fds"] = [("net", 0)]
                argv = spec.pop("argv")
                spec.pop("path")
                began = time.perf_counter()
                id, _ = client.start(f"{kind}{number}", *argv, give=give, **spec)
                taken[kind].append(time.perf_counter() - began)
                client.exit_of(id)
    finally:
        os.close(network)
        shim.end()
    plain = statistics.median(taken["nothing of it"])
    for kind, times in taken.items():
        median = statistics.median(times)
        row(
            f"spawn -> exec'd: {kind}", f"{median * 1000:.2f} ms",
            baseline=f"{plain * 1000:.2f} ms without: +{(median - plain) * 1000:.2f} ms", command="sandbox",
        )  # fmt: skip


def _spec(settings, covers):
    lines = [x.partition("=")[::2] for x in settings.splitlines()]
    values = [("ExecStart", "/bin/true"), *lines]
    made = [Setting(f"Service.{key}", value, *Location("x.service", 1)) for key, value in values]
    unit = Unit("x.service", "x.service", made, Host())
    process = Process(unit.name, "a" * 32, Slot.MAIN, 1, unit.fingerprint)
    context = LaunchContext(Host(), covers=covers)
    return compile_spec(unit, unit[d.EXEC_START][0], process, context).spec


def test_what_a_network_costs():
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        os.close(make("net"))
        taken.append(time.perf_counter() - began)
    row(
        "a network of its own, loopback up, once per instance",
        f"{statistics.median(taken) * 1000:.2f} ms", command="network_costs",
    )  # fmt: skip
