"""Probes give the right verdict in time, whatever the other side does, and never hold up the loop."""

import asyncio
import socket
import ssl
import subprocess
import threading
import time
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest

from gitproc.core.events import ProbeFailed, ProbeSucceeded
from gitproc.health import http_client
from gitproc.health.health_monitor import HealthMonitor


class Service:
    """A server that answers every connection with `behave(reader, writer)`."""

    def __init__(self, behave) -> None:
        self._behave = behave
        self.requests: list[bytes] = []
        self.port = 0

    async def accept(self, reader, writer) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await self._behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(behave, *, path=None, tls=None):
    service = Service(behave)
    if path is not None:
        server = await asyncio.start_unix_server(service.accept, path)
    else:
        server = await asyncio.start_server(service.accept, "127.0.0.1", 0, ssl=tls)
        service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()


def answer(data: bytes):
    async def behave(reader, writer):
        writer.write(data)
        await writer.drain()

    return behave


async def hang(reader, writer):
    await reader.read()


async def drip(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Drip: x\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def endless_body(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()
        await asyncio.sleep(0.001)


OK = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Late:
    """Is asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def __call__(self, reader, writer) -> None:
        self.asked.set()
        await self.may.wait()
        await OK(reader, writer)


class Verdicts:
    def __init__(self) -> None:
        self.queue: asyncio.Queue = asyncio.Queue()
        self.monitor = HealthMonitor(self.queue.put_nowait)

    async def of(self, unit="a.service", invocation="i1", **target):
        self.monitor.probe(unit, invocation, **{"timeout": 25.0, **target})
        return await asyncio.wait_for(self.queue.get(), 40)


def run(scenario):
    async def main():
        verdicts = Verdicts()
        try:
            return await asyncio.wait_for(scenario(verdicts), 50)
        finally:
            await verdicts.monitor.close()

    return asyncio.run(main())


def verdict_of(behave, timeout=25.0, **options):
    async def scenario(verdicts):
        async with serving(behave, **options) as service:
            return await verdicts.of(url=f"http://127.0.0.1:{service.port}/", timeout=timeout)

    return run(scenario)


def test_200_is_healthy_and_the_request_says_little():
    async def scenario(verdicts):
        async with serving(OK) as service:
            verdict = await verdicts.of(url=f"http://127.0.0.1:{service.port}/live?full=1#part")
            return verdict, service.requests, service.port

    verdict, requests, port = run(scenario)
    assert verdict == ProbeSucceeded("a.service", "i1")
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /live?full=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert "Connection: close" in lines


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "HTTP status 500 Internal Server Error"),
        (b"HTTP/1.1 204\r\n\r\n", "HTTP status 204"),
        (b"HTTP/1.1 302 Found\r\nLocation: /ok\r\n\r\n", "HTTP status 302 Found"),
        (b"HTTP/1.1 503 bad\x1b[2J\r\n\r\n", "HTTP status 503"),
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nX: y", "closed the connection within the answer's header"),
        (b"SSH-2.0-OpenSSH\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 \xb2\xb0\xb0 OK\r\n\r\n", "the answer is no HTTP"),
        (b"\x00\xff" * 50_000, "the answer's header exceeds 65536 bytes"),
    ],
)
def test_everything_else_is_not(data, detail):
    verdict = verdict_of(answer(data))
    assert isinstance(verdict, ProbeFailed)
    assert verdict.detail.endswith(": " + detail)


def test_redirects_are_not_followed():
    async def scenario(verdicts):
        async with serving(OK) as target:
            location = b"http://127.0.0.1:%d/" % target.port
            data = b"HTTP/1.1 301 Moved\r\nLocation: " + location + b"\r\n\r\n"
            async with serving(answer(data)) as service:
                verdict = await verdicts.of(url=f"http://127.0.0.1:{service.port}/")
            return verdict, target.requests

    verdict, requests = run(scenario)
    assert isinstance(verdict, ProbeFailed)
    assert requests == []


def test_interim_answers_are_passed_over():
    data = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    assert verdict_of(answer(data)) == ProbeSucceeded("a.service", "i1")


@pytest.mark.parametrize("behave", [hang, drip])
def test_the_timeout_covers_everything(behave):
    begun = time.monotonic()
    verdict = verdict_of(behave, timeout=0.2)
    assert isinstance(verdict, ProbeFailed)
    assert verdict.detail.endswith("no answer within 0.2 s")
    assert time.monotonic() - begun < 20


def test_an_endless_body_is_not_read_for_ever():
    assert verdict_of(endless_body) == ProbeSucceeded("a.service", "i1")


def test_a_refused_connection_fails_with_the_systems_word():
    async def scenario(verdicts):
        url = await verdicts.of(url=f"http://127.0.0.1:{port}/")
        tcp = await verdicts.of(tcp=f"127.0.0.1:{port}")
        return url, tcp

    with socket.socket() as taken:  # and nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url, tcp = run(scenario)
    assert "http://" in url.detail
    assert isinstance(tcp, ProbeFailed)
    for verdict in (url, tcp):
        assert "refused" in verdict.detail.lower() or "connect" in verdict.detail.lower()


def test_tcp_is_healthy_where_something_listens():
    async def scenario(verdicts):
        async with serving(hang) as service:
            return await verdicts.of(tcp=f"localhost:{service.port}")

    assert run(scenario) == ProbeSucceeded("a.service", "i1")


def test_an_unknown_host_fails():
    async def scenario(verdicts):
        return await verdicts.of(url="http://nowhere.invalid/", timeout=5)

    assert isinstance(run(scenario), ProbeFailed)


@pytest.mark.parametrize(
    "target", [{"url": "ftp://x/"}, {"tcp": "nonsense"}, {"url": "", "tcp": ""}]
)
def test_a_target_that_makes_no_sense_fails(target):
    async def scenario(verdicts):
        return await verdicts.of(**target)

    verdict = run(scenario)
    assert isinstance(verdict, ProbeFailed)
    assert verdict.detail


def test_a_unix_socket_can_be_asked(tmp_path):
    async def scenario(verdicts):
        path = str(tmp_path / "app.sock")
        async with serving(OK, path=path) as service:
            url = f"http+unix://{quote(path, safe='')}/live"
            return await verdicts.of(url=url), service.requests

    verdict, requests = run(scenario)
    assert verdict == ProbeSucceeded("a.service", "i1")
    assert requests[0].startswith(b"GET /live HTTP/1.1\r\nHost: localhost\r\n")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "cert"), "-subj", "/CN=other"]
    subprocess.run(command + files, check=True, capture_output=True)
    return folder


def test_https_is_asked_without_judging_the_certificate(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert", certificate / "key")

    async def scenario(verdicts):
        async with serving(OK, tls=tls) as service:
            healthy = await verdicts.of(url=f"https://127.0.0.1:{service.port}/")
        async with serving(hang) as service:
            plain = await verdicts.of(url=f"https://127.0.0.1:{service.port}/", timeout=0.3)
        return healthy, plain

    healthy, plain = run(scenario)
    assert healthy == ProbeSucceeded("a.service", "i1")
    assert isinstance(plain, ProbeFailed)


def test_one_probe_of_an_instance_at_a_time():
    async def scenario(verdicts):
        late = Late()
        async with serving(late) as service:
            url = f"http://127.0.0.1:{service.port}/"
            for _ in range(3):
                verdicts.monitor.probe("a.service", "i1", url=url, timeout=25.0)
            await late.asked.wait()
            late.may.set()
            await verdicts.queue.get()
            await asyncio.sleep(0.05)
            return len(service.requests), verdicts.queue.qsize()

    assert run(scenario) == (1, 0)


def test_a_new_instance_takes_the_place_of_the_old_ones_probe():
    async def scenario(verdicts):
        async with serving(hang) as slow, serving(OK) as quick:
            verdicts.monitor.probe(
                "a.service", "i1", url=f"http://127.0.0.1:{slow.port}/", timeout=0.3
            )
            verdict = await verdicts.of(url=f"http://127.0.0.1:{quick.port}/", invocation="i2")
            await asyncio.sleep(0.4)
            return verdict, verdicts.queue.qsize()

    assert run(scenario) == (ProbeSucceeded("a.service", "i2"), 0)


def test_a_cancelled_probe_delivers_nothing():
    async def scenario(verdicts):
        late = Late()
        async with serving(late) as service:
            verdicts.monitor.probe(
                "a.service", "i1", url=f"http://127.0.0.1:{service.port}/", timeout=25.0
            )
            await late.asked.wait()
            verdicts.monitor.cancel("a.service")
            verdicts.monitor.cancel("never.service")
            late.may.set()
            await asyncio.sleep(0.3)
            return verdicts.queue.qsize()

    assert run(scenario) == 0


def test_many_hanging_probes_do_not_hold_up_the_loop():
    async def scenario(verdicts):
        async with serving(hang) as slow, serving(OK) as quick:
            for number in range(200):
                url = f"http://127.0.0.1:{slow.port}/"
                verdicts.monitor.probe(f"slow{number}.service", "i", url=url, timeout=20)
            begun = time.monotonic()
            verdict = await verdicts.of(url=f"http://127.0.0.1:{quick.port}/")
            return verdict, time.monotonic() - begun

    verdict, seconds = run(scenario)
    assert verdict == ProbeSucceeded("a.service", "i1")
    assert seconds < 15


def test_a_fault_of_ours_is_a_failed_probe_and_not_silence(monkeypatch, caplog):
    async def broken(reader):
        raise ZeroDivisionError

    monkeypatch.setattr(http_client, "_read_header", broken)
    verdict = verdict_of(OK)
    assert isinstance(verdict, ProbeFailed)
    assert "unforeseen" in caplog.text


def test_names_that_nobody_resolves_keep_nothing_else_from_happening(monkeypatch):
    answered = threading.Event()

    def resolve(host, *_, **__):
        answered.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server")

    async def scenario():
        loop = asyncio.get_running_loop()
        told: asyncio.Queue = asyncio.Queue()
        monitor = HealthMonitor(told.put_nowait)
        try:
            for n in range(50):
                monitor.probe(f"slow{n}.service", "1", tcp=f"host{n}.invalid:80", timeout=50)
            async with asyncio.timeout(20), serving(OK) as service:
                assert await loop.run_in_executor(None, lambda: 7) == 7
                for host in ("127.0.0.1", "localhost"):
                    monitor.probe("a.service", host, tcp=f"{host}:{service.port}", timeout=15)
                    assert await told.get() == ProbeSucceeded("a.service", host)
        finally:
            answered.set()
            await monitor.close()

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    asyncio.run(scenario())
