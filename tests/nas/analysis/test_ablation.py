"""Ablations answered from a study's trainings: planted effects, and what is shown of them."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from nas.analysis.ablation_answer import AblationAnswer
from nas.analysis.answer import Answer, answer
from nas.analysis.published import published_results, write_results
from nas.reporting.answer_tables import answer_tables
from nas.reporting.answer_text import facts, headline
from nas.statistics.paired import Comparison
from nas.study.design import design_seeds
from tests.nas.planting import planted_results, register_at, results_by_command

ABLATION = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
search:
  scope: network
  segments: [C/4, C]
  activation: [none, relu, elu]
  residual: [true, false]
training: {epochs: 2, batch_size: 16}
design: {seeds: 8}
claim: {ablate: [residual, activation], delta: 0.5%}
"""
EFFECTS = {'"residual":false': -0.04, '"activation":"elu"': -0.02}


def found(effects=EFFECTS, *overrides: str) -> AblationAnswer:
    answered = answer(planted_results(effects, *overrides, text=ABLATION))
    assert isinstance(answered, AblationAnswer)
    return answered


def test_true_effects_are_found_and_what_is_none_is_equivalent():
    residual, activation = found().axes
    (with_residual,) = residual.against_first.values()
    assert with_residual.differs
    assert with_residual.interval.lower < 0.04 < with_residual.interval.upper
    relu, elu = (activation.against_first[choice] for choice in ("relu", "elu"))
    assert relu.equivalent
    assert not relu.differs
    assert elu.interval.lower < -0.02 < elu.interval.upper < 0
    assert found().outcome == "supported"


def test_each_ablation_has_its_sentence():
    said = headline(found())
    assert said.startswith("At the declared widths. Residual: with residual is better than without")
    assert "Activation: relu and no activation are equivalent within 0.5 points" in said
    assert "no activation is better than elu by 2." in said or "than elu by 1.9" in said
    assert said.endswith("].")


def test_what_is_neither_shown_nor_excluded_is_open():
    open_ones = found({}, "claim.delta=0.0001")
    assert "whether with residual is better than without residual is open" in headline(open_ones)
    assert open_ones.outcome == "inconclusive"


def test_matched_arms_are_said_to_be_of_equal_cost():
    assert headline(found(EFFECTS, "macs.match=60K", "macs.tolerance=0.1")).startswith("At equal")


def test_differences_are_those_that_the_measurements_give():
    """Recomputed from the trainings alone: names of arms, means over them, seed by seed."""
    results = planted_results(EFFECTS, text=ABLATION)
    scores: dict[str, dict[int, float]] = {}
    for run in results.trainings:
        scores.setdefault(run.arm, {})[run.measurement.seed] = run.measurement.accuracy
    seeds = design_seeds("planted", 0, "screening", 8)

    def mean(activation: str) -> list[float]:
        arms = [n for n in scores if f", {activation}" in n]
        assert len(arms) == 4
        return [fmean(scores[arm][seed] for arm in arms) for seed in seeds]

    _, activation = answer(results).axes
    difference = np.subtract(mean("elu"), mean("no activation"))
    judged = activation.against_first["elu"]
    assert judged.interval.mean == pytest.approx(difference.mean())
    # 2 of 256 signs are as extreme, of two comparisons.
    assert judged.p_different == pytest.approx(2 * 2 / 2**8)
    bounds = Comparison.of(difference, np.zeros(8)).interval(0.05 / 2 / 2)
    assert judged.interval == pytest.approx(bounds)


def test_a_training_that_fails_scores_a_guess():
    results = planted_results(EFFECTS, text=ABLATION)
    first = results.trainings[0]
    assert "residual" in first.arm
    assert "no residual" not in first.arm
    failed = replace(first.measurement, accuracy=None, state="failed", reason="not finite")
    broken = replace(
        results, trainings=(replace(first, measurement=failed), *results.trainings[1:])
    )
    answered = answer(broken)
    lost = (first.measurement.accuracy - 1 / 4) / 6 / 8  # of six arms and eight seeds
    before = answer(results).axes[0].against_first[True].interval.mean
    assert answered.axes[0].against_first[True].interval.mean == pytest.approx(before - lost)
    assert dict(facts(answered))["failed trainings"] == "1, each scored as a guess"


