"""What is published of a study says the same as its database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from typer.testing import CliRunner

from nas.analysis.answer import answer
from nas.analysis.published import published_results, write_results
from nas.reporting.answer_tables import arms_table, speed_table
from nas.verdict import app as verdict_command
from tests.nas.planting import (
    WINNER,
    Planted,
    planted_results,
    planted_study,
    publish,
    results_by_command,
)


def test_what_is_published_gives_the_same_answer_without_the_database(monkeypatch):
    results = results_by_command(monkeypatch, {WINNER: 0.02}, "--controls")
    write_results(results, Path("runs/planted"))
    (Path("published")).mkdir()
    for name in ("measurements.csv", "plan.json", "space.yaml"):
        Path("published", name).write_bytes(Path("runs/planted", name).read_bytes())
    published = published_results(Path("published"))
    assert published.trainings == results.trainings
    assert published.plans == results.plans
    assert answer(published) == answer(results)
    outputs = [
        CliRunner().invoke(verdict_command, [*source, "--delta", "1"])
        for source in (["--study", "planted"], ["--published", "published"])
    ]
    assert [output.exit_code for output in outputs] == [0, 0]
    assert outputs[0].stdout == outputs[1].stdout
    assert "Supported" in outputs[0].stdout


def test_many_labels_are_judged_by_mean_average_precision_as_others_are_by_accuracy():
    results = planted_results({WINNER: 0.02})
    trainings = tuple(
        replace(
            run,
            measurement=replace(
                run.measurement,
                accuracy=None,
                test_accuracy=None,
                average_precision=run.measurement.accuracy,
                test_average_precision=run.measurement.test_accuracy,
            ),
        )
        for run in results.trainings
    )
    found = answer(replace(results, trainings=trainings))
    assert found.score == "average_precision"
    assert "many labels" in found.new_images
    expected = answer(results)
    why = {"new_images": expected.new_images, "test_new_images": expected.test_new_images}
    assert replace(found, score="accuracy", **why) == expected
    note = arms_table(found.rows, found.score).note
    assert note.startswith("Mean average precisions in percent")


def test_published_accuracies_are_those_of_the_table():
    study = planted_study({WINNER: 0.02})
    found = answer(study.results)
    (row,) = [row for row in found.rows if row.name == WINNER]
    planted = Planted({WINNER: 0.02})
    records = [r for r in study.records.confirmation.trials if r.arm == WINNER]
    expected = fmean(planted.accuracy(record, record.seeds[0]) for record in records)
    assert fmean(row.confirmation) == pytest.approx(expected)
    table = arms_table(found.rows, found.score)
    cells = dict(zip(table.heads, next(r for r in table.rows if r[0] == WINNER), strict=True))
    assert cells["confirmed"].startswith(f"{100 * expected:.2f} ± ")
    assert cells["test"].startswith(f"{100 * (expected - 0.01):.2f} ± ")
    table = speed_table(found.rows, found.score)
    cells = dict(zip(table.heads, table.rows[0], strict=True))
    assert (cells["images/s"], cells["steps/s"]) == ("1,000", "62.5")  # batches of 16


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "plan.json").unlink(), "there is no plan.json in published"),
        (lambda f: (f / "plan.json").write_text("{"), "is not what was published"),
        (
            lambda f: (f / "measurements.csv").write_text("arm\nplain\n"),
            "is not what was published",
        ),
    ],
)
def test_a_damaged_publication_is_said_to_be(spoil, message):
    folder = Path("published")
    publish(planted_results({}), folder)
    spoil(folder)
    result = CliRunner().invoke(verdict_command, ["--published", "published"])
    assert result.exit_code == 2
    assert message in result.stderr
