"""Update=overlap: two instances of one service, in whatever happens meanwhile."""

from __future__ import annotations

import pytest

from gitproc.core import status
from gitproc.core.actions import SetLimits, Spawn
from gitproc.core.events import Verb
from gitproc.core.states import SubState
from gitproc.core.why import why
from tests.core.fake_kernel import KILL, Machine, Proc, Program, service

OVERLAP = "Update=overlap"
HEALTH = "HealthCheckURL=http://127.0.0.1/\nHealthCheckInterval=2"
SEATS = ("a.service", "a~.service")
PROGRAMS = {
    "notify": Program(ready=1.0, takes=2.0, on_signal=0),
    "late": Program(lasts=3.0, status=1),
}
SOCKET = "[Socket]\nListenStream=/run/s\n[Install]\nWantedBy=sockets.target\n"


def text(number: int, *lines: str, own: str = "", command: str = "/bin/notify") -> str:
    start = (f"ExecStart={command} {number}", "Type=notify")
    return service(*start, *lines, own=f"{OVERLAP}\n{own}")


def machine_of(*lines: str, own: str = "", **units: str) -> Machine:
    machine = Machine({"a.service": text(1, *lines, own=own), "a.socket": SOCKET}, PROGRAMS)
    machine.run(20)
    assert machine.sub("a.service") == "running"
    return machine


def update(
    machine: Machine, number: int, *lines: str, own: str = "", command: str = "/bin/notify"
) -> str:
    unit = text(number, *lines, own=own, command=command)
    return machine.commit({"a.service": unit, "a.socket": SOCKET})


def living(machine: Machine) -> list[str]:
    """The commands that run, the one that serves first."""
    serving = machine.state("a.service").main
    found: list[Proc] = [p for seat in SEATS for p in machine.alive(seat)]
    found.sort(key=lambda p: (serving is None or p.pid != serving.pid, p.pid))
    return [p.command for p in found]


def kinds(machine: Machine) -> list[str]:
    wanted = ("update", "swap", "drain")
    said = [line.split()[0] for line in machine.told("unit.", "a.service")]
    return [x.removeprefix("unit.") for x in said if any(word in x for word in wanted)]


def test_the_new_instance_is_ready_before_the_old_one_is_told_to_end():
    machine = machine_of("ExecStop=/bin/true old")
    sha = update(machine, 2)
    machine.run(0.9)
    assert living(machine) == ["notify 1", "notify 2"]
    assert status.unit_status(machine.world, "a.service", 0)["second"]["role"] == "updating"
    assert "takes over from it" in str(why(machine.world, "a.service", 0)["reasons"])
    machine.run(0.5)
    assert living(machine) == ["notify 2", "notify 1"]
    assert status.unit_status(machine.world, "a.service", 0)["second"]["role"] == "draining"
    assert "instance that drains" in str(why(machine.world, "a.service", 0)["reasons"])
    assert machine.verdict(sha) is None
    machine.run(10)
    assert living(machine) == ["notify 2"]
    assert machine.spawns()[-2:] == ["notify 2", "true old"]  # stopped by its own definition
    assert kinds(machine) == ["update-started", "update-ready", "swapped", "draining", "drained"]
    assert machine.verdict(sha) == "good"
    assert "a~.service" not in machine.world.units
    assert machine.state("a.service").restarts == 0
    assert status.unit_status(machine.world, "a.service", 0)["second"] is None
    assert status.listed(machine.world) == ["a.service", "a.socket"]


def test_seats_alternate_and_both_are_given_the_sockets():
    machine = machine_of()
    for number in range(2, 6):
        update(machine, number)
        machine.run(10)
    spawns = [x for x in machine.orders(Spawn) if x.command.argv]
    assert [x.process.unit for x in spawns] == ["a.service", "a~.service", *SEATS, "a.service"]
    assert all(x.sockets == ("a.socket",) for x in spawns)
    assert living(machine) == ["notify 5"]


