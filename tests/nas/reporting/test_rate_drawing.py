"""A range test as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from nas.reporting.rate_drawing import draw_rates
from trials.rate_range import RateRange, rising_rates

SVG = "{http://www.w3.org/2000/svg}"
LOSSES = [2.0] * 100 + list(np.linspace(2, 1, 160)) + [1.0] * 40 + [1e30] * 3


def drawn(losses):
    root = ET.fromstring(draw_rates(RateRange(rising_rates()[: len(losses)], tuple(losses))))
    lines = [line.attrib["points"].split() for line in root.iter(f"{SVG}polyline")]
    texts = {text.text: float(text.attrib["x"]) for text in root.iter(f"{SVG}text")}
    return [[tuple(map(float, point.split(","))) for point in line] for line in lines], texts


def test_both_losses_over_the_logarithm_of_the_rate():
    (raw, smoothed), texts = drawn(LOSSES)
    assert len(raw) == len(smoothed) == len(LOSSES)
    powers = [texts[f"1e{power}"] for power in range(-6, -1)]
    np.testing.assert_allclose(np.diff(powers), powers[1] - powers[0], atol=0.11)
    assert powers[0] == raw[0][0]
    # A rate of 1e-5 is that of step 399 / 7.
    assert raw[56][0] < powers[1] < raw[58][0]
    assert raw[-1][1] == raw[-2][1] == 20  # at the upper edge, and no higher
    assert raw[0][1] < raw[280][1]


def test_the_rates_that_are_suggested_are_marked():
    _, texts = drawn(LOSSES)
    marks = [text for text in texts if text.startswith(("falls fastest: ", "lowest: "))]
    assert len(marks) == 2
    _, texts = drawn(range(1, 100))
    assert not any(text.startswith("falls fastest") for text in texts)


@pytest.mark.parametrize("count", [1, 2])
def test_of_a_few_steps(count):
    assert [len(line) for line in drawn(LOSSES[:count])[0]] == [count, count]
