"""`nas.export --format`: what is written, compared and said in the card, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from nas.export import app as export_app
from nas.network.formats import FORMATS
from nas.study.selection import choose
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
