"""Searches whose front is confirmed: by ends of the same cost and of the same kind."""

from __future__ import annotations

import pytest

from nas.analysis.answer import answer
from nas.study.records import read_records
from tests.nas.planting import (
    SEARCH,
    URL,
    Planted,
    planted_results,
    planted_study,
    results_by_command,
    search,
)
from tests.nas.study.test_design import solved_otherwise


def test_the_front_of_a_search_is_confirmed_with_ends_of_its_best_ones_cost():
    planted = planted_study({'"segments":"C/4"': 0.05}, text=SEARCH)
    results, records = planted.results, planted.records
    found = answer(results)
    ends = [row for row in found.rows if row.role == "end" and not row.name.startswith("trial")]
    kinds = {row.name.partition(" at ")[0] for row in ends}
    assert kinds == {"plain", "C, spatial first", "C, pointwise first"}
    best = max(records.front, key=lambda trial: trial.accuracy)
    assert all(row.macs == pytest.approx(best.macs, rel=0.01) for row in ends)
    confirmed = {row.name for row in found.rows if row.confirmation}
    assert {f"trial {trial.number}" for trial in records.front} <= confirmed
    assert all(len(row.test) == 6 for row in found.rows if row.confirmation)


def test_a_search_that_goes_on_after_its_confirmation_gets_ends_of_its_new_cost(monkeypatch):
    results_by_command(monkeypatch, {}, text=SEARCH)
    results = results_by_command(
        monkeypatch, {'"segments":"C/4"': 0.2}, "--trials", "30", text=SEARCH
    )
    found = answer(results)
    assert found.changes[0].startswith("trials: 10, then 30 (")
    best = max(read_records(URL, "planted").front, key=lambda trial: trial.accuracy)
    near = [r for r in found.rows if " at " in r.name and abs(r.macs / best.macs - 1) <= 0.02]
    assert len(near) >= 2


def test_a_confirmation_goes_on_with_the_widths_that_its_ends_were_given(monkeypatch):
    with monkeypatch.context() as earlier:
        solved_otherwise(earlier, "nas.study.confirmation")
        assert search(earlier, Planted(stop_after=10 + 9), text=SEARCH).exit_code == 130
    begun = {arm.name: arm for arm in read_records(URL, "planted").confirmation.arms}
    assert search(monkeypatch, Planted(), text=SEARCH).exit_code == 0
    confirmation = read_records(URL, "planted").confirmation
    assert {arm.name: arm for arm in confirmation.arms} == begun
    trained = {(trial.arm, trial.architecture) for trial in confirmation.trials}
    assert trained == {(arm.name, arm.architecture) for arm in begun.values()}


def test_a_search_has_no_verdict_whatever_it_found():
    """The best of many tuned networks beats one of each end where nothing is to be found, too."""
    found = answer(planted_results({'"segments":"C/4"': 0.05}, text=SEARCH))
    assert found.verdict is None
    assert "a design, whose arms all have the same effort, has a verdict" in found.reason
    assert found.test is None
    assert found.set_aside == ()


def test_a_search_with_equal_parameters_is_confirmed_at_equal_parameters():
    text = SEARCH.replace("training:", "match: {params: 9K, tolerance: 6%}\ntraining:")
    results = planted_results({'"segments":"C/4"': 0.05}, text=text)
    params = [t.measurement.params for t in results.arms.values() if " at " in t.arm]
    assert len(params) == 3
    assert max(params) / min(params) - 1 <= 0.02


def test_the_ends_of_a_search_have_what_else_its_best_one_has():
    text = SEARCH.replace("training:", "  kernel: [5]\n  residual: [false]\ntraining:")
    text = text.replace("  order:", "  activation: [relu]\n  order:")
    results = planted_results({}, text=text)
    ends = [training for training in results.arms.values() if " at " in training.arm]
    assert len(ends) == 3
    for training in ends:
        for block in training.architecture.blocks:
            assert (block.point.kernel, block.residual) == (5, False)
            assert block.point.activation == (
                "none" if training.arm.startswith("plain") else "relu"
            )


def test_a_study_of_another_name_is_no_stage_of_this_one(monkeypatch):
    plain = SEARCH.replace("confirm:", "#")
    result = search(monkeypatch, Planted(), "--study", "planted:confirmation", text=plain)
    assert result.exit_code == 2
    assert "a name has at most 64 letters" in result.stderr


def test_all_arms_of_a_search_cannot_be_confirmed(monkeypatch):
    text = SEARCH.replace("confirm: {seeds: 6}", "confirm: {seeds: 6, arms: all}")
    result = search(monkeypatch, Planted(), text=text)
    assert result.exit_code == 2
    assert "confirm.arms: all arms can be confirmed in a design only" in result.stderr


def test_trials_with_one_seed_have_the_noise_of_the_confirmation():
    """Of a search: P(on the front) and a label for each trial."""
    found = answer(planted_results({'"segments":"C/4"': 0.05}, text=SEARCH))
    trials = [row for row in found.rows if row.screening]
    assert all(0 <= row.p_screened <= 1 and row.label for row in trials)
    best = max(trials, key=lambda row: row.screening[0])
    assert best.p_screened > 0.5
    assert any(row.label == "dominated" for row in trials)
