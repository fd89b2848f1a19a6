"""Scores of a classifier against scikit-learn's, and weights that make up for rare classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from trials.data.images import ImageData, Split
from trials.recipe import RECIPES
from trials.scores import confusion_of
from trials.train import Resident, seed_weights, train


def resident(images, labels, classes: int) -> Resident:
    split = Split(np.asarray(images, np.uint8), np.asarray(labels, np.int64))
    channels = split.images.shape[-1]
    names = tuple(map(str, range(classes)))
    data = ImageData(split, split, names, (0.0,) * channels, (1.0,) * channels)
    return Resident(data, torch.device("cpu"))


class Shown(torch.nn.Module):
    """Logits that are the pixels of the image: (N, C, 1, 1) to (N, C)."""

    def forward(self, images):
        return images.flatten(1)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.integers(1, 60), st.integers(0, 10**6))
def test_scores_are_scikit_learns(classes, count, seed):
    rng = np.random.default_rng(seed)
    logits = np.stack([rng.permutation(classes) for _ in range(count)]).astype(np.uint8)
    labels = rng.integers(0, classes, count)
    found = confusion_of(
        Shown(), resident(logits[:, None, None, :], labels, classes).validation, classes
    )
    guesses = logits.argmax(axis=1)
    every = np.arange(classes)
    np.testing.assert_array_equal(
        found.counts.numpy(), metrics.confusion_matrix(labels, guesses, labels=every)
    )
    seen = np.unique(labels)
    recalls = metrics.recall_score(labels, guesses, labels=seen, average=None)
    assert found.balanced_accuracy == pytest.approx(recalls.mean())
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, guesses, average="macro"))
    ranks = (logits > logits[np.arange(count), labels][:, None]).sum(axis=1)
    assert found.top5_accuracy == pytest.approx((ranks < 5).mean())


def test_balanced_weights_are_one_over_the_images_of_each_class(monkeypatch):
    """Three classes of 8, 4 and 4 images: weights in the proportion 1 to 2 to 2, of mean 1."""
    given_weights = []
    entropy = torch.nn.functional.cross_entropy

    def spy(logits, labels, weight=None, **rest):
        if rest.get("reduction") != "sum":
            given_weights.append(weight)
        return entropy(logits, labels, weight, **rest)

    monkeypatch.setattr("trials.train.F.cross_entropy", spy)
    data = resident(np.zeros((16, 1, 1, 3)), [0] * 8 + [1] * 4 + [2] * 4, 3)
    usual = replace(RECIPES["proxy"], epochs=1, batch_size=8)
    for recipe in (usual, replace(usual, class_weights="balanced")):
        seed_weights(recipe, 0)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3, 3))
        train(network, data, recipe, 0)
    assert given_weights[:2] == [None, None]
    torch.testing.assert_close(given_weights[2], torch.tensor([0.6, 1.2, 1.2]))


def test_weights_change_the_recipes_key_and_nothing_else_does():
    usual = RECIPES["proxy"]
    assert replace(usual, class_weights=None).key == usual.key
    assert replace(usual, class_weights="balanced").key != usual.key
    assert usual.key == "8ece7f3f87a46596"  # as in the studies that are published
