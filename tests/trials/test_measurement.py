"""The JSON of measurements: what was written is read, by earlier versions too, or refused."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest

from tests.trials.measurements import MEASUREMENT
from trials.bounded_json import JsonError
from trials.measurement import from_json, to_json


def test_json_gives_the_same_measurements_back():
    failed = replace(MEASUREMENT, state="failed", reason="not finite", accuracy=None, curve=())
    assert from_json(to_json([MEASUREMENT, failed])) == (MEASUREMENT, failed)


def test_json_of_earlier_versions_is_read():
    """They wrote it with Python's own module."""
    for measurement in (MEASUREMENT, replace(MEASUREMENT, accuracy=None, reason="x \n é")):
        assert from_json(json.dumps([asdict(measurement)])) == (measurement,)


def test_what_is_no_number_is_kept_in_json():
    diverged = replace(MEASUREMENT, validation_loss=float("nan"), curve=((float("inf"), 1.0, 0.0),))
    assert '"validation_loss":NaN' in to_json([diverged])
    assert '"test_accuracy":null' in to_json([diverged])
    for text in (to_json([diverged]), json.dumps([asdict(diverged)])):
        (again,) = from_json(text)
        assert math.isnan(again.validation_loss)
        assert replace(again, validation_loss=1.5) == replace(diverged, validation_loss=1.5)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[[1]]", '[{"unknown": 1}]', '[{"seed": 1}]'])
def test_other_json_is_refused(text):
    with pytest.raises(JsonError):
        from_json(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unknown", 1),
        ("seed", "1"),
        ("accuracy", "0.5"),
        ("state", "running"),
        ("curve", [[1.0, 2.0]]),
        ("versions", []),
        ("seconds", None),
    ],
)
def test_a_measurement_with_a_field_that_is_unknown_or_of_another_type_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        from_json(json.dumps([asdict(MEASUREMENT) | {field: value}]))
