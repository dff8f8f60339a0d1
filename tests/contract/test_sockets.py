"""Sockets of units: opened, watched, held over crashes, closed; by the pretended machine and the real one."""

from __future__ import annotations

from gitproc.core.socket_events import (
    ConnectionCame,
    HoldingsFound,
    SocketFailed,
    SocketOpened,
    SocketReady,
)
from gitproc.core.socket_orders import (
    CloseSocket,
    OpenSocket,
    RefuseConnection,
    UnwatchSocket,
    WatchSocket,
)
from gitproc.core.states import SubState


def opened(host, *lines):
    unit = host.socket(*lines)
    invocation = host.instance(unit)
    host.order(OpenSocket(unit, invocation))
    assert not host.news, "it takes a while"
    assert host.one(SocketOpened, unit) == SocketOpened(unit.name, invocation)
    host.world.units[unit.name].sub = SubState.LISTENING  # what is held for who is down is dropped
    return unit


def watch(host, unit, **how):
    host.order(WatchSocket(unit.name, host.invocation(unit), **how))


def test_what_waits_is_told_once(host):
    unit = opened(host)
    watch(host, unit)
    host.let_pass()
    assert not host.all(SocketReady)
    host.connect(unit)
    assert host.one(SocketReady) == SocketReady(unit.name, host.invocation(unit))
    host.connect(unit)
    host.let_pass()
    assert len(host.all(SocketReady)) == 1
    watch(host, unit)
    host.until(lambda: len(host.all(SocketReady)) == 2, "it waits still")


def test_nobody_is_told_who_has_taken_the_watch_back(host):
    unit = opened(host)
    watch(host, unit)
    host.order(UnwatchSocket(unit.name))
    host.connect(unit)
    host.let_pass()
    assert not host.all(SocketReady)


def test_an_address_that_somebody_has_is_refused(host):
    unit = host.socket("ListenStream=", f"ListenStream={host.address}")
    host.occupy(unit)
    host.order(OpenSocket(unit, host.instance(unit)))
    assert host.one(SocketFailed).message


def test_an_opening_that_is_taken_back_leaves_nothing_open(host):
    unit = host.socket()
    host.order(OpenSocket(unit, host.instance(unit)), CloseSocket(unit))
    host.let_pass()
    assert not host.all(SocketOpened)
    host.forget()
    opened(host)  # by the next instance


def test_each_connection_is_told_with_a_number_of_its_own(host):
    unit = opened(host, "Accept=yes")
    watch(host, unit, accept=True)
    host.connect(unit)
    host.connect(unit)
    host.until(lambda: len(host.all(ConnectionCame)) == 2, "both")
    first, second = host.all(ConnectionCame)
    assert first.unit == second.unit == unit.name
    assert first.serial < second.serial
    assert first.peer
    host.order(*(RefuseConnection(one.serial) for one in (first, second)))


def test_what_is_held_is_found_by_the_next_manager(host):
    unit = opened(host)
    host.crash()
    host.forget()
    host.restart()
    assert host.one(HoldingsFound) == HoldingsFound(frozenset({unit.name}))
    watch(host, unit)
    host.connect(unit)
    host.one(SocketReady)
    host.order(CloseSocket(unit))
    host.let_pass()
    host.crash()
    host.forget()
    host.restart()
    assert host.one(HoldingsFound) == HoldingsFound(frozenset())
