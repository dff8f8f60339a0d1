"""Values of resource control: weights, devices with a value, controllers, slices."""

from __future__ import annotations

import pytest

from gitproc.units import directives_resources as r
from gitproc.units import shares
from gitproc.units.control import slices_of
from gitproc.units.unit import Unit
from tests.units.trees import tree


def said(parse, text):
    try:
        return parse(text)
    except ValueError:
        return "refused"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (shares.parse_cpu_weight, "idle", shares.IDLE),
        (shares.parse_cpu_weight, "1", 1),
        (shares.parse_cpu_weight, "10000", 10000),
        (shares.parse_cpu_weight, "0", "refused"),
        (shares.parse_cpu_weight, "10001", "refused"),
        (shares.parse_weight, "idle", "refused"),
        (shares.parse_cpu_shares, "1", "refused"),
        (shares.parse_cpu_shares, "1024", 1024),
        (shares.parse_block_io_weight, "9", "refused"),
        (shares.parse_period, "10ms", 0.01),
        (shares.parse_period, "1us", 0.001),
        (shares.parse_period, "1h", 1.0),
        (shares.parse_device_rates, "/dev/vda 5M", (("/dev/vda", 5_000_000),)),
        (shares.parse_device_rates, "/var/lib 1.5K", (("/var/lib", 1500),)),
        (shares.parse_device_rates, "/dev/vda infinity", (("/dev/vda", None),)),
        (shares.parse_device_rates, "/dev/vda 0", "refused"),
        (shares.parse_device_rates, "/dev/vda", "refused"),
        (shares.parse_device_rates, "vda 5M", "refused"),
        (shares.parse_device_rates, "/dev/../etc 5M", "refused"),
        (shares.parse_device_weights, "/dev/vda 200", (("/dev/vda", 200),)),
        (shares.parse_device_old_weights, "/dev/vda 500", (("/dev/vda", 100),)),
        (shares.parse_device_targets, "/dev/vda 25ms", (("/dev/vda", 25_000),)),
        (shares.parse_slice, "web-shop.slice", "web-shop.slice"),
        (shares.parse_slice, "web.service", "refused"),
        (shares.parse_slice, "a--b.slice", "refused"),
        (shares.parse_slice, "../a.slice", "refused"),
        (shares.parse_slice, "-".join(["ab"] * 23) + ".slice", "-".join(["ab"] * 23) + ".slice"),
        (shares.parse_slice, "-".join(["ab"] * 24) + ".slice", "refused"),
        (shares.parse_controllers, "cpu io cpuacct", ("cpu", "io")),
        (shares.parse_controllers, "cpu gpu", "refused"),
        (shares.parse_delegate, "yes", shares.CONTROLLERS),
        (shares.parse_delegate, "no", None),
        (shares.parse_delegate, "memory pids", ("memory", "pids")),
        (shares.parse_subgroup, "payload", "payload"),
        *((shares.parse_subgroup, x, "refused") for x in ("", "a/b", "..", ".x", "cgroup.procs")),
    ],
)
def test_values(parse, text, value):
    assert said(parse, text) == value


@pytest.mark.parametrize(
    ("old", "weight"), [(1024, 100), (2, 1), (512, 50), (262_144, 10_000), (2048, 200)]
)
def test_shares_become_weights(old, weight):
    assert shares.weight_of_shares(old) == weight


@pytest.mark.parametrize(("old", "weight"), [(500, 100), (10, 2), (1000, 200)])
def test_old_weights_of_disks_become_new_ones(old, weight):
    assert shares.weight_of_block_io(old) == weight


def test_slices_of_units():
    units = tree(
        {
            "a@.service": "[Service]\nExecStart=/bin/true\nSlice=web-%i.slice\n",
            "b.service": "[Service]\nExecStart=/bin/true\n",
            "c.service": "[Service]\nExecStart=/bin/true\nSlice=-.slice\n",
            "web-x.slice": "[Slice]\nMemoryMax=1G\nBlockIOReadBandwidth=/ 1M\n",
        }
    )
    assert not units.diagnostics

    def found(name: str) -> Unit:
        unit = units.resolve(name)
        assert unit is not None
        return unit

    assert slices_of(found("a@shop.service")) == ("web-shop.slice", "web.slice")
    assert slices_of(found("b.service")) == ()
    assert slices_of(found("c.service")) == ()
    assert slices_of(found("web-x.slice")) == ("web.slice",)
    assert "Slice.MemoryMax" in found("web-x.slice").values
    assert {"Slice.IOReadBandwidthMax", "Service.CPUWeight"} < r.LIVE
