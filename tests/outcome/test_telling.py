"""Who hears how commits ended: notes, a program, a webhook; each outcome once, over crashes of the manager."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gitproc.store.state_manager import StateManager
from tests.e2e.harness import CONFIG, FAILING, service, until

pytestmark = pytest.mark.root

REF = "refs/notes/gitproc"


class Receiver:
    """A webhook's other end: keeps what it gets, answers as told."""

    def __init__(self) -> None:
        self.got: list[dict] = []
        self.headers: list[dict] = []
        self.answers: list[int] = []  # statuses of the next answers; then 200
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.got.append(body)
                outer.headers.append(dict(self.headers))
                outer.gate.wait(20)
                try:
                    self.send_response(outer.answers.pop(0) if outer.answers else 200)
                    self.end_headers()
                except OSError:
                    pass  # killed meanwhile

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?a=b"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def deliveries(self) -> list[str]:
        return [body["delivery"] for body in self.got]


@pytest.fixture
def receiver():
    it = Receiver()
    yield it
    it.close()


def test_every_outcome_is_posted_once(machines, receiver):
    machine = machines(config=CONFIG + f'[notify]\nwebhook = "{receiver.url}"\n')
    good = machine.deploy({"a.service": service()})
    bad = machine.deploy({"a.service": FAILING}, "failed")
    refused = machine.deploy({"a.service": "[Service]\nExecStrat=/x\n"}, "refused")
    expected = [f"{good}:good", f"{bad}:failed", f"{refused}:refused"]
    until(lambda: len(receiver.got) >= 3, "three outcomes")
    until(lambda: machine.status()["commit"]["untold"] == [], "the manager has noted that")
    machine.kill_manager()
    machine.wait("a")
    machine.stop()
    machine.start()
    machine.wait("a")
    mended = machine.deploy({"a.service": service("/bin/sleep 5000")})
    until(lambda: f"{mended}:good" in receiver.deliveries(), "the fourth")
    assert receiver.deliveries() == [*expected, f"{mended}:good"]
    first, second = receiver.got[:2]
    assert first["commit"]["sha"] == good
    assert first["commit"]["author"] == "Ada <ada@example.org>"
    assert (first["version"], first["branch"], first["units"]) == (
        1, "main", {"a.service": "settled"},
    )  # fmt: skip
    assert "exited with status 1" in second["units"]["a.service"]
    assert second["host"]
    assert receiver.headers[1]["Idempotency-Key"] == f"{bad}:failed"
    assert receiver.headers[1]["Content-Type"] == "application/json"


def test_a_webhook_that_refuses_is_tried_again(machines, receiver):
    machine = machines(config=CONFIG + f'[notify]\nwebhook = "{receiver.url}"\n')
    receiver.answers = [503, 301]
    good = machine.deploy({"a.service": service()})
    until(lambda: len(receiver.got) >= 3, "the third try")
    newer = machine.deploy({"b.service": service()})
    until(lambda: len(receiver.got) >= 4, "the next outcome")
    assert receiver.deliveries() == [f"{good}:good"] * 3 + [f"{newer}:good"]


def test_a_manager_killed_before_the_answer_posts_again_under_the_same_key(machines, receiver):
    machine = machines(config=CONFIG + f'[notify]\nwebhook = "{receiver.url}"\n')
    receiver.gate.clear()
    good = machine.deploy({"a.service": service()})
    until(lambda: receiver.got, "the first try")
    machine.kill_manager()
    receiver.gate.set()
    until(lambda: len(receiver.got) == 2, "the second try")
    newer = machine.deploy({"b.service": service()})
    until(lambda: len(receiver.got) == 3, "the next outcome")
    assert receiver.deliveries() == [f"{good}:good"] * 2 + [f"{newer}:good"]


def test_a_receiver_that_was_away_hears_of_it_from_the_next_manager(machines, receiver):
    port = receiver.server.server_port
    machine = machines(config=CONFIG + '[notify]\nwebhook = "http://127.0.0.1:1/"\n')
    good = machine.deploy({"a.service": service()})
    machine.stop()
    text = machine.config_file.read_text().replace("127.0.0.1:1/", f"127.0.0.1:{port}/")
    machine.config_file.write_text(text)
    machine.start()
    until(lambda: receiver.got, "told late")
    assert receiver.deliveries() == [f"{good}:good"]


