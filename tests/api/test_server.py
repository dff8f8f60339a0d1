"""The server over real sockets: the three forms, and everything a client may do wrong."""

import asyncio
import gc
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from gitproc.api.caller import Access
from gitproc.api.client import Client
from gitproc.api.connection import Limits
from gitproc.api.server import Server
from gitproc.errors import DaemonError, GitProcError, HostError, NoSuchUnit, UsageError
from tests.api.example_manager import ExampleManager, Running


@pytest.fixture
def running(tmp_path):
    with Running(tmp_path / "s") as server:
        yield server


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio's own
@pytest.mark.parametrize("turns", range(6))
def test_an_end_amid_a_connection_is_no_error(tmp_path, caplog, turns):
    async def serve():
        server = Server(tmp_path / "s", ExampleManager())
        await server.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            client.connect(str(tmp_path / "s"))
            client.send(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.close()

    asyncio.run(serve())
    gc.collect()
    assert caplog.text == ""


class Raw:
    """A client that sends what it likes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n")

    def line(self):
        while b"\n" not in self.buffer:
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                return None
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def ask(self, data):
        self.send(data)
        return self.line()

    def everything(self):
        while chunk := self.socket.recv(1 << 20):
            self.buffer += chunk
        return self.buffer


def call(method, /, id=1, **params):
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def eventually(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.01)


# ------------------------------------------------------------------ JSON-RPC


def test_a_call_is_answered_with_its_id_and_version(running):
    with Raw(running.path) as raw:
        answer = raw.ask(call("list", id="seven", units=["web"]))
    assert answer["id"] == "seven"
    assert answer["result"]["version"] == 1
    assert [unit["name"] for unit in answer["result"]["units"]] == ["web.service"]


def test_parameters_reach_the_handler_converted(running):
    with Raw(running.path) as raw:
        raw.ask(call("kill", units=["web", "web.service"], signal="hup", whom="main"))
        raw.ask(call("logs", unit="web", since="@5", lines=3))
        raw.ask(call("logs", unit="web"))
    assert running.manager.calls[0][1] == {"units": ["web.service"], "signal": 1, "whom": "main"}
    assert running.manager.calls[1][1] == {"unit": "web.service", "since": 5.0, "lines": 3}
    assert running.manager.calls[2][1] == {"unit": "web.service", "lines": 100}
    caller = running.manager.calls[0][2]
    assert (caller.pid, caller.uid) == (os.getpid(), os.getuid())
    assert set(os.getgroups()) | {os.getgid()} == caller.groups
    assert caller.name == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json\n", -32700),
        (b'{"a": NaN}\n', -32700),
        (b"\xff\xfe\n", -32700),
        (b"[" * 100_000 + b"\n", -32700),
        (b'{"a":' * 50_000 + b"\n", -32700),
        (b"1" * 10_000 + b"\n", -32700),
        (b"5\n", -32600),
        (b'"text"\n', -32600),
        (b"null\n", -32600),
        (b"[]\n", -32600),
        (b"{}\n", -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"list"}\n', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"list"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"explode"}\n', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"__class__"}\n', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"list","params":[1]}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"list","params":{"color":1}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"list","params":{"x":1}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"start"}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"start","params":{"units":[]}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"start","params":{"units":[5]}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"logs","params":{"unit":"a","lines":-1}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"logs","params":{"unit":"a","since":"x"}}\n', -32602),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{"units":["a"],"signal":99}}\n',
            -32602,
        ),
    ],
)
def test_a_bad_request_is_refused_and_the_connection_lives(running, line, code):
    with Raw(running.path) as raw:
        assert raw.ask(line)["error"]["code"] == code
        assert "result" in raw.ask(call("list"))
    assert len(running.manager.calls) == 1


def test_a_batch_is_answered_in_one_array_without_notifications(running):
    batch = [call("list", id=1), {"jsonrpc": "2.0", "method": "list"}, 5, call("nope", id=2)]
    with Raw(running.path) as raw:
        answers = raw.ask(batch)
    assert [answer.get("id") for answer in answers] == [1, None, 2]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32600, -32601]


def test_a_notification_is_done_and_not_answered(running):
    with Raw(running.path) as raw:
        raw.send({"jsonrpc": "2.0", "method": "stop", "params": {"units": ["web"]}})
        answer = raw.ask(call("list", id=9))
    assert answer["id"] == 9
    assert {name for name, _, _ in running.manager.calls} == {"stop", "list"}


def test_a_request_without_a_final_newline_is_answered_after_a_half_close(running):
    with Raw(running.path) as raw:
        raw.send(json.dumps(call("list")).encode())
        raw.socket.shutdown(socket.SHUT_WR)
        assert "result" in raw.line()
        assert raw.line() is None


def test_a_fault_of_ours_is_an_internal_error_without_a_traceback(running):
    with Raw(running.path) as raw:
        error = raw.ask(call("try-restart", units=["web"]))["error"]
        assert error["code"] == -32603
        assert "ZeroDivision" not in error["message"]
        assert "result" in raw.ask(call("list"))


def test_an_error_carries_its_data(running):
    with Raw(running.path) as raw:
        error = raw.ask(call("rollback", sha="bad"))["error"]
    assert error["code"] == -32004
    assert error["data"]["diagnostics"][0]["file"] == "a.service"


# ------------------------------------------------------------------ streams, text, plain form


def test_a_stream_is_notifications_and_then_the_result(running):
    with Raw(running.path) as raw:
        raw.send(call("logs", id=4, unit="web", follow=True, lines=3))
        for number in range(3):
            item = raw.line()
            assert item["method"] == "stream"
            assert item["params"]["id"] == 4
            assert item["params"]["item"]["text"] == f"line {number} \udcff"
        assert raw.line() == {"jsonrpc": "2.0", "id": 4, "result": {"version": 1}}


def test_hanging_up_ends_a_stream_and_a_waiting_call(running):
    for request in (call("logs", unit="web", follow=True), call("reload", units=["web"])):
        with Raw(running.path) as raw:
            raw.send(request)
            eventually(
                lambda method=request["method"]: method in {c[0] for c in running.manager.calls}
            )
        assert running.manager.cancelled.wait(30)
        running.manager.cancelled.clear()


def test_a_client_that_goes_while_all_its_places_are_taken_is_noticed(tmp_path):
    with Running(tmp_path / "s", limits=Limits(concurrent=2)) as running:
        with Raw(running.path) as raw:
            raw.send(call("reload", units=["web"]))
            raw.send(call("reload", units=["web"]))
            eventually(lambda: len(running.manager.calls) == 2)
        eventually(lambda: running.manager.gone)
        assert running.manager.cancelled.wait(30)


@pytest.mark.parametrize("plain", [False, True])
def test_a_client_that_stops_sending_is_noticed_when_it_goes(running, plain):
    with Raw(running.path) as raw:
        raw.send(
            {"command": "reload", "service": "web"} if plain else call("reload", units=["web"])
        )
        raw.socket.shutdown(socket.SHUT_WR)
        eventually(lambda: running.manager.calls)
        running.pass_turns()
        assert not running.manager.gone
    eventually(lambda: running.manager.gone)
    assert running.manager.cancelled.wait(30)


def test_a_text_frame_has_status_and_both_texts(running):
    with Raw(running.path) as raw:
        raw.send({**call("start", units=["web", "nope"]), "reply": "text"})
        raw.socket.shutdown(socket.SHUT_WR)
        head, _, rest = raw.everything().partition(b"\n")
    out = b"web.service: Service started (PID: 4242)\n"
    err = b"gitproc: cannot start nope.service: no such unit\n"
    assert head == b"gitproc-text 1 5 %d %d" % (len(out), len(err))
    assert rest == out + err


def test_a_bad_request_for_text_is_answered_in_text(running):
    with Raw(running.path) as raw:
        raw.send({**call("start"), "reply": "text"})
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.everything().startswith(b"gitproc-text 1 2 0 ")


def test_text_in_json(running):
    with Raw(running.path) as raw:
        result = raw.ask(call("is-active", units=["db"], text=True))["result"]
    assert result == {"version": 1, "exit": 3, "out": "failed\n", "err": ""}


def test_the_plain_form_is_answered_in_kind(running):
    with Raw(running.path) as raw:
        answer = raw.ask({"cmd": "start", "service": "web"})
        assert (answer["status"], answer["pid"], answer["error"]) == ("success", 4242, None)
        assert answer["data"]["pid"] == 4242
        answer = raw.ask(
            {"command": "status", "service": "web", "args": {"follow": True, "lines": 5}}
        )
        assert (answer["data"]["state"], answer["data"]["pid"]) == ("running", 4242)
        answer = raw.ask({"command": "logs", "service": "web", "args": {"lines": 3}})
        assert answer["data"]["logs"].startswith("line 199\n")
        answer = raw.ask({"command": "list"})
        assert {"web.service", "db.service"} <= {
            unit["name"] for unit in answer["data"]["services"]
        }
        answer = raw.ask({"command": "start", "service": "db"})
        assert answer["status"] == "error"
        assert "exit-code" in answer["error"]
        answer = raw.ask({"command": "rollback", "args": {"commit": "abc123"}})
        assert answer["status"] == "success"
        assert running.manager.calls[-1][1] == {"sha": "abc123"}
        for bad in (
            {"command": "explode"},
            {"cmd": 5},
            {"cmd": "start", "args": 5},
            {"cmd": "start"},
        ):
            answer = raw.ask(bad)
            assert (answer["status"], bool(answer["error"])) == ("error", True)


# ------------------------------------------------------------------ hostile clients


def test_a_line_without_end_is_refused_and_the_connection_closed(running):
    with Raw(running.path) as raw:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100):
                raw.send(b"x" * (1 << 20))
        assert raw.line()["error"]["code"] == -32600
    with Raw(running.path) as raw:
        assert "result" in raw.ask(call("list"))


def test_a_client_that_never_reads_is_dropped(tmp_path):
    with Running(tmp_path / "s", limits=Limits(write=0.3, buffer=4096)) as running:
        running.manager.units["big"] = {}
        with Raw(running.path) as lazy, Raw(running.path) as other:
            lazy.send(call("ping"))
            lazy.send(call("logs", unit="web", follow=True))
            other.send(call("list"))
            assert "result" in other.line()
            eventually(lambda: _hung_up(lazy.socket))


def _hung_up(sock):
    import select

    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))


def test_a_silent_client_is_dropped_when_idle_and_a_waiting_one_is_not(tmp_path):
    with (
        Running(tmp_path / "s", limits=Limits(idle=0.2)) as running,
        _asking(running, call("reload", units=["web"])) as waiting,
        Raw(running.path) as half,
        Raw(running.path) as silent,
    ):
        with suppress(BrokenPipeError, ConnectionResetError):  # it took us too long
            half.send(b'{"jsonrpc"')
            half.everything()
        assert silent.everything() == b""
        assert not _hung_up(waiting.socket)


def _asking(running, request):
    """Who waits for an answer; whoever takes too long to ask may have been hung up on."""
    while True:
        raw = Raw(running.path)
        with suppress(BrokenPipeError, ConnectionResetError):
            raw.send(request)
            eventually(lambda raw=raw: running.manager.calls or _hung_up(raw.socket))
        if running.manager.calls:
            return raw
        raw.socket.close()


def test_more_requests_than_run_at_once_are_all_answered(tmp_path):
    limits = Limits(concurrent=2, burst=10, rate=1000)
    with Running(tmp_path / "s", limits=limits) as running, Raw(running.path) as raw:
        raw.send(b"".join(json.dumps(call("list", id=n)).encode() + b"\n" for n in range(60)))
        assert sorted(raw.line()["id"] for _ in range(60)) == list(range(60))


def test_too_many_connections_are_refused_in_words(tmp_path):
    with Running(tmp_path / "s", limits=Limits(connections=2)) as running:
        with Raw(running.path) as one, Raw(running.path) as two:
            assert "result" in one.ask(call("list"))
            assert "result" in two.ask(call("list"))
            with Raw(running.path) as three:
                assert "too many" in three.line()["error"]["message"]
        eventually(lambda: _works(running.path))


def _works(path):
    try:
        with Raw(path) as raw:
            return "result" in (raw.ask(call("list")) or {})
    except (BrokenPipeError, ConnectionResetError):  # refused, and hung up on
        return False


# ------------------------------------------------------------------ callers


def _as(uid, groups, path, request):
    """Send a request from a process of another user."""
    program = (
        "import os,socket,sys\n"
        f"os.setgroups({groups!r}); os.setgid({uid}); os.setuid({uid})\n"
        "s=socket.socket(socket.AF_UNIX)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: print('{\"denied\":true}'); sys.exit()\n"
        "s.sendall(sys.argv[2].encode()); print(s.makefile().readline())"
    )
    words = [sys.executable, "-ISc", program, str(path), json.dumps(request) + "\n"]
    return json.loads(subprocess.run(words, capture_output=True, check=True, timeout=50).stdout)


@pytest.mark.root
def test_who_may_do_what():
    import tempfile
    from pathlib import Path

    group, stranger = 4711, 65533
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "s")
        start, look = call("start", units=["web"]), call("list")
        with Running(path, Access(gid=group)) as running:
            found = path.stat()
            assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, group)
            assert "result" in _as(stranger, [group], path, start)
            assert group in running.manager.calls[-1][2].groups
            assert running.manager.calls[-1][2].name == f"uid {stranger}"
            many = [*range(5000, 6000), group]
            assert "result" in _as(stranger, many, path, start)
            assert running.manager.calls[-1][2].groups == {*many, stranger}
            assert _as(stranger, [], path, look) == {"denied": True}
        with Running(path, Access(gid=group, readers=True)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            assert "result" in _as(stranger, [], path, look)
            error = _as(stranger, [], path, start)["error"]
            assert error["code"] == DaemonError.rpc_code
            assert "may not start" in error["message"]
            assert "gitproc" in error["message"]
            answer = _as(stranger, [], path, {"cmd": "stop", "service": "web"})
            assert answer["status"] == "error"


# ------------------------------------------------------------------ the socket itself


def test_a_stale_socket_is_replaced_and_ours_removed(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Running(path):
        assert _works(path)
    assert not path.exists()


def test_a_live_socket_is_respected(running):
    with pytest.raises(DaemonError, match="another manager"), Running(running.path):
        pass
    assert _works(running.path)


def test_a_live_socket_of_something_else_is_respected(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with pytest.raises(DaemonError, match="another manager"), Running(path):
            pass
    assert path.is_socket()


def test_what_is_not_a_socket_is_left_alone(tmp_path):
    (tmp_path / "s").write_text("precious")
    with pytest.raises(DaemonError, match="not a socket"), Running(tmp_path / "s"):
        pass
    assert (tmp_path / "s").read_text() == "precious"


def test_a_directory_that_is_not_there_is_said(tmp_path):
    with pytest.raises(HostError, match="cannot make the socket"), Running(tmp_path / "no" / "s"):
        pass


def test_a_path_longer_than_sun_path_works(tmp_path):
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    with Running(folder / "gitproc.sock") as running, Client(str(running.path)) as client:
        assert client.call("list")["units"]


# ------------------------------------------------------------------ the client


def test_the_client_calls_and_streams_on_one_connection(running):
    with Client(str(running.path)) as client:
        assert client.call("list")["version"] == 1
        items = list(client.stream("events", {"lines": 2}))
        assert [item["text"] for item in items] == ["line 0 \udcff", "line 1 \udcff"]
        assert client.call("ping")["pid"] == os.getpid()


def test_the_client_raises_what_the_manager_raised(running):
    with Client(str(running.path)) as client:
        with pytest.raises(NoSuchUnit) as caught:
            client.call("logs", {"unit": "nope"})
        assert caught.value.data == {"unit": "nope.service"}
        with pytest.raises(UsageError):
            client.call("start")
        with pytest.raises(UsageError, match="unknown method"):
            client.call("explode")
        with pytest.raises(GitProcError, match="inside the manager"):
            client.call("try-restart", {"units": ["web"]})


def test_the_client_says_what_to_do_when_nobody_answers(running, tmp_path):
    with pytest.raises(DaemonError, match=r"systemctl start gitproc.*gitproc daemon"):
        Client(str(tmp_path / "nothing"))
    with (
        Client(str(running.path), timeout=0.2) as client,
        pytest.raises(DaemonError, match="does not answer"),
    ):
        client.call("reload", {"units": ["web"]})


def test_the_client_survives_something_that_is_no_manager(tmp_path):
    import threading

    with socket.socket(socket.AF_UNIX) as fake:
        fake.bind(str(tmp_path / "s"))
        fake.listen()

        def serve():
            for answer in (b"HTTP/1.1 400 Bad Request\r\n", b"[1]\n"):
                peer, _ = fake.accept()
                with peer:
                    peer.recv(1000)
                    peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        for _ in range(2):
            client = Client(str(tmp_path / "s"))
            with client, pytest.raises(DaemonError, match="does not speak"):
                client.call("list")
        thread.join(30)


def test_text_for_a_terminal_obeys_no_control_character(running):
    with Raw(running.path) as raw:
        for method, params in (
            ("status", {"units": ["*"]}),
            ("list", {}),
            ("logs", {"unit": "web"}),
        ):
            out = raw.ask(call(method, text=True, width=80, **params))["result"]["out"]
            assert not set("\x1b\x07\x9b\u202e") & set(out)
            assert "\\x1b" in out


def test_the_manager_is_told_whose_connection_has_ended(running):
    with Raw(running.path) as raw:
        raw.ask(call("list", units=["web"]))
        assert running.manager.gone == []
    eventually(lambda: len(running.manager.gone) == 1)
    assert running.manager.gone[0].pid == os.getpid()