def test_the_commit_that_introduces_it_still_restarts_and_limits_stay_live():
    machine = Machine({"a.service": service("ExecStart=/bin/notify 1", "Type=notify")}, PROGRAMS)
    machine.run(10)
    update(machine, 2)
    machine.run(10)
    assert not kinds(machine)
    update(machine, 2, "MemoryMax=1G")
    machine.run(10)
    assert not kinds(machine)
    assert len(machine.orders(SetLimits)) == 1
    update(machine, 2, "MemoryMax=1G", own="HealthCheckInterval=3")
    machine.run(10)
    assert not kinds(machine)
    assert len(machine.spawns("a.service")) == 2


@pytest.mark.parametrize(
    ("command", "lines", "words"),
    [
        ("/bin/mute", ("TimeoutStartSec=5",), "start timed out"),
        ("/bin/crash", ("Restart=always",), "exited with status 3"),
        ("/bin/true", (), "READY=1"),
        ("/bin/missing", (), "EXEC"),
        ("/bin/refused", (), "no"),
    ],
)
def test_a_new_instance_that_fails_leaves_the_old_one_serving_and_fails_the_commit(
    command, lines, words
):
    machine = machine_of()
    pid = machine.main("a.service").pid
    sha = update(machine, 2, *lines, command=command)
    machine.run(60)
    assert machine.verdict(sha) == "failed"
    assert machine.main("a.service").pid == pid
    assert living(machine) == ["notify 1"]
    assert machine.state("a.service").sub is SubState.RUNNING
    assert kinds(machine) == ["update-started", "update-failed"]  # at the first failure
    assert words in machine.told("unit.update-failed")[0]
    second = status.unit_status(machine.world, "a.service", 0)["second"]
    assert second["role"] == "failed" and words in second["message"]
    assert words in str(why(machine.world, "a.service", 0)["reasons"])
    machine.crash()
    machine.restart()
    machine.run(60)
    assert len(kinds(machine)) == 2  # it is not tried again by itself
    good = update(machine, 3)
    machine.run(20)
    assert living(machine) == ["notify 3"]
    assert machine.verdict(good) == "good"


def test_one_that_fails_its_health_check_does_not_take_over():
    machine = machine_of(own=HEALTH)
    machine.healthy["a~.service"] = False
    sha = update(machine, 2, own=HEALTH)
    machine.run(60)
    assert machine.verdict(sha) == "failed"
    assert living(machine) == ["notify 1"]
    assert "unhealthy" in machine.told("unit.update-failed")[0]
    machine.healthy["a~.service"] = True
    sha = update(machine, 3, own=HEALTH)
    machine.run(60)
    assert machine.verdict(sha) == "good"
    assert living(machine) == ["notify 3"]


def test_it_takes_over_only_once_it_has_passed_its_health_check():
    machine = machine_of(own=HEALTH)
    update(machine, 2, own=HEALTH)
    machine.run(1.5)
    assert kinds(machine) == ["update-started", "update-ready"]
    machine.run(1)
    assert kinds(machine)[-2:] == ["swapped", "draining"]


def test_one_that_crashes_after_it_took_over_is_restarted_when_the_old_one_has_drained():
    machine = machine_of("TimeoutStopSec=9")
    machine.programs["notify"] = Program(ready=1.0, takes=8.0, on_signal=0)
    machine = machine_of()
    update(machine, 2, "Restart=always")
    machine.run(1.2)
    assert kinds(machine)[-1] == "draining"
    machine.exit(machine.main("a.service"), 1)
    for _ in range(100):
        machine.run(0.1)
        assert len(living(machine)) <= 1
    assert living(machine) == ["notify 2"]


def test_it_takes_over_at_once_from_one_that_ends_meanwhile():
    machine = machine_of("Restart=always")
    update(machine, 2)
    machine.run(0.5)
    machine.kill(machine.main("a.service"), KILL)
    machine.run(0.1)
    assert living(machine) == ["notify 2"]
    assert machine.state("a.service").starting
    machine.run(10)
    assert living(machine) == ["notify 2"]
    assert list(machine.world.units["a.service"].definition.settings)
    assert len(machine.spawns("a.service") + machine.spawns("a~.service")) == 2


