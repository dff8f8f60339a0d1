"""What services say of themselves, and who may say it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitproc.core.actions import Adopt, WatchBusName
from gitproc.core.events import BusNameSeen, Notified, Spawned, Verb
from gitproc.core.properties import properties
from gitproc.core.status import unit_status
from tests.core.fake_kernel import Machine, Proc, Program, service

MUTE = ("Type=notify", "ExecStart=/bin/mute")


def machine_of(*lines: str, run: float = 1.0, **programs: Program) -> Machine:
    machine = Machine({"a.service": service(*lines)}, programs)
    machine.run(run)
    return machine


def child(machine: Machine) -> Proc:
    """Another process of the unit."""
    return machine._new("a.service", machine.state("a.service").invocation, Program())


@pytest.mark.parametrize(
    ("access", "main", "other"),
    [
        ("", True, False),
        ("NotifyAccess=main", True, False),
        ("NotifyAccess=exec", True, False),
        ("NotifyAccess=all", True, True),
    ],
)
def test_who_may_say_that_the_service_is_ready(access, main, other):
    for speaks, heard in ((True, main), (False, other)):
        machine = machine_of(*MUTE, access)
        machine.say(machine.main("a.service") if speaks else child(machine), READY="1")
        machine.run(0.1)
        assert (machine.sub("a.service") == "running") is heard


def test_a_control_process_may_speak_with_access_exec():
    for access, heard in (("main", False), ("exec", True)):
        machine = machine_of(*MUTE, "ExecStartPre=/bin/run", f"NotifyAccess={access}")
        (control,) = machine.alive()
        machine.say(control, STATUS="hello")
        machine.run(0.1)
        assert (machine.state("a.service").status_text == "hello") is heard


def test_readiness_means_nothing_to_another_type_and_in_another_state():
    machine = machine_of("Type=exec", "NotifyAccess=main")
    machine.say(machine.main("a.service"), READY="1")
    machine.run(0.1)
    assert machine.told("unit.started") == ["unit.started a.service: Started a.service"]


def test_readiness_may_overtake_the_news_of_the_birth():
    machine = Machine({"a.service": service(*MUTE)})
    state = machine.state("a.service")
    assert state.main is not None
    machine.post(Notified("a.service", state.invocation, 4711, (("READY", "1"),)))
    machine.post(Spawned(state.main.process, 4711, 1))
    assert machine.sub("a.service") == "running"


def test_another_process_may_become_the_main_one():
    machine = machine_of("Type=notify", "ExecStart=/bin/notify", "NotifyAccess=all", run=3)
    first = machine.main("a.service")
    second = child(machine)
    machine.say(second, MAINPID=str(second.pid))
    machine.run(0.1)
    assert machine.main("a.service") is second
    machine.exit(first, 1)
    machine.run(0.1)
    assert machine.sub("a.service") == "running"
    machine.exit(second, 1)
    machine.run(1)
    assert machine.sub("a.service") == "failed"


def test_the_status_text_is_kept_short_and_goes_with_its_instance():
    machine = machine_of("Type=notify", "ExecStart=/bin/notify", run=3)
    machine.say(machine.main("a.service"), STATUS="x" * 1000)
    machine.run(0.1)
    assert len(machine.state("a.service").status_text) == 256
    machine.ask(Verb.RESTART, "a.service")
    machine.run(3)
    assert machine.state("a.service").status_text == ""


def test_news_of_a_former_instance_means_nothing():
    machine = machine_of(*MUTE)
    main = machine.main("a.service")
    machine.post(Notified("a.service", "0" * 32, main.pid, (("READY", "1"), ("STATUS", "x"))))
    assert machine.sub("a.service") == "start"
    assert machine.state("a.service").status_text == ""


def test_what_is_said_after_the_end_means_nothing():
    machine = machine_of("ExecStart=/bin/false", "NotifyAccess=all")
    invocation = machine.state("a.service").invocation
    machine.post(Notified("a.service", invocation, 1, (("STATUS", "x"),)))
    assert machine.state("a.service").status_text == ""


def test_who_may_speak_can_be_said_by_who_may_speak():
    machine = machine_of(*MUTE)
    other = child(machine)
    machine.say(other, NOTIFYACCESS="all", STATUS="no")
    machine.run(0.1)
    machine.say(other, STATUS="still no")
    machine.run(0.1)
    assert machine.state("a.service").status_text == ""
    machine.say(machine.main("a.service"), NOTIFYACCESS="all")
    machine.run(0.1)
    machine.crash()
    machine.restart()
    machine.say(other, STATUS="yes")
    machine.run(0.1)
    assert machine.state("a.service").status_text == "yes"
    machine.say(other, NOTIFYACCESS="everybody")
    machine.say(other, NOTIFYACCESS="none")
    machine.say(machine.main("a.service"), READY="1")
    machine.run(0.1)
    assert machine.sub("a.service") == "start"


def test_what_is_told_of_a_failure_is_kept_and_nonsense_is_not():
    machine = machine_of("NotifyAccess=main")
    said = {"ERRNO": "2", "BUSERROR": "org.x" + "y" * 999, "EXIT_STATUS": "7"}
    machine.say(machine.main("a.service"), **said)
    machine.say(machine.main("a.service"), ERRNO="-1", EXIT_STATUS="x", WATCHDOG="2", READY="0")
    machine.say(machine.main("a.service"), ERRNO="4096", EXIT_STATUS="256")
    machine.run(0.1)
    dialogue = machine.state("a.service").dialogue
    assert dialogue is not None
    assert (dialogue.errno, dialogue.exit_status, len(dialogue.bus_error)) == (2, 7, 256)
    assert machine.sub("a.service") == "running"


def test_what_it_has_said_is_shown_by_systemds_names():
    machine = machine_of("NotifyAccess=main\nWatchdogSec=10")
    said = {"ERRNO": "2", "BUSERROR": "org.x", "NOTIFYACCESS": "all", "WATCHDOG_USEC": "3000000"}
    machine.say(machine.main("a.service"), **said)
    machine.run(0.1)
    status = unit_status(machine.world, "a.service", 0.0)
    assert status["status_error"] == {"errno": 2, "bus_error": "org.x", "exit_status": None}
    shown = properties(machine.world, "a.service", {**status, "cgroup": ""})
    names = ("StatusErrno", "StatusBusError", "NotifyAccess", "WatchdogUSec", "ExecMainPID")
    pid = str(status["main_pid"])
    assert [shown[name] for name in names] == ["2", "org.x", "all", "3s", pid]


def test_a_plain_service_carries_nothing_of_all_this():
    machine = machine_of("NotifyAccess=main")
    machine.say(machine.main("a.service"), READY="1", STATUS="x", X_OWN="1", WATCHDOG="1")
    machine.run(0.1)
    assert machine.state("a.service").dialogue is None


def test_the_parent_of_a_forking_service_may_speak():
    machine = Machine(
        {"a.service": service("Type=forking", "NotifyAccess=main", "ExecStart=/bin/slowly")},
        {"slowly": Program(lasts=5.0, daemon=Program())},
    )
    machine.run(1)
    (parent,) = machine.alive()
    machine.say(parent, STATUS="forking")
    machine.run(0.1)
    assert machine.state("a.service").status_text == "forking"


KEYS = st.sampled_from(
    ["MAINPID", "STATUS", "READY", "RELOADING", "STOPPING", "WATCHDOG", "WATCHDOG_USEC", "ERRNO",
     "EXTEND_TIMEOUT_USEC", "MONOTONIC_USEC", "NOTIFYACCESS", "FDSTORE", "FDNAME", "EXIT_STATUS", "X"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(["1", "0", "-1", "\u00b2", "\u0663", "9" * 5000, "main", "all", "trigger", ""]),
    st.text(max_size=9),
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=6))
def test_no_message_of_a_service_is_too_much(fields):
    machine = machine_of("Type=notify", "NotifyAccess=all", "ExecStart=/bin/mute")
    main = machine.main("a.service")
    for key, value in fields:
        machine.say(main, **{key: value})
    machine.say(main, **dict(fields))
    machine.run(0.2)


DBUS = ("Type=dbus", "BusName=org.example.A")


def seen(machine: Machine, owned: bool, problem: str = "") -> str:
    machine.post(BusNameSeen("a.service", machine.state("a.service").invocation, owned, problem))
    machine.run(1)
    return machine.sub("a.service")


def test_a_name_on_the_bus_makes_a_service_ready_and_its_loss_stops_it():
    machine = machine_of(*DBUS)
    assert [x.name for x in machine.orders(WatchBusName)] == ["org.example.A"]
    assert seen(machine, False) == "start"
    assert seen(machine, True) == "running"
    machine.crash()
    machine.restart()
    assert len(machine.orders(WatchBusName)) == 2
    assert seen(machine, False, "the bus is gone") == "running"
    assert seen(machine, False) == "dead"


def test_no_bus_fails_the_start_and_says_so():
    machine = machine_of(*DBUS)
    assert seen(machine, False, "there is no bus") == "failed"
    assert machine.state("a.service").result == "resources"
    assert "there is no bus" in machine.state("a.service").message


def test_a_bus_name_alone_makes_a_service_one_of_the_bus():
    machine = machine_of("BusName=org.example.A", "TimeoutStartSec=2")
    assert machine.sub("a.service") == "start"
    machine.run(3)
    assert machine.state("a.service").result == "timeout"


def test_a_main_process_that_hands_over_may_take_over_again():
    """It is in the shim's table once, by one token, however often it changes."""
    machine = machine_of("NotifyAccess=all")
    first, other = machine.main("a.service"), child(machine)
    for pid in (other.pid, first.pid, other.pid, first.pid):
        machine.say(first, MAINPID=str(pid))
        machine.run(0.1)
        assert machine.main("a.service").pid == pid
    assert len(machine.orders(Adopt, "a.service")) == 1
    machine.crash()
    machine.restart()
    machine.exit(other, 0)
    machine.run(0.1)
    dialogue = machine.state("a.service").dialogue
    assert dialogue is not None
    assert dialogue.former == []
    assert machine.sub("a.service") == "running"
    machine.exit(first, 1)
    machine.run(0.1)
    assert machine.sub("a.service") == "failed"


def test_a_stop_is_not_put_off_for_ever():
    machine = machine_of("NotifyAccess=all", "TimeoutStopSec=2", "ExecStart=/bin/stubborn")
    machine.ask(Verb.STOP, "a.service")
    machine.run(0.5)
    for usec in ("18446744073709551615", "0", "99999999999999999999"):
        machine.say(machine.main("a.service"), EXTEND_TIMEOUT_USEC=usec)
    machine.run(3)
    assert machine.sub("a.service") == "failed"
