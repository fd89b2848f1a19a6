"""Which images a network was right on: kept with a training, and read only as they were written."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trials.measurements import MEASUREMENT
from tests.trials.training import CPU, QUICK, network
from trials.data import DataConfig, load
from trials.measurement import from_json, to_json
from trials.right_answers import MOST_IMAGES, packed, unpacked
from trials.store import Store
from trials.train import Resident, evaluate
from trials.trial import RIGHT, Subject, run_trial

SUBJECT = Subject("k" * 16, "{}", network, (3, 8, 8), macs=100, params=10)


@given(st.lists(st.booleans(), min_size=1, max_size=100))
def test_what_was_packed_is_unpacked(answers):
    text = packed(np.array(answers))
    assert unpacked(text).tolist() == answers
    assert text == f"{len(answers)}:{text.partition(':')[2]}"


def test_a_bit_takes_a_sixth_of_a_character():
    assert len(packed(np.ones(10_000, bool))) == 1_674
    assert packed(np.ones(MOST_IMAGES + 1, bool)) is None
    assert packed(np.ones(0, bool)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begin with the number of images"),
        ("gA==", "begin with the number of images"),
        ("1e3:gA==", "begin with the number of images"),
        ("٣:gA==", "begin with the number of images"),
        ("1:gA=", "bits in base64"),
        ("1:ü", "bits in base64"),
        ("9:gA==", "got 8 bits for 9"),
        ("0:", "got 0 bits for 0"),
        ("9999999:gA==", "at most|1 to 4,194,304 images"),
        ("1:wA==", "end with the last image"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        unpacked(text)
    with pytest.raises(ValueError, match="test_right"):
        from_json(json.dumps([asdict(MEASUREMENT) | {"test_right": text}]))


def test_json_and_database_keep_it(tmp_path):
    kept = replace(MEASUREMENT, half_score=0.5, half_right=packed(np.array([True, False])))
    assert from_json(to_json([kept])) == (kept,)
    store = Store(f"sqlite:///{tmp_path / 'study.db'}")
    store.add(kept)
    assert store.all() == (kept,)
    store.close()


def test_an_accuracy_is_exactly_the_share_of_right_answers():
    data = load(DataConfig("synthetic", limit=250, shape=(3, 8, 8), classes=4, half="x"))
    resident = Resident(data, CPU, data.train)
    (measured,) = run_trial(SUBJECT, resident, "f", QUICK, (1,), RIGHT)
    scores = measured.accuracy, measured.test_accuracy, measured.half_score
    splits = data.validation, data.train, data.half
    for name, score, split in zip(RIGHT, scores, splits, strict=True):
        right = unpacked(getattr(measured, name))
        assert len(right) == len(split)
        assert float(Fraction(int(right.sum()), len(split))) == score


def test_it_is_of_the_images_in_their_order(resident):
    trained = network()
    right = evaluate(trained, resident.validation).right
    with torch.no_grad():
        for number in range(len(resident.validation)):
            image, label = resident.validation.batch(torch.tensor([number]))
            assert bool(trained(image).argmax() == label) == bool(right[number])


def test_only_trainings_that_judge_keep_it(resident):
    (measured,) = run_trial(SUBJECT, resident, "f", QUICK, (1,), {"accuracy"})
    assert [getattr(measured, name) for name in RIGHT] == [None] * 3
    (measured,) = run_trial(SUBJECT, resident, "f", QUICK, (1,), RIGHT)
    assert measured.validation_right is not None
    assert (measured.test_right, measured.half_right) == (None, None)