@pytest.mark.parametrize("after", [0.5, 1.5])
@pytest.mark.parametrize("what", ["stop", "kill", "shutdown"])
def test_an_operator_and_a_shutdown_end_both(what, after):
    machine = machine_of()
    update(machine, 2)
    machine.run(after)
    assert len(living(machine)) == 2
    if what == "stop":
        request = machine.ask(Verb.STOP, "a.service")
        machine.run(10)
        assert machine.answer(request, "a.service") == "done"
    elif what == "kill":
        request = machine.ask(Verb.KILL, "a.service", signal=KILL)
        machine.run(0.05)
        assert machine.answer(request, "a.service") == "done"
        assert not living(machine)
        return
    else:
        machine.shutdown()
        machine.run(10)
        assert machine.exited
    assert not living(machine)
    assert not machine.alive()


def test_a_stop_is_answered_when_both_are_gone():
    machine = machine_of()
    machine.programs["quick"] = Program(ready=0.1)
    machine.programs["notify"] = Program(ready=1.0, takes=5.0, on_signal=0)
    update(machine, 2)
    machine.run(0.5)
    request = machine.ask(Verb.STOP, "a.service")
    machine.run(3)
    assert living(machine) and not machine.answer(request, "a.service")
    machine.run(5)
    assert machine.answer(request, "a.service") == "done"


@pytest.mark.parametrize("after", [0.5, 1.5])
def test_a_restart_is_a_restart(after):
    machine = machine_of()
    update(machine, 2)
    machine.run(after)
    request = machine.ask(Verb.RESTART, "a.service")
    machine.run(20)
    assert machine.answer(request, "a.service") == "done"
    assert living(machine) == ["notify 2"]


@pytest.mark.parametrize("after", [0.05, 0.5, 1.5, 4.0])
def test_a_newer_commit_wins_and_there_are_never_three(after):
    machine = machine_of()
    shas = []
    for number in (2, 3, 4):
        shas.append(update(machine, number))
        for _ in range(int(after * 20)):
            machine.run(0.05)
            assert 1 <= len(living(machine)) <= 2
    for _ in range(400):
        machine.run(0.05)
        assert 1 <= len(living(machine)) <= 2
    assert living(machine) == ["notify 4"]
    assert machine.verdict(shas[-1]) == "good"
    assert "a~.service" not in machine.world.units


@pytest.mark.parametrize("after", [0.5, 1.5, 10])
def test_a_rollback_withdraws_the_new_one_or_overlaps_back(after):
    machine = machine_of()
    pid = machine.main("a.service").pid
    update(machine, 2)
    machine.run(after)
    update(machine, 1)
    for _ in range(400):
        machine.run(0.05)
        assert 1 <= len(living(machine)) <= 2
    assert living(machine) == ["notify 1"]
    assert (machine.main("a.service").pid == pid) is (after == 0.5)


def test_a_failed_commit_that_is_held_leaves_the_old_instance_alone():
    machine = machine_of()
    machine.settings.on_failure = "hold"
    pid = machine.main("a.service").pid
    sha = update(machine, 2, command="/bin/crash")
    machine.run(30)
    assert machine.verdict(sha) == "failed"
    assert machine.main("a.service").pid == pid
    assert living(machine) == ["notify 1"]
    assert "a~.service" not in machine.world.units


@pytest.mark.parametrize("how", ["crash", "orders"])
@pytest.mark.parametrize("tick", range(0, 90, 3))
def test_the_update_goes_on_over_a_crash_of_the_manager_at_any_moment(how, tick):
    machine = machine_of("ExecStartPre=/bin/true", "ExecStop=/bin/true", own=HEALTH)
    update(machine, 2, "ExecStartPre=/bin/true", "ExecStop=/bin/true", own=HEALTH)
    for at in range(300):
        if at == tick and how == "crash":
            machine.crash()
            machine.run(0.3)
            machine.restart()
        elif how == "orders" and at == 0:
            machine.orders_left = tick // 3
        machine.run(0.05)
        mains = [x for x in living(machine) if x.startswith("notify")]
        assert 1 <= len(mains) <= 2
    assert living(machine) == ["notify 2"]
    assert "a~.service" not in machine.world.units
    assert len([p for p in machine.procs.values() if p.command.startswith("notify")]) == 2


