"""Average precision: scikit-learn's numbers, and those that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from trials import average_precision
from trials.average_precision import average_precisions, map_at, mean_average_precision


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(1, 8), st.integers(0, 10**6))
def test_it_is_scikit_learns_with_ties(images, classes, levels, seed):
    """Few different scores, so that many are equal; a class that no image has is not a number."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (images, classes)) / levels
    targets = rng.integers(0, 2, (images, classes))
    targets[:, 0] = 0
    found = average_precisions(torch.from_numpy(scores), torch.from_numpy(targets)).numpy()
    assert np.isnan(found[0])
    for column in np.flatnonzero(targets.any(axis=0)):
        expected = average_precision_score(targets[:, column], scores[:, column])
        assert found[column] == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    """Ranks 1 and 3 of four: (1/1 + 2/3) / 2; the other class: rank 2 of four, 1/2."""
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.4], [0.7, 0.9], [0.1, 0.2]])
    targets = torch.tensor([[1, 0], [0, 1], [1, 0], [0, 0]])
    np.testing.assert_allclose(average_precisions(scores, targets), [5 / 6, 1 / 2])
    assert mean_average_precision(scores, targets) == pytest.approx(2 / 3)


def test_many_classes_are_ranked_some_at_a_time(monkeypatch):
    rng = torch.Generator().manual_seed(0)
    scores, targets = torch.rand((9, 7), generator=rng), torch.ones((9, 7)).tril()
    whole = average_precisions(scores, targets)
    monkeypatch.setattr(average_precision, "_SORTED_AT_ONCE", 20)
    assert torch.equal(average_precisions(scores, targets), whole)


def test_many_images_are_ranked_some_at_a_time(monkeypatch):
    rng = torch.Generator().manual_seed(0)
    scores, targets = torch.rand((9, 7), generator=rng), torch.ones((9, 7)).tril(-1)
    whole, sizes, sort = map_at(3, scores, targets), [], torch.Tensor.sort

    def noted(tensor, **options):
        sizes.append(tensor.numel())
        return sort(tensor, **options)

    monkeypatch.setattr(average_precision, "_SORTED_AT_ONCE", 20)
    monkeypatch.setattr(torch.Tensor, "sort", noted)
    assert map_at(3, scores, targets) == whole
    assert max(sizes) <= 20


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        # Ranks 1 and 3 of the first image, 2 of the second; the third has no class: left out.
        (4, ((1 + 2 / 3) / 2 + 1 / 2) / 2),
        (2, (1 / 2 + 1 / 2) / 2),  # of the first image one of two is found
        (1, (1 + 0) / 2),
        (100, ((1 + 2 / 3) / 2 + 1 / 2) / 2),
    ],
)
def test_map_at_k_by_hand(k, expected):
    scores = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 1.0]])
    targets = torch.tensor([[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert map_at(k, scores, targets) == pytest.approx(expected)


def test_of_one_label_each_map_is_one_over_the_rank():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((50, 8)), rng.integers(0, 8, 50)
    ranks = 1 + (scores > scores[np.arange(50), labels][:, None]).sum(axis=1)
    found = map_at(100, torch.from_numpy(scores), torch.from_numpy(np.eye(8)[labels]))
    assert found == pytest.approx((1 / ranks).mean())