def test_there_is_no_verdict_before_all_seeds_are_there():
    results = planted_results(EFFECTS, text=ABLATION)
    cut = answer(replace(results, trainings=results.trainings[:-1]))
    assert headline(cut) == "No verdict: 7 of 8 seeds are complete in all arms."
    assert cut.outcome == "none"


def test_an_arm_that_is_no_longer_planned_is_not_compared():
    """Such as a published network that was trained before the study became an ablation."""
    results = planted_results(EFFECTS, text=ABLATION)
    first = results.trainings[0]
    other = replace(first, arm="xception", role="published")
    assert answer(replace(results, trainings=(*results.trainings, other))).axes == (
        answer(results).axes
    )


def test_seeds_that_are_added_with_results_in_view_halve_the_level():
    results = planted_results(EFFECTS, text=ABLATION)
    (first,) = results.plans
    fewer = register_at(0, replace(first.plan, screening_seeds=5))
    answered = answer(replace(results, plans=(fewer, replace(first, results={"screening": 60}))))
    assert answered.alpha == 0.025
    assert "halved for each of 1 changes of the seeds" in dict(facts(answered))["level"]
    assert "Not everything is as it was planned" in headline(answered)


def test_too_few_seeds_are_said_beforehand():
    plan = planted_results(EFFECTS, "design.seeds=6", text=ABLATION).plans[0].plan
    (line,) = plan.unreachable_verdicts()
    # Of two comparisons with 6 seeds the smallest p-value is 2 * 2 / 2**6, with 7 it is .03.
    assert line.endswith("with 6 seeds and alpha 0.05: it takes 7 seeds")


def test_the_tables_have_choices_and_arms():
    tables = {table.title: table for table in answer_tables(found())}
    choices = tables["Ablation: activation"]
    assert [row[0] for row in choices.rows] == ["no activation", "relu", "elu"]
    assert choices.rows[0][4:] == ("", "", "")
    single = tables["Activation, arm by arm"]
    assert single.heads == ("arms", "relu against no activation", "elu against no activation")
    assert {row[0] for row in single.rows} == {
        f"{width}, {residual}"
        for width in ("C/4", "C")
        for residual in ("with residual", "without residual")
    }


def test_the_published_files_give_the_same_answer(tmp_path):
    results = planted_results(EFFECTS, text=ABLATION)
    write_results(results, tmp_path)
    (tmp_path / "space.yaml").write_text(ABLATION)
    published = answer(published_results(tmp_path))
    assert headline(published) == headline(answer(results))
    assert published.plan == answer(results).plan


def test_a_study_that_asked_nothing_of_an_axis_is_what_it_was():
    text = ABLATION.replace("claim: {ablate: [residual, activation], delta: 0.5%}\n", "")
    answered = answer(planted_results(EFFECTS, text=text))
    assert isinstance(answered, Answer)
    assert headline(answered).startswith("No verdict: nothing was confirmed")


def test_the_command_writes_down_beforehand_what_is_compared(monkeypatch):
    results = results_by_command(monkeypatch, EFFECTS, text=ABLATION)
    (plan,) = results.plans
    assert plan.results["screening"] == 0
    said = dict(facts(answer(results)))["planned before the first training"]
    assert said.startswith(
        "residual: with residual against without residual, in 6 arms of each; activation: relu "
        "and elu against no activation, in 4 arms of each; a training that fails scores 0.25; "
        "12 arms, 8 seeds"
    )
    assert headline(answer(results)) == headline(found())


def test_a_study_of_an_earlier_file_goes_on_and_says_that_its_question_is_new(monkeypatch):
    earlier = ABLATION.replace("design: {seeds: 8}", "design: {seeds: 5}").replace(
        "ablate: [residual, activation], ", ""
    )
    results_by_command(monkeypatch, EFFECTS, text=earlier)
    results = results_by_command(monkeypatch, EFFECTS, text=ABLATION)
    said = headline(answer(results))
    assert "with residual is better" in said
    assert said.endswith("Not everything is as it was planned: see below.")
    assert answer(results).alpha == 0.025
