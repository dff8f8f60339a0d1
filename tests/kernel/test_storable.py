"""Which descriptors may hang: a real file in user space, whose server says nothing once it is open."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gitproc.kernel import storable

_libc = ctypes.CDLL(None, use_errno=True)
ROOT, FILE = 1, 2


def _serve(device: int) -> None:
    """A file `f` in an empty folder; nothing of it but that it is there is ever told."""

    def attributes(node: int) -> bytes:
        mode = 0o040755 if node == ROOT else 0o100644
        return struct.pack("6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 0, 0)

    while True:
        request = os.read(device, 1 << 20)
        _, operation, serial, node = struct.unpack_from("IIQQ", request)
        match operation:
            case 26:  # INIT
                answer = struct.pack("IIIIHHII7I", 7, 31, 0, 0, 1, 1, 4096, 1, *(0,) * 7)
            case 1:  # LOOKUP
                answer = struct.pack("QQQQII", FILE, 0, 0, 0, 0, 0) + attributes(FILE)
            case 3 if node == ROOT:  # GETATTR
                answer = struct.pack("QII", 0, 0, 0) + attributes(ROOT)
            case 14:  # OPEN
                answer = struct.pack("QII", 1, 0, 0)
            case 25:  # FLUSH: or the test would hang, and all it forks
                os.write(device, struct.pack("IiQ", 16, -errno.ENOSYS, serial))
                continue
            case _:
                continue
        os.write(device, struct.pack("IiQ", 16 + len(answer), 0, serial) + answer)


@contextmanager
def in_user_space(where: Path) -> Iterator[int]:
    """A descriptor of a file there, of which nothing can be asked."""
    where.mkdir()
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if _libc.mount(b"nothing", bytes(where), b"fuse", 6, options):
        os.close(device)
        pytest.skip("no file system in user space can be mounted here")
    server = os.fork()
    if server == 0:
        try:
            _serve(device)
        finally:
            os._exit(0)
    os.close(device)
    fd = -1
    try:
        fd = os.open(where / "f", os.O_RDONLY)
        yield fd
    finally:
        os.kill(server, 9)  # whoever waits for it is told so
        os.waitpid(server, 0)
        if fd >= 0:
            with suppress(OSError):  # ENOTCONN
                os.close(fd)
        _libc.umount2(bytes(where), 2)


def test_what_the_kernel_answers_for_does_not(tmp_path):
    with (
        socket.socket() as sock,
        (tmp_path / "file").open("w") as file,
        Path("/dev/null").open() as device,
        select.epoll() as poll,
    ):
        reading, writing = os.pipe()
        memory = os.memfd_create("it")
        pidfd = os.pidfd_open(os.getpid())
        mine = (memory, reading, writing, pidfd)
        for fd in (*mine, sock.fileno(), file.fileno(), device.fileno(), poll.fileno()):
            assert not storable.may_hang(fd), Path(f"/proc/self/fd/{fd}").readlink()
        assert storable.is_epoll(poll.fileno())
        assert not storable.is_epoll(memory)
        for fd in mine:
            os.close(fd)


@pytest.mark.root
@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="no file systems in user space")
def test_a_file_in_user_space_may_seen_or_not(tmp_path):
    where = tmp_path / "there"
    with in_user_space(where) as fd:
        assert storable.may_hang(fd)
        _libc.umount2(bytes(where), 2)  # lazily: it stays open
        assert storable.may_hang(fd)
        sender, taker = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with sender, taker, tempfile.TemporaryFile() as file:
            for fds, hangs in (([file.fileno()], False), ([file.fileno(), fd], True), ([], True)):
                socket.send_fds(sender, [b"x"], fds)
                assert storable.first_may_hang(taker, socket.CMSG_SPACE(253 * 4)) is hangs
                assert storable.first_may_hang(taker, socket.CMSG_SPACE(253 * 4)) is hangs
                taker.recv(1)
