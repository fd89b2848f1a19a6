"""Other splits of the same images: who judges, who is trained on, and where they are in memory."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trials.data_sets import FOLDER, folders
from tests.trials.training import CPU, QUICK, network
from trials.data import DataConfig, ImageData, Split, load
from trials.data.folds import Fold, parts_for
from trials.train import Resident, train


def data_of(labels: np.ndarray, validation: int) -> ImageData:
    """Images that are all different, the last ones to validate."""
    pool = np.arange(len(labels), dtype=np.uint16).view(np.uint8).reshape(-1, 1, 1, 2)
    ends = [len(labels) - validation]
    train, judging = map(Split, np.split(pool, ends), np.split(labels, ends))
    return ImageData(train, judging, ("a", "b", "c"), (0.0, 0.0), (1.0, 1.0), pool=pool)


@given(
    labels=st.lists(st.integers(0, 2), min_size=12, max_size=60),
    parts=st.integers(1, 5),
    deal=st.integers(0, 2),
)
def test_each_training_image_judges_once_in_each_deal_and_no_validation_image_does(
    labels, parts, deal
):
    data = data_of(np.array(labels), validation=4)
    folds = [Fold(deal * parts + part, parts) for part in range(parts)]
    judged = [fold.rows(data)[1] for fold in folds]
    assert sorted(np.concatenate(judged)) == list(range(len(data.train)))
    for fold, rows in zip(folds, judged, strict=True):
        assert sorted([*fold.rows(data)[0], *rows]) == list(range(len(labels)))
        assert fold.size(len(data.train)) == len(rows)
    counts = [np.bincount(data.train.labels[rows], minlength=3) for rows in judged]
    assert (np.max(counts, axis=0) - np.min(counts, axis=0)).max() <= 1
    assert np.ptp([len(rows) for rows in judged]) <= 1


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_images_with_many_labels_are_dealt_by_the_rarest(seed):
    labels = (np.random.default_rng(seed).random((60, 3)) < [0.8, 0.5, 0.1]).astype(np.uint8)
    data = data_of(labels, validation=12)
    rarest = int(data.train.labels.sum(axis=0).argmin())
    counts = [data.train.labels[Fold(i, 4).rows(data)[1], rarest].sum() for i in range(4)]
    assert np.ptp(counts) <= 1


def test_images_are_dealt_anew_once_all_have_judged():
    data = data_of(np.arange(80) % 3, validation=16)
    first, again, same = (Fold(number, 4).rows(data)[1].tolist() for number in (1, 5, 1))
    assert first != again
    assert first == same


def test_each_split_is_a_data_set_of_its_own():
    names = {Fold(number, parts).fingerprint("f") for number in range(9) for parts in (4, 5)}
    assert len(names | {"f"}) == 19
    assert all(len(name) == 16 for name in names)
    assert Fold(1, 4).fingerprint("f") != Fold(1, 4).fingerprint("e")


def test_the_parts_are_about_as_large_as_the_validation_split():
    """An eighth, a fifth, a third, a half; and more than a half, of which no part is left."""
    sizes = {0.125: 7, 0.2: 4, 1 / 3: 2, 0.5: 1, 0.7: 1}
    for fraction, parts in sizes.items():
        validation = round(240 * fraction)
        assert parts_for(data_of(np.arange(240) % 3, validation)) == parts


def apart(data: ImageData, fold: Fold) -> ImageData:
    """The split as a copy of its own."""
    images = np.concatenate([data.train.images[:], data.validation.images[:]])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    train, judging = (Split(images[rows], labels[rows]) for rows in fold.rows(data))
    return replace(data, train=train, validation=judging, pool=None)


def trained(resident: Resident):
    net = network()
    return train(net, resident, QUICK, seed=3).curve, net.state_dict()


SOURCES = {
    "memory": DataConfig("synthetic", limit=120, shape=(3, 8, 8), classes=4),
    "file": FOLDER,
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.usefixtures("own_cache")
def test_a_network_is_trained_as_on_a_copy_that_is_split_like_it(kind):
    """In another process, where the images have travelled to, and after another fold."""
    folders(a=40, b=40)
    data = pickle.loads(pickle.dumps(load(SOURCES[kind])))
    fold, resident = Fold(2, 4), Resident(data, CPU)
    trained(resident.of_fold(Fold(0, 4)))
    curve, weights = trained(resident.of_fold(fold))
    expected, theirs = trained(Resident(apart(data, fold), CPU))
    assert curve == expected
    assert all(torch.equal(weights[name], theirs[name]) for name in weights)
    assert trained(resident)[0] != curve
    assert resident.of_fold(None) is resident


def test_images_are_in_memory_once_and_travel_once():
    data = load(SOURCES["memory"])
    text = pickle.dumps(data)
    assert data.pool.nbytes < len(text) < 1.2 * data.pool.nbytes
    there = pickle.loads(text)
    resident = Resident(there, CPU)
    for split in (resident, resident.of_fold(Fold(1, 4)), resident.of_fold(Fold(7, 4))):
        for part in (split.train, split.validation):
            assert np.shares_memory(part.images.numpy(), there.pool)
    assert resident.of_fold(Fold(1, 4)) is resident.of_fold(Fold(1, 4))
    assert there.summary == data.summary


def test_a_validation_split_of_the_source_is_no_part_of_its_training_images():
    folders(train__a=9, train__b=9, val__a=3, val__b=3)
    data = load(DataConfig("images:data"))
    assert data.pool is None
    assert pickle.loads(pickle.dumps(data)).summary == data.summary
