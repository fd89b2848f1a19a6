"""The plan is registered before the first training, and whatever is not as planned is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas.analysis.answer import answer
from nas.analysis.results import StudyResults
from nas.reporting.answer_text import facts, headline
from nas.space import load_space
from nas.space.errors import InputError
from nas.study.design import design_seeds
from nas.study.records import read_records
from tests.nas.planting import (
    ARMS,
    ENDS,
    MATCHED,
    URL,
    WINNER,
    Planted,
    planted_results,
    register_at,
    results_by_command,
    search,
)


def test_the_plan_is_written_before_the_first_run(monkeypatch):
    assert search(monkeypatch, Planted(stop_after=0)).exit_code == 130
    (registered,) = read_records(URL, "planted").plans
    assert registered.results == {"screening": 0, "confirmation": 0}
    assert registered.plan.delta == 0.005
    assert registered.plan.arms == ARMS
    assert registered.plan.ends == ENDS
    assert (registered.plan.screening_seeds, registered.plan.confirmation_seeds) == (3, 8)


def test_the_impossible_is_said_before_the_first_run(monkeypatch):
    text = MATCHED.replace("confirm: {seeds: 8}", "confirm: {seeds: 5}")
    result = search(monkeypatch, Planted(stop_after=0), text=text)
    # 1/32 is less than 5%, but not than a third of it.
    assert (
        "note: the claim cannot be refuted with 5 confirmation seeds, 3 ends and alpha 0.05: "
        "it takes 6 seeds"
    ) in result.stdout
    assert "cannot be supported" not in result.stdout


def test_half_a_point_is_not_half_of_everything():
    Path("planted.yaml").write_text(MATCHED.replace("delta: 0.5%", "delta: 0.5"))
    with pytest.raises(
        InputError, match=r"claim.delta: must be less than or equal to 0.2; got 0.5"
    ):
        load_space("planted.yaml")


def test_another_study_has_other_seeds(monkeypatch):
    """What one study has seen cannot be planned in the next."""
    text = MATCHED.replace("confirm:", "#")
    search(monkeypatch, first := Planted(), text=text)
    search(monkeypatch, again := Planted(), "--study", "second", "--storage", str(URL), text=text)
    assert len(again.trainings) == len(first.trainings)  # nothing was known already
    assert not {s for *_, s in again.trainings} & {s for *_, s in first.trainings}


def test_a_changed_plan_is_no_obstacle_and_is_shown(monkeypatch):
    results_by_command(monkeypatch, {WINNER: 0.02})
    results = results_by_command(monkeypatch, {WINNER: 0.02}, "--set", "claim.delta=0.1%")
    found = answer(results, alpha=0.01)
    trainings = 3 * len(ARMS) + len([r for r in results.trainings if r.stage == "confirmation"])
    assert found.plan.delta == 0.005
    assert found.verdict.claim.delta == 0.001
    first, second = found.changes
    assert first.startswith("delta: 0.5 percentage points, then 0.1 percentage points (")
    assert first.endswith(f"after {trainings} trainings)")
    assert second == "alpha: 0.05, then 0.01 (for this answer alone)"
    shown = list(facts(found))
    assert shown[0][0] == "planned before the first training"
    assert "0.5 percentage points" in shown[0][1]
    assert [text for name, text in shown if name == "not as planned"] == [first, second]


def planned_before(first: StudyResults, later: StudyResults) -> StudyResults:
    """Results of a study that had been made by another plan when its present one was made."""
    (entry,) = later.plans
    return replace(later, plans=(*first.plans, register_at(len(first.trainings), entry.plan)))


def test_adding_seeds_after_the_results_is_shown():
    found = answer(planned_before(planted_results({}), planted_results({}, "confirm.seeds=10")))
    assert [c.split(" (")[0] for c in found.changes] == ["confirmation seeds: 8, then 10"]
    assert len(found.verdict.differences) == 10
    judged = [row for row in found.rows if row.name in found.verdict.against_best_end]
    assert {len(row.confirmation) for row in judged} == {10}
    assert found.looks == 1
    assert found.verdict.claim.alpha == 0.025
    assert "Not everything is as it was planned" in headline(found)


def test_screening_seeds_that_are_added_after_the_confirmation_choose_nothing():
    first = planted_results({WINNER: 0.02})
    before = answer(first)
    results = planned_before(first, planted_results({WINNER: 0.02}, "design.seeds=5"))
    added = set(design_seeds("planted", 0, "screening", 5)[3:])
    lucky = tuple(
        replace(training, measurement=replace(training.measurement, accuracy=1.0))
        if training.arm == "2, spatial first" and training.measurement.seed in added
        else training
        for training in results.trainings
    )
    found = answer(replace(results, trainings=lucky))
    assert found.verdict.chosen == before.verdict.chosen
    assert "screening seeds: 3, then 5" in found.changes[0]


def test_runs_on_different_machines_are_said_to_be():
    results = planted_results({})
    moved = tuple(
        replace(training, measurement=replace(training.measurement, threads=2))
        if training.arm == "plain" and training.stage == "confirmation"
        else training
        for training in results.trainings
    )
    (change,) = answer(replace(results, trainings=moved)).changes
    assert change.startswith("trained on different machines: ")
