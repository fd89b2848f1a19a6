"""P(on the front) given all trainings: what must hold, and that it is right as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.statistics.front_probability import front_probabilities


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
