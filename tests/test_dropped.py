"""The tests of directives notice when one is left out (`make dropped` for all of them; here a few)."""

from __future__ import annotations

import pytest

from tests.dropped import Case, Copy, Row, Verdict, cases, chosen, rows, summary

CONDITIONS = "e2e/test_conditions.py::test_each_condition_lets_start_and_keeps_from_starting"
PID_FILE = "e2e/test_processes.py::test_forking_with_a_pid_file"
TASKS = "kernel/test_resource_controller.py::test_the_tasks_limit_stops_forks"


def test_every_directive_is_chosen_by_its_names():
    assert {case.directive for case in cases()} >= {"TasksMax", "Unit.After", "Socket.Nice"}
    for pattern in ("Unit.ConditionHost", "ConditionHost", "*ditionHost"):
        assert chosen([pattern]) == [
            Case("Unit.ConditionHost", ("Unit.ConditionHost",), CONDITIONS)
        ]
    assert {case.keys[0].partition(".")[0] for case in chosen(["Timer"])} == {"Timer"}
    assert chosen([]) == cases()
    assert chosen(["no such directive"]) == []


@pytest.mark.root
@pytest.mark.timeout(180)  # five runs of pytest
def test_a_few_are_missed_and_what_nobody_misses_is_found(tmp_path):
    tmp_path.chmod(0o755)
    some = {
        Case(
            "GuessMainPID", ("Service.GuessMainPID",), PID_FILE
        ): Verdict.UNNOTICED,  # not this test's
        Case("PIDFile", ("Service.PIDFile",), PID_FILE): Verdict.NOTICED,
        Case("TasksMax", ("Service.TasksMax",), TASKS): Verdict.NOTICED,
    }
    found = [*rows(some, Copy(tmp_path / "dropped"))]
    assert [row.verdict for row in found] == [*some.values()], found


def test_what_one_test_notices_is_noticed():
    def said(*verdicts: Verdict) -> dict[Verdict, list[str]]:
        case = Case("Nice", ("Service.Nice",), TASKS)
        return summary(Row(case, verdict, "", 0.0) for verdict in verdicts)

    assert said(Verdict.UNNOTICED, Verdict.NOTICED, Verdict.UNMET) == {Verdict.NOTICED: ["Nice"]}
    assert said(Verdict.UNNOTICED, Verdict.ELSEWHERE) == {Verdict.ELSEWHERE: ["Nice"]}
    assert said(Verdict.ELSEWHERE, Verdict.BROKEN) == {Verdict.BROKEN: ["Nice"]}
    assert said(Verdict.UNMET, Verdict.UNNOTICED) == {Verdict.UNMET: ["Nice"]}
