"""Arms whose outcome is known: they come out as they must, or are said not to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.analysis.answer import answer
from nas.reporting.answer_tables import controls_table
from nas.study.importances import parameter_importances
from tests.nas.planting import (
    CONTROLS,
    MATCHED,
    URL,
    WINNER,
    failing,
    planted_results,
    results_by_command,
)


def test_controls_come_out_as_they_must():
    found = answer(planted_results({}, CONTROLS))
    kinds = [control.kind for control in found.controls]
    assert kinds.count("twin") == 2
    assert kinds.count("handicapped") == 1
    (handicapped,) = [c for c in found.controls if c.kind == "handicapped"]
    assert handicapped.passed
    assert handicapped.difference[0] == pytest.approx(-0.2, abs=0.01)
    assert all(c.passed for c in found.controls)
    assert {c.name for c in found.controls} & set(found.verdict.against_best_end) == set()


def test_controls_that_come_out_wrong_are_said_to():
    results = planted_results({}, CONTROLS)
    trainings = tuple(
        replace(
            training,
            measurement=replace(
                training.measurement, accuracy=training.measurement.accuracy + gain
            ),
        )
        for training in results.trainings
        for gain in [{"twin": 0.05, "handicapped": 0.3}.get(training.role, 0.0)]
    )
    found = answer(replace(results, trainings=trainings))
    assert [control.passed for control in found.controls] == [False] * 3
    assert all(row[-1] == "NOT as it must" for row in controls_table(found.controls).rows)


def test_few_seeds_cannot_tell_a_control():
    text = MATCHED.replace("confirm: {seeds: 8}", "confirm: {seeds: 4}")
    found = answer(planted_results({}, CONTROLS, text=text))
    assert {control.passed for control in found.controls} == {None}


def test_a_failed_control_changes_nothing_but_itself():
    results = planted_results({WINNER: 0.02}, CONTROLS)
    found = answer(failing(results, "handicapped plain", "screening"))
    assert found.verdict == answer(results).verdict


def shares(importances):
    return {found.parameter: found.share for found in importances}


def test_importance_is_not_that_of_the_controls(monkeypatch):
    text = MATCHED.replace("confirm:", "#")
    without = results_by_command(monkeypatch, {WINNER: 0.05}, text=text)
    plain = shares(parameter_importances(URL, "planted"))
    results_by_command(monkeypatch, {WINNER: 0.05}, "--controls", text=text)
    assert shares(parameter_importances(URL, "planted")) == pytest.approx(plain)
    assert without.plans
