"""Boundaries of a group sequential test, against published and independently integrated ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas.statistics.boundaries import boundaries, combined, pocock_spending


def test_they_are_the_published_ones():
    # R's gsDesign, gsDesign(k = 5, test.type = 1, alpha = 0.025, sfu = sfLDPocock)$upper$bound.
    published = (2.4380, 2.4268, 2.4102, 2.3966, 2.3860)
    assert boundaries((1, 2, 3, 4, 5), 0.025) == pytest.approx(published, abs=5e-5)


def test_a_single_look_is_an_ordinary_test():
    assert boundaries((7,), 0.05) == pytest.approx([1.6448536269514722])


@given(
    st.lists(st.integers(1, 20), min_size=2, max_size=3),
    st.sampled_from([0.01, 0.05, 0.2]),
)
@settings(max_examples=10, deadline=None)
def test_they_spend_the_level_look_by_look(stages, alpha):
    looks = tuple(np.cumsum(stages).tolist())
    bounds = boundaries(looks, alpha)
    n = np.array(looks, dtype=float)
    correlation = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    for k in range(1, len(looks) + 1):
        path = stats.multivariate_normal(np.zeros(k), correlation[:k, :k], seed=0, abseps=1e-7)
        crossed = 1 - float(path.cdf(np.array(bounds[:k])))
        assert crossed == pytest.approx(float(pocock_spending(n[k - 1] / n[-1], alpha)), abs=2e-5)


@pytest.mark.parametrize("looks", [(), (0, 4), (4, 4), (8, 4)])
def test_looks_that_do_not_increase_are_refused(looks):
    with pytest.raises(ValueError, match="looks increase"):
        boundaries(looks, 0.05)


def test_stages_are_combined_to_the_statistic_of_all_observations():
    # Of a known variance of 1 the combination is the z of the mean of all observations.
    values = np.random.default_rng(0).normal(size=12)
    stages = (4, 2, 6)
    cuts = np.split(values, [4, 6])
    z = [cut.mean() * np.sqrt(len(cut)) for cut in cuts]
    expected = [values[:n].mean() * np.sqrt(n) for n in (4, 6, 12)]
    assert combined(stages, z) == pytest.approx(expected)
    assert combined(stages, z[:2]) == pytest.approx(expected[:2])
