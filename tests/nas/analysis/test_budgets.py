"""What differences at several budgets come to where they are odd."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas.analysis.budgets import BudgetsResults, answer_budgets
from nas.analysis.results import StudyResults
from nas.space.load import load_space
from tests.nas.planting import MATCHED, planted_results

BUDGETS = ("200K", "300K", "400K")


def equally_apart(results: StudyResults, gap: float) -> StudyResults:
    """The seeds differ much, but interior arms are ahead by the same gap with each."""
    seeds = list(dict.fromkeys(run.measurement.seed for run in results.trainings))

    def moved(run):
        score = (60 + 70 * seeds.index(run.measurement.seed)) / 287
        score += gap if run.role == "interior" else 0
        return replace(run, measurement=replace(run.measurement, accuracy=score))

    return replace(results, trainings=tuple(map(moved, results.trainings)))


def test_differences_that_are_equal_but_for_rounding_have_no_error():
    text = MATCHED.replace("confirm: {seeds: 8}\n", "")
    results = planted_results({}, text=text)
    Path("several.yaml").write_text(text.replace("200K", "[200K, 300K, 400K]"))
    file = load_space("several.yaml").file
    of_budgets = {
        name: equally_apart(results, gap / 287)
        for name, gap in zip(BUDGETS, (1, 2, 3), strict=True)
    }
    found = answer_budgets(BudgetsResults("planted", file, of_budgets))
    assert found.arms
    for arm in found.arms:
        assert [e.difference * 287 for e in arm.effects] == pytest.approx([1, 2, 3])
        assert [e.error for e in arm.effects] == [None] * 3
        assert arm.together is None
