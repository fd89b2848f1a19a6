"""The question answered from a study's runs: planted effects through the whole command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.analysis.answer import answer, answer_of
from nas.analysis.question import NoVerdict
from nas.analysis.results import StudyResults, read_results
from nas.reporting.answer_tables import controls_table
from nas.reporting.answer_text import facts, headline
from nas.reporting.page import render, write_report
from nas.space import load_space
from nas.space.errors import InputError
from nas.study.design import design_seeds
from nas.study.importances import parameter_importances
from nas.study.records import read_records
from nas.verdict import app as verdict_command
from tests.nas.planting import (
    ARMS,
    CONTROLS,
    ENDS,
    MATCHED,
    SEARCH,
    URL,
    WINNER,
    Planted,
    planted_results,
    planted_study,
    publish,
    register_at,
    results_by_command,
    search,
)

# Planted effects.


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
    """The same accuracies, but each end's runs said to be of other seeds."""
    results = planted_results({WINNER: 0.012})
    assert answer(results).verdict.outcome == "supported"
    seeds = design_seeds("planted", 0, "confirmation", 8)
    moved = dict(zip(seeds, seeds[3:] + seeds[:3], strict=True))
    unpaired = tuple(
        replace(run, measurement=replace(run.measurement, seed=moved[run.measurement.seed]))
        if run.role == "end" and run.stage == "confirmation"
        else run
        for run in results.runs
    )
    shuffled = answer(replace(results, runs=unpaired))
    assert shuffled.verdict.estimate == pytest.approx(answer(results).verdict.estimate)
    paired, rotated = answer(results).verdict, shuffled.verdict
    assert rotated.p_value > paired.p_value
    # Planted: 0.003 of a training, 0.01 of a seed, which pairing takes out.
    assert rotated.detectable - 0.005 > 2 * (paired.detectable - 0.005)


def test_it_is_chosen_by_screening_and_judged_by_confirmation():
    """An arm that was lucky in screening is the one that is judged."""
    results = planted_results({WINNER: 0.02})
    lucky = "C/8, spatial first"
    runs = tuple(
        replace(run, measurement=replace(run.measurement, accuracy=0.99))
        if run.arm == lucky and run.stage == "screening"
        else run
        for run in results.runs
    )
    confirmed = [
        replace(run, arm=lucky, measurement=replace(run.measurement, accuracy=0.6))
        for run in runs
        if run.arm == WINNER and run.stage == "confirmation"
    ]
    without = answer(replace(results, runs=runs))
    assert without.reason == f"{lucky}, which screening chose, was not confirmed"
    found = answer(replace(results, runs=(*runs, *confirmed)))
    assert found.verdict.chosen == lucky
    assert found.verdict.outcome == "inconclusive"  # the winner was not chosen
    (row,) = [row for row in found.rows if row.name == lucky]
    # Compared with the ends, which what a seed does to all arms is in as well.
    assert row.shrinkage == pytest.approx(0.39, abs=0.015)


# The controls.


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
    runs = tuple(
        replace(run, measurement=replace(run.measurement, accuracy=run.measurement.accuracy + gain))
        for run in results.runs
        for gain in [{"twin": 0.05, "handicapped": 0.3}.get(run.role, 0.0)]
    )
    found = answer(replace(results, runs=runs))
    assert [control.passed for control in found.controls] == [False] * 3
    assert all(row[-1] == "NOT as it must" for row in controls_table(found.controls).rows)


def test_few_seeds_cannot_tell_a_control():
    text = MATCHED.replace("confirm: {seeds: 8}", "confirm: {seeds: 4}")
    found = answer(planted_results({}, CONTROLS, text=text))
    assert {control.passed for control in found.controls} == {None}


# The plan.


def test_the_plan_is_written_before_the_first_run(monkeypatch):
    assert search(monkeypatch, Planted(stop_after=0)).exit_code == 130
    (registered,) = read_records(URL, "planted").plans
    assert registered.results == {"screening": 0, "confirmation": 0}
    assert registered.plan.delta == 0.005
    assert registered.plan.arms == ARMS
    assert registered.plan.ends == ENDS
    assert (registered.plan.screening_seeds, registered.plan.confirmation_seeds) == (3, 8)


def test_a_changed_plan_is_no_obstacle_and_is_shown(monkeypatch):
    results_by_command(monkeypatch, {WINNER: 0.02})
    results = results_by_command(monkeypatch, {WINNER: 0.02}, "--set", "claim.delta=0.1%")
    found = answer(results, alpha=0.01)
    runs = 3 * len(ARMS) + len([r for r in results.runs if r.stage == "confirmation"])
    assert found.plan.delta == 0.005
    assert found.verdict.claim.delta == 0.001
    first, second = found.changes
    assert first.startswith("delta: 0.5 percentage points, then 0.1 percentage points (")
    assert first.endswith(f"after {runs} runs)")
    assert second == "alpha: 0.05, then 0.01 (for this answer alone)"
    shown = list(facts(found))
    assert shown[0][0] == "planned before the first run"
    assert "0.5 percentage points" in shown[0][1]
    assert [text for name, text in shown if name == "not as planned"] == [first, second]


