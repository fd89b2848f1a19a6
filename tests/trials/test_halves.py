"""Half of the validation images, left to judge by."""

from __future__ import annotations

import numpy as np
import pytest

from trials.data import DataConfig, DataError, load, load_test

WHOLE = DataConfig("digits", validation=0.2)
HALVED = DataConfig("digits", validation=0.2, half="study/0")


def images(*splits) -> list[bytes]:
    return sorted(image.tobytes() for split in splits for image in split.images)


def test_the_halves_are_the_validation_images_and_half_of_each_class():
    whole, halved = load(WHOLE), load(HALVED)
    assert whole.half is None
    assert images(halved.train) == images(whole.train)
    assert images(halved.validation, halved.half) == images(whole.validation)
    choose, judge = (np.bincount(s.labels) for s in (halved.validation, halved.half))
    assert abs(choose - judge).max() <= 1
    assert load_test(HALVED, halved).images.tobytes() == load_test(WHOLE, whole).images.tobytes()


def test_they_are_drawn_by_the_study_alone():
    again, other = load(HALVED), load(DataConfig("digits", validation=0.2, half="study/1"))
    assert again.half.images.tobytes() == load(HALVED).half.images.tobytes()
    assert images(other.half) != images(again.half)


def test_data_has_another_fingerprint_by_either_half():
    found = [load(config) for config in (WHOLE, HALVED)]
    found.append(load(DataConfig("digits", validation=0.2, half="study/1")))
    assert len({data.summary.fingerprint for data in found}) == 3


def test_a_validation_split_of_the_source_is_halved(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 20), ("val", 10)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % 2
    np.savez(tmp_path / "own.npz", **arrays)
    data = load(DataConfig(f"npz:{tmp_path / 'own.npz'}", half="x"))
    assert [len(split) for split in data.splits] == [20, 6, 4]
    assert images(data.validation, data.half) == images_of(arrays["val_images"])


def images_of(array) -> list[bytes]:
    return sorted(image.tobytes() for image in array)


def test_one_image_of_each_class_leaves_none_to_choose_by():
    config = DataConfig("synthetic", limit=20, shape=(3, 8, 8), classes=4, validation=0.2, half="x")
    with pytest.raises(DataError, match="half of 4 validation images leaves none to choose by"):
        load(config)