@pytest.mark.parametrize("after", [0.5, 1.5, 10])
def test_another_shim_keeps_both(after):
    machine = machine_of()
    update(machine, 2)
    machine.run(after)
    before = living(machine)
    machine.new_shim()
    machine.run(0.05)
    assert living(machine) == before
    machine.run(20)
    assert living(machine) == ["notify 2"]


def test_an_update_waits_for_what_its_definition_requires_and_fails_with_it():
    machine = machine_of()
    sha = machine.commit({
        "a.service": text(2).replace("[Unit]", "[Unit]\nRequires=b.service\nAfter=b.service"),
        "a.socket": SOCKET,
        "b.service": service("ExecStart=/bin/crash"),
    })  # fmt: skip
    machine.run(20)
    assert machine.verdict(sha) == "failed"


FOLLOWERS = {
    "b.service": service(unit="PartOf=a.service\nAfter=a.service"),
    "c.service": service(unit="Requires=a.service\nAfter=a.service"),
    "d.service": service(unit="BindsTo=a.service\nAfter=a.service"),
    "e.service": service(unit="PropagatesStopTo=f.service\nStopPropagatedFrom=a.service"),
    "f.service": service(unit="Requisite=a.service\nAfter=a.service"),
}


@pytest.mark.parametrize("command", ["/bin/notify", "/bin/crash"])
def test_who_follows_a_restart_is_left_alone(command):
    machine = Machine({"a.service": text(1), **FOLLOWERS}, PROGRAMS)
    machine.run(10)
    pids = {name: machine.main(name).pid for name in FOLLOWERS}
    sha = machine.commit({"a.service": text(2, command=command), **FOLLOWERS})
    assert len(machine.told("commit.plan", "b.service")) == 1  # when it was new
    assert machine.told("commit.plan", "a.service")[-1].startswith("commit.plan a.service: update")
    machine.run(20)
    assert {name: machine.main(name).pid for name in FOLLOWERS} == pids
    assert machine.verdict(sha) == ("good" if command == "/bin/notify" else "failed")
    machine.ask(Verb.RESTART, "a.service")
    machine.run(20)
    followed = {x for x in FOLLOWERS if not machine.procs[pids[x]].alive}
    assert followed >= {"b.service", "c.service", "d.service"}


def test_who_is_to_follow_an_update_says_so():
    own = "RestartTriggers=a.service"
    follower = service(unit="PartOf=a.service\nAfter=a.service", own=own)
    machine = Machine({"a.service": text(1), "b.service": follower}, PROGRAMS)
    machine.run(10)
    pid, follows = machine.main("a.service").pid, machine.main("b.service").pid
    machine.commit({"a.service": text(2), "b.service": follower})
    machine.run(0.5)
    assert machine.procs[pid].alive
    machine.run(20)
    assert living(machine) == ["notify 2"]
    assert machine.main("b.service").pid != follows


def test_who_has_taken_over_is_probed_on_and_restarted_when_it_is_unhealthy():
    machine = machine_of(own=HEALTH)
    update(machine, 2, own=HEALTH)
    machine.run(10)
    assert living(machine) == ["notify 2"]
    machine.healthy["a~.service"] = False
    machine.run(20)
    assert machine.told("unit.restarting")


def test_a_commit_is_about_units_and_not_about_instances():
    machine = machine_of()
    update(machine, 2)
    machine.run(1.2)
    assert len(living(machine)) == 2
    machine.commit({"a.service": text(3), "a.socket": SOCKET, "b.service": service()})
    assert machine.world.deploy is not None
    assert set(machine.world.deploy.touched) == {"a.service", "b.service"}
