"""What is tested before a start: the pretended machine and the real one find the same."""

from __future__ import annotations

import pytest

from gitproc.core.actions import CheckConditions
from gitproc.core.events import AdoptionDone, ConditionsChecked


def asked(host, *lines):
    unit = host.unit("run", "[Unit]", *(line.replace("HERE", host.here) for line in lines))
    invocation = host.instance(unit)
    return unit, CheckConditions(unit, invocation)


@pytest.mark.parametrize(
    ("line", "there", "met"),
    [
        ("ConditionPathExists=HERE/mark", True, True),
        ("ConditionPathExists=HERE/mark", False, False),
        ("ConditionPathExists=!HERE/mark", True, False),
        ("ConditionPathExists=!HERE/mark", False, True),
        ("ConditionPathExists=|HERE/mark", False, False),
        ("AssertPathExists=HERE/mark", False, False),
    ],
)
def test_what_is_found(host, line, there, met):
    host.mark(there)
    unit, order = asked(host, line)
    host.order(order)
    assert not host.news, "it takes a while"
    checked = host.one(ConditionsChecked, unit)
    assert (checked.unit, checked.invocation) == (unit.name, order.invocation)
    (finding,) = checked.findings
    assert finding.text == line.replace("HERE", host.here)
    assert (finding.met, finding.trigger) == (met, "|" in line)
    assert checked.realtime > 0


def test_each_is_told_in_the_order_of_the_unit(host):
    host.mark(True)
    unit, order = asked(host, "ConditionPathExists=HERE/mark", "ConditionPathExists=!HERE/mark")
    host.order(order)
    assert [x.met for x in host.one(ConditionsChecked, unit).findings] == [True, False]


def test_each_asking_is_answered(host):
    unit, order = asked(host, "ConditionPathExists=HERE/mark")
    host.mark(True)
    host.order(order)
    host.one(ConditionsChecked, unit)
    host.mark(False)
    host.order(order)
    host.until(lambda: len(host.all(ConditionsChecked)) == 2, "the second answer")
    assert [x.findings[0].met for x in host.all(ConditionsChecked)] == [True, False]


def test_the_next_manager_hears_no_answers_to_the_last_one(host):
    unit, order = asked(host, "ConditionPathExists=HERE/mark")
    host.order(order)
    host.crash()
    host.forget()
    host.restart()
    host.one(AdoptionDone)
    host.let_pass()
    assert not host.all(ConditionsChecked, unit)
