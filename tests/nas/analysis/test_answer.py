"""The question answered from a study's trainings: planted effects and what is shown of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.analysis.answer import answer
from nas.reporting.answer_text import headline
from nas.study.design import design_seeds
from tests.nas.planting import (
    ARMS,
    ENDS,
    WINNER,
    failing,
    planted_results,
)


def test_a_known_winner_is_found():
    found = answer(planted_results({WINNER: 0.02}))
    assert found.verdict.outcome == "supported"
    assert found.verdict.chosen == WINNER
    assert found.verdict.lower < 0.02 < found.verdict.upper
    assert found.verdict.p_value == 1 / 2**8
    assert headline(found).startswith(f"Supported: {WINNER} beats every end by more than 0.5")


def test_a_known_tie_is_not_found_to_be_a_difference():
    found = answer(planted_results({}))
    assert found.verdict.outcome != "supported"
    assert found.verdict.lower < 0.005


def test_ends_that_win_refute_the_claim():
    found = answer(planted_results({"C, spatial first": 0.02}))
    assert found.verdict.outcome == "refuted"
    assert found.verdict.best_end == "C, spatial first"
    assert headline(found).startswith("Refuted: no confirmed interior point beats every end")


def test_the_paired_design_finds_what_an_unpaired_one_does_not():
    """The same accuracies, but each end's trainings said to be of other seeds."""
    results = planted_results({WINNER: 0.012})
    assert answer(results).verdict.outcome == "supported"
    seeds = design_seeds("planted", 0, "confirmation", 8)
    moved = dict(zip(seeds, seeds[3:] + seeds[:3], strict=True))
    unpaired = tuple(
        replace(
            training,
            measurement=replace(training.measurement, seed=moved[training.measurement.seed]),
        )
        if training.role == "end" and training.stage == "confirmation"
        else training
        for training in results.trainings
    )
    shuffled = answer(replace(results, trainings=unpaired))
    assert shuffled.verdict.estimate == pytest.approx(answer(results).verdict.estimate)
    paired, rotated = answer(results).verdict, shuffled.verdict
    assert rotated.p_value > paired.p_value
    # Planted: 0.003 of a training, 0.01 of a seed, which pairing takes out.
    assert rotated.detectable - 0.005 > 2 * (paired.detectable - 0.005)


def test_it_is_chosen_by_screening_and_judged_by_confirmation():
    """An arm that was lucky in screening is the one that is judged."""
    results = planted_results({WINNER: 0.02})
    lucky = "C/8, spatial first"
    trainings = tuple(
        replace(training, measurement=replace(training.measurement, accuracy=0.99))
        if training.arm == lucky and training.stage == "screening"
        else training
        for training in results.trainings
    )
    confirmed = [
        replace(training, arm=lucky, measurement=replace(training.measurement, accuracy=0.6))
        for training in trainings
        if training.arm == WINNER and training.stage == "confirmation"
    ]
    without = answer(replace(results, trainings=trainings))
    assert without.reason == f"{lucky}, which screening chose, was not confirmed"
    found = answer(replace(results, trainings=(*trainings, *confirmed)))
    assert found.verdict.chosen == lucky
    assert found.verdict.outcome == "inconclusive"  # the winner was not chosen
    (row,) = [row for row in found.rows if row.name == lucky]
    # Compared with the ends, which what a seed does to all arms is in as well.
    assert row.shrinkage == pytest.approx(0.39, abs=0.015)


def test_an_arm_that_failed_in_screening_is_not_chosen():
    effects = {WINNER: 0.02, "C/8, spatial first": 0.019}
    found = answer(failing(planted_results(effects), WINNER, "screening"))
    assert found.verdict.chosen == "C/8, spatial first"


def test_the_table_has_the_probability_of_being_on_the_front():
    found = answer(planted_results({WINNER: 0.05}))
    rows = {row.name: row for row in found.rows}
    assert rows[WINNER].label == "front"
    assert rows[WINNER].p_screened == rows[WINNER].p_confirmed == pytest.approx(1.0)
    assert {rows[name].label for name in ARMS if name != WINNER} == {"dominated"}
    assert {rows[name].p_confirmed for name in ENDS} == {0.0}
    unconfirmed = [row for row in found.rows if not row.confirmation]
    assert all(row.p_confirmed is None and row.p_screened == 0.0 for row in unconfirmed)


def test_the_difference_on_the_test_split_is_shown_and_judges_nothing():
    results = planted_results({WINNER: 0.02})
    found = answer(results)
    mean, low, high = found.test
    assert mean == pytest.approx(found.verdict.estimate)  # planted: one point less in all arms
    assert low < mean < high
    untested = tuple(
        replace(training, measurement=replace(training.measurement, test_accuracy=None))
        for training in results.trainings
    )
    without = answer(replace(results, trainings=untested))
    assert without.test is None
    assert without.verdict == found.verdict