def test_adding_seeds_after_the_results_is_shown():
    found = answer(planned_before(planted_results({}), planted_results({}, "confirm.seeds=10")))
    assert [c.split(" (")[0] for c in found.changes] == ["confirmation seeds: 8, then 10"]
    assert len(found.verdict.differences) == 10
    judged = [row for row in found.rows if row.name in found.verdict.against_best_end]
    assert {len(row.confirmation) for row in judged} == {10}
    assert found.looks == 1
    assert found.verdict.claim.alpha == 0.025
    assert "Not everything is as it was planned" in headline(found)


# What is missing.


def test_without_a_confirmation_there_is_no_verdict():
    text = MATCHED.replace("confirm:", "#")
    found = answer(planted_results({WINNER: 0.02}, text=text))
    assert found.verdict is None
    assert "nothing was confirmed" in headline(found)
    assert len(found.rows) == len(ARMS)


def planned_before(first: StudyResults, later: StudyResults) -> StudyResults:
    """Results of a study that had been run by another plan when its present one was made."""
    (entry,) = later.plans
    return replace(later, plans=(*first.plans, register_at(len(first.runs), entry.plan)))


def failing(results: StudyResults, arm: str, stage: str) -> StudyResults:
    """One run of an arm diverged."""
    seed = design_seeds("planted", 0, stage, 8)[2]
    runs = tuple(
        replace(
            r,
            measurement=replace(
                r.measurement, accuracy=None, state="failed", reason="not finite", curve=()
            ),
        )
        if (r.arm, r.stage, r.measurement.seed) == (arm, stage, seed)
        else r
        for r in results.runs
    )
    return replace(results, runs=runs)


@pytest.mark.parametrize("arm", [WINNER, "plain"])
def test_a_judged_arm_that_failed_is_no_winner_of_the_other_seeds(arm):
    results = failing(planted_results({WINNER: 0.02}), arm, "confirmation")
    found = answer(results)
    assert found.verdict is None
    assert found.reason.startswith(f"{arm} failed with confirmation seed")
    assert ("failed runs", "1") in list(facts(found))


def test_an_arm_that_failed_in_screening_is_not_chosen():
    effects = {WINNER: 0.02, "C/8, spatial first": 0.019}
    found = answer(failing(planted_results(effects), WINNER, "screening"))
    assert found.verdict.chosen == "C/8, spatial first"


def test_a_failed_control_changes_nothing_but_itself():
    results = planted_results({WINNER: 0.02}, CONTROLS)
    found = answer(failing(results, "handicapped plain", "screening"))
    assert found.verdict == answer(results).verdict


def test_an_interrupted_confirmation_has_no_verdict_yet():
    """A look at the seeds so far, and stopping where they please, would be no test."""
    results = planted_results({WINNER: 0.02})
    found = answer(replace(results, runs=results.runs[: 18 + 25]))
    assert found.verdict is None
    assert found.reason.endswith("of 8 confirmation seeds are complete in all arms")


def test_screening_seeds_that_are_added_after_the_confirmation_choose_nothing():
    first = planted_results({WINNER: 0.02})
    before = answer(first)
    results = planned_before(first, planted_results({WINNER: 0.02}, "design.seeds=5"))
    added = set(design_seeds("planted", 0, "screening", 5)[3:])
    lucky = tuple(
        replace(run, measurement=replace(run.measurement, accuracy=1.0))
        if run.arm == "2, spatial first" and run.measurement.seed in added
        else run
        for run in results.runs
    )
    found = answer(replace(results, runs=lucky))
    assert found.verdict.chosen == before.verdict.chosen
    assert "screening seeds: 3, then 5" in found.changes[0]


def test_a_verdict_needs_both_kinds_of_end():
    text = MATCHED.replace("[1, 2, C/8, C/4, C]", "[1, 2, C/8, C/4]")
    found = answer(planted_results({WINNER: 0.02}, text=text))
    assert found.reason == f"no depthwise end of the same cost as {WINNER} was confirmed"


def test_another_study_has_other_seeds(monkeypatch):
    """What one study has seen cannot be planned in the next."""
    text = MATCHED.replace("confirm:", "#")
    search(monkeypatch, first := Planted(), text=text)
    search(monkeypatch, again := Planted(), "--study", "second", "--storage", str(URL), text=text)
    assert len(again.runs) == len(first.runs)  # nothing was known already
    assert not {s for *_, s in again.runs} & {s for *_, s in first.runs}


