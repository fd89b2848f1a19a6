"""Published networks among a design's arms: in tables and curves, and in no verdict or front."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.analysis.answer import answer
from nas.analysis.published import published_results, write_results
from nas.reporting import figures
from nas.reporting.answer_tables import answer_tables
from nas.reporting.answer_text import headline
from nas.reporting.page import render
from tests.nas.planting import planted_results, planted_study, results_by_command
from tests.nas.space.test_published import PUBLISHED

CONFIRMED = f"{PUBLISHED}confirm: {{seeds: 8}}\n"
WINS = {"xception": 0.1, "C/4": 0.03}


def tables(results):
    return {table.title: table for table in answer_tables(answer(results))}


def test_a_published_network_that_wins_changes_no_verdict():
    planted = planted_results(WINS, text=CONFIRMED)
    alone = planted_results(WINS, "design.arms=null", text=CONFIRMED)
    assert answer(planted).verdict == answer(alone).verdict
    assert headline(answer(planted)).startswith("Supported: C/4 beats every end")
    assert answer(planted).plan.ends == ("1", "C")


def test_it_is_on_no_front_and_on_no_spectrum():
    study = planted_study(WINS, text=CONFIRMED)
    assert {trial.arm for trial in study.records.complete} == {"1", "C/4", "C"}
    series = figures.spectrum_info(study.results).series
    assert {place.arm for s in series for place in s.places} == {"1", "C/4", "C"}
    assert "xception" in render(study.records, {}, {}, answer(study.results))


def test_the_table_has_accuracy_size_and_speed_of_all_arms():
    speed = tables(planted_results(WINS, text=CONFIRMED))["Accuracy, size and speed"]
    rows = {row[0]: dict(zip(speed.heads, row, strict=True)) for row in speed.rows}
    assert list(rows)[3:] == ["xception", "mobilenet", "xception:segments=4", "plain"]
    assert rows["xception"]["accuracy"].endswith("(8)")  # fresh seeds
    assert float(rows["xception"]["accuracy"].split()[0]) == pytest.approx(80, abs=3)
    assert rows["mobilenet"]["images/s"] == "1,000"
    assert rows["mobilenet"]["steps/s"] == "62.5"


def test_top_5_accuracy_is_said_to_be_of_the_images_that_validate():
    """The accuracy beside it may be of the test split."""
    results = planted_results(WINS, text=CONFIRMED)
    assert "top-5" not in str(tables(results)["Accuracy, size and speed"]).lower()
    trainings = tuple(
        replace(run, measurement=replace(run.measurement, top5_accuracy=0.9))
        for run in results.trainings
    )
    speed = tables(replace(results, trainings=trainings))["Accuracy, size and speed"]
    assert "top-5 accuracy" in speed.heads
    assert "Top-5 accuracy is on the images that validate" in speed.note


def test_learning_curves_have_all_arms():
    curves = figures.arm_curves_info(planted_results(WINS, text=CONFIRMED)).curves
    assert curves[0].arm == "xception"
    assert len(curves) == 7


def test_the_command_trains_them_and_what_is_published_names_them(monkeypatch, tmp_path):
    results = results_by_command(monkeypatch, WINS, text=CONFIRMED)
    write_results(results, tmp_path)
    (tmp_path / "space.yaml").write_text(CONFIRMED)
    again = published_results(tmp_path)
    assert again.arms["mobilenet"].role == "published"
    assert tables(again) == tables(results)
    assert headline(answer(again)) == headline(answer(results))
