"""Inside the machine: whose memory is taken first, and where it goes, when a slice or a unit has used up its own."""

from pathlib import Path

import pytest

from tests.vm.inside.machine import asked, commit, group, pid, run, up, wait_for

MIB = 1 << 20
SLICE = "[Slice]\nMemoryMax=64M\n"
#: Reads a file, which is then in the cache on its account, and is content.
KEPT = """[Service]
Slice=tight.slice
{}
ExecStart=/bin/sh -c '/bin/cat /var/tmp/{} >/dev/null; exec /bin/sleep infinity'
"""
#: Reads far more than the slice may have in the cache.
GREEDY = """[Service]
Type=oneshot
Slice=tight.slice
ExecStart=/bin/cat /var/tmp/greedy
StandardOutput=null
"""


def number(at, file, key=""):
    """A control file that holds one number, or one of its lines."""
    text = (at / file).read_text()
    return int(text if not key else dict(x.split() for x in text.splitlines())[key])


#: What is kept from being taken.
KEPT_BY = {"low": "MemoryLow=24M", "min": "MemoryMin=24M"}
FILES = {"low": 12, "min": 12, "greedy": 300}


@pytest.fixture
def files():
    """Files of so many MiB, of which nothing is in the cache."""
    for name, size in FILES.items():
        with Path("/var/tmp", name).open("wb") as file:
            file.writelines(bytes(MIB) for _ in range(size))
    run("sync")
    Path("/proc/sys/vm/drop_caches").write_text("3")
    yield
    for name in FILES:
        Path("/var/tmp", name).unlink()


@pytest.mark.timeout(300)
def test_what_is_protected_stays_beside_a_glutton(files):
    up()
    commit({"tight.slice": SLICE, "greedy.service": GREEDY}, wanted=False)
    commit({f"{name}.service": KEPT.format(text, name) for name, text in KEPT_BY.items()})
    before = {name: wait_for(lambda name=name: pid(name)) for name in KEPT_BY}
    groups = {name: group(before[name]) for name in KEPT_BY}

    def cached():
        return {name: number(at, "memory.stat", "file") / MIB for name, at in groups.items()}

    wait_for(lambda: min(cached().values()) > 10)
    run("gitproc", "start", "greedy")
    protected = cached()
    commit({f"{name}.service": KEPT.format("", name) for name in KEPT_BY})
    wait_for(lambda: not any(number(at, f"memory.{name}") for name, at in groups.items()))
    run("gitproc", "start", "greedy")
    exposed = cached()
    print(f"MiB of the cache that stay with {KEPT_BY}: {protected}, without: {exposed}")
    assert {name: pid(name) for name in KEPT_BY} == before
    commit(dict.fromkeys(("tight.slice", "greedy.service", "low.service", "min.service")))
    wait_for(lambda: not pid("low") and not pid("min"))
    assert min(protected.values()) > 10
    assert max(exposed.values()) < 6


#: Has twice what it may have in memory, most of which can be compressed; then it is ready.
LARGE = """[Service]
Type=notify
MemoryMax=24M
{}
ExecStart=/usr/bin/python3 /var/tmp/large.py
"""
PROGRAM = """
import os, signal, socket
pages = [os.urandom(1024) + bytes(3072) for _ in range(12 << 10)]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
    it.connect(os.environ["NOTIFY_SOCKET"])
    it.send(b"READY=1")
signal.pause()
"""
ZSWAP = Path("/sys/module/zswap/parameters/enabled")


@pytest.fixture(scope="module")
def swap():
    """A file to swap to, and the large program."""
    Path("/var/tmp/large.py").write_text(PROGRAM)
    run("dd", "if=/dev/zero", "of=/var/tmp/swap", "bs=1M", "count=96")
    Path("/var/tmp/swap").chmod(0o600)
    run("mkswap", "/var/tmp/swap")
    run("swapon", "/var/tmp/swap")
    up()
    yield
    run("swapoff", "/var/tmp/swap")
    for name in ("swap", "large.py"):
        Path("/var/tmp", name).unlink()


@pytest.fixture
def large(swap):
    """Starts the large program under a name with more settings: its group, or None where it is not ready."""
    names = []

    def start(name, settings=""):
        names.append(name)
        commit({f"{name}.service": LARGE.format(settings)}, wanted=False)
        wait_for(lambda: asked(name, "LoadState") == "loaded")
        run("gitproc", "start", name, check=False)
        return group(pid(name)) if asked(name, "ActiveState") == "active" else None

    yield start
    commit({f"{name}.service": None for name in names})
    wait_for(lambda: all(asked(name, "LoadState") != "loaded" for name in names))


@pytest.mark.timeout(300)
def test_who_may_not_swap_is_killed_where_others_swap(large):
    assert large("unswapped", "MemorySwapMax=0") is None
    assert asked("unswapped", "Result") == "oom-kill"
    swapped = number(large("swapped"), "memory.swap.current")
    print(f"swapped without MemorySwapMax=0: {swapped / MIB:.1f} MiB")
    assert swapped > 16 * MIB


@pytest.mark.timeout(300)
@pytest.mark.skipif(not ZSWAP.exists(), reason="this kernel compresses no swap")
def test_compressed_swap_is_bounded(large):
    before = ZSWAP.read_text()
    ZSWAP.write_text("Y")
    try:
        bounded, free = large("bounded", "MemoryZSwapMax=2M"), large("free")
        found = [number(at, "memory.zswap.current") / MIB for at in (bounded, free)]
        print(f"compressed swap with MemoryZSwapMax=2M and without: {found} MiB")
        assert number(bounded, "memory.swap.current") > 16 * MIB
    finally:
        ZSWAP.write_text(before)
    assert found[0] < 3
    assert found[1] > 4
