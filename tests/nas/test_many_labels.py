"""Images with many labels, from the search space to the exported network's labels of a picture."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from nas.engine.stage import StageRunner
from nas.network.comparison import Samples, confusion_of, loss_of, precisions_of, score_of
from nas.network.export import export_network
from nas.network.source import Provenance
from nas.predict import app as predict_app
from nas.reporting.model_card import Trained, model_card
from nas.reporting.page import render
from nas.space.errors import InputError
from nas.space.objectives import OBJECTIVES
from nas.study.location import StudyPlace
from nas.study.selection import NoSuchTrial, choose
from tests.nas.driving import SPACE, measured, open_driver, read_space
from tests.nas.exporting import SMALL, imported, with_statistics
from tests.trials.data_sets import archive, encoded, pixels, write
from trials.measurement import Measurement
from trials.recipe import RECIPES

CLASSES = ("cat", "dog", "cow", "ant")
MANY = SPACE.replace(
    "{source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}", "{source: npz:data.npz}"
)
SHARES = (0.5, 0.3, 0.2, 0.1)


def labels(count: int = 60) -> np.ndarray:
    return (np.random.default_rng(0).random((count, 4)) < SHARES).astype(np.uint8)


@pytest.fixture
def many_labels():
    archive(images=np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8),
            labels=labels(), classes=np.array(CLASSES))  # fmt: skip


@pytest.mark.usefixtures("many_labels")
@pytest.mark.parametrize(
    ("more", "objectives"),
    [
        ("", ("average_precision", "macs")),
        ("objectives: {minimize: [params, macs]}\n", ("average_precision", "params", "macs")),
        ("objectives: {maximize: map_at_100}\n", ("map_at_100",)),
        ("macs: {match: 20K, tolerance: 0.5}\n", ("average_precision",)),
    ],
)
def test_a_space_maximizes_average_precision_where_it_does_not_say(more, objectives):
    space = read_space(MANY + more)
    assert space.file.objective_names == objectives
    assert read_space(json.dumps(space.document.value)).file == space.file  # as it is kept


@pytest.mark.usefixtures("many_labels")
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("objectives: {maximize: accuracy}", "objectives.maximize: accuracy is of images with one"),
        ("objectives: {maximize: top5}", "objectives.maximize: top5 is of images with one label"),
        ("training: {class_weights: balanced}", "training.class_weights: weights of classes are"),
    ],
)
def test_what_only_one_label_each_has_is_refused(more, message):
    text = "\n".join(line for line in MANY.splitlines() if line[:8] != more[:8])
    with pytest.raises(InputError, match=message):
        read_space(f"{text}\n{more}\n")


@pytest.mark.usefixtures("many_labels")
def test_labels_that_are_read_only_when_a_search_begins_are_checked_then():
    space = read_space(MANY.replace("{source", "{shape: [3, 8, 8], classes: 4, source"))
    assert space.file.objective_names == ("accuracy", "macs")
    place = StudyPlace("tiny", Path("runs"), make_url("sqlite:///runs/study.db"))
    with pytest.raises(InputError, match="accuracy is of images with one label each"):
        StageRunner(space, place, quiet=True).study_data.load()


def precision_of(driver, spec) -> tuple[Measurement, ...]:
    """What a worker would report."""
    return tuple(
        replace(m, accuracy=None, average_precision=m.accuracy, map_at_100=0.25)
        for m in measured(driver, spec)
    )


@pytest.mark.usefixtures("many_labels")
def test_a_study_is_judged_by_average_precision_everywhere(sqlite):
    driver = open_driver(sqlite, text=MANY)
    while spec := driver.next():
        driver.record(spec.trial, precision_of(driver, spec))
    records = driver.records()
    assert records.score == "average_precision"
    best = choose(records, "average_precision")
    assert best.score == best.average_precision == max(t.values[0] for t in records.complete)
    with pytest.raises(NoSuchTrial, match="accuracy was not measured"):
        choose(records, "accuracy")
    page = render(records, {}, {})
    assert "best mean average precision" in page
    assert "<th>MAP@100</th>" in page
    assert "accura" not in page.split("<h2>The study")[1].split("<pre>")[0]
    card = model_card(records, best, Trained(RECIPES["proxy"], best.score))
    assert f"| mean average precision on the validation split | {best.score:.4f} |" in card
    assert "accuracy" not in card
    driver.close()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with a network for many labels, and the module in it."""
    folder = tmp_path_factory.mktemp("model") / "best"
    provenance = Provenance(
        "x", classes=CLASSES, mean=(90.0,) * 3, std=(60.0,) * 3, resize="crop", many_labels=True
    )
    export_network(SMALL, with_statistics(SMALL), folder, provenance)
    return folder, imported(folder)


