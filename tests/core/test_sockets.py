"""Sockets: when they are watched, what a connection starts, and what ends that."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Spawn
from gitproc.core.events import ShutdownAsked, Verb
from gitproc.core.listening import Listening
from gitproc.core.records import unit_record
from gitproc.core.socket_orders import ConfigureSocket, WatchSocket
from gitproc.core.states import Result
from tests.core.fake_kernel import Machine, Program, service

WANTED = "[Install]\nWantedBy=sockets.target\n"


def unit(*lines: str, listen: str = "ListenStream=/run/s") -> str:
    return "\n".join(("[Socket]", listen, *lines, WANTED))


SERVER = service(install=False)
FILES = {"a.socket": unit(), "a.service": SERVER}


def machine_of(*lines: str, a: str = SERVER, **units: str) -> Machine:
    more = {f"{name}.service": text for name, text in units.items()}
    machine = Machine({"a.socket": unit(*lines), "a.service": a, **more})
    machine.run(1)
    return machine


def connect(
    machine: Machine, name: str = "a.socket", seconds: float = 0.5, peer: str = "p"
) -> None:
    machine.sockets.connect(name, peer)
    machine.run(seconds)


def serve(machine: Machine, name: str = "a.socket") -> None:
    """The service takes all that waits."""
    machine.sockets.waiting.pop(name, None)


def test_a_connection_starts_the_service_which_is_given_the_socket():
    machine = machine_of()
    assert machine.sub("a.socket") == "listening"
    assert not machine.spawns("a.service")
    connect(machine)
    assert machine.sub("a.service") == "running"
    assert machine.sub("a.socket") == "running"
    [spawn] = machine.orders(Spawn, "a.service")
    assert spawn.sockets == ("a.socket",)
    assert spawn.variables == ("TRIGGER_UNIT=a.socket",)
    assert "a.socket" not in machine.sockets.watched


def test_it_is_watched_again_when_the_service_is_down_and_not_before():
    machine = machine_of()
    connect(machine)
    serve(machine)
    machine.exit(machine.main("a.service"))
    machine.run(1)
    assert machine.sub("a.socket") == "listening"
    assert "a.socket" in machine.sockets.watched
    connect(machine)
    assert len(machine.spawns("a.service")) == 2
    assert machine.sockets.opened["a.socket"] == 1


@pytest.mark.parametrize("first", ["a.socket", "a.service"])
def test_whoever_starts_the_service_it_gets_the_socket_which_is_open_first(first):
    machine = Machine({"a.socket": unit(), "a.service": service()})
    machine.run(1)
    [spawn] = machine.orders(Spawn, "a.service")
    assert spawn.sockets == ("a.socket",)
    assert machine.sub("a.socket") == "running"


def test_a_service_without_sockets_and_its_side_commands_get_none():
    lines = ("ExecStartPre=/bin/true", "ExecStartPost=/bin/true")
    machine = machine_of(a=service(*lines, install=False), b=service())
    connect(machine)
    assert [x.sockets for x in machine.orders(Spawn, "a.service")] == [None, ("a.socket",), None]
    assert [x.sockets for x in machine.orders(Spawn, "b.service")] == [()]


def test_an_address_that_is_taken_fails_the_socket_and_the_commit():
    machine = Machine({})
    machine.run(1)
    machine.sockets.taken.add("a.socket")
    sha = machine.commit(FILES)
    machine.run(2)
    assert machine.state("a.socket").result is Result.RESOURCES
    assert machine.sub("a.socket") == "failed"
    assert machine.verdict(sha) == "failed"


def test_a_hold_leaves_the_connection_waiting_until_it_is_started():
    machine = machine_of()
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    connect(machine)
    assert not machine.spawns("a.service")
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    assert machine.sub("a.service") == "running"


def test_a_change_of_the_service_leaves_the_socket_and_one_of_the_socket_rebinds():
    machine = machine_of()
    connect(machine)
    machine.commit({**FILES, "a.service": service("ExecStart=/bin/run b", install=False)})
    machine.run(2)
    assert machine.spawns("a.service") == ["run", "run b"]
    assert machine.sockets.opened["a.socket"] == 1
    machine.commit({**FILES, "a.socket": unit("Backlog=3", "ExecStopPost=/bin/true")})
    machine.run(2)
    assert machine.sockets.opened["a.socket"] == 1
    assert len(machine.orders(ConfigureSocket)) == 1
    sha = machine.commit({**FILES, "a.socket": unit(listen="ListenStream=/run/other")})
    machine.run(10)
    assert machine.sockets.opened["a.socket"] == 2
    assert len(machine.spawns("a.service")) == 4  # it needs the new one
    assert machine.verdict(sha) == "good"


def test_a_service_that_does_not_accept_is_left_alone_for_a_while_and_then_tried_again():
    machine = machine_of("PollLimitBurst=3", "PollLimitIntervalSec=5", a=JOB_)
    connect(machine, seconds=4)
    assert len(machine.spawns("a.service")) == 3
    machine.run(2)
    assert len(machine.spawns("a.service")) > 3


JOB_ = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n"


def test_too_many_activations_fail_the_socket_which_is_closed():
    machine = machine_of("TriggerLimitBurst=4", a=JOB_)
    connect(machine, seconds=2)
    assert machine.state("a.socket").result is Result.TRIGGER_LIMIT_HIT
    assert machine.sub("a.socket") == "failed"
    assert len(machine.spawns("a.service")) == 4
    assert "a.socket" not in machine.sockets.held


def test_a_service_at_its_start_limit_fails_the_socket():
    machine = machine_of(a=service("ExecStart=/bin/crash", install=False))
    connect(machine, seconds=9)
    assert machine.state("a.service").result is Result.START_LIMIT_HIT
    assert machine.state("a.socket").result is Result.SERVICE_START_LIMIT_HIT
    assert len(machine.spawns("a.service")) == 5


@pytest.mark.parametrize("running", [False, True])
def test_a_crash_of_the_manager_changes_nothing(running):
    machine = machine_of()
    if running:
        connect(machine)
        serve(machine)
    machine.crash()
    machine.restart()
    machine.run(1)
    assert machine.sockets.opened["a.socket"] == 1
    assert len(machine.spawns("a.service")) == int(running)
    assert ("a.socket" in machine.sockets.watched) is not running
    if running:
        machine.exit(machine.main("a.service"))
        machine.run(1)
    connect(machine)
    assert len(machine.spawns("a.service")) == 1 + running


def test_a_socket_that_nobody_holds_any_more_is_opened_again():
    machine = machine_of()
    machine.crash()
    machine.sockets.close("a.socket")
    machine.restart()
    machine.run(1)
    assert machine.sockets.opened["a.socket"] == 2
    assert machine.sub("a.socket") == "listening"
    assert machine.told("unit.socket-lost")


def test_stopping_the_socket_leaves_the_service_and_all_stop_in_order():
    machine = machine_of()
    connect(machine)
    machine.ask(Verb.STOP, "a.socket")
    machine.run(1)
    assert machine.sub("a.socket") == "dead" and "a.socket" not in machine.sockets.held
    assert machine.sub("a.service") == "running"
    machine.ask(Verb.START, "a.socket")
    machine.run(1)
    machine.post(ShutdownAsked("all"))
    machine.run(5)
    assert machine.exited


# -- Accept=yes --------------------------------------------------------------------------------------


def accepting(*lines: str, **options: str) -> Machine:
    machine = Machine({"a.socket": unit("Accept=yes", *lines), "a@.service": SERVER, **options})
    machine.run(1)
    return machine


def memory(machine: Machine) -> Listening:
    found = machine.state("a.socket").listening
    assert found is not None
    return found


def instances(machine: Machine) -> list[str]:
    return sorted(name for name in machine.world.units if "@" in name)


def test_each_connection_has_an_instance_that_is_forgotten_with_it():
    machine = accepting()
    connect(machine, peer="1.1.1.1")
    connect(machine, peer="::2")
    names = ["a@0-10:1-1.1.1.1:2.service", "a@1-10:1-::2:2.service"]
    assert instances(machine) == names
    assert machine.sockets.assigned == {names[0]: 1, names[1]: 2}
    [spawn] = machine.orders(Spawn, names[0])
    assert spawn.sockets == (names[0],)
    assert spawn.variables == ("TRIGGER_UNIT=a.socket", "REMOTE_ADDR=1.1.1.1")
    for name, status in zip(names, (0, 1), strict=True):
        machine.exit(machine.main(name), status)
    machine.run(1)
    assert instances(machine) == []
    assert not [key for key in machine.disk if "@" in key]
    assert not machine.world.graph.declared.get(names[0])
    assert memory(machine).connections == {}
    connect(machine)
    assert instances(machine) == ["a@2-10:1-p:2.service"]


def test_more_connections_than_allowed_are_closed():
    machine = accepting("MaxConnections=2", "MaxConnectionsPerSource=1")
    for peer in ("a", "a", "b", "c"):
        connect(machine, peer=peer)
    assert len(instances(machine)) == 2
    assert machine.sockets.refused == [2, 4]
    assert memory(machine).refused == 2


def test_an_instance_is_restarted_by_nothing_and_changed_by_no_commit():
    machine = accepting(**{"a@.service": service("Restart=always", install=False)})
    connect(machine)
    [name] = instances(machine)
    main = machine.main(name)
    sha = machine.commit({
        "a.socket": unit("Accept=yes"),
        "a@.service": service("ExecStart=/bin/run other", install=False),
    })  # fmt: skip
    machine.run(10)
    assert machine.verdict(sha) == "good"
    assert machine.main(name) == main
    machine.exit(main, 1)
    machine.run(5)
    assert instances(machine) == []


def test_after_a_crash_instances_go_on_and_count():
    machine = accepting("MaxConnections=2")
    connect(machine, peer="x")
    machine.crash()
    machine.restart()
    machine.run(1)
    [name] = instances(machine)
    assert memory(machine).connections == {name: "x"}
    connect(machine)
    connect(machine)
    assert len(instances(machine)) == 2 and len(machine.sockets.refused) == 1
    for other in instances(machine):
        machine.exit(machine.main(other))
    machine.run(1)
    assert instances(machine) == []


def test_without_its_template_the_commit_is_refused():
    machine = Machine({"a.socket": unit("Accept=yes")})
    assert machine.world.refused is not None
    [problem] = machine.world.refused.diagnostics
    assert "a.socket starts a@.service, which is not in this commit" in str(problem)


def test_what_is_watched_is_no_news_on_disk():
    machine = machine_of()
    assert "listening" not in unit_record(machine.state("a.socket"))
    watches = machine.orders(WatchSocket)
    machine.run(100)
    assert machine.orders(WatchSocket) == watches


# -- what befalls a socket while its service, or its connections, live on ---------------------------------


def test_a_manager_finds_connections_whose_socket_a_commit_has_taken_away():
    machine = Machine({"a.socket": unit("Accept=yes"), "a@.service": SERVER})
    machine.run(1)
    connect(machine)
    machine.commit({"a@.service": SERVER})
    machine.run(1)
    assert "a.socket" not in machine.world.units
    [instance] = machine.subs()
    machine.crash()
    machine.restart()
    machine.run(1)
    assert machine.subs() == {instance: "running"}
    assert "a.socket" not in machine.world.units


@pytest.mark.parametrize("asked", ["a.socket", "a@0-10:1-p:2.service"])
def test_an_instance_that_is_to_be_replaced_ends_with_its_connection(asked):
    part = service(install=False, unit="PartOf=a.socket")
    machine = Machine({"a.socket": unit("Accept=yes"), "a@.service": part})
    machine.run(1)
    connect(machine)
    number = machine.ask(Verb.RESTART, asked)
    machine.run(1)
    assert machine.subs() == {}
    assert machine.spawns() == ["run"]
    assert machine.answer(number, asked) == ("done" if asked == "a.socket" else "canceled")


@pytest.mark.parametrize("fate", ["comes up", "fails", "is wanted no more"])
def test_nobody_watches_for_a_service_that_starts_as_soon_as_it_can(fate):
    files = {
        "a.socket": unit(),
        "a.service": service(unit="Requires=b.service\nAfter=b.service"),
        "b.service": service("Type=notify", "ExecStart=/bin/late", "TimeoutStartSec=90"),
    }
    program = Program(ready=60.0) if fate == "comes up" else Program(lasts=60.0, status=1)
    machine = Machine(files, {"late": program})
    machine.run(1)
    machine.sockets.connect("a.socket")
    machine.run(1)
    before = machine.steps
    machine.run(50)
    assert machine.steps == before  # a connection that waits costs nothing
    if fate == "is wanted no more":
        machine.commit({**files, "a.service": files["a.service"].partition("[Install]")[0]})
        machine.run(1)
        assert "a.socket" in machine.sockets.watched or machine.state("a.service").activation
        return
    machine.run(20)
    assert machine.sub("a.service") == ("running" if fate == "comes up" else "dead")
    before = machine.steps
    machine.run(50)
    assert machine.steps - before < 5


@pytest.mark.parametrize("orders", [1, 2, 3])
def test_a_start_goes_on_wherever_the_manager_was_killed_in_it(orders):
    machine = machine_of()
    machine.orders_left = orders  # of closing, releasing and opening
    machine.ask(Verb.RESTART, "a.socket")
    machine.run(1)
    assert machine.crashes == 1
    assert machine.sub("a.socket") == "listening"
    machine.orders_left = None
    connect(machine)
    assert machine.sub("a.service") == "running"


def test_a_socket_that_was_opened_unheard_is_not_opened_twice():
    machine = Machine(FILES)
    machine.run(0.005)
    assert machine.sub("a.socket") == "start"
    machine.sockets.held.add("a.socket")  # the manager's last deed
    machine.crash()
    machine.restart()
    machine.run(1)
    assert machine.sub("a.socket") == "listening"
    assert machine.sockets.opened["a.socket"] == 0


@pytest.mark.parametrize("text", [SERVER, service("ExecStart=/bin/slow", install=False)])
def test_nobody_is_woken_by_a_socket_that_waits_for_its_service_to_end(text):
    """Both are taken away by one commit, while somebody waits in the backlog."""
    machine = machine_of(a=text)
    connect(machine)
    machine.sockets.connect("a.socket")
    machine.run(1)
    before = machine.steps
    machine.commit({"z.service": SERVER})
    machine.run(10)
    assert machine.steps - before < 20
    assert "a.socket" not in machine.sockets.held


def test_it_is_watched_again_when_what_its_service_needs_is_held_no_more():
    needy = service(unit="Requires=b.service\nAfter=b.service", install=False)
    machine = machine_of(a=needy, b=service())
    machine.ask(Verb.STOP, "b.service")
    machine.run(1)
    assert "a.socket" not in machine.sockets.watched
    machine.ask(Verb.START, "b.service")
    machine.run(1)
    connect(machine)
    assert machine.sub("a.service") == "running"


def test_a_socket_that_waits_for_others_to_stop_starts_nothing_any_more():
    machine = machine_of(
        b=service("ExecStart=/bin/slow", unit="Requires=a.socket\nAfter=a.socket"),
    )
    machine.run(5)
    machine.ask(Verb.STOP, "a.socket")
    machine.run(1)
    assert (machine.sub("b.service"), machine.sub("a.socket")) == ("stop-sigterm", "listening")
    assert "a.socket" not in machine.sockets.watched
    connect(machine)
    assert not machine.spawns("a.service")
    machine.run(5)
    assert machine.sub("a.socket") == "dead"
