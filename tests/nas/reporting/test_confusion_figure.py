"""The confusion matrix as a figure, and the file that it is drawn of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.network.confusion_file import read_confusion
from nas.reporting.figures import ConfusionInfo, plot_confusion


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"architecture": "a", "classes": 3})])
def test_a_damaged_file_is_none(text):
    Path("confusion.json").write_text(text)
    assert read_confusion(Path()) is None


def test_many_classes_are_colours_alone():
    def drawn(classes: int):
        counts = np.diag(np.arange(classes)).tolist()  # the first class has no images
        names = tuple(f"class {i}" for i in range(classes))
        return plot_confusion(ConfusionInfo(3, names, tuple(map(tuple, counts))))

    few, many = drawn(4), drawn(60)
    assert few.data[0].text[2] == ["", "", 2, ""]
    assert few.data[0].z[0] == [None] * 4
    assert few.data[0].z[2][2] == 1.0
    assert many.data[0].text is None
    assert many.layout.xaxis.showticklabels is False
    assert "100.00% on the diagonal" in many.layout.title.text


def test_names_of_classes_are_text_and_all_of_them_are_shown():
    figure = plot_confusion(ConfusionInfo(3, ("a <b>circle<", "x & y"), ((1, 0), (0, 1))))
    assert list(figure.layout.xaxis.ticktext) == ["a &lt;b&gt;circle&lt;", "x &amp; y"]
    assert figure.data[0].customdata[0][1] == ["a &lt;b&gt;circle&lt;", "x &amp; y", 0]
    assert figure.layout.xaxis.ticklabeloverflow == "allow"  # Plotly drops the last, turned one
