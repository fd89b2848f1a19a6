"""`nas.export --format`: what is written, compared and said in the card, and what is refused."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix
from sqlalchemy.engine import make_url

from nas.analysis.results import read_results
from nas.export import app as export_app
from nas.network.comparison import TooMuchLost
from nas.network.confusion_file import read_confusion
from nas.network.formats import FORMATS
from nas.reporting.export_trial import export_trial
from nas.reporting.page import write_report
from nas.study.selection import choose
from nas.study.trained_network import data_of, load_trained, samples_of
from tests.nas.commands import run


def test_formats_are_compared_on_the_validation_images(study, records):
    run(export_app, "--study", study, "--trial", 2, "--output", "out", "--format", "pytorch,pt2")
    assert Path("out/model.pt2").is_file()
    assert not Path("out/model.onnx").exists()
    card = Path("out/README.md").read_text()
    accuracy = choose(records, trial=2).accuracy
    row = next(line for line in card.splitlines() if line.startswith("| pt2 | model.pt2 |"))
    assert f"| {accuracy:.4f} |" in row
    by_class = card.split("## Accuracy by class")[1].split("## Use")[0]
    rows = re.findall(r"\| class \d \| (\d+) \| ([0-9.]+) \| (.*) \|", by_class)
    assert len(rows) == 4
    images = sum(int(count) for count, _, _ in rows)
    assert images == records.data.images[1]
    right = sum(int(count) * float(share) for count, share, _ in rows)
    assert right / images == pytest.approx(accuracy, abs=1e-3)
    assert [float(share) for _, share, _ in rows] == sorted(float(share) for _, share, _ in rows)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tflite", "--format: error: no such format: tflite\nhint: any of pytorch, pt2, onnx"),
        ("pytorch,odd", "no such format: odd"),
    ],
)
def test_a_format_that_there_is_not_is_refused(study, name, message):
    arguments = ("--study", study, "--output", "out", "--format", name)
    assert message in run(export_app, *arguments, status=2).stderr
    assert not Path("out").exists()


def test_what_a_format_needs_is_named(study, monkeypatch):
    onnx = replace(FORMATS["onnx"], packages=("onnx", "not_installed"))
    monkeypatch.setitem(FORMATS, "onnx", onnx)
    arguments = ("--study", study, "--output", "out", "--format", "onnx")
    message = run(export_app, *arguments, status=2).stderr
    assert "--format: error: onnx needs not_installed" in message
    assert "hint: pip install 'separability-nas[onnx]'" in message


def test_the_knees_confusion_is_kept_and_shown_without_data(study, records, tmp_path):
    finished = shutil.copytree(study, tmp_path / "small")
    knee, url = choose(records), make_url(f"sqlite:///{finished / 'study.db'}")
    samples = samples_of(data_of(records))
    export_trial(records, knee, finished, finished / "best", samples=samples)
    network = load_trained(records, knee, finished)
    guesses = network(samples.normalised(samples.images)).argmax(dim=1)
    expected = confusion_matrix(samples.labels, guesses, labels=range(4))
    kept = read_confusion(finished / "best")
    assert np.array_equal(kept.counts, expected)
    assert kept.classes == records.data.classes
    card = (finished / "best" / "README.md").read_text()
    assert "## Accuracy by class" in card
    assert "## Formats" not in card  # it was compared with no other

    results = read_results(url, "small")
    figure = write_report(records, results, (), finished).figures["confusion"]
    assert f"trial {knee.number}" in figure.layout.title.text
    shown = [[cell or 0 for cell in row] for row in figure.data[0].text]
    assert np.array_equal(shown, expected)

    # An export of another network in its place says nothing of the knee.
    other = next(t for t in records.complete if t.architecture.key != knee.architecture.key)
    export_trial(records, other, finished, finished / "best", samples=samples)
    assert "confusion" not in write_report(records, results, (), finished).figures
    # Alone it is compared with nothing; what it takes images for is said all the same.
    run(export_app, "--study", finished, "--output", finished / "best", "--format", "pytorch")
    assert np.array_equal(read_confusion(finished / "best").counts, expected)
    assert "## Accuracy by class" in (finished / "best" / "README.md").read_text()


def test_what_has_no_effect_is_refused(study):
    for options, message in (
        (["--with-preprocess"], "--with-preprocess: error: is of onnx and int8 alone; got pytorch"),
        (["--features"], "--features: error: is of onnx and int8 alone; got pytorch, pt2"),
        (["--calibration", 3], "--calibration: error: is of int8 alone"),
        (["--max-loss", 3], "--max-loss: error: is of int8 and int4 alone"),
    ):
        arguments = ("--study", study, "--output", "out", "--format", "pt2", *options)
        assert message in run(export_app, *arguments, status=2).stderr


def test_a_format_that_loses_too_much_is_no_bug(study, monkeypatch):
    def export_trial(*_):
        raise TooMuchLost("model.int4.safetensors loses 9.00 percentage points of accuracy")

    monkeypatch.setattr("nas.export.export_trial", export_trial)
    arguments = ("--study", study, "--output", "out", "--format", "int4")
    message = run(export_app, *arguments, status=1).stderr
    assert message.startswith("error: model.int4.safetensors loses 9.00")
    assert "hint: --max-loss" in message
