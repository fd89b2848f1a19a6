"""P(on the front) given all trainings: what must hold, and that it is right as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from nas.statistics.front_probability import (
    STEPS,
    OtherImages,
    front_probabilities,
    likely_means,
)


def test_what_differs_by_far_more_than_the_noise_is_decided():
    found = front_probabilities([0.9, 0.8, 0.95, 0.7], [0.001] * 4, [1, 2, 3, 4])
    assert found == pytest.approx([1, 0, 1, 0])


def test_what_is_within_a_tie_of_a_cheaper_one_is_on_the_front():
    means, errors, costs = [0.900, 0.899, 0.890], [1e-5] * 3, [1, 2, 3]
    assert front_probabilities(means, errors, costs) == pytest.approx([1, 0, 0])
    assert front_probabilities(means, errors, costs, tie=0.003) == pytest.approx([1, 1, 0])


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.floats(0, 0.1),
    st.integers(0, 2**32 - 1),
)
def test_they_are_probabilities_and_the_only_cheapest_is_on_the_front(means, error, seed):
    costs = np.random.default_rng(seed).permutation(len(means)) + 1
    found = front_probabilities(means, [error] * len(means), costs)
    assert ((found >= 0) & (found <= 1)).all()
    assert found[np.argmin(costs)] == 1
    wider = front_probabilities(means, [error] * len(means), costs, tie=0.01)
    assert (wider >= found).all()


def test_it_is_right_as_often_as_it_says():
    """Networks that differ by as much as a training's noise; a share of 1,600 is within .05."""
    rng, said, true = np.random.default_rng(0), [], []
    for _ in range(200):
        truth = rng.normal(0.9, 0.01, 8)
        found = front_probabilities(truth + rng.normal(0, 0.01, 8), [0.01] * 8, np.arange(8))
        said.extend(found)
        true.extend(truth >= np.maximum.accumulate(truth))
    said, true = np.array(said), np.array(true)
    assert said.mean() == pytest.approx(true.mean(), abs=0.05)
    likely = (said > 0.6) & (said < 1)
    assert said[likely].mean() == pytest.approx(true[likely].mean(), abs=0.1)


SEARCHED = np.array([0.90, 0.91, 0.93, 0.94, 0.95, 0.95])
FRESH = np.array([np.nan, np.nan, np.nan, 0.89, 0.90, 0.88])
NOISE = 0.01


def judged(searched: np.ndarray, fresh: np.ndarray):
    """One training of each; of some three more, on other images."""
    again = np.isfinite(fresh)
    counts = np.where(again, 4, 1)
    means = np.where(again, (searched + 3 * fresh) / 4, searched)
    errors = np.full(again.sum(), NOISE * (1 + 1 / 3) ** 0.5)
    other = OtherImages.of(np.where(again, 0.75, 0), (fresh - searched)[again], errors)
    return means, NOISE / np.sqrt(counts), other


@given(st.floats(-0.2, 0.2), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_what_images_do_to_all_networks_alike_changes_nothing(added, seed):
    """Only those that were lucky are judged on other images: they are not taken to be worse."""
    searched = SEARCHED + np.random.default_rng(seed).normal(0, 0.01, 6)
    costs = np.arange(6)
    first, second = (
        front_probabilities(means, errors, costs, other=other)
        for means, errors, other in (judged(searched, FRESH), judged(searched, FRESH + added))
    )
    assert first == pytest.approx(second, abs=0.001)


def test_likely_means_are_those_of_the_joint_normal_distribution():
    """Of all accuracies at once, with a wide prior in place of none, one deviation at a time."""
    means, errors, other = judged(SEARCHED, FRESH)
    again = np.flatnonzero(np.isfinite(FRESH))
    seen = np.concatenate([SEARCHED, FRESH[again]])
    network = np.concatenate([np.arange(6), again])
    is_other = np.repeat([0.0, 1.0], [6, len(again)])
    noise = np.diag(np.repeat([NOISE**2, NOISE**2 / 3], [6, len(again)]))
    wide = 10.0**2 * (1 + np.outer(is_other, is_other))
    same = network[:, None] == network
    of_truth = network[:, None] == np.arange(6)
    expected, weights = [], []
    widest = 2 * max((means - other.share * other.added).std(), errors.min())
    for deviation in np.linspace(0, widest, STEPS):
        covariance = wide + deviation**2 * same + noise
        weights.append(multivariate_normal.logpdf(seen, np.zeros(9), covariance))
        with_truth = 10.0**2 + deviation**2 * of_truth
        expected.append(with_truth.T @ np.linalg.solve(covariance, seen))
    share = np.exp(np.array(weights) - max(weights))
    drawn = likely_means(means, errors**2, np.random.default_rng(0), other)
    assert drawn.mean(axis=0) == pytest.approx(np.average(expected, 0, share), abs=0.0005)