def test_a_study_without_runs_has_no_answer(monkeypatch):
    search(monkeypatch, Planted(stop_after=0))
    with pytest.raises(NoVerdict, match="no complete run"):
        answer(read_results(URL, "planted"))
    result = CliRunner().invoke(verdict_command, ["--study", "planted"])
    assert result.exit_code == 2
    assert "no complete run" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of --study and --published is needed"),
        (["--study", "planted", "--published", "x"], "one of --study and --published is needed"),
        (["--published", "published", "--delta", "200"], "delta is a difference of accuracies"),
        (["--published", "published", "--alpha", "0.7"], "alpha is between 0 and 0.5"),
    ],
)
def test_wrong_options_of_the_verdict_are_refused(options, message):
    publish(planted_results({}), Path("published"))
    result = CliRunner().invoke(verdict_command, options)
    assert result.exit_code == 2
    assert message in result.stderr


# The report.


def test_the_report_has_the_box_the_arms_and_the_controls(monkeypatch):
    result = search(monkeypatch, Planted({WINNER: 0.02}), "--controls", results=True)
    assert result.exit_code == 0, result.stderr
    assert f"Supported: {WINNER}" in result.stdout
    page = Path("runs/planted/report.html").read_text()
    assert f'<div class="verdict supported"><p>Supported: {WINNER}' in page
    assert "planned before the first run" in page
    assert "handicapped plain" in page
    for name in ("spectrum", "arms"):
        assert f'id="{name}"' in page
    assert {"measurements.csv", "plan.json"} <= {f.name for f in Path("runs/planted").iterdir()}
    assert json.loads(Path("runs/planted/plan.json").read_text())[0]["plan"]["delta"] == 0.005


def test_a_plain_search_has_no_box():
    plain = planted_study({}, text=SEARCH.replace("confirm:", "#"))
    assert answer_of(plain.results) is None
    page = render(plain.records, {}, {}, answer_of(plain.results))
    assert '<div class="verdict' not in page


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
        replace(run, measurement=replace(run.measurement, test_accuracy=None))
        for run in results.runs
    )
    without = answer(replace(results, runs=untested))
    assert without.test is None
    assert without.verdict == found.verdict


def test_the_impossible_is_said_before_the_first_run(monkeypatch):
    text = MATCHED.replace("confirm: {seeds: 8}", "confirm: {seeds: 5}")
    result = search(monkeypatch, Planted(stop_after=0), text=text)
    # 1/32 is less than 5%, but not than a third of it.
    assert (
        "note: the claim cannot be refuted with 5 confirmation seeds, 3 ends and alpha 0.05: "
        "it takes 6 seeds"
    ) in result.stdout
    assert "cannot be supported" not in result.stdout


def test_runs_on_different_machines_are_said_to_be():
    results = planted_results({})
    moved = tuple(
        replace(run, measurement=replace(run.measurement, threads=2))
        if run.arm == "plain" and run.stage == "confirmation"
        else run
        for run in results.runs
    )
    (change,) = answer(replace(results, runs=moved)).changes
    assert change.startswith("confirmed on different machines: ")


def test_sections_that_are_switched_off_are_not_there():
    off = planted_study({}, "match=null", "confirm=null", "claim.delta=1%")
    found = answer_of(off.results)
    assert "nothing was confirmed" in found.reason
    report = write_report(off.records, off.results, {}, Path())
    assert report.answer == found
    assert {"spectrum", "arms", "front"} <= set(report.figures)
    assert "No verdict: nothing was confirmed" in Path("report.html").read_text()


def test_half_a_point_is_not_half_of_everything():
    Path("planted.yaml").write_text(MATCHED.replace("delta: 0.5%", "delta: 0.5"))
    with pytest.raises(
        InputError, match=r"claim.delta: must be less than or equal to 0.2; got 0.5"
    ):
        load_space("planted.yaml")


def test_importance_is_not_that_of_the_controls(monkeypatch):
    text = MATCHED.replace("confirm:", "#")
    without = results_by_command(monkeypatch, {WINNER: 0.05}, text=text)
    plain = parameter_importances(URL, "planted")
    results_by_command(monkeypatch, {WINNER: 0.05}, "--controls", text=text)
    assert parameter_importances(URL, "planted") == pytest.approx(plain)
    assert without.plans


def test_a_run_whose_workers_died_is_among_the_failed(monkeypatch):
    class Dying(Planted):
        def run(self, driver, data, test=None, keep_weights=True) -> None:
            if test is None:
                spec = driver.next()
                for _ in range(3):
                    driver.worker_died(spec.trial, "killed")
                    driver.next()
            super().run(driver, data, test, keep_weights)

    result = search(monkeypatch, Dying(), text=MATCHED.replace("confirm:", "#"))
    assert result.exit_code == 0, result.stderr
    results = read_results(URL, "planted")
    assert answer(results).failed == 1
    (lost,) = [run.measurement for run in results.runs if run.measurement.state == "failed"]
    assert lost.reason.startswith("its worker died 3 times")
