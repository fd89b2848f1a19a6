"""The curve of a training as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from nas.reporting.curve_drawing import draw_curve
from trials.train import Epoch

CURVE = [Epoch(2.0, 2.5, 0.25), Epoch(1.0, 1.5, 0.75), Epoch(0.5, 1.5, 0.5)]
SVG = "{http://www.w3.org/2000/svg}"


def lines(curve):
    root = ET.fromstring(draw_curve(curve, "accuracy <&>"))
    found = [line.attrib["points"].split() for line in root.iter(f"{SVG}polyline")]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    return [[tuple(map(float, point.split(","))) for point in each] for each in found], texts


def test_what_is_larger_is_higher_and_epochs_are_evenly_apart():
    (train, validation, score), texts = lines(CURVE)
    assert [len(each) for each in (train, validation, score)] == [3, 3, 3]
    for line, values in (
        (train, (2.0, 1.0, 0.5)),
        (validation, (2.5, 1.5, 1.5)),
        (score, (0.25, 0.75, 0.5)),
    ):
        (x0, y0), (x1, y1), (x2, y2) = line
        assert x1 - x0 == x2 - x1 > 0
        assert (y0 < y1) == (values[0] > values[1])
        assert (y1 < y2) == (values[1] > values[2])
    assert validation[0][1] < train[0][1]  # both on one scale
    assert {"training loss", "validation loss", "validation accuracy <&>", "epochs 1 to 3"} <= set(
        texts
    )
    assert {"0.5", "2.5", "0.25", "0.75"} <= set(texts)


def test_one_epoch_and_epochs_that_are_all_alike():
    assert [len(each) for each in lines(CURVE[:1])[0]] == [1, 1, 1]
    assert lines([CURVE[0]] * 4)[0]
