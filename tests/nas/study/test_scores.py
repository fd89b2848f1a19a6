"""Studies that maximize another score than accuracy, and those whose classes are imbalanced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.reporting.figures.front import front_info, plot_front
from nas.reporting.front_csv import front_csv
from nas.reporting.model_card import Trained, model_card
from nas.reporting.page import render
from nas.study.records import read_records
from nas.study.selection import NoSuchTrial, choose
from tests.nas.driving import measured, open_driver
from tests.nas.records import network, study, trial


def balanced(spec) -> float:
    """Another order of the architectures than by accuracy."""
    return int(spec.architecture.key[4:8], 16) / 2**16


def run(driver, **scores):
    """Every trial has the accuracy that its key gives it, and these."""
    trained = 0
    while (spec := driver.next()) is not None:
        found = {name: score(spec) for name, score in scores.items()}
        driver.record(spec.trial, measured(driver, spec, **found))
        trained += 1
    driver.close()
    return trained


def test_what_is_maximized_makes_the_front_and_accuracy_is_kept(sqlite):
    objectives = "objectives={maximize: balanced_accuracy, minimize: macs}"
    run(open_driver(sqlite, objectives), balanced_accuracy=balanced)
    records = read_records(sqlite, "tiny")
    assert records.objectives == ("balanced_accuracy", "macs")
    best = choose(records, "balanced_accuracy")
    assert best in records.front
    assert best.values[0] == max(trial.values[0] for trial in records.complete)
    most_accurate = choose(records, "accuracy")
    assert most_accurate.accuracy == max(trial.accuracy for trial in records.complete)
    assert most_accurate != best
    inside = choose(records, f"macs<={best.macs}")
    assert inside.values[0] == best.values[0]
    figure = plot_front(front_info(records))
    assert figure.layout.yaxis.title.text == "validation balanced accuracy"
    assert max(figure.data[1].y) == best.values[0]
    header = front_csv(records).splitlines()[0]
    assert header.startswith("trial,accuracy,balanced_accuracy,macs,params")
    page = render(records, {}, {})
    assert "best balanced accuracy" in page
    assert "most accurate" in page


def test_a_balanced_accuracy_that_was_measured_beside_accuracy_is_reported(sqlite):
    run(open_driver(sqlite), balanced_accuracy=balanced)
    records = read_records(sqlite, "tiny")
    assert records.objectives == ("accuracy", "macs")
    assert all(trial.balanced_accuracy is not None for trial in records.complete)
    assert "<th>balanced accuracy</th>" in render(records, {}, {})
    best = choose(records, "balanced_accuracy")
    assert best.balanced_accuracy == max(t.balanced_accuracy for t in records.complete)


def test_what_was_not_measured_cannot_be_chosen_by(sqlite):
    run(open_driver(sqlite))
    records = read_records(sqlite, "tiny")
    assert "<th>balanced accuracy</th>" not in render(records, {}, {})
    with pytest.raises(NoSuchTrial, match="balanced accuracy was not measured"):
        choose(records, "balanced_accuracy")


def test_trainings_without_the_score_are_made_again(sqlite):
    """Another study of the same database has trained the same, and did not want it."""
    assert run(open_driver(sqlite)) == 6
    same = ("objectives.maximize=balanced_accuracy", "study.sampler=random")
    trained = run(open_driver(sqlite, *same, name="other"), balanced_accuracy=balanced)
    assert trained == 6
    assert run(open_driver(sqlite, *same, name="third")) == 0  # now they are there


def test_an_arms_balanced_accuracy_is_the_mean_over_its_seeds():
    one, two = (
        replace(trial(number, accuracy, network()), arm="plain", balanced_accuracy=accuracy - 0.2)
        for number, accuracy in ((0, 0.6), (1, 0.8))
    )
    (arm,) = study(one, two).complete
    assert arm.accuracy == pytest.approx(0.7)
    assert arm.balanced_accuracy == pytest.approx(0.5)


def test_top5_accuracy_is_shown_where_it_was_measured_and_is_no_objective(sqlite):
    run(open_driver(sqlite), top5_accuracy=balanced)
    records = read_records(sqlite, "tiny")
    assert records.objectives == ("accuracy", "macs")
    assert "<th>top-5 accuracy</th>" in render(records, {}, {})
    best = choose(records, "top5")
    assert best.top5_accuracy == max(trial.top5_accuracy for trial in records.complete)
    trained = Trained(records.file.training.full_recipe, best.score)
    row = f"| top-5 accuracy on the validation split | {best.top5_accuracy:.4f} |"
    assert row in model_card(records, best, trained)
    longer = replace(trained, recipe=replace(trained.recipe, epochs=99))
    assert "top-5" not in model_card(records, best, longer)  # it is of other weights
    assert "top-5" not in model_card(study(), trial(0, 0.5, network()), trained)