def test_files_are_judged_by_average_precision():
    """A file whose outputs are off by noise, against the trained network."""
    rng = np.random.default_rng(0)
    hot = labels(500)
    logits = torch.from_numpy(hot + rng.normal(size=hot.shape))
    noisy = logits + torch.from_numpy(rng.normal(size=hot.shape))
    images = torch.arange(500, dtype=torch.int32).reshape(500, 1, 1, 1)
    samples = Samples(images, torch.from_numpy(hot), torch.zeros(1), torch.ones(1), images)

    def run(outputs: torch.Tensor):
        return lambda shown: outputs[shown.flatten().long()]

    def precisions(outputs: torch.Tensor) -> list[float]:
        return [average_precision_score(hot[:, c], outputs[:, c]) for c in range(4)]

    score, worse = np.mean(precisions(logits)), np.mean(precisions(noisy))
    assert score_of(run(logits), samples, raw=True) == pytest.approx(score)
    assert confusion_of(run(logits), samples, 4) == ()
    by_class = precisions_of(run(logits), samples)
    assert [count for count, _ in by_class] == hot.sum(axis=0).tolist()
    assert [precision for _, precision in by_class] == pytest.approx(precisions(logits))
    loss = loss_of(run(noisy), run(logits), samples, raw=False)
    assert loss.points == pytest.approx(100 * (score - worse))
    assert 0 < loss.low < loss.points < loss.high < 100
    same = loss_of(run(logits), run(logits), samples, raw=False)
    assert (same.points, same.low, same.high) == (0, 0, 0)


def test_the_model_says_which_labels_a_picture_has(exported):
    _, module = exported
    write("a.png", content=encoded(pixels(20, 30)))
    probabilities = module.predict("a.png")
    with torch.inference_mode():
        logits = module.load()(module.preprocess(module.read_image("a.png")))[0]
    by_name = dict(zip(CLASSES, logits.sigmoid().tolist(), strict=True))
    assert probabilities == pytest.approx(by_name)
    assert list(probabilities) == sorted(by_name, key=by_name.get, reverse=True)
    assert module.labels("a.png") == [name for name, p in probabilities.items() if p > 0.5]
    assert module.labels("a.png", threshold=0.0) == list(probabilities)


def test_predictions_have_the_labels_in_every_style(exported):
    folder, module = exported
    write("a.png", content=encoded(pixels(20, 30)))
    expected = module.labels("a.png")

    def said(style: str) -> str:
        arguments = ["--model", str(folder), "--as", style, "a.png"]
        result = CliRunner().invoke(predict_app, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    (row,) = json.loads(said("json"))
    assert row["labels"] == expected
    assert row["classes"] == pytest.approx(module.predict("a.png"), abs=1e-5)
    (row,) = csv.DictReader(io.StringIO(said("csv")))
    assert row["labels"] == "|".join(expected)
    assert (", ".join(expected) or "none") in said("table")


def test_titles_begin_with_a_capital_and_leave_the_others():
    assert OBJECTIVES["map_at_100"].headline == "MAP@100"
    assert OBJECTIVES["average_precision"].headline == "Mean average precision"