@pytest.fixture
def hooked(machines):
    """A machine with a command hook that writes what it gets, and its arguments, to `told`."""
    machine = machines(start=False)
    script = machine.root / "tell"
    machine.config_file.write_text(
        CONFIG + f'[notify]\ncommand = ["{script}", "an argument; $HOME"]\ntimeout = "60s"\n'
    )

    def told():
        file = machine.root / "told"
        return [json.loads(x) for x in file.read_text().splitlines()] if file.exists() else []

    def tells(body: str):
        script.write_text(f"#!/bin/sh\nroot={machine.root}\n{body}\n")
        script.chmod(0o755)

    machine.told, machine.tells = told, tells
    tells('cat >> $root/told; echo "$1" >> $root/arguments')
    return machine.start()


def test_a_program_is_told_on_standard_input(hooked):
    good = hooked.deploy({"a.service": service()})
    bad = hooked.deploy({"a.service": FAILING}, "failed")
    until(lambda: len(hooked.told()) == 2, "both are told")
    assert [x["delivery"] for x in hooked.told()] == [f"{good}:good", f"{bad}:failed"]
    twice = "an argument; $HOME\n" * 2
    until(lambda: (hooked.root / "arguments").read_text() == twice, "with the argument")


def test_a_program_is_not_run_twice_when_the_manager_dies_beside_it(hooked):
    hooked.tells(
        "cat >> $root/told; touch $root/runs; while test ! -e $root/go; do sleep 0.05; done"
    )
    good = hooked.deploy({"a.service": service()})
    until((hooked.root / "runs").exists, "the program runs")
    hooked.kill_manager()
    (hooked.root / "go").touch()
    newer = hooked.deploy({"b.service": service()})
    until(lambda: len(hooked.told()) == 2, "the next outcome")
    assert [x["delivery"] for x in hooked.told()] == [f"{good}:good", f"{newer}:good"]


def test_a_program_that_fails_hangs_or_is_not_there_harms_nobody(hooked):
    hooked.tells("exit 3")
    hooked.deploy({"a.service": service()})
    until(lambda: "ended with status 3" in hooked.said(), "it is said")
    (hooked.root / "tell").unlink()
    late = hooked.deploy({"b.service": service()})
    until(lambda: "cannot run" in hooked.said(), "it is said")
    hooked.tells("cat >> $root/told")
    until(hooked.told, "it is tried again")
    assert [x["delivery"] for x in hooked.told()] == [f"{late}:good"]


def test_notes_say_how_commits_ended(machine):
    good = machine.deploy({"a.service": service()}, "good")
    bad = machine.deploy({"a.service": FAILING}, "failed")

    def note(sha):
        text = machine.git("notes", f"--ref={REF}", "show", sha, check=False)
        return json.loads(text) if text.startswith("{") else None

    until(lambda: note(bad), "the note of the failed one")
    assert note(good)["verdict"] == "good"
    found = note(bad)
    assert found["verdict"] == "failed"
    assert found["host"]
    assert found["seconds"] > 0
    assert "exited with status 1" in found["units"]["a.service"]
    assert "a.service" in found["reason"]
    assert machine.git("log", "--format=%an", "-1", REF) == "gitproc"


def test_history_knows_from_notes_what_the_journal_has_forgotten(machine):
    good = machine.deploy({"a.service": service()})
    bad = machine.deploy({"a.service": FAILING}, "failed")
    until(lambda: machine.git("notes", f"--ref={REF}", "show", bad, check=False), "the note")
    until(lambda: machine.status()["commit"]["applied"]["sha"] == good, "it is held back")
    machine.stop()
    for file in machine.state.iterdir():
        if file.is_file():
            file.unlink()
    machine.repository.commit({"b.service": service(), "a.service": service()})
    machine.start()
    machine.wait("b")
    entries = {x["sha"]: x for x in machine.rpc("history")["entries"]}
    assert entries[bad]["verdict"] == "failed"
    assert "exited with status 1" in entries[bad]["units"]["a.service"]
    assert entries[good]["verdict"] == "good"
    assert entries[good]["units"] == {}
    text = machine.gitproc("history").out
    assert "a.service: main process" in text


def test_nothing_of_an_outcome_is_left_once_it_is_told(machine):
    sha = machine.deploy({"a.service": service()})
    until(lambda: machine.git("notes", f"--ref={REF}", "show", sha, check=False), "the note")
    machine.deploy({"b.service": service()})
    machine.wait("b")
    until(lambda: machine.status()["commit"]["untold"] == [], "the manager has noted that")
    machine.kill_manager()
    machine.stop()
    records = StateManager(machine.state).load()
    assert records[f"verdict/{sha}"] == "good"
    assert [key for key in records if key.startswith("outbox/") and sha in key] == []
